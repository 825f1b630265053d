//! JWK Sets (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::algorithm::{Algorithm, Kind};
use super::key::Key;

/// Keys that a set may have.
pub(super) const MAX_KEYS: usize = 100;

/// Bytes that a set may have.
pub(super) const MAX_SET_BYTES: usize = 1 << 20;

/// Bytes that the name of a key may have.
const MAX_ID_BYTES: usize = 1024;

#[derive(Deserialize)]
struct Set {
    // As values, because a set may have keys of kinds that did not exist when this was written
    // (RFC 7517, 5).
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that verify signatures. Others are left out; an error if none is left.
///
/// A shared secret (`oct`) is never taken from a set: it would not be one if it were published.
pub(super) fn parse_set(text: &[u8]) -> Result<Vec<Key>, String> {
    if text.len() > MAX_SET_BYTES {
        return Err(format!("a key set of {} bytes is too long", text.len()));
    }
    let set: Set = serde_json::from_slice(text).map_err(|error| format!("no JWK Set: {error}"))?;
    if set.keys.len() > MAX_KEYS {
        return Err(format!("{} keys are too many", set.keys.len()));
    }
    let count = set.keys.len();
    let mut keys = Vec::new();
    let mut why = None;
    for value in set.keys {
        match key(value) {
            Ok(key) => keys.push(key),
            Err(error) => why = Some(error),
        }
    }
    match why {
        _ if !keys.is_empty() => Ok(keys),
        Some(why) => Err(format!("none of {count} keys can be used; the last: {why}")),
        None => Err("the key set is empty".to_owned()),
    }
}

fn key(value: serde_json::Value) -> Result<Key, String> {
    let jwk: Jwk = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if jwk
        .purpose
        .as_deref()
        .is_some_and(|purpose| purpose != "sig")
    {
        return Err("it is not for signatures".to_owned());
    }
    let verifies = |operations: &Vec<String>| operations.iter().any(|one| one == "verify");
    if !jwk.key_ops.as_ref().is_none_or(verifies) {
        return Err("it is not for verifying".to_owned());
    }
    if jwk.kid.as_ref().is_some_and(|id| id.len() > MAX_ID_BYTES) {
        return Err("its name is too long".to_owned());
    }
    let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Key::rsa(&decode(&jwk.n)?, &decode(&jwk.e)?)?,
        ("EC", Some("P-256")) => Key::ec(Kind::P256, &decode(&jwk.x)?, &decode(&jwk.y)?)?,
        ("EC", Some("P-384")) => Key::ec(Kind::P384, &decode(&jwk.x)?, &decode(&jwk.y)?)?,
        ("OKP", Some("Ed25519")) => Key::point(Kind::Ed25519, decode(&jwk.x)?)?,
        (kind, curve) => {
            let curve = curve.unwrap_or_default();
            return Err(format!("keys of kind {kind} {curve} are not supported"));
        }
    };
    let only = match &jwk.alg {
        None => None,
        Some(name) => Some(
            Algorithm::parse(name)
                .filter(|algorithm| algorithm.kind() == key.kind())
                .ok_or_else(|| format!("its algorithm {name} does not fit"))?,
        ),
    };
    Ok(key.named(jwk.kid).only(only))
}

fn decode(member: &Option<String>) -> Result<Vec<u8>, String> {
    let text = member.as_deref().ok_or("a part of it is missing")?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "a part of it is not base64url".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7517, A.1.
    const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"}"#;

    fn set(keys: &[String]) -> Result<Vec<Key>, String> {
        parse_set(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    fn ec(old: &str, new: &str) -> String {
        assert!(EC.contains(old));
        EC.replace(r#""use":"enc""#, r#""use":"sig""#)
            .replace(old, new)
    }

    #[test]
    fn keys_for_other_purposes_are_left_out() {
        let good = ec("\"1\"", "\"good\"");
        let others = [
            EC.to_owned(),
            ec(r#""kid":"1""#, r#""key_ops":["sign"]"#),
            ec(r#""kid":"1""#, r#""alg":"HS256""#),
            ec(r#""kid":"1""#, r#""alg":"RS256""#),
            ec(r#""kid":"1""#, r#""alg":"ES384""#),
            ec("P-256", "P-521"),
            ec("\"EC\"", "\"FUTURE\""),
            ec("\"EC\"", "7"),
            ec("MKB", "MK"),
            ec("MKB", "M=B"),
            r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#.to_owned(),
            "{}".to_owned(),
            "null".to_owned(),
        ];
        for other in &others {
            assert!(set(std::slice::from_ref(other)).is_err(), "{other}");
            let keys = set(&[other.clone(), good.clone()]).unwrap();
            assert_eq!(keys.len(), 1, "{other}");
            assert!(keys[0].is_exactly("good"));
        }
        let verifying = ec(
            r#""kid":"1""#,
            r#""key_ops":["sign","verify"],"alg":"ES256""#,
        );
        assert_eq!(set(&[verifying]).unwrap()[0].kind(), Kind::P256);
    }

    #[test]
    fn a_set_has_bounds() {
        let key = ec("\"1\"", "\"2\"");
        assert_eq!(set(&vec![key.clone(); 100]).unwrap().len(), 100);
        assert!(set(&vec![key.clone(); 101]).is_err());
        assert!(set(&[]).is_err());
        assert!(parse_set(&vec![b' '; MAX_SET_BYTES + 1]).is_err());
        for text in [
            "",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            "nonsense",
            &"[".repeat(100_000),
        ] {
            assert!(parse_set(text.as_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parse_set(&bytes).is_err());
        }
    }
}
