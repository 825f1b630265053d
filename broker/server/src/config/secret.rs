//! Settings that are shown to nobody.

use std::fmt;

use super::node::Value;
use super::scalar::{Scalar, setting_from_scalar};

/// Text that neither a log line, nor an error, nor `dunlin check` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, to compare with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Scalar for Secret {
    const EXPECTED: &'static str = "text";
    const NONE: Option<&'static str> = Some("");

    fn from_text(text: &str) -> Option<Self> {
        Some(Secret(text.to_owned()))
    }

    /// Stands for it where a configuration is printed.
    fn to_value(&self) -> Value {
        Value::Text("(secret)".into())
    }
}

setting_from_scalar!(Secret);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_nowhere() {
        let secret = Secret::from_text("hunter2").expect("any text is one");
        assert_eq!(secret.reveal(), "hunter2");
        let shown = format!("{secret:?} {}", secret.to_value());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
