//! A configuration as TOML.

use super::Config;
use super::node::{Node, Value};
use super::setting::Setting;

/// The configuration as a TOML file that reads as the same configuration. Keys
/// that have their default are left out.
pub fn toml(config: &Config) -> String {
    let mut out = String::new();
    if let Some(Value::Table(entries)) = config.value() {
        table(&entries, "", &mut out);
    }
    out
}

/// Scalars first, as TOML wants, then tables under their own headers.
fn table(entries: &[(String, Node)], path: &str, out: &mut String) {
    let (tables, scalars): (Vec<_>, Vec<_>) = entries
        .iter()
        .partition(|(_, node)| has_header(&node.value));
    for (key, node) in scalars {
        out.push_str(&format!("{} = {}\n", key_text(key), inline(&node.value)));
    }
    for (key, node) in tables {
        let path = if path.is_empty() {
            key_text(key)
        } else {
            format!("{path}.{}", key_text(key))
        };
        match &node.value {
            Value::Table(entries) => section(entries, &path, &format!("[{path}]"), out),
            Value::List(rows) => {
                for row in rows {
                    if let Value::Table(entries) = &row.value {
                        section(entries, &path, &format!("[[{path}]]"), out);
                    }
                }
            }
            _ => {}
        }
    }
}

fn section(entries: &[(String, Node)], path: &str, header: &str, out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(header);
    out.push('\n');
    table(entries, path, out);
}

fn has_header(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::List(rows) => {
            let is_table = |row: &Node| matches!(row.value, Value::Table(_));
            !rows.is_empty() && rows.iter().all(is_table)
        }
        _ => false,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Raw(text) => quote(text),
        Value::Integer(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Foreign(text) => text.clone(),
        Value::List(entries) => {
            let entries: Vec<_> = entries.iter().map(|node| inline(&node.value)).collect();
            format!("[{}]", entries.join(", "))
        }
        Value::Table(entries) => {
            let entry = |(key, node): &(String, Node)| {
                format!("{} = {}", key_text(key), inline(&node.value))
            };
            let entries: Vec<_> = entries.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A key, in quotes where TOML needs them: those of a plugin's table may be any text.
fn key_text(key: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match !key.is_empty() && key.bytes().all(fits) {
        true => key.to_owned(),
        false => quote(key),
    }
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
