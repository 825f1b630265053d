//! The configuration reference: every key, from the same declarations as the
//! types.

use super::Config;
use super::difference::needs_restart;
use super::setting::Setting;

/// One key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its path, as `listeners[].tls.key`.
    pub key: String,
    /// What may be written.
    pub kind: String,
    /// "from 1 to 65535", where the key has bounds.
    pub bounds: Option<String>,
    /// The default as it would be written; empty when there is none.
    pub default: String,
    /// What it means and when to change it.
    pub meaning: String,
}

impl Row {
    pub(super) fn below(&self, key: &str, doc: &str, bounds: Option<String>) -> Row {
        let key = match self.key.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        let words: Vec<&str> = doc.split_whitespace().collect();
        Row {
            key,
            meaning: words.join(" "),
            bounds,
            ..Row::default()
        }
    }

    pub(super) fn each(self) -> Row {
        Row {
            key: format!("{}[]", self.key),
            ..self
        }
    }
}

/// Every key that a configuration can have, in the order of the types.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    Config::rows(Some(&Config::default()), Row::default(), &mut rows);
    rows
}

/// The reference as a Markdown table.
pub fn markdown() -> String {
    let mut out =
        String::from("| Key | Value | Default | Reload | Meaning |\n|---|---|---|---|---|\n");
    for row in rows() {
        let bounds = row
            .bounds
            .map_or_else(String::new, |bounds| format!(", {bounds}"));
        let default = match row.default.as_str() {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let reload = if needs_restart(&row.key) {
            "restart"
        } else {
            "live"
        };
        let key = format!("`{}`", row.key);
        let cells = [key, row.kind + &bounds, default, reload.into(), row.meaning];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}
