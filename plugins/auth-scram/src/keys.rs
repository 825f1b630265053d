//! What a server keeps of a password (RFC 5802, section 3).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Enough to check that somebody knows a password, and not enough to pretend it.
#[derive(Clone)]
pub struct Keys {
    /// How often the password was hashed.
    pub iterations: u32,
    /// What it was hashed with.
    pub salt: Vec<u8>,
    /// The hash of the client's key.
    pub stored_key: [u8; 32],
    /// The key of the server's signature.
    pub server_key: [u8; 32],
}

impl Keys {
    /// Those of a password in plain.
    pub fn derive(password: &[u8], salt: Vec<u8>, iterations: u32) -> Self {
        let salted = hi(password, &salt, iterations);
        let client_key = hmac(&salted, &[b"Client Key"]);
        Keys {
            iterations,
            salt,
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Whether the proof was made by somebody who knows the password.
    pub fn proves(&self, signed: &[u8], proof: &[u8; 32]) -> Choice {
        let signature = hmac(&self.stored_key, &[signed]);
        let mut client_key = *proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        Sha256::digest(client_key)
            .as_slice()
            .ct_eq(&self.stored_key)
    }

    /// The server's signature.
    pub fn sign(&self, signed: &[u8]) -> [u8; 32] {
        hmac(&self.server_key, &[signed])
    }
}

/// HMAC with SHA-256 of all pieces, one after the other.
pub fn hmac(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// `Hi` of RFC 5802, section 2.2: PBKDF2 with one block.
fn hi(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    // Keyed once: half of the work.
    let keyed = keyed(password);
    let mut block: [u8; 32] = hmac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut sum = block;
    for _ in 1..iterations {
        let mut mac = keyed.clone();
        mac.update(&block);
        block = mac.finalize().into_bytes().into();
        for (byte, more) in sum.iter_mut().zip(block) {
            *byte ^= more;
        }
    }
    sum
}
