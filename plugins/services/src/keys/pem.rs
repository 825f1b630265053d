//! Public keys in PEM (RFC 7468, 13; RFC 5280, 4.1.2.7; RFC 8017, A.1.1).

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{SubjectPublicKeyInfoDer, alg_id};

use super::algorithm::Kind;
use super::jwk::MAX_KEYS;
use super::key::Key;

/// How each DER value begins.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// The keys in a text of one or more `BEGIN PUBLIC KEY`.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for info in SubjectPublicKeyInfoDer::pem_slice_iter(text) {
        let info = info.map_err(|error| format!("not PEM: {error}"))?;
        if keys.len() == MAX_KEYS {
            return Err(format!("more than {MAX_KEYS} keys"));
        }
        keys.push(public_key(&info)?);
    }
    if keys.is_empty() {
        return Err("there is no BEGIN PUBLIC KEY in it".to_owned());
    }
    Ok(keys)
}

/// A SubjectPublicKeyInfo.
fn public_key(info: &[u8]) -> Result<Key, String> {
    let damaged = || "the public key is damaged".to_owned();
    let (algorithm, key) = split_info(info).ok_or_else(damaged)?;
    if algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
        let (n, e) = split_rsa(key).ok_or_else(damaged)?;
        return Key::rsa(n, e);
    }
    let curves = [
        (alg_id::ECDSA_P256, Kind::P256),
        (alg_id::ECDSA_P384, Kind::P384),
        (alg_id::ED25519, Kind::Ed25519),
    ];
    match curves.iter().find(|(id, _)| id.as_ref() == algorithm) {
        Some((_, kind)) => Key::point(*kind, key.to_vec()),
        None => Err("the public key must be RSA, P-256, P-384 or Ed25519".to_owned()),
    }
}

/// Identifier of the algorithm, and the key's own bytes.
fn split_info(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, rest) = value(SEQUENCE, info)?;
    let (algorithm, after) = value(SEQUENCE, info)?;
    let (key, end) = value(BIT_STRING, after)?;
    // The first byte counts the unused bits of the last.
    let key = key.strip_prefix(&[0])?;
    (rest.is_empty() && end.is_empty()).then_some((algorithm, key))
}

/// Modulus and exponent.
fn split_rsa(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = value(SEQUENCE, key)?;
    let (n, after) = value(INTEGER, key)?;
    let (e, end) = value(INTEGER, after)?;
    (rest.is_empty() && end.is_empty()).then_some((n, e))
}

/// The content of the DER value at the front, and what follows it (X.690, 8.1).
fn value(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, content) = match bytes {
        [first, ..] if *first != tag => return None,
        [_, length @ 0..=0x7f, content @ ..] => (usize::from(*length), content),
        [_, 0x81, length, content @ ..] => (usize::from(*length), content),
        [_, 0x82, high, low, content @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        _ => return None,
    };
    content.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::PublicKeyData;

    use super::*;

    fn public_pem(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
        rcgen::KeyPair::generate_for(algorithm)
            .unwrap()
            .public_key_pem()
    }

    #[test]
    fn keys_of_each_kind_are_read() {
        for (algorithm, kind) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Kind::P256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Kind::P384),
            (&rcgen::PKCS_ED25519, Kind::Ed25519),
        ] {
            assert_eq!(
                parse(public_pem(algorithm).as_bytes()).unwrap()[0].kind(),
                kind
            );
        }
        let rsa = include_bytes!("../../tests/keys/rsa.pub.pem");
        assert_eq!(parse(rsa).unwrap()[0].kind(), Kind::Rsa);
    }

    #[test]
    fn a_file_may_have_several_keys() {
        let two = public_pem(&rcgen::PKCS_ED25519) + &public_pem(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(parse(two.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let private = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let empty = "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n";
        for text in [
            private.as_str(),
            empty,
            "",
            "nonsense",
            "-----BEGIN PUBLIC KEY-----\nMAA=",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn damaged_keys_are_refused_or_still_keys(at in 0usize..91, byte: u8, cut in 0usize..91) {
            let der = rcgen::KeyPair::generate().unwrap().subject_public_key_info();
            let mut bytes = der.clone();
            bytes[at] = byte;
            if at < 27 && bytes != der {
                prop_assert!(public_key(&bytes).is_err());
            }
            prop_assert!(public_key(&der[..cut]).is_err());
        }
    }
}
