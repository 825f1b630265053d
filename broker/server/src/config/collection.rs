//! Settings that may be none, that replace others, and lists of settings.

use std::ops::{Deref, RangeInclusive};

use super::node::{Node, Value};
use super::reference::Row;
use super::setting::{Reader, Setting};

impl<T: Setting> Setting for Option<T> {
    fn expected() -> String {
        match T::NONE {
            Some("") | None => T::expected(),
            Some(word) => format!("{}, or \"{word}\"", T::expected()),
        }
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match (&node.value, T::NONE) {
            (Value::Text(text) | Value::Raw(text), Some(none)) if text == none => Some(None),
            _ => T::read(node, reader).map(Some),
        }
    }

    fn value(&self) -> Option<Value> {
        match self {
            Some(value) => value.value(),
            None => T::NONE.map(|word| Value::Text(word.into())),
        }
    }

    fn rows(default: Option<&Self>, row: Row, rows: &mut Vec<Row>) {
        let before = rows.len();
        T::rows(default.and_then(Option::as_ref), row, rows);
        if let (Some(row), Some(None), Some(none)) = (rows.get_mut(before), default, T::NONE) {
            row.kind = Self::expected();
            row.default = format!("{none:?}");
        }
    }

    fn magnitude(&self) -> Option<u64> {
        self.as_ref().and_then(T::magnitude)
    }

    fn own_bounds() -> Option<RangeInclusive<u64>> {
        T::own_bounds()
    }

    fn show_magnitude(magnitude: u64) -> String {
        T::show_magnitude(magnitude)
    }
}

/// A setting of one listener that replaces the one of all listeners, or, when
/// it is none, leaves that one in force. Written as the setting, or `"inherit"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Override<T>(pub Option<T>);

impl<T> Deref for Override<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

/// The word for an [`Override`] that is none.
const INHERIT: &str = "inherit";

impl<T: Setting> Setting for Override<T> {
    fn expected() -> String {
        format!("{}, or \"{INHERIT}\"", T::expected())
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(text) | Value::Raw(text) if text == INHERIT => Some(Override(None)),
            _ => T::read(node, reader).map(|value| Override(Some(value))),
        }
    }

    fn value(&self) -> Option<Value> {
        match &self.0 {
            Some(value) => value.value(),
            None => Some(Value::Text(INHERIT.into())),
        }
    }

    fn magnitude(&self) -> Option<u64> {
        self.0.as_ref().and_then(T::magnitude)
    }

    fn own_bounds() -> Option<RangeInclusive<u64>> {
        T::own_bounds()
    }

    fn show_magnitude(magnitude: u64) -> String {
        T::show_magnitude(magnitude)
    }
}

/// The longest list that a configuration may have: listeners, paths, origins.
const LIST_ENTRIES_MAX: usize = 1024;

impl<T: Setting> Setting for Vec<T> {
    fn expected() -> String {
        format!("a list, each {}", T::expected())
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let split;
        let entries = match &node.value {
            Value::List(entries) => entries,
            Value::Raw(text) => {
                let parts = text
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty());
                let origin = &node.origin;
                let entry = |part: &str| Node {
                    value: Value::Raw(part.into()),
                    origin: origin.clone(),
                };
                split = parts.map(entry).collect();
                &split
            }
            _ => {
                reader.wrong(node, Self::expected());
                return None;
            }
        };
        if entries.len() > LIST_ENTRIES_MAX {
            reader.wrong(node, format_args!("at most {LIST_ENTRIES_MAX} entries"));
            return None;
        }
        Some(
            entries
                .iter()
                .enumerate()
                .filter_map(|(at, node)| reader.entry(at, node))
                .collect(),
        )
    }

    fn value(&self) -> Option<Value> {
        Some(Value::List(
            self.iter()
                .filter_map(T::value)
                .map(Node::default)
                .collect(),
        ))
    }

    /// A list of tables has a row per key of the tables; another list has one.
    fn rows(default: Option<&Self>, row: Row, rows: &mut Vec<Row>) {
        let mut inner = Vec::new();
        T::rows(None, row.clone().each(), &mut inner);
        if inner.len() > 1 {
            rows.append(&mut inner);
            return;
        }
        let show = |entry: &T| {
            entry
                .value()
                .map_or_else(String::new, |value| value.to_string())
        };
        let default = default
            .into_iter()
            .flatten()
            .map(show)
            .collect::<Vec<_>>()
            .join(", ");
        rows.push(Row {
            kind: Self::expected(),
            default: format!("[{default}]"),
            ..row
        });
    }
}
