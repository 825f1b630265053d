//! When to drop a message.

use std::{cmp::Ordering, fmt};

use serde::Deserialize;
use serde_json::Value;

use crate::path::Path;

/// A comparison; it holds if it does for anything at its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    at: Path,
    is: Comparison,
    value: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Comparison {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
    #[serde(rename = "present")]
    Present,
    #[serde(rename = "absent")]
    Absent,
}

impl Condition {
    /// Whether it has what it compares with.
    ///
    /// # Errors
    /// In words: it has not, or it has what it cannot use.
    pub fn check(&self) -> Result<(), String> {
        let unary = matches!(self.is, Comparison::Present | Comparison::Absent);
        match &self.value {
            None if !unary => Err(format!("{self}: a value is missing")),
            Some(_) if unary => Err(format!("{self} takes no value")),
            _ => Ok(()),
        }
    }

    /// Whether it holds.
    pub fn holds(&self, json: &Value) -> bool {
        let found = self.at.find(json);
        let expected = self.value.as_ref().unwrap_or(&Value::Null);
        let any = |fits: fn(Ordering) -> bool| {
            found
                .iter()
                .any(|value| order(value, expected).is_some_and(fits))
        };
        match self.is {
            Comparison::Present => !found.is_empty(),
            Comparison::Absent => found.is_empty(),
            Comparison::Equal => found.iter().any(|value| equal(value, expected)),
            Comparison::NotEqual => {
                found.is_empty() || found.iter().any(|value| !equal(value, expected))
            }
            Comparison::Less => any(Ordering::is_lt),
            Comparison::LessOrEqual => any(Ordering::is_le),
            Comparison::Greater => any(Ordering::is_gt),
            Comparison::GreaterOrEqual => any(Ordering::is_ge),
        }
    }
}

/// Numbers by value: 1 is 1.0.
fn equal(one: &Value, other: &Value) -> bool {
    one == other || order(one, other) == Some(Ordering::Equal)
}

/// Of two numbers, or of two texts.
fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => {
            match (one.as_i128(), other.as_i128()) {
                // Exactly, beyond the 53 bits of a float.
                (Some(one), Some(other)) => Some(one.cmp(&other)),
                _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
            }
        }
        _ => None,
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.is {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Present => "is present",
            Comparison::Absent => "is absent",
        };
        write!(f, "{} {word}", self.at)?;
        match &self.value {
            Some(value) => write!(f, " {value}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(at: &str, is: &str, value: Option<Value>) -> Condition {
        let mut json = json!({"at": at, "is": is});
        if let Some(value) = value {
            json["value"] = value;
        }
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_condition_holds_for_anything_at_its_place() {
        let json = json!({
            "n": 5, "s": "m", "list": [1, 9], "null": null, "big": 9007199254740993_u64,
        });
        for (at, is, value, expected) in [
            ("/n", "=", json!(5.0), true),
            ("/n", "=", json!("5"), false),
            ("/n", "!=", json!("5"), true),
            ("/n", ">", json!(4.5), true),
            ("/n", ">", json!(5), false),
            ("/n", ">=", json!(5), true),
            ("/n", "<", json!("9"), false),
            ("/s", "<", json!("n"), true),
            ("/list/*", ">", json!(8), true),
            ("/list/*", ">", json!(9), false),
            ("/null", "=", json!(null), true),
            ("/big", "=", json!(9007199254740992_u64), false),
            ("/x", "=", json!(null), false),
            ("/x", "!=", json!(1), true),
            ("/x", "<=", json!(1), false),
        ] {
            let condition = condition(at, is, Some(value));
            assert_eq!(condition.holds(&json), expected, "{condition}");
        }
        for (at, is, expected) in [
            ("/n", "present", true),
            ("/null", "present", true),
            ("/x", "present", false),
            ("/x", "absent", true),
            ("/n", "absent", false),
        ] {
            assert_eq!(condition(at, is, None).holds(&json), expected, "{at} {is}");
        }
    }

    #[test]
    fn a_comparison_has_a_value() {
        assert!(condition("/a", "=", None).check().is_err());
        assert!(condition("/a", "present", Some(json!(1))).check().is_err());
        assert!(condition("/a", "<", Some(json!(1))).check().is_ok());
    }
}
