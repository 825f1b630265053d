//! Plugins: which are loaded, with what, and what they may do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Number, Value as Json};

use super::collection::Override;
use super::declare::{choices, section};
use super::file;
use super::node::{Node, Value, by_key};
use super::quantity::ByteSize;
use super::scalar::{Scalar, setting_from_scalar};
use super::secret::Secret;
use super::setting::{Reader, Setting};

section! {
    /// A plugin. They are asked in the order in which they stand here, after the
    /// password file and beside the ACL file.
    pub struct Plugin {
        /// What to call it in logs and metrics: small letters, digits and `-`.
        pub name: String = String::new(),
        /// The WebAssembly component.
        pub path: PathBuf = PathBuf::new(),
        /// The SHA-256 that the file must have, in hexadecimal. Set it where
        /// others may write the file.
        pub sha256: Option<Digest> = None,
        /// What the plugin itself is told, as its manual says. A table with the
        /// one key `from_file` or `from_env` stands for the text that is there.
        pub config: Table = Table::default(),
        /// What it may use beside log, metrics and clock.
        pub grants: Grants = Grants::default(),
        /// Keys that tokens are verified with.
        pub key_sets: Vec<KeySet> = Vec::new(),
        /// The names of the listeners that it serves, a bridge's as `"bridge/NAME"`; all
        /// when empty. A plugin that maps serves the bridges that name it.
        pub listeners: Vec<String> = Vec::new(),
        /// What becomes of a message when a filter fails.
        pub on_failure: OnFailure = OnFailure::Refuse,
        /// Recorded cases, as `dunlin plugin test` takes them: a version of the
        /// plugin that answers otherwise is not loaded.
        pub cases: Option<PathBuf> = None,
        /// What it may use up.
        pub limits: PluginLimits = PluginLimits::default(),
    }
}

section! {
    /// What a plugin may use beside log, metrics and clock.
    pub struct Grants {
        /// Random bytes that nobody can guess.
        pub random: bool = false,
        /// Passwords, tokens and HMAC.
        pub crypto: bool = false,
        /// Publish, disconnect clients, and have decisions forgotten.
        pub broker: bool = false,
        /// Origins that it may send requests to, as `https://idp.example.org`.
        /// A name that leads to a private address needs `private:` before it.
        pub http: Vec<String> = Vec::new(),
    }
}

section! {
    /// Keys that tokens are verified with: of a URL, a file, or a shared secret.
    pub struct KeySet {
        /// What the plugin calls it.
        pub name: String = String::new(),
        /// Where a JWKS is fetched, every five minutes and when a token names a
        /// key that is not known.
        pub url: Option<String> = None,
        /// A JWKS or a public key in PEM; read again when it changes.
        pub file: Option<PathBuf> = None,
        /// A secret for HS256, HS384 and HS512, of at least 32 bytes.
        pub secret: Option<Secret> = None,
        /// The file that holds such a secret.
        pub secret_file: Option<PathBuf> = None,
        /// The issuers (`iss`) that are accepted; all when empty.
        pub issuers: Vec<String> = Vec::new(),
        /// The audiences (`aud`) of which a token needs one; any when empty.
        pub audiences: Vec<String> = Vec::new(),
        /// The algorithms that are accepted; those that fit the keys when empty.
        pub algorithms: Vec<String> = Vec::new(),
    }
}

section! {
    /// What a plugin may use up.
    pub struct PluginLimits {
        /// Memory of each instance.
        pub memory: ByteSize = ByteSize(16 << 20); 65_536..=268_435_456,
        /// How long a call may take; `"inherit"` is 1 ms for ACLs and filters, 50 ms
        /// for bridges and 5 s for authentication.
        pub deadline: Override<Duration> = Override(None); 1..=60_000,
        /// Instances, each of which answers one call at a time; `"inherit"` is 4
        /// for ACLs and filters, 1 for bridges and 16 for authentication.
        pub instances: Override<u32> = Override(None); 1..=256,
    }
}

choices! {
    /// What becomes of a message when a filter fails.
    pub enum OnFailure {
        /// It is refused.
        Refuse = "refuse",
        /// It goes on as it is.
        Pass = "pass",
    }
}

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Scalar for Digest {
    const EXPECTED: &'static str = "a SHA-256: 64 hexadecimal digits";
    const NONE: Option<&'static str> = Some("");

    fn from_text(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Digest(bytes))
    }

    fn to_value(&self) -> Value {
        let digits = self.0.iter().map(|byte| format!("{byte:02x}"));
        Value::Text(digits.collect())
    }
}

setting_from_scalar!(Digest);

/// A table whose keys somebody else knows.
#[derive(Clone, Debug, Default)]
pub struct Table(Vec<(String, Node)>);

/// The order of keys means nothing.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        by_key(&self.0) == by_key(&other.0)
    }
}

impl Setting for Table {
    fn expected() -> String {
        "a table".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Table(entries) => Some(Table(entries.clone())),
            _ => {
                reader.wrong(node, Self::expected());
                None
            }
        }
    }

    fn value(&self) -> Option<Value> {
        (!self.0.is_empty()).then(|| Value::Table(self.0.clone()))
    }
}

impl Table {
    /// The table of this key as JSON, with the secrets that it points to.
    ///
    /// # Errors
    /// A file or variable that is not there, with the key.
    pub fn resolve(&self, key: &str) -> Result<Json, String> {
        table(&self.0, key)
    }
}

fn table(entries: &[(String, Node)], path: &str) -> Result<Json, String> {
    if let [(key, node)] = entries
        && let Value::Text(source) = &node.value
    {
        let secret = match key.as_str() {
            "from_file" => Some(secret_file(Path::new(source))),
            "from_env" => Some(std::env::var(source).map_err(|error| {
                format!("environment variable {source}: {error}; set it, or correct its name")
            })),
            _ => None,
        };
        if let Some(secret) = secret {
            return secret
                .map(Json::String)
                .map_err(|error| format!("{path}: {error}"));
        }
    }
    let entries = entries.iter().map(|(key, node)| {
        let value = json(&node.value, &format!("{path}.{key}"))?;
        Ok((key.clone(), value))
    });
    entries.collect::<Result<Map<_, _>, _>>().map(Json::Object)
}

fn json(value: &Value, path: &str) -> Result<Json, String> {
    Ok(match value {
        Value::Text(text) => Json::String(text.clone()),
        Value::Raw(text) => serde_json::from_str(text).unwrap_or(Json::String(text.clone())),
        Value::Integer(number) => Json::Number((*number).into()),
        Value::Bool(yes) => Json::Bool(*yes),
        // A float, or a date, which JSON writes as text.
        Value::Foreign(text) => match text.parse().ok().and_then(Number::from_f64) {
            Some(number) => Json::Number(number),
            None => Json::String(text.clone()),
        },
        Value::List(nodes) => {
            let nodes = nodes.iter().enumerate();
            let nodes = nodes.map(|(at, node)| json(&node.value, &format!("{path}[{at}]")));
            Json::Array(nodes.collect::<Result<_, _>>()?)
        }
        Value::Table(entries) => table(entries, path)?,
    })
}

/// A file with the keys of one `[[plugins]]` table.
///
/// # Errors
/// What is wrong with it, with its line.
pub fn read_table(path: &Path) -> Result<Plugin, String> {
    let node = file::read(path).map_err(|problem| problem.to_string())?;
    let mut reader = Reader::default();
    let plugin = Plugin::read(&node, &mut reader);
    match (plugin, reader.problems.first()) {
        (Some(plugin), None) => Ok(plugin),
        (_, Some(problem)) => Err(problem.to_string()),
        (None, None) => Err(format!("{}: is no table", path.display())),
    }
}

/// The text of a file that holds a secret, without the line's end.
///
/// # Errors
/// Why it cannot be read and what to do.
pub fn secret_file(path: &Path) -> Result<String, String> {
    let text = file::text(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::load::from_toml;

    #[test]
    fn a_plugins_table_is_json_with_its_secrets() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "hunter2\n").expect("written");
        let text = format!(
            "[[plugins]]\nname = \"p\"\npath = \"p.wasm\"\n\
             config = {{ ratio = 0.5, list = [1, true], user = {{ password = {{ from_file = {:?} }} }} }}\n",
            file.path()
        );
        let loaded = from_toml(&text).expect("a good configuration");
        let config = loaded.config.plugins[0]
            .config
            .resolve("config")
            .expect("a secret");
        let expected = serde_json::json!({
            "ratio": 0.5, "list": [1, true], "user": { "password": "hunter2" },
        });
        assert_eq!(config, expected);
        assert!(!format!("{:?}", loaded.config).contains("hunter2"));

        let missing = text.replace("from_file", "from_env");
        let loaded = from_toml(&missing).expect("a good configuration");
        let error = loaded.config.plugins[0]
            .config
            .resolve("config")
            .expect_err("no variable");
        assert!(
            error.starts_with("config.user.password: environment variable"),
            "{error}"
        );
    }

    #[test]
    fn digests_are_64_digits() {
        let with = |sha256: &str| {
            let head = "[[plugins]]\nname = \"p\"\npath = \"p.wasm\"\n";
            from_toml(&format!("{head}sha256 = {sha256:?}\n"))
        };
        let digest = "0123456789abcdef".repeat(4);
        assert!(with(&digest).is_ok());
        for wrong in [
            &digest[1..],
            &digest.replace('0', "g"),
            &digest.replace('0', "é"),
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
    }
}
