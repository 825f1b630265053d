//! How the sections of the configuration are declared: once, for the type, its
//! default, its reader, its printer and its rows in the reference.

use super::node::{Node, Value};

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
                        $crate::config::declare::bounds!($($bounds)?),
                    ),)*
                })
            }

            fn value(&self) -> Option<$crate::config::node::Value> {
                let default = Self::default();
                Some($crate::config::declare::table([$((
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
                    let bounds = $crate::config::declare::bounds!($($bounds)?);
                    let bounds = $crate::config::setting::bounds_of::<$type>(bounds);
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
    let written = entries.into_iter();
    let written = written.filter_map(|(key, value)| Some((key.to_owned(), Node::default(value?))));
    Value::Table(written.collect())
}
