//! Rules and attributes in JSON, as tokens and web services write them.

use serde_json::Value;

use crate::{Permission, Property, Rule, topic};

/// Reads rules.
///
/// Either a list of objects with `permission` (`deny`, `read`, `write`, `read-write`) and `filter`, or
/// an object with lists of filters under `pub`, `sub`, `all` and `deny`.
///
/// # Errors
/// In words: something in it is neither. A part is never left out, for it could be a denial.
pub fn rules(json: &Value) -> Result<Vec<Rule>, String> {
    match json {
        Value::Array(rules) => rules.iter().map(rule).collect(),
        Value::Object(lists) => {
            let mut rules = Vec::new();
            for (name, filters) in lists {
                let permission = match name.as_str() {
                    "pub" => Permission::Write,
                    "sub" => Permission::Read,
                    "all" => Permission::ReadWrite,
                    "deny" => Permission::Deny,
                    _ => return Err(format!("{name:?} is not pub, sub, all or deny")),
                };
                let filters = filters.as_array().ok_or("filters are a list")?;
                for found in filters {
                    let filter = filter(found)?;
                    rules.push(Rule { permission, filter });
                }
            }
            Ok(rules)
        }
        _ => Err("rules are a list or an object".into()),
    }
}

fn rule(json: &Value) -> Result<Rule, String> {
    let word = json["permission"].as_str().unwrap_or_default();
    let permission = Permission::from_name(word);
    Ok(Rule {
        permission: permission.ok_or_else(|| format!("{word:?} is not a permission"))?,
        filter: filter(&json["filter"])?,
    })
}

fn filter(json: &Value) -> Result<String, String> {
    match json.as_str() {
        Some(filter) if topic::is_filter(filter) => Ok(filter.to_owned()),
        _ => Err(format!("{json} is not a topic filter")),
    }
}

/// Adds the attribute `name` once for each value: of a list, each element; a string, number or boolean
/// as it is; of anything else, none.
pub fn attribute(attributes: &mut Vec<Property>, name: &str, json: &Value) {
    attributes.extend(texts(json).map(|value| (name.to_owned(), value)));
}

/// The values of a string, a number, a boolean, or a list of these.
pub fn texts(json: &Value) -> impl Iterator<Item = String> {
    let values = match json {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    values.iter().filter_map(|value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Grant;

    #[test]
    fn rules_are_written_in_two_ways() {
        let expected = Grant::anonymous()
            .rule("deny", "a/x")
            .rule("write", "a/#")
            .rule("read", "b/+");
        let one = json!([
            {"permission": "deny", "filter": "a/x"},
            {"permission": "write", "filter": "a/#"},
            {"permission": "read", "filter": "b/+"},
        ]);
        let other = json!({"deny": ["a/x"], "pub": ["a/#"], "sub": ["b/+"]});
        assert_eq!(rules(&one).ok(), expected.rules);
        assert_eq!(rules(&other).ok(), expected.rules);
    }

    #[test]
    fn what_is_not_a_rule_is_not_left_out() {
        for json in [
            json!("#"),
            json!([{"permission": "all", "filter": "a"}]),
            json!([{"permission": "deny", "filter": "a/#/b"}]),
            json!({"deny": "a"}),
            json!({"denied": ["a"]}),
            json!({"pub": [1]}),
        ] {
            assert!(rules(&json).is_err(), "{json}");
        }
    }

    #[test]
    fn attributes_are_texts() {
        let mut attributes = Vec::new();
        attribute(&mut attributes, "a", &json!(["x", 1, true, null, {}]));
        attribute(&mut attributes, "b", &json!("y"));
        attribute(&mut attributes, "c", &Value::Null);
        let expected = [("a", "x"), ("a", "1"), ("a", "true"), ("b", "y")];
        assert_eq!(
            attributes,
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
}
