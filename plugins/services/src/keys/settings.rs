//! What the configuration says of a key set, and why a token is not accepted.

use std::{fmt, path::PathBuf};

/// A named set of keys, and what tokens that it verifies must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetSettings {
    /// What plugins call it.
    pub name: String,
    /// Where the keys are.
    pub source: KeySource,
    /// Values that `iss` may have; empty for any, or none.
    pub issuers: Vec<String>,
    /// Values of which `aud` must have one; empty for any, or none.
    pub audiences: Vec<String>,
    /// Values that `alg` may have: `HS256`, `HS384`, `HS512`, `RS256`, `RS384`, `RS512`, `PS256`,
    /// `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`. Empty for all that fit the kind of key.
    pub algorithms: Vec<String>,
}

/// Where keys come from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK Set (RFC 7517), fetched every 5 minutes, and when a token names a key that is not
    /// in it.
    Url(String),
    /// A JWK Set or a public key in PEM, read again when the file changes.
    File(PathBuf),
    /// A secret of at least 32 bytes, for HS256, HS384 and HS512.
    Secret(Vec<u8>),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => out.debug_tuple("Url").field(url).finish(),
            Self::File(path) => out.debug_tuple("File").field(path).finish(),
            // Never in a log.
            Self::Secret(_) => out.write_str("Secret(..)"),
        }
    }
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token, its algorithm is not accepted, no key fits, or its signature is wrong.
    Invalid,
    /// Its `exp` is over, or its `nbf` not reached.
    Expired,
    /// Its `exp` is missing or no number, or its `iss` or `aud` is not among those accepted.
    Claims,
    /// There is no such key set, or its keys were never there; says what lacks.
    Unavailable(String),
}

impl fmt::Display for TokenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid => out.write_str("not a valid token"),
            Self::Expired => out.write_str("the token is not valid at this time"),
            Self::Claims => out.write_str("the token is for someone else"),
            Self::Unavailable(what) => out.write_str(what),
        }
    }
}

impl std::error::Error for TokenError {}
