//! What stands behind a directive.

use super::directives::Argument;
use super::lines::Line;
use crate::config::node::Value;

/// What is said of a line that ends too soon.
pub const NO_VALUE: &str = "needs a value behind it";

/// `true` or `false`, as Mosquitto reads them.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("needs true or false, not {text:?}")),
    }
}

/// A whole number.
pub fn count(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("needs a whole number, not {text:?}"))
}

/// What stands behind a directive as the value of a key.
pub fn value(line: &Line, argument: Argument) -> Result<Value, String> {
    let (word, text) = (line.word(), line.argument.as_str());
    let limit = |number: i64| match number {
        ..=0 => Value::Text("unlimited".into()),
        number => Value::Integer(number),
    };
    match argument {
        Argument::Switch => switch(word).map(Value::Bool),
        Argument::Count => count(word).map(Value::Integer),
        Argument::Limit => count(word).map(limit),
        Argument::Bytes => match count(word)? {
            ..0 => Err(format!(
                "needs a number of bytes, or 0 for no limit, not {word}"
            )),
            bytes => Ok(limit(bytes)),
        },
        Argument::Seconds => count(word).map(|seconds| Value::Text(format!("{seconds}s"))),
        Argument::Text | Argument::Path | Argument::Id if text.is_empty() => Err(NO_VALUE.into()),
        Argument::Text | Argument::Path | Argument::Id => Ok(Value::Text(text.into())),
    }
}
