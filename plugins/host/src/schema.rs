//! Whether a configuration is what its plugin takes.

use std::error::Error;

use boon::{Compiler, Schemas, UrlLoader};
use serde_json::Value;

/// The name under which the schema refers to itself.
const LOCATION: &str = "plugin:///schema.json";

/// Checks a configuration.
///
/// # Errors
/// Says where the configuration is wrong; or that the plugin's schema is none.
pub(crate) fn check(schema: Option<&Value>, config: &Value) -> Result<(), String> {
    let Some(object) = config.as_object() else {
        return Err("config is not a JSON object".into());
    };
    let Some(schema) = schema else {
        return match object.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!(
                "config has the key {key:?}, but there is nothing to configure; remove it"
            )),
        };
    };
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(Nothing));
    let bad_schema = |error: boon::CompileError| {
        format!("the schema in its manifest cannot be used: {error:#}").replace('\n', " ")
    };
    compiler
        .add_resource(LOCATION, schema.clone())
        .map_err(bad_schema)?;
    let mut schemas = Schemas::new();
    let index = compiler
        .compile(LOCATION, &mut schemas)
        .map_err(bad_schema)?;
    schemas.validate(config, index).map_err(|error| {
        let text = error.to_string();
        // The first line only says that it failed.
        let mut causes = text.lines().skip(1).map(str::trim);
        format!(
            "config does not satisfy the plugin's schema: {}",
            causes.by_ref().take(8).collect::<Vec<_>>().join("; ")
        )
    })
}

/// A schema refers to nothing outside itself: no files, no network.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url} is outside the schema").into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn without_a_schema_only_the_empty_object_fits() {
        assert_eq!(check(None, &json!({})), Ok(()));
        let error = check(None, &json!({"users": 1})).expect_err("nothing to configure");
        assert!(error.contains("users"), "{error}");
        check(None, &json!([])).expect_err("no object");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let schema = json!({
            "type": "object",
            "properties": {"users": {"type": "array", "items": {"$ref": "#/$defs/user"}}},
            "required": ["users"],
            "additionalProperties": false,
            "$defs": {"user": {"type": "string", "maxLength": 3}}
        });
        let check = |config| check(Some(&schema), &config);
        assert_eq!(check(json!({"users": ["bob"]})), Ok(()));
        for (config, expected) in [
            (json!({}), "users"),
            (json!({"users": ["robert"]}), "/users/0"),
            (json!({"users": [], "groups": []}), "groups"),
        ] {
            let error = check(config).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_schema_reads_no_files() {
        let file = format!("file://{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
        for schema in [json!({"$ref": file}), json!({"type": 7})] {
            let error = check(Some(&schema), &json!({})).expect_err("no usable schema");
            assert!(error.contains("schema in its manifest"), "{error}");
        }
    }
}
