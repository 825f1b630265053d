//! One hashed password: the formats, their bounds, and how to verify them.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

/// What we write: OWASP's first choice for argon2id, 19 MiB and 2 passes.
const OUR_COST: Argon2Cost = Argon2Cost {
    memory_kib: 19 * 1024,
    passes: 2,
    lanes: 1,
};
const OUR_SALT_BYTES: usize = 16;
const OUR_DIGEST_BYTES: usize = 32;

/// What a line may ask of us at most, so that a file cannot stall or exhaust the broker.
/// The last bounds memory times passes, to about 4 s of work.
const MAX_PBKDF2_ROUNDS: u32 = 2_000_000;
const MAX_ARGON2_MEMORY_KIB: u32 = 256 * 1024;
const MAX_ARGON2_LANES: u32 = 16;
const MAX_ARGON2_WORK_KIB: u64 = 4 << 20;
const SALT_BYTES: std::ops::RangeInclusive<usize> = 8..=64;
const ARGON2_DIGEST_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
const SHA512_BYTES: usize = 64;

/// Standard alphabet; Mosquitto pads, PHC strings do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A password's hash with all that is needed to compute it again, in any form that a
/// [`PasswordFile`](crate::PasswordFile) may have.
///
/// What it may cost to verify is bounded: at most about 4 s and 256 MiB.
#[derive(Debug, PartialEq, Eq)]
pub struct PasswordHash {
    scheme: Scheme,
    salt: Box<[u8]>,
    digest: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// `$6$salt$digest`: one round of SHA-512 over password and salt (Mosquitto up to 1.6).
    Sha512,
    /// `$7$rounds$salt$digest`: PBKDF2-HMAC-SHA512 (Mosquitto 2.0).
    Pbkdf2 { rounds: u32 },
    /// `$argon2id$v=19$m=..,t=..,p=..$salt$digest`: the PHC string format (ours, Mosquitto 2.1).
    ///
    /// Mosquitto's salts have 64 bytes, more than PHC allows, hence no PHC library here.
    Argon2id(Argon2Cost),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Why a hash could not be computed: we failed, not the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashError {
    /// The memory that the hash asks for is not to be had.
    OutOfMemory,
    /// The operating system gave no random bytes for a salt.
    NoRandomness,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "not enough memory to hash a password",
            Self::NoRandomness => "the operating system gave no random bytes",
        })
    }
}

impl std::error::Error for HashError {}

/// Hashes a password for a password file, with argon2id and a fresh salt.
///
/// Takes some tens of milliseconds and 19 MiB.
///
/// # Errors
/// Without memory or random bytes.
pub fn hash_password(password: &[u8]) -> Result<String, HashError> {
    let mut salt = [0; OUR_SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|_| HashError::NoRandomness)?;
    let mut digest = [0; OUR_DIGEST_BYTES];
    OUR_COST.hash(password, &salt, &mut digest)?;
    let Argon2Cost {
        memory_kib,
        passes,
        lanes,
    } = OUR_COST;
    Ok(format!(
        "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${}${}",
        BASE64.encode(salt),
        BASE64.encode(digest)
    ))
}

impl PasswordHash {
    /// Parses what stands after the colon in a password file.
    ///
    /// # Errors
    /// Says what is wrong and what to do, without quoting the hash.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.splitn(7, '$').collect();
        let (scheme, salt, digest) = match *fields {
            ["", "6", salt, digest] => (Scheme::Sha512, salt, digest),
            ["", "7", rounds, salt, digest] => {
                let rounds = bounded("PBKDF2 rounds", rounds, MAX_PBKDF2_ROUNDS)?;
                (Scheme::Pbkdf2 { rounds }, salt, digest)
            }
            ["", "argon2id", "v=19", cost, salt, digest] => {
                (Scheme::Argon2id(Argon2Cost::parse(cost)?), salt, digest)
            }
            _ => return Err(unknown_format(&fields)),
        };
        let hash = Self {
            scheme,
            salt: decode("salt", salt)?,
            digest: decode("digest", digest)?,
        };
        hash.check_lengths()?;
        Ok(hash)
    }

    /// A hash with our own parameters that no password is known for.
    pub(super) fn decoy() -> Self {
        Self {
            scheme: Scheme::Argon2id(OUR_COST),
            salt: [0; OUR_SALT_BYTES].into(),
            digest: [0; OUR_DIGEST_BYTES].into(),
        }
    }

    /// Whether this is the hash of `password`. Blocks for as long as computing it takes.
    ///
    /// # Errors
    /// Without the memory that the hash asks for.
    pub fn verify(&self, password: &[u8]) -> Result<bool, HashError> {
        let mut buffer = [0; SHA512_BYTES];
        let computed = &mut buffer[..self.digest.len()];
        match self.scheme {
            Scheme::Sha512 => {
                let digest = Sha512::new()
                    .chain_update(password)
                    .chain_update(&self.salt);
                computed.copy_from_slice(&digest.finalize());
            }
            Scheme::Pbkdf2 { rounds } => {
                pbkdf2::pbkdf2_hmac::<Sha512>(password, &self.salt, rounds, computed);
            }
            Scheme::Argon2id(cost) => cost.hash(password, &self.salt, computed)?,
        }
        Ok(computed.ct_eq(&self.digest).into())
    }

    /// Whether verifying takes so long (over some ten microseconds) that no worker should wait.
    pub fn is_slow(&self) -> bool {
        self.scheme != Scheme::Sha512
    }

    /// Salt and digest, which tell it from all other hashes.
    pub(super) fn identity(&self) -> [&[u8]; 2] {
        [&self.salt, &self.digest]
    }

    fn check_lengths(&self) -> Result<(), String> {
        let digest_fits = match self.scheme {
            Scheme::Argon2id(_) => ARGON2_DIGEST_BYTES.contains(&self.digest.len()),
            Scheme::Sha512 | Scheme::Pbkdf2 { .. } => self.digest.len() == SHA512_BYTES,
        };
        if !SALT_BYTES.contains(&self.salt.len()) || !digest_fits {
            return Err(format!(
                "salt or digest is too short or too long; {SET_ANEW}"
            ));
        }
        Ok(())
    }
}

impl Argon2Cost {
    /// `m=<KiB>,t=<passes>,p=<lanes>`, in this order as libargon2 writes and demands it.
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.splitn(4, ',').collect();
        let [memory, passes, lanes] = *fields else {
            return Err(format!(
                "argon2id parameters are not m=..,t=..,p=..; {SET_ANEW}"
            ));
        };
        let number = |name: &str, field: &str, max| match field.strip_prefix(name) {
            Some(digits) => bounded(&format!("argon2id {name}"), digits, max),
            None => Err(format!("argon2id parameter {name} is missing; {SET_ANEW}")),
        };
        let cost = Self {
            memory_kib: number("m=", memory, MAX_ARGON2_MEMORY_KIB)?,
            passes: number("t=", passes, u32::MAX)?,
            lanes: number("p=", lanes, MAX_ARGON2_LANES)?,
        };
        if u64::from(cost.memory_kib) * u64::from(cost.passes) > MAX_ARGON2_WORK_KIB {
            return Err(format!(
                "argon2id m times t is over {MAX_ARGON2_WORK_KIB}; {SET_ANEW}"
            ));
        }
        if cost.memory_kib < 8 * cost.lanes {
            return Err(format!("argon2id m is below 8 times p; {SET_ANEW}"));
        }
        Ok(cost)
    }

    fn hash(self, password: &[u8], salt: &[u8], digest: &mut [u8]) -> Result<(), HashError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(digest.len()));
        params
            .and_then(|params| {
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(password, salt, digest)
            })
            // Every other error is about lengths and parameters, which `parse` has checked.
            .map_err(|_| HashError::OutOfMemory)
    }
}

const SET_ANEW: &str = "set the password anew with `dunlin passwd`";

fn unknown_format(fields: &[&str]) -> String {
    match *fields {
        [""] => format!("the hash is missing; {SET_ANEW}"),
        ["", "argon2i" | "argon2d", ..] => {
            format!("of the argon2 kinds only argon2id is accepted; {SET_ANEW}")
        }
        ["", "argon2id", version, ..] if version != "v=19" => {
            format!("argon2id hashes need v=19; {SET_ANEW}")
        }
        ["", "6" | "7" | "argon2id", ..] => {
            format!("the hash has missing or extra fields; {SET_ANEW}")
        }
        ["", ..] => format!("the hash is none of $argon2id$, $7$ and $6$; {SET_ANEW}"),
        _ => format!("the password is not hashed; {SET_ANEW}"),
    }
}

/// A decimal number from 1 to `max`.
fn bounded(what: &str, digits: &str, max: u32) -> Result<u32, String> {
    let is_decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| format!("{what} is not a number from 1 to {max}; {SET_ANEW}"))
}

fn decode(what: &str, text: &str) -> Result<Box<[u8]>, String> {
    const MAX_ENCODED_BYTES: usize = 128;
    if text.len() > MAX_ENCODED_BYTES {
        return Err(format!("the {what} is too long; {SET_ANEW}"));
    }
    match BASE64.decode(text) {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => Err(format!("the {what} is not base64; {SET_ANEW}")),
    }
}

#[cfg(test)]
#[path = "hash_tests.rs"]
mod tests;
