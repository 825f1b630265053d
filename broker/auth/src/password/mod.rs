//! Password files: who is listed, with what hash.

mod cache;
mod edit;
mod hash;
mod passwords;
mod pool;

use std::{hash::BuildHasher, path::Path};

use hashbrown::{HashMap, hash_map::Entry};

pub use self::{
    edit::{Edit, delete_user, set_password},
    hash::{HashError, PasswordHash, hash_password},
    passwords::Passwords,
    pool::HashingPool,
};
use crate::{
    FileError,
    file::{meaningful_lines, quote, read_text},
};

/// The largest password file that is read: some 300,000 users.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The users of a password file, ours or Mosquitto's: lines of `user:hash`, blank lines and
/// lines that begin with `#`.
///
/// The hashes are argon2id, PBKDF2-SHA512 (`$7$`) or salted SHA-512 (`$6$`). What each may cost
/// to verify is bounded: a line that asks for more is refused.
pub struct PasswordFile {
    /// Index into `hashes`.
    users: HashMap<Box<str>, u32, foldhash::quality::RandomState>,
    /// Never empty: without users a decoy.
    hashes: Vec<PasswordHash>,
}

/// What there is to compare a password with.
struct Candidate<'a> {
    hash: &'a PasswordHash,
    /// Whether the user exists; if not, `hash` is somebody else's and only takes the time.
    known: bool,
}

impl PasswordFile {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// If it cannot be read, is larger than 64 MiB or has a line that cannot be used.
    pub fn load(file: &Path) -> Result<Self, FileError> {
        Self::parse(file, &read_text(file, MAX_FILE_BYTES)?)
    }

    /// Parses the text of `file`, which is named in errors.
    ///
    /// # Errors
    /// At the first line that cannot be used, or that lists a user a second time.
    pub fn parse(file: &Path, text: &str) -> Result<Self, FileError> {
        let mut users = HashMap::default();
        let mut hashes = Vec::new();
        for (number, line) in meaningful_lines(text) {
            let at = |problem| FileError::at(file, number, problem);
            let (user, hash) = parse_line(line).map_err(at)?;
            match users.entry(user.into()) {
                // Fits: a line has more than one byte and the text less than 4 GiB.
                Entry::Vacant(vacant) => vacant.insert(hashes.len() as u32),
                Entry::Occupied(_) => {
                    return Err(at(format!(
                        "user {} is listed before; delete one of the lines",
                        quote(user)
                    )));
                }
            };
            hashes.push(hash);
        }
        if hashes.is_empty() {
            hashes.push(PasswordHash::decoy());
        }
        Ok(Self { users, hashes })
    }

    /// Whether `user` is listed with this password.
    ///
    /// Blocks for as long as the hash takes, for a user who is not listed too.
    ///
    /// # Errors
    /// Without the memory that the hash asks for.
    pub fn verify(&self, user: &str, password: &[u8]) -> Result<bool, HashError> {
        self.candidate(user).verify(password)
    }

    /// The users that are listed, in no order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(|user| &**user)
    }

    /// The hash of `user`, or that of another one, always the same: who measures the time to
    /// refuse a name learns nothing even from a file of mixed formats.
    fn candidate(&self, user: &str) -> Candidate<'_> {
        let index = self.users.get(user);
        let decoy = || (self.users.hasher().hash_one(user) % self.hashes.len() as u64) as usize;
        Candidate {
            hash: &self.hashes[index.map_or_else(decoy, |&index| index as usize)],
            known: index.is_some(),
        }
    }
}

impl Candidate<'_> {
    fn verify(&self, password: &[u8]) -> Result<bool, HashError> {
        Ok(self.hash.verify(password)? & self.known)
    }
}

fn parse_line(line: &str) -> Result<(&str, PasswordHash), String> {
    match line.split_once(':') {
        Some(("", _)) => Err("a user name is missing before the colon".into()),
        Some((user, hash)) => Ok((user, PasswordHash::parse(hash)?)),
        None => Err("not a line of the form user:hash; add users with `dunlin passwd`".into()),
    }
}

#[cfg(test)]
mod tests;
