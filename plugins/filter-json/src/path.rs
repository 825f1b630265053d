//! JSON pointers (RFC 6901) whose parts may be `*`: all elements or fields.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Places in a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Path {
    text: String,
    parts: Vec<String>,
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = text
            .split('/')
            .map(|part| part.replace("~1", "/").replace("~0", "~"));
        // Before the first slash there is nothing.
        if parts.next().is_none_or(|first| !first.is_empty()) {
            return Err(format!("{text:?} does not begin with a slash"));
        }
        let parts = parts.collect();
        Ok(Path { text, parts })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Path {
    /// All that is there.
    pub fn find<'a>(&self, json: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![json];
        for part in &self.parts {
            found = found
                .into_iter()
                .flat_map(|json| children(json, part))
                .collect();
        }
        found
    }

    /// Changes all that is there.
    pub fn change(&self, json: &mut Value, change: &mut impl FnMut(&mut Value)) {
        change_at(json, &self.parts, change);
    }
}

/// A value with nothing in it but what stands at these places.
///
/// Arrays keep their order, not their length: an element is left out if nothing of it is kept.
pub fn keep(json: &Value, paths: &[Path]) -> Value {
    let paths: Vec<&[String]> = paths.iter().map(|path| path.parts.as_slice()).collect();
    kept(json, &paths).unwrap_or_else(|| match json {
        Value::Array(_) => Value::Array(Vec::new()),
        _ => Value::Object(Map::new()),
    })
}

fn kept(json: &Value, paths: &[&[String]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(json.clone());
    }
    let below = |name: &str| -> Vec<&[String]> {
        let fitting = paths
            .iter()
            .filter(|path| path[0] == name || path[0] == "*");
        fitting.map(|path| &path[1..]).collect()
    };
    match json {
        Value::Object(fields) => {
            let mut some = Map::new();
            for (name, value) in fields {
                if let Some(value) = kept(value, &below(name)) {
                    some.insert(name.clone(), value);
                }
            }
            (!some.is_empty()).then_some(Value::Object(some))
        }
        Value::Array(values) => {
            let values = values.iter().enumerate();
            let some: Vec<Value> = values
                .filter_map(|(at, value)| kept(value, &below(&at.to_string())))
                .collect();
            (!some.is_empty()).then_some(Value::Array(some))
        }
        _ => None,
    }
}

fn children<'a>(json: &'a Value, part: &str) -> Vec<&'a Value> {
    match json {
        Value::Object(fields) if part == "*" => fields.values().collect(),
        Value::Object(fields) => fields.get(part).into_iter().collect(),
        Value::Array(values) if part == "*" => values.iter().collect(),
        Value::Array(values) => {
            let at = part.parse::<usize>().ok();
            at.and_then(|at| values.get(at)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn change_at(json: &mut Value, parts: &[String], change: &mut impl FnMut(&mut Value)) {
    let Some((part, rest)) = parts.split_first() else {
        return change(json);
    };
    match json {
        Value::Object(fields) if part == "*" => {
            fields
                .values_mut()
                .for_each(|value| change_at(value, rest, change));
        }
        Value::Object(fields) => {
            if let Some(value) = fields.get_mut(part) {
                change_at(value, rest, change);
            }
        }
        Value::Array(values) if part == "*" => {
            values
                .iter_mut()
                .for_each(|value| change_at(value, rest, change));
        }
        Value::Array(values) => {
            let at = part.parse::<usize>().ok();
            if let Some(value) = at.and_then(|at| values.get_mut(at)) {
                change_at(value, rest, change);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Path {
        Path::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_path_finds_what_is_there() {
        let json = json!({"a": [{"b": 1}, {"b": 2}, {}], "c/d": {"~": 3}});
        for (text, expected) in [
            ("", vec![json.clone()]),
            ("/a/1/b", vec![json!(2)]),
            ("/a/*/b", vec![json!(1), json!(2)]),
            ("/c~1d/~0", vec![json!(3)]),
            ("/*/~0", vec![json!(3)]),
            ("/x", vec![]),
            ("/a/7", vec![]),
            ("/a/b", vec![]),
        ] {
            let found: Vec<Value> = path(text).find(&json).into_iter().cloned().collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn only_what_is_named_is_kept() {
        let json = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 4, "g": 5}, 6]});
        for (paths, expected) in [
            (vec!["/a"], json!({"a": 1})),
            (
                vec!["/b/c", "/e/*/f"],
                json!({"b": {"c": 2}, "e": [{"f": 4}]}),
            ),
            (vec!["/b", "/b/c"], json!({"b": {"c": 2, "d": 3}})),
            (vec!["/x"], json!({})),
            (vec![], json!({})),
            (vec![""], json.clone()),
        ] {
            let paths: Vec<Path> = paths.into_iter().map(path).collect();
            assert_eq!(keep(&json, &paths), expected, "{paths:?}");
        }
        assert_eq!(keep(&json!(1), &[path("/a")]), json!({}));
    }

    #[test]
    fn a_path_begins_with_a_slash() {
        assert!(Path::try_from("a/b".to_owned()).is_err());
    }
}
