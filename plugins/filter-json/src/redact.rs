//! What replaces what nobody should read.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use crate::path::Path;

/// Bytes of a hash that are written: 128 bits, as 32 digits.
const HASH_BYTES: usize = 16;

/// A place, and what to write there if anything is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    at: Path,
    with: Option<Value>,
    hash: Option<String>,
}

impl Redaction {
    /// Whether it says one thing.
    ///
    /// # Errors
    /// In words: it says two, or its key is short.
    pub fn check(&self) -> Result<(), String> {
        match (&self.with, &self.hash) {
            (Some(_), Some(_)) => Err(format!("{}: either with or hash", self.at)),
            (_, Some(key)) if key.len() < 16 => {
                Err(format!("{}: a key has at least 16 bytes", self.at))
            }
            _ => Ok(()),
        }
    }

    /// Replaces what is there.
    pub fn apply(&self, json: &mut Value) {
        self.at.change(json, &mut |value| {
            *value = match &self.hash {
                Some(key) => Value::String(hash(key.as_bytes(), value)),
                None => self.with.clone().unwrap_or(Value::Null),
            };
        });
    }
}

/// HMAC with SHA-256, for values of which there are few could be guessed from a plain hash.
fn hash(key: &[u8], value: &Value) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(value.to_string().as_bytes());
    let hash = mac.finalize().into_bytes();
    hash.iter()
        .take(HASH_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(redaction: Value, mut json: Value) -> Value {
        let redaction: Redaction = serde_json::from_value(redaction).unwrap();
        redaction.check().unwrap();
        redaction.apply(&mut json);
        json
    }

    #[test]
    fn what_is_there_is_replaced() {
        let json = json!({"a": [{"b": 1}, {"c": 2}]});
        let redaction = json!({"at": "/a/*/b", "with": "***"});
        assert_eq!(
            redacted(redaction, json.clone()),
            json!({"a": [{"b": "***"}, {"c": 2}]})
        );
        assert_eq!(
            redacted(json!({"at": "/a/1"}), json),
            json!({"a": [{"b": 1}, null]})
        );
    }

    #[test]
    fn equal_values_have_equal_hashes() {
        let json = json!(["x", "x", "y"]);
        let redaction = |key: &str| json!({"at": "/*", "hash": key});
        let one = redacted(redaction("sixteen bytes at least"), json.clone());
        let other = redacted(redaction("another key for hashes"), json);
        assert_eq!(one[0], one[1]);
        assert_ne!(one[0], one[2]);
        assert_ne!(one[0], other[0]);
        assert_eq!(one[0].as_str().map(str::len), Some(32));
    }

    #[test]
    fn a_redaction_says_one_thing() {
        for json in [
            json!({"at": "/a", "with": 1, "hash": "sixteen bytes at least"}),
            json!({"at": "/a", "hash": "short"}),
        ] {
            let redaction: Redaction = serde_json::from_value(json).unwrap();
            assert!(redaction.check().is_err());
        }
    }
}
