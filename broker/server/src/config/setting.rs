//! From a tree of values to types: what a type must know to be a setting, and
//! the reader that walks the tree.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::mem;
use std::ops::RangeInclusive;

use super::node::{Node, Origin, Value};
use super::problem::{Problem, nearest};
use super::reference::Row;

/// A type that a configuration value can have.
pub trait Setting: Sized {
    /// What to write for "none" where the key is an `Option`; `None` when
    /// leaving the key out is the only way to say so.
    const NONE: Option<&'static str> = None;

    /// What a user may write, as in "a number".
    fn expected() -> String;

    /// Reads a node. `None` after it has told `reader` what is wrong.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self>;

    /// The value as it would be written; `None` when it is best left out.
    fn value(&self) -> Option<Value>;

    /// The rows of the configuration reference for `key`, with `self` as the
    /// default.
    fn rows(default: Option<&Self>, row: Row, rows: &mut Vec<Row>) {
        let default = default
            .and_then(Self::value)
            .map_or_else(String::new, |v| v.to_string());
        rows.push(Row {
            kind: Self::expected(),
            default,
            ..row
        });
    }

    /// The size of the value in the unit of its bounds: the number itself,
    /// bytes, or milliseconds. `None` when it has none.
    fn magnitude(&self) -> Option<u64> {
        None
    }

    /// The bounds that the type itself has, where a key declares none.
    fn own_bounds() -> Option<RangeInclusive<u64>> {
        None
    }

    /// A magnitude as a user writes it.
    fn show_magnitude(magnitude: u64) -> String {
        magnitude.to_string()
    }
}

/// Walks a tree, knows where it is, and gathers what is wrong.
#[derive(Debug, Default)]
pub struct Reader {
    path: String,
    /// What is said of the bounds of the key that is being read.
    bounds: Option<String>,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
    /// Where each key that was written was written.
    pub origins: BTreeMap<String, Origin>,
}

impl Reader {
    /// Reads `key` of `table`, or takes the default when it is not there, is
    /// wrong, or is out of its bounds; the latter two are problems.
    pub fn key<T: Setting>(
        &mut self,
        table: &Node,
        key: &str,
        default: T,
        bounds: Option<RangeInclusive<u64>>,
    ) -> T {
        let Some(node) = table.get(key) else {
            return default;
        };
        let bounds = bounds.or_else(T::own_bounds);
        self.at(key, |reader| {
            let around = mem::replace(&mut reader.bounds, bounds.as_ref().map(show_bounds::<T>));
            let value = reader
                .node(node)
                .and_then(|value| reader.bounded(node, value, bounds));
            reader.bounds = around;
            value
        })
        .unwrap_or(default)
    }

    /// Reads the `index`-th entry of a list.
    pub fn entry<T: Setting>(&mut self, index: usize, node: &Node) -> Option<T> {
        self.at(&format!("[{index}]"), |reader| reader.node(node))
    }

    /// Checks that `node` is a table with none but the given keys.
    pub fn table(&mut self, node: &Node, keys: &[&'static str]) -> Option<()> {
        let Value::Table(entries) = &node.value else {
            self.wrong(node, "a table of keys");
            return None;
        };
        for (key, value) in entries {
            if !keys.contains(&key.as_str()) {
                self.at(key, |reader| reader.unknown(value, key, keys));
            }
        }
        Some(())
    }

    /// Says that `node` is not what is expected here.
    pub fn wrong(&mut self, node: &Node, expected: impl Display) {
        let bounds = match &self.bounds {
            Some(bounds) => format!(", {bounds}"),
            None => String::new(),
        };
        self.problem(
            node,
            format!("needs {expected}{bounds}, not {}", node.value),
        );
    }

    fn node<T: Setting>(&mut self, node: &Node) -> Option<T> {
        self.origins.insert(self.path.clone(), node.origin.clone());
        T::read(node, self)
    }

    fn bounded<T: Setting>(
        &mut self,
        node: &Node,
        value: T,
        bounds: Option<RangeInclusive<u64>>,
    ) -> Option<T> {
        match (value.magnitude(), bounds) {
            (Some(size), Some(bounds)) if !bounds.contains(&size) => {
                self.wrong(node, T::expected());
                None
            }
            _ => Some(value),
        }
    }

    fn unknown(&mut self, node: &Node, key: &str, keys: &[&'static str]) {
        let advice = match (nearest(key, keys), &node.origin) {
            (Some(near), Origin::Variable(name)) => {
                let stem = &name[..name.len() - key.len().min(name.len())];
                format!("did you mean {stem}{}?", near.to_uppercase())
            }
            (Some(near), _) => format!("did you mean {near:?}?"),
            (None, _) => format!("the keys here are {}", keys.join(", ")),
        };
        self.problem(node, format!("unknown key; {advice}"));
    }

    fn problem(&mut self, node: &Node, text: String) {
        let (origin, key) = (node.origin.clone(), self.path.clone());
        self.problems.push(Problem { origin, key, text });
    }

    fn at<R>(&mut self, step: &str, read: impl FnOnce(&mut Reader) -> R) -> R {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        let result = read(self);
        self.path.truncate(length);
        result
    }
}

/// "from 1 to 65535", "of at least 1s": bounds as a user reads them.
pub fn show_bounds<T: Setting>(bounds: &RangeInclusive<u64>) -> String {
    let least = T::show_magnitude(*bounds.start());
    match *bounds.end() {
        u64::MAX => format!("of at least {least}"),
        end => format!("from {least} to {}", T::show_magnitude(end)),
    }
}

/// What is said of a key's bounds: those it declares, or else its type's own.
pub fn bounds_of<T: Setting>(declared: Option<RangeInclusive<u64>>) -> Option<String> {
    declared
        .or_else(T::own_bounds)
        .as_ref()
        .map(show_bounds::<T>)
}
