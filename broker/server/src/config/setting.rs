//! From a tree of values to types: the [`Setting`] trait, the reader that walks
//! the tree, and the macro that declares a section once for its type, its
//! reader, its printer and its line in the configuration reference.

use std::collections::BTreeMap;
use std::fmt::Display;
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

    /// A magnitude as a user writes it.
    fn show_magnitude(magnitude: u64) -> String {
        magnitude.to_string()
    }
}

/// Walks a tree, knows where it is, and gathers what is wrong.
#[derive(Debug, Default)]
pub struct Reader {
    path: String,
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
        self.at(key, |reader| {
            let value = reader.node(node)?;
            reader.bounded(node, value, bounds)
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
        self.problem(node, format!("needs {expected}, not {}", node.value));
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
                let expected = T::expected();
                self.wrong(
                    node,
                    format_args!("{expected}, {}", show_bounds::<T>(&bounds)),
                );
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

/// Declares a table of the configuration: for every key its meaning (the doc
/// comment, which is also the configuration reference), type, default, and
/// after a semicolon its bounds (see [`Setting::magnitude`]).
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                pub $key:ident: $type:ty = $default:expr $(; $bounds:expr)?,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                $(#[doc = $doc])*
                pub $key: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::config::setting::Setting for $name {
            fn expected() -> String {
                "a table of keys".into()
            }

            fn read(
                node: &$crate::config::node::Node,
                reader: &mut $crate::config::setting::Reader,
            ) -> Option<Self> {
                reader.table(node, &[$(stringify!($key)),*])?;
                let default = Self::default();
                Some(Self {
                    $($key: reader.key(
                        node,
                        stringify!($key),
                        default.$key,
                        $crate::config::setting::bounds!($($bounds)?),
                    ),)*
                })
            }

            fn value(&self) -> Option<$crate::config::node::Value> {
                let default = Self::default();
                Some($crate::config::setting::table([$((
                    stringify!($key),
                    (self.$key != default.$key).then(|| self.$key.value()).flatten(),
                )),*]))
            }

            fn rows(
                default: Option<&Self>,
                row: $crate::config::reference::Row,
                rows: &mut Vec<$crate::config::reference::Row>,
            ) {
                let own = Self::default();
                let default = default.unwrap_or(&own);
                $(
                    let bounds = $crate::config::setting::bounds!($($bounds)?);
                    let bounds = bounds.map(|b| $crate::config::setting::show_bounds::<$type>(&b));
                    let doc = concat!($($doc, "\n"),*);
                    $crate::config::setting::Setting::rows(
                        Some(&default.$key),
                        row.below(stringify!($key), doc, bounds),
                        rows,
                    );
                )*
            }
        }
    };
}

/// The optional bounds of a key.
macro_rules! bounds {
    () => {
        None
    };
    ($bounds:expr) => {
        Some($bounds)
    };
}

/// Declares a setting that is one of a few words.
macro_rules! choices {
    (
        $(#[doc = $about:literal])*
        pub enum $name:ident {
            $($(#[doc = $doc:literal])* $variant:ident = $word:literal,)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $doc])* $variant,)*
        }

        impl $name {
            /// The word for it in a configuration file.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }

        impl $crate::config::scalar::Scalar for $name {
            const EXPECTED: &'static str =
                $crate::config::scalar::one_of!($($word),*);

            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $($word => Some($name::$variant),)*
                    _ => None,
                }
            }

            fn to_value(&self) -> $crate::config::node::Value {
                $crate::config::node::Value::Text(self.word().into())
            }
        }

        $crate::config::scalar::setting_from_scalar!($name);
    };
}

pub(crate) use {bounds, choices, section};

/// A table of the keys that have a value.
pub fn table<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let written = entries.into_iter().filter_map(|(key, value)| {
        let value = value?;
        let empty = matches!(&value, Value::Table(entries) if entries.is_empty());
        (!empty).then(|| (key.to_owned(), Node::default(value)))
    });
    Value::Table(written.collect())
}
