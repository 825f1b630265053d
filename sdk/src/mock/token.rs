//! JSON Web Tokens with HS256, as far as tests need them.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::crypto::TokenError;

pub(super) fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

pub(super) fn sign(secret: &[u8], claims: &str) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims);
    let signed = format!("{header}.{claims}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac(secret, signed.as_bytes()));
    format!("{signed}.{signature}")
}

pub(super) fn verify(secret: &[u8], token: &str, now: Duration) -> Result<String, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
    let (_, claims) = signed.split_once('.').ok_or(TokenError::Invalid)?;
    if BASE64_URL_SAFE_NO_PAD.encode(hmac(secret, signed.as_bytes())) != signature {
        return Err(TokenError::Invalid);
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims);
    let claims = claims.map_err(|_| TokenError::Invalid)?;
    let claims = String::from_utf8(claims).map_err(|_| TokenError::Invalid)?;
    let read: Value = serde_json::from_str(&claims).map_err(|_| TokenError::Invalid)?;
    let at = |name: &str| read[name].as_u64();
    if at("exp").is_some_and(|end| end <= now.as_secs())
        || at("nbf").is_some_and(|start| start > now.as_secs())
    {
        return Err(TokenError::Expired);
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_accepted_with_its_secret_and_in_its_time() {
        let token = sign(b"secret", r#"{"sub":"pump","exp":100,"nbf":10}"#);
        let at = |secret: &[u8], seconds| verify(secret, &token, Duration::from_secs(seconds));
        assert_eq!(
            at(b"secret", 99).unwrap(),
            r#"{"sub":"pump","exp":100,"nbf":10}"#
        );
        assert_eq!(at(b"secret", 100), Err(TokenError::Expired));
        assert_eq!(at(b"secret", 9), Err(TokenError::Expired));
        assert_eq!(at(b"other", 50), Err(TokenError::Invalid));
        assert_eq!(
            verify(b"secret", "abc", Duration::ZERO),
            Err(TokenError::Invalid)
        );
    }
}
