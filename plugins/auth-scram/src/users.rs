//! The users of the configuration, and those who are not in it.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use dunlin_sdk::{Permission, Property, Rule, topic};
use serde::Deserialize;

use crate::{
    Attributes,
    keys::{Keys, hmac},
};

/// Bytes of a salt that is made here.
const SALT_BYTES: usize = 16;

/// A user as the configuration has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    name: String,
    password: Option<String>,
    iterations: Option<u32>,
    salt: Option<String>,
    stored_key: Option<String>,
    server_key: Option<String>,
    #[serde(default)]
    attributes: Attributes,
    rules: Option<Vec<UserRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserRule {
    permission: String,
    filter: String,
}

/// All users.
#[derive(Default)]
pub struct Users {
    known: BTreeMap<String, Known>,
    /// Salts and iterations of stored keys: what a user who does not exist may look like.
    shapes: Vec<(u32, usize)>,
    /// The same in every instance, and known to none who does not know the users.
    secret: [u8; 32],
}

/// A user who may connect, or looks like one.
#[derive(Clone)]
pub struct Known {
    /// 1 if it may, 0 otherwise: a number, to be compared in constant time.
    pub exists: u8,
    /// What is kept of its password.
    pub keys: Keys,
    /// What it is granted besides.
    pub attributes: Vec<Property>,
    /// What it is granted besides.
    pub rules: Option<Vec<Rule>>,
}

impl Users {
    /// Reads the users, and derives the keys of those whose password is in plain.
    ///
    /// # Errors
    /// In words: something of a user is missing, too much, or not base64.
    pub fn new(users: Vec<User>, iterations: u32) -> Result<Self, String> {
        let secret = users.iter().fold([0; 32], |secret, user| {
            let parts = [&user.password, &user.stored_key, &user.server_key];
            parts
                .into_iter()
                .flatten()
                .fold(secret, |secret, part| hmac(&secret, &[part.as_bytes()]))
        });
        let mut all = Users {
            known: BTreeMap::new(),
            shapes: Vec::new(),
            secret,
        };
        for user in users {
            let name = user.name.clone();
            let known = all
                .read(user, iterations)
                .map_err(|error| format!("user {name:?}: {error}"))?;
            all.shapes
                .push((known.keys.iterations, known.keys.salt.len()));
            if all.known.insert(name.clone(), known).is_some() {
                return Err(format!("user {name:?} is there twice"));
            }
        }
        if all.shapes.is_empty() {
            all.shapes.push((iterations, SALT_BYTES));
        }
        Ok(all)
    }

    /// A user; one who looks real if there is none of this name.
    pub fn get(&self, name: &str) -> Known {
        match self.known.get(name) {
            Some(known) => known.clone(),
            None => self.fake(name),
        }
    }

    fn read(&self, user: User, iterations: u32) -> Result<Known, String> {
        let keys = match (user.password, user.salt, user.stored_key, user.server_key) {
            (Some(password), None, None, None) => {
                let iterations = user.iterations.unwrap_or(iterations);
                let salt = self.salt(&user.name, SALT_BYTES);
                Keys::derive(password.as_bytes(), salt, iterations)
            }
            (None, Some(salt), Some(stored_key), Some(server_key)) => Keys {
                iterations: user.iterations.ok_or("iterations are missing")?,
                salt: decode(&salt, "salt")?,
                stored_key: key(&stored_key, "stored_key")?,
                server_key: key(&server_key, "server_key")?,
            },
            _ => {
                let wanted = "either password, or salt, stored_key and server_key";
                return Err(wanted.into());
            }
        };
        if keys.iterations < 4096 || keys.salt.is_empty() {
            return Err("a salt and 4,096 iterations are the least".into());
        }
        let rules = user
            .rules
            .map(|rules| rules.into_iter().map(UserRule::read).collect());
        Ok(Known {
            exists: 1,
            keys,
            attributes: user.attributes.into_iter().collect(),
            rules: rules.transpose()?,
        })
    }

    /// Always the same for a name, with iterations and salt as some user has them.
    fn fake(&self, name: &str) -> Known {
        let [first, second, ..] = hmac(&self.secret, &[b"shape", name.as_bytes()]);
        let at = usize::from(u16::from_be_bytes([first, second])) % self.shapes.len();
        let (iterations, salt_bytes) = self.shapes[at];
        Known {
            exists: 0,
            keys: Keys {
                iterations,
                salt: self.salt(name, salt_bytes),
                stored_key: hmac(&self.secret, &[b"stored", name.as_bytes()]),
                server_key: hmac(&self.secret, &[b"server", name.as_bytes()]),
            },
            attributes: Vec::new(),
            rules: None,
        }
    }

    /// A salt that every instance makes.
    fn salt(&self, name: &str, bytes: usize) -> Vec<u8> {
        let blocks =
            (0_u32..).map(|at| hmac(&self.secret, &[b"salt", &at.to_be_bytes(), name.as_bytes()]));
        blocks.flatten().take(bytes).collect()
    }
}

impl UserRule {
    fn read(self) -> Result<Rule, String> {
        let permission = Permission::from_name(&self.permission);
        if !topic::is_filter(&self.filter) {
            return Err(format!("{:?} is not a topic filter", self.filter));
        }
        Ok(Rule {
            permission: permission.ok_or("a permission is deny, read, write or read-write")?,
            filter: self.filter,
        })
    }
}

fn key(base64: &str, what: &str) -> Result<[u8; 32], String> {
    let bytes = decode(base64, what)?;
    bytes
        .try_into()
        .map_err(|_| format!("{what} has not 32 bytes"))
}

fn decode(base64: &str, what: &str) -> Result<Vec<u8>, String> {
    BASE64_STANDARD
        .decode(base64)
        .map_err(|error| format!("{what}: {error}"))
}
