//! Settings that are one value: true or false, numbers, text, paths, addresses.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::node::{Node, Value};
use super::setting::Reader;

/// A value written as one word, number or boolean.
pub trait Scalar: Clone {
    /// What a user may write.
    const EXPECTED: &'static str;
    /// What to write for "none" where a key is optional.
    const NONE: Option<&'static str> = None;

    /// From a string.
    fn from_text(_text: &str) -> Option<Self> {
        None
    }

    /// From an integer.
    fn from_integer(_number: i64) -> Option<Self> {
        None
    }

    /// From true or false.
    fn from_bool(_yes: bool) -> Option<Self> {
        None
    }

    /// As it would be written.
    fn to_value(&self) -> Value;

    /// See [`Setting::magnitude`].
    fn amount(&self) -> Option<u64> {
        None
    }

    /// See [`Setting::own_bounds`].
    fn own_bounds() -> Option<RangeInclusive<u64>> {
        None
    }

    /// See [`Setting::show_magnitude`].
    fn show_amount(amount: u64) -> String {
        amount.to_string()
    }
}

/// Text that may stand for any scalar: a number if it reads as one, and so on.
fn from_raw<T: Scalar>(text: &str) -> Option<T> {
    let number = text.parse().ok().and_then(T::from_integer);
    let yes = || text.parse().ok().and_then(T::from_bool);
    number.or_else(yes).or_else(|| T::from_text(text))
}

/// Reads a node as a scalar.
pub fn read<T: Scalar>(node: &Node, reader: &mut Reader) -> Option<T> {
    let value = match &node.value {
        Value::Text(text) => T::from_text(text),
        Value::Raw(text) => from_raw(text),
        Value::Integer(number) => T::from_integer(*number),
        Value::Bool(yes) => T::from_bool(*yes),
        Value::List(_) | Value::Table(_) | Value::Foreign(_) => None,
    };
    if value.is_none() {
        reader.wrong(node, T::EXPECTED);
    }
    value
}

/// Makes a [`Scalar`] a [`Setting`].
macro_rules! setting_from_scalar {
    ($($type:ty),*) => {$(
        impl $crate::config::setting::Setting for $type {
            const NONE: Option<&'static str> =
                <$type as $crate::config::scalar::Scalar>::NONE;

            fn expected() -> String {
                <$type as $crate::config::scalar::Scalar>::EXPECTED.into()
            }

            fn read(
                node: &$crate::config::node::Node,
                reader: &mut $crate::config::setting::Reader,
            ) -> Option<Self> {
                $crate::config::scalar::read(node, reader)
            }

            fn value(&self) -> Option<$crate::config::node::Value> {
                Some($crate::config::scalar::Scalar::to_value(self))
            }

            fn magnitude(&self) -> Option<u64> {
                $crate::config::scalar::Scalar::amount(self)
            }

            fn own_bounds() -> Option<std::ops::RangeInclusive<u64>> {
                <$type as $crate::config::scalar::Scalar>::own_bounds()
            }

            fn show_magnitude(magnitude: u64) -> String {
                <$type as $crate::config::scalar::Scalar>::show_amount(magnitude)
            }
        }
    )*};
}

/// `"a"`, `"b"` or `"c"`, as one literal.
macro_rules! one_of {
    ($first:literal $(, $word:literal)*) => {
        concat!("\"", $first, "\"" $(, " or \"", $word, "\"")*)
    };
}

pub(crate) use {one_of, setting_from_scalar};

setting_from_scalar!(bool, u8, u16, u32, String, PathBuf, IpAddr, SocketAddr);

impl Scalar for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_bool(yes: bool) -> Option<Self> {
        Some(yes)
    }

    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Scalar for $type {
            const EXPECTED: &'static str = "a number";
            const NONE: Option<&'static str> = Some("unlimited");

            fn from_integer(number: i64) -> Option<Self> {
                number.try_into().ok()
            }

            fn to_value(&self) -> Value {
                Value::Integer(i64::from(*self))
            }

            fn amount(&self) -> Option<u64> {
                Some(u64::from(*self))
            }

            fn own_bounds() -> Option<RangeInclusive<u64>> {
                Some(0..=u64::from(<$type>::MAX))
            }
        }
    )*};
}

integers!(u8, u16, u32);

impl Scalar for String {
    const EXPECTED: &'static str = "text";
    const NONE: Option<&'static str> = Some("");

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Scalar for PathBuf {
    const EXPECTED: &'static str = "a path";
    const NONE: Option<&'static str> = Some("");

    fn from_text(text: &str) -> Option<Self> {
        Some(PathBuf::from(text))
    }

    /// Paths come from files and variables that are UTF-8, so nothing is lost.
    fn to_value(&self) -> Value {
        Value::Text(self.to_string_lossy().into_owned())
    }
}

impl Scalar for IpAddr {
    const EXPECTED: &'static str = "an address without a port, as \"192.0.2.7\"";
    const NONE: Option<&'static str> = Some("any");

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

impl Scalar for SocketAddr {
    const EXPECTED: &'static str = "an address, as \"127.0.0.1:9883\" or \"[::1]:9883\"";
    const NONE: Option<&'static str> = Some("off");

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}
