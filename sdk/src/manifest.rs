//! What a plugin says of itself.

use serde_json::{Map, Value, json};

/// What a plugin is: what [`Plugin::describe`](crate::Plugin::describe) answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    name: String,
    version: String,
    imports: Vec<Import>,
    topics: Vec<String>,
    schema: Option<String>,
}

/// What a plugin imports and the configuration must grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Import {
    /// [`crate::random`].
    Random,
    /// [`crate::crypto`].
    Crypto,
    /// [`crate::http`]; of use to an [`Auth`](crate::Auth) plugin only.
    Http,
    /// [`crate::broker`].
    Broker,
}

impl Manifest {
    /// A plugin that needs no grant. The name has `a-z 0-9 -` only.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Manifest {
            name: name.into(),
            version: version.into(),
            imports: Vec::new(),
            topics: Vec::new(),
            schema: None,
        }
    }

    /// Needs these to be granted.
    #[must_use]
    pub fn needs(mut self, imports: impl IntoIterator<Item = Import>) -> Self {
        self.imports.extend(imports);
        self
    }

    /// Is shown messages whose topic matches any of these filters; for a
    /// [`Filter`](crate::Filter) plugin.
    #[must_use]
    pub fn topics<T: Into<String>>(mut self, filters: impl IntoIterator<Item = T>) -> Self {
        self.topics.extend(filters.into_iter().map(T::into));
        self
    }

    /// Takes a configuration that satisfies this JSON Schema. Without one it takes `{}` only.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Whether it says that it needs an import.
    pub fn has(&self, import: Import) -> bool {
        self.imports.contains(&import)
    }

    /// The JSON that the broker reads.
    ///
    /// # Panics
    /// If the schema is not JSON: a mistake that the plugin's first test finds.
    pub fn to_json(&self) -> String {
        let mut json = Map::new();
        json.insert("name".into(), json!(self.name));
        json.insert("version".into(), json!(self.version));
        if !self.imports.is_empty() {
            let names = self.imports.iter().map(|import| import.name()).collect();
            json.insert("grants".into(), names);
        }
        if !self.topics.is_empty() {
            json.insert("topics".into(), json!(self.topics));
        }
        if let Some(schema) = &self.schema {
            match serde_json::from_str(schema) {
                Ok(schema) => json.insert("schema".into(), schema),
                Err(error) => panic!("the schema of {} is not JSON: {error}", self.name),
            };
        }
        Value::Object(json).to_string()
    }
}

impl Import {
    fn name(self) -> &'static str {
        match self {
            Import::Random => "random",
            Import::Crypto => "crypto",
            Import::Http => "http",
            Import::Broker => "broker",
        }
    }
}

/// A [`Manifest`] with the name and the version of the crate.
#[macro_export]
macro_rules! manifest {
    () => {
        $crate::Manifest::new(
            env!("CARGO_PKG_NAME").replace('_', "-"),
            env!("CARGO_PKG_VERSION"),
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_is_absent() {
        let manifest = Manifest::new("some", "1.0.0");
        assert_eq!(manifest.to_json(), r#"{"name":"some","version":"1.0.0"}"#);

        let manifest = manifest
            .needs([Import::Http])
            .topics(["a/#"])
            .schema(r#"{"type": "object"}"#);
        let read: Value = serde_json::from_str(&manifest.to_json()).unwrap();
        assert_eq!(
            read,
            json!({
                "name": "some", "version": "1.0.0", "grants": ["http"], "topics": ["a/#"],
                "schema": {"type": "object"},
            })
        );
        assert!(manifest.has(Import::Http) && !manifest.has(Import::Crypto));
    }

    #[test]
    #[should_panic(expected = "not JSON")]
    fn a_schema_is_json() {
        let _ = Manifest::new("some", "1.0.0").schema("{").to_json();
    }

    #[test]
    fn the_crate_gives_its_name() {
        let manifest = crate::manifest!();
        assert!(manifest.to_json().contains(r#""name":"dunlin-sdk""#));
    }
}
