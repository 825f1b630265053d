//! Topic names, and what names and filters have in common.

use std::fmt;

/// The most bytes that a topic name or filter may have, because it travels as an MQTT string
/// \[MQTT-4.7.3-3\].
pub const MAX_BYTES: usize = 65_535;

/// The most levels that [`TopicName::new`] and [`TopicFilter::new`](crate::TopicFilter::new) accept.
///
/// The standard sets no bound. Ours keeps recursion and the cost of a match small; real topics
/// rarely go past ten levels. Choose another one, up to [`LEVELS_CEILING`], with `new_bounded`.
pub const MAX_LEVELS: usize = 128;

/// The most levels that any name or filter may have, whatever `new_bounded` is given, because the
/// index recurses once per level.
pub const LEVELS_CEILING: usize = 1_000;

/// Why a string is not a topic name, a topic filter or a subscription. The client broke the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicError {
    /// It has no character \[MQTT-4.7.3-1\].
    Empty,
    /// It contains U+0000 \[MQTT-4.7.3-2\].
    Nul,
    /// It is longer than [`MAX_BYTES`] \[MQTT-4.7.3-3\].
    TooLong,
    /// It has more levels than this broker accepts.
    TooDeep,
    /// A topic name contains `+` or `#` \[MQTT-3.3.2-2\].
    WildcardInName,
    /// `#` is not a whole level, or is not the last one \[MQTT-4.7.1-1\].
    MisplacedMultiLevelWildcard,
    /// `+` is not a whole level \[MQTT-4.7.1-2\].
    MisplacedSingleLevelWildcard,
    /// `$share/` is followed by no name, or by one with a wildcard \[MQTT-4.8.2-1\].
    InvalidShareName,
    /// The share name is not followed by `/` and a topic filter \[MQTT-4.8.2-2\].
    ShareWithoutFilter,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the topic is empty",
            Self::Nul => "the topic contains U+0000",
            Self::TooLong => "the topic is longer than 65535 bytes",
            Self::TooDeep => "the topic has too many levels",
            Self::WildcardInName => "a topic name may not contain + or #",
            Self::MisplacedMultiLevelWildcard => "# must be the whole of the last level",
            Self::MisplacedSingleLevelWildcard => "+ must be a whole level",
            Self::InvalidShareName => "the share name is empty or contains a wildcard",
            Self::ShareWithoutFilter => "the share name is not followed by a topic filter",
        })
    }
}

impl std::error::Error for TopicError {}

/// What a message is published to: levels separated by `/`, without wildcards.
///
/// A value is valid because it exists: not empty, at most [`MAX_BYTES`] long, without U+0000, `+`
/// and `#`, and within the bound on levels that it was made with.
///
/// ```
/// use dunlin_topic::{TopicError, TopicName};
///
/// let name = TopicName::new("home//door")?;
/// assert_eq!(name.levels().collect::<Vec<_>>(), ["home", "", "door"]);
/// assert_eq!(TopicName::new("home/+"), Err(TopicError::WildcardInName));
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// A name of at most [`MAX_LEVELS`] levels.
    pub fn new(name: &'a str) -> Result<Self, TopicError> {
        Self::new_bounded(name, MAX_LEVELS)
    }

    /// A name of at most `max_levels` levels, and at most [`LEVELS_CEILING`].
    pub fn new_bounded(name: &'a str, max_levels: usize) -> Result<Self, TopicError> {
        match check_text(name, max_levels)? {
            Wildcards::None => Ok(Self(name)),
            Wildcards::Some => Err(TopicError::WildcardInName),
        }
    }

    /// A name from text that another type has checked.
    pub(crate) fn from_valid(name: &'a str) -> Self {
        Self(name)
    }

    /// The name as it was published.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether both are the same piece of memory, which costs less to tell than equality.
    pub fn is(self, other: TopicName<'_>) -> bool {
        std::ptr::eq(self.0, other.0)
    }

    /// The levels, at least one; a level may be empty.
    pub fn levels(self) -> impl Iterator<Item = &'a str> + Clone {
        self.0.split('/')
    }

    /// Whether the name starts with `$`, so that no leading wildcard matches it \[MQTT-4.7.2-1\].
    pub fn is_system(self) -> bool {
        self.0.starts_with('$')
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Whether a text that passed [`check_text`] has a `+` or `#`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wildcards {
    None,
    Some,
}

/// The rules of section 4.7.3, which names and filters share, and our bound on levels.
pub(crate) fn check_text(text: &str, max_levels: usize) -> Result<Wildcards, TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAX_BYTES {
        return Err(TopicError::TooLong);
    }
    // One pass without a way out compiles to vector code.
    let (mut separators, mut nul, mut wildcard) = (0, false, false);
    for byte in text.bytes() {
        separators += usize::from(byte == b'/');
        nul |= byte == 0;
        wildcard |= byte == b'+' || byte == b'#';
    }
    if nul {
        return Err(TopicError::Nul);
    }
    if separators >= max_levels.min(LEVELS_CEILING) {
        return Err(TopicError::TooDeep);
    }
    Ok(match wildcard {
        true => Wildcards::Some,
        false => Wildcards::None,
    })
}

pub(crate) fn has_wildcards(text: &str) -> bool {
    text.bytes().any(|byte| byte == b'+' || byte == b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mqtt5_4_7_3_1_a_name_is_not_empty() {
        assert_eq!(TopicName::new(""), Err(TopicError::Empty));
        assert!(TopicName::new("/").is_ok());
        assert!(TopicName::new(" ").is_ok());
    }

    #[test]
    fn mqtt5_4_7_3_2_a_name_has_no_nul() {
        assert_eq!(TopicName::new("a\0b"), Err(TopicError::Nul));
        assert!(TopicName::new("a\u{1}b").is_ok());
    }

    #[test]
    fn mqtt5_4_7_3_3_a_name_has_at_most_65535_bytes() {
        assert!(TopicName::new(&"é".repeat(32_767)).is_ok());
        assert!(TopicName::new(&"a".repeat(65_535)).is_ok());
        assert_eq!(
            TopicName::new(&"a".repeat(65_536)),
            Err(TopicError::TooLong)
        );
        assert_eq!(
            TopicName::new(&"é".repeat(32_768)),
            Err(TopicError::TooLong)
        );
    }

    #[test]
    fn mqtt5_3_3_2_2_a_name_has_no_wildcard() {
        for name in ["#", "+", "a/#", "a/+/b", "a+b", "a#"] {
            assert_eq!(
                TopicName::new(name),
                Err(TopicError::WildcardInName),
                "{name}"
            );
        }
    }

    #[test]
    fn a_name_is_itself_and_no_equal_one_elsewhere() {
        let (text, elsewhere) = (String::from("a/b"), String::from("a/b"));
        let name = |text| TopicName::new(text).unwrap();
        assert!(name(&text).is(name(&text)));
        assert!(!name(&text).is(name(&elsewhere)));
        assert_eq!(name(&text), name(&elsewhere));
        assert_eq!(name(&text).to_string(), "a/b");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let said = |name| TopicName::new(name).unwrap_err().to_string();
        assert_eq!(said(""), "the topic is empty");
        assert_eq!(said("+"), "a topic name may not contain + or #");
        assert_eq!(said("a\0"), "the topic contains U+0000");
        let long = "a".repeat(MAX_BYTES + 1);
        assert_eq!(said(&long), "the topic is longer than 65535 bytes");
        let deep = "/".repeat(MAX_LEVELS);
        assert_eq!(said(&deep), "the topic has too many levels");
    }

    #[test]
    fn levels_are_bounded() {
        let levels = |count: usize| vec!["a"; count].join("/");
        assert!(TopicName::new(&levels(MAX_LEVELS)).is_ok());
        assert_eq!(
            TopicName::new(&levels(MAX_LEVELS + 1)),
            Err(TopicError::TooDeep)
        );
        assert!(TopicName::new_bounded("a/b", 2).is_ok());
        assert_eq!(TopicName::new_bounded("a/b/c", 2), Err(TopicError::TooDeep));
    }

    #[test]
    fn a_leading_dollar_makes_a_system_name() {
        assert!(TopicName::new("$SYS/uptime").is_ok_and(TopicName::is_system));
        assert!(!TopicName::new("a/$SYS").is_ok_and(TopicName::is_system));
    }
}
