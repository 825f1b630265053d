//! Cryptography, natively in the broker. Needs [`Import::Crypto`](crate::Import::Crypto).

use crate::host;

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token, or its signature is wrong.
    Invalid,
    /// Its `exp` is over, or its `nbf` not reached.
    Expired,
    /// Its `iss` or `aud` is not among those that the key set accepts.
    Claims,
    /// No such key set in the configuration, or its keys could not be fetched.
    Unavailable(String),
}

/// Whether a password fits a hash in any form that `dunlin passwd` or `mosquitto_passwd` writes.
///
/// # Errors
/// The hash has no such form.
pub fn verify_password(hash: &str, password: &[u8]) -> Result<bool, String> {
    host::verify_password(hash, password)
}

/// Verifies a JWT (RFC 7519) with a key set that the configuration names, and which the broker keeps
/// fresh. Gives the claims as JSON.
///
/// # Errors
/// The token is not accepted, or cannot be judged.
pub fn verify_token(key_set: &str, token: &str) -> Result<String, TokenError> {
    host::verify_token(key_set, token)
}

/// HMAC (RFC 2104) with SHA-256.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> Vec<u8> {
    host::hmac_sha256(key, data)
}
