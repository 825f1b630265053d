//! Makes tokens, as an issuer does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::PublicKeyData;
use ring::rand::SystemRandom;
use ring::{hmac, signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

/// Of the HS algorithms.
pub const SECRET: &[u8; 32] = b"a secret that is 32 bytes long!!";

/// An RSA key for tests, made with `openssl genrsa 2048`; making one takes seconds here.
const RSA: &[u8] = include_bytes!("../../../tests/keys/rsa.pem");
const RSA_PUBLIC: &str = include_str!("../../../tests/keys/rsa.pub.pem");

/// A key and an algorithm to sign with.
pub struct Signer {
    pub algorithm: &'static str,
    key_id: Option<&'static str>,
    key: Key,
}

enum Key {
    Secret(Vec<u8>),
    Rsa(Box<signature::RsaKeyPair>),
    Ec(Box<signature::EcdsaKeyPair>, rcgen::KeyPair),
    Ed(Box<signature::Ed25519KeyPair>, rcgen::KeyPair),
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub fn secret(algorithm: &'static str) -> Self {
        Self::with_secret(algorithm, SECRET)
    }

    pub fn with_secret(algorithm: &'static str, secret: &[u8]) -> Self {
        Self {
            algorithm,
            key_id: None,
            key: Key::Secret(secret.to_vec()),
        }
    }

    pub fn rsa(algorithm: &'static str, key_id: &'static str) -> Self {
        let der = PrivatePkcs8KeyDer::from_pem_slice(RSA).unwrap();
        let pair = signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        Self {
            algorithm,
            key_id: Some(key_id),
            key: Key::Rsa(Box::new(pair)),
        }
    }

    /// With a new key.
    pub fn es256(key_id: &'static str) -> Self {
        Self::ec("ES256", key_id)
    }

    fn ec(algorithm: &'static str, key_id: &'static str) -> Self {
        let (signs, kind) = match algorithm {
            "ES256" => (
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                &rcgen::PKCS_ECDSA_P256_SHA256,
            ),
            _ => (
                &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                &rcgen::PKCS_ECDSA_P384_SHA384,
            ),
        };
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let random = SystemRandom::new();
        let pair = signature::EcdsaKeyPair::from_pkcs8(signs, &key.serialize_der(), &random);
        Self {
            algorithm,
            key_id: Some(key_id),
            key: Key::Ec(Box::new(pair.unwrap()), key),
        }
    }

    fn ed(key_id: &'static str) -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let pair = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key.serialize_der());
        Self {
            algorithm: "EdDSA",
            key_id: Some(key_id),
            key: Key::Ed(Box::new(pair.unwrap()), key),
        }
    }

    /// One for each algorithm with a public key.
    pub fn all_public(key_id: &'static str) -> Vec<Self> {
        let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
        let mut all: Vec<Self> = rsa.map(|name| Self::rsa(name, key_id)).into();
        all.extend(["ES256", "ES384"].map(|name| Self::ec(name, key_id)));
        all.push(Self::ed(key_id));
        all
    }

    pub fn token(&self, claims: &str) -> String {
        let id = self.key_id.map(|id| format!(r#","kid":"{id}""#));
        let header = format!(
            r#"{{"alg":"{}"{}}}"#,
            self.algorithm,
            id.unwrap_or_default()
        );
        self.token_with(&header, claims)
    }

    /// With a header that may lie.
    pub fn token_with(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", encode(signature))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Secret(secret) => {
                let algorithm = match self.algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                let key = hmac::Key::new(algorithm, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Key::Rsa(pair) => {
                let encoding: &dyn signature::RsaEncoding = match self.algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut signed).unwrap();
                signed
            }
            Key::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed(pair, _) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub fn public_pem(&self) -> String {
        match &self.key {
            Key::Secret(_) => unreachable!("a secret has no public key"),
            Key::Rsa(_) => RSA_PUBLIC.to_owned(),
            Key::Ec(_, key) | Key::Ed(_, key) => key.public_key_pem(),
        }
    }

    pub fn public_der(&self) -> Vec<u8> {
        SubjectPublicKeyInfoDer::from_pem_slice(self.public_pem().as_bytes())
            .unwrap()
            .to_vec()
    }

    /// A JWK Set with the keys of these.
    pub fn set(signers: &[&Self]) -> String {
        let keys: Vec<String> = signers.iter().map(|signer| signer.jwk()).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    fn jwk(&self) -> String {
        let id = self.key_id.unwrap_or_default();
        let members = match &self.key {
            Key::Secret(_) => unreachable!("a secret is never published"),
            Key::Rsa(pair) => {
                let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                format!(
                    r#""kty":"RSA","n":"{}","e":"{}""#,
                    encode(public.n),
                    encode(public.e)
                )
            }
            Key::Ec(_, key) => {
                let (x, y) = key.der_bytes()[1..].split_at(key.der_bytes().len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                format!(
                    r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#,
                    encode(x),
                    encode(y)
                )
            }
            Key::Ed(_, key) => {
                format!(
                    r#""kty":"OKP","crv":"Ed25519","x":"{}""#,
                    encode(key.der_bytes())
                )
            }
        };
        format!(r#"{{{members},"use":"sig","kid":"{id}"}}"#)
    }
}
