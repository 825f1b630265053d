//! A token, taken apart (RFC 7515, 3.1) and judged by its claims (RFC 7519, 4.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::algorithm::Algorithm;
use super::settings::TokenError;

/// Bytes that a token may have.
pub(super) const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Seconds by which clocks may differ.
const LEEWAY: u64 = 30;

/// A token that may turn out to be true.
pub(super) struct Token<'a> {
    pub algorithm: Algorithm,
    /// What it calls the key that it is signed with.
    pub key_id: Option<String>,
    /// What is signed: the first two parts as they came.
    pub message: &'a [u8],
    pub signature: Vec<u8>,
    /// Not to be believed before the signature is verified.
    pub claims: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none is here.
    crit: Option<serde::de::IgnoredAny>,
}

impl<'a> Token<'a> {
    /// Takes a token in the compact form apart; none if it is not one, or is not signed.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        // A third dot would be in the claims, where it is not base64url.
        let header: Header = object(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            algorithm: Algorithm::parse(&header.alg)?,
            key_id: header.kid,
            message: message.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            claims: URL_SAFE_NO_PAD.decode(claims).ok()?,
        })
    }
}

/// When a token is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub expires: u64,
    pub not_before: u64,
}

impl Validity {
    /// Whether it is valid now.
    pub(super) fn check(self, now: u64) -> Result<(), TokenError> {
        let over = now >= self.expires.saturating_add(LEEWAY);
        let early = now.saturating_add(LEEWAY) < self.not_before;
        if over || early {
            return Err(TokenError::Expired);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Claims {
    // A claim of the wrong type is an error, and must not pass for one that is missing; so must
    // not `null`.
    #[serde(default, deserialize_with = "present")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    aud: Option<Audience>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Reads what verified claims say of their validity. An empty list accepts any issuer, or any
/// audience, or none.
pub(super) fn judge(
    claims: &[u8],
    issuers: &[String],
    audiences: &[String],
) -> Result<Validity, TokenError> {
    let claims: Claims = object(claims)?;
    let accepted = |list: &[String], value: &String| list.contains(value);
    let issuer = claims.iss.as_ref();
    if !issuers.is_empty() && !issuer.is_some_and(|issuer| accepted(issuers, issuer)) {
        return Err(TokenError::Claims);
    }
    let audience = match &claims.aud {
        None => &[][..],
        Some(Audience::One(one)) => std::slice::from_ref(one),
        Some(Audience::Many(many)) => many,
    };
    if !audiences.is_empty() && !audience.iter().any(|one| accepted(audiences, one)) {
        return Err(TokenError::Claims);
    }
    let seconds = |date: f64| date as u64; // Saturates; a date before 1970 is 1970.
    Ok(Validity {
        expires: seconds(claims.exp.ok_or(TokenError::Claims)?),
        not_before: claims.nbf.map_or(0, seconds),
    })
}

/// Reads a JSON object. What is no JSON object is no token; one with members of the wrong type,
/// or twice the same, is one with the wrong claims.
fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, TokenError> {
    // An array would be read as the members in their order.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(TokenError::Invalid);
    }
    serde_json::from_slice(text).map_err(|error| match error.is_data() {
        true => TokenError::Claims,
        false => TokenError::Invalid,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn judged(claims: &str, now: u64) -> Result<(), TokenError> {
        judge(claims.as_bytes(), &[], &[])?.check(now)
    }

    fn encoded(header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header), part(claims), part("signature"))
    }

    #[test]
    fn a_token_is_taken_apart() {
        let text = encoded(r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#, r#"{"a":1}"#);
        let token = Token::parse(&text).unwrap();
        assert_eq!(token.algorithm, Algorithm::Es256);
        assert_eq!(token.key_id.as_deref(), Some("k"));
        assert_eq!(token.claims, br#"{"a":1}"#);
        assert_eq!(token.signature, b"signature");
        assert!(text.as_bytes().starts_with(token.message));
    }

    #[test]
    fn what_is_no_signed_token_is_refused() {
        let headers = [
            r#"{"alg":"none"}"#,
            r#"{"alg":"NONE"}"#,
            r#"{"alg":""}"#,
            "{}",
            r#"["ES256",null,null]"#,
            r#"{"alg":"ES256","alg":"HS256"}"#,
            r#"{"alg":"ES256","crit":["b64"],"b64":false}"#,
            r#"{"alg":["ES256"]}"#,
            r#"{"alg":"ES256","kid":7}"#,
            r#"{"alg":"ES256"} x"#,
            "null",
            "",
        ];
        for header in headers {
            assert!(Token::parse(&encoded(header, "{}")).is_none(), "{header}");
        }
        let good = encoded(r#"{"alg":"ES256"}"#, "{}");
        assert!(Token::parse(&good).is_some());
        let broken = [
            String::new(),
            "..".to_owned(),
            "a.b".to_owned(),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}="),
            format!(" {good}"),
            format!("{good}\n"),
            good.replacen('.', "..", 1),
            good.replace("e30", "e31"),
            good.replace("e30", "e3+"),
        ];
        for text in broken {
            assert!(Token::parse(&text).is_none(), "{text:?}");
        }
        let long = encoded(r#"{"alg":"ES256"}"#, &" ".repeat(MAX_TOKEN_BYTES));
        assert!(Token::parse(&long).is_none());
    }

    #[test]
    fn a_token_is_valid_from_nbf_to_exp_with_30_seconds_of_leeway() {
        let claims = r#"{"exp":2000,"nbf":1000}"#;
        for (now, valid) in [
            (0, false),
            (969, false),
            (970, true),
            (2029, true),
            (2030, false),
        ] {
            assert_eq!(judged(claims, now).is_ok(), valid, "{now}");
        }
        assert_eq!(judged(claims, 2030), Err(TokenError::Expired));
        assert_eq!(judged(r#"{"exp":2000.9}"#, 2029), Ok(()));
        assert_eq!(judged(r#"{"exp":-5}"#, 30), Err(TokenError::Expired));
        assert_eq!(judged(r#"{"exp":1e300,"nbf":0}"#, u64::MAX - 31), Ok(()));
        assert_eq!(
            judged(r#"{"exp":1e300,"nbf":1e300}"#, 1),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn a_claim_that_is_missing_or_of_the_wrong_type_is_not_skipped() {
        for claims in [
            "{}",
            r#"{"nbf":1}"#,
            r#"{"exp":null}"#,
            r#"{"exp":"2000"}"#,
            r#"{"exp":[2000]}"#,
            r#"{"exp":true}"#,
            r#"{"exp":2000,"nbf":"9999999999"}"#,
            r#"{"exp":2000,"nbf":null}"#,
            r#"{"exp":2000,"exp":3000}"#,
            r#"{"exp":2000,"iss":7}"#,
            r#"{"exp":2000,"aud":[7]}"#,
        ] {
            assert_eq!(judged(claims, 1), Err(TokenError::Claims), "{claims}");
        }
        for claims in [
            "",
            "[]",
            "[2000,null]",
            "null",
            "2000",
            "{",
            "{\"exp\":2000}x",
            "\u{feff}{}",
        ] {
            assert_eq!(judged(claims, 1), Err(TokenError::Invalid), "{claims}");
        }
    }

    #[test]
    fn issuer_and_audience_must_be_listed_if_there_is_a_list() {
        let (issuers, audiences) = (strings(&["i", "j"]), strings(&["a", "b"]));
        let table = [
            (r#"{"exp":9,"iss":"j","aud":"a"}"#, true),
            (r#"{"exp":9,"iss":"i","aud":["x","b"]}"#, true),
            (r#"{"exp":9,"iss":"k","aud":"a"}"#, false),
            (r#"{"exp":9,"aud":"a"}"#, false),
            (r#"{"exp":9,"iss":"i"}"#, false),
            (r#"{"exp":9,"iss":"i","aud":[]}"#, false),
            (r#"{"exp":9,"iss":"i","aud":["x"]}"#, false),
            (r#"{"exp":9,"iss":"I","aud":"a"}"#, false),
            (r#"{"exp":9,"iss":"i","aud":"ab"}"#, false),
        ];
        for (claims, fit) in table {
            let judged = judge(claims.as_bytes(), &issuers, &audiences);
            assert_eq!(judged.is_ok(), fit, "{claims}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}", part in "[A-Za-z0-9_.-]{0,80}") {
            let _ = Token::parse(&text);
            let _ = Token::parse(&part);
            let _ = judge(text.as_bytes(), &[], &[]);
        }
    }
}
