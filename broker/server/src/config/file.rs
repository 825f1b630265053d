//! A TOML file as a tree of nodes, each with its line.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::node::{Node, Origin, Value};
use super::problem::Problem;

/// The longest configuration file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads and parses a TOML file.
///
/// # Errors
/// The file cannot be read, is longer than [`FILE_BYTES_MAX`], or is not TOML.
pub fn read(path: &Path) -> Result<Node, Problem> {
    let file: Arc<Path> = path.into();
    let text = text(path).map_err(|text| whole_file(&file, text))?;
    parse(&file, &text)
}

/// The text of a configuration file.
///
/// # Errors
/// Why it cannot be read and what to do, as one line.
pub fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| cannot_read(&error))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length as u64 > FILE_BYTES_MAX => Err(format!(
            "is longer than {FILE_BYTES_MAX} bytes; is it a configuration file?"
        )),
        Ok(_) => Ok(text),
        Err(error) => Err(cannot_read(&error)),
    }
}

/// Why a file cannot be read, and what to do.
pub fn cannot_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file; correct the path, which starts where dunlin was started".into()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not read it; change its owner or mode".into()
        }
        io::ErrorKind::IsADirectory => "is a directory; name a file in it".into(),
        io::ErrorKind::InvalidData => "is not UTF-8 text; is it a configuration file?".into(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Parses TOML. `file` is named in errors and origins.
///
/// # Errors
/// The first thing that is not TOML, with its line.
pub fn parse(file: &Arc<Path>, text: &str) -> Result<Node, Problem> {
    let lines = Lines { file, text };
    let table = DeTable::parse(text).map_err(|error| Problem {
        origin: lines.origin(error.span().map_or(0, |span| span.start)),
        key: String::new(),
        text: error.message().replace('\n', "; "),
    })?;
    let origin = lines.origin(table.span().start);
    Ok(Node {
        value: lines.table(table.get_ref()),
        origin,
    })
}

fn whole_file(file: &Arc<Path>, text: String) -> Problem {
    let text = format!("{}: {text}", file.display());
    Problem {
        origin: Origin::Default,
        key: String::new(),
        text,
    }
}

struct Lines<'a> {
    file: &'a Arc<Path>,
    text: &'a str,
}

impl Lines<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let newlines = before.iter().filter(|byte| **byte == b'\n').count();
        // A file of at most 1 MiB has fewer lines than that.
        let line = u32::try_from(newlines + 1).unwrap_or(u32::MAX);
        Origin::Line {
            file: self.file.clone(),
            line,
        }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, at: usize) -> Node {
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => integer(number),
            DeValue::Boolean(yes) => Value::Bool(*yes),
            DeValue::Array(array) => Value::List(
                array
                    .iter()
                    .map(|entry| self.node(entry, entry.span().start))
                    .collect(),
            ),
            DeValue::Table(table) => self.table(table),
            DeValue::Float(number) => Value::Foreign(number.as_str().to_owned()),
            DeValue::Datetime(date) => Value::Foreign(date.to_string()),
        };
        Node {
            value,
            origin: self.origin(at),
        }
    }

    /// Entries in the order of the file, each at the line of its key.
    fn table(&self, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (&Spanned<_>, _)| {
            (
                ToString::to_string(key.get_ref()),
                self.node(value, key.span().start),
            )
        };
        Value::Table(entries.into_iter().map(entry).collect())
    }
}

fn integer(number: &DeInteger<'_>) -> Value {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::Foreign(format!("{}{}", radix_prefix(number), number.as_str())),
    }
}

fn radix_prefix(number: &DeInteger<'_>) -> &'static str {
    match number.radix() {
        16 => "0x",
        8 => "0o",
        2 => "0b",
        _ => "",
    }
}
