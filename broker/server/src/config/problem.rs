//! What is wrong with a configuration: where, what, and what to do.

use std::fmt;

use super::node::Origin;

/// One thing that is wrong, or that deserves a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The key's path, as `listeners[0].tls.key`; empty for a whole file.
    pub key: String,
    /// What is wrong and what to do about it, one line.
    pub text: String,
}

impl fmt::Display for Problem {
    /// `dunlin.toml:7: listeners[0].adress: unknown key; did you mean "address"?`
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default if self.key.is_empty() => {}
            Origin::Default => write!(out, "{}: ", self.key)?,
            // A variable and a directive already name the key.
            Origin::Variable(_) | Origin::Directive { .. } | Origin::Argument(_) => {
                write!(out, "{}: ", self.origin)?;
            }
            Origin::Line { .. } if self.key.is_empty() => write!(out, "{}: ", self.origin)?,
            Origin::Line { .. } => write!(out, "{}: {}: ", self.origin, self.key)?,
        }
        out.write_str(&self.text)
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<Problem>);

impl fmt::Display for Invalid {
    /// One problem a line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// The longest word that is compared with the keys there are.
const WORD_BYTES_MAX: usize = 64;

/// The candidate that `written` was most likely meant to be, if one is close.
pub fn nearest<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if written.len() > WORD_BYTES_MAX {
        return None;
    }
    let written = written.to_lowercase();
    let likeness = |name: &&'a str| (strsim::jaro_winkler(&written, name), *name);
    let likenesses = candidates.iter().map(likeness);
    let (best, name) = likenesses.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best > 0.8).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_key_and_nonsense_none() {
        let keys = ["address", "protocol", "max_qos", "mount_point"];
        assert_eq!(nearest("adress", &keys), Some("address"));
        assert_eq!(nearest("mountpoint", &keys), Some("mount_point"));
        assert_eq!(nearest("maxqos", &keys), Some("max_qos"));
        assert_eq!(nearest("banana", &keys), None);
    }
}
