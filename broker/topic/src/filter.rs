//! Topic filters: what a subscription asks for.

use std::fmt;

use crate::name::{MAX_LEVELS, TopicError, TopicName, check_text, has_wildcards};

/// The level that matches exactly one level (MQTT 5 section 4.7.1.3).
pub(crate) const SINGLE_LEVEL: &str = "+";
/// The last level that matches its parent and everything below (MQTT 5 section 4.7.1.2).
pub(crate) const MULTI_LEVEL: &str = "#";

/// What a subscription asks for: levels separated by `/`, of which some may be wildcards.
///
/// A value is valid because it exists: it keeps the rules of [`TopicName`], except that `+` may
/// stand for a whole level and `#` for the last.
///
/// A filter that starts with `$share/` is an ordinary one here; [`Subscription`](crate::Subscription)
/// gives it its meaning.
///
/// ```
/// use dunlin_topic::{TopicError, TopicFilter, TopicName};
///
/// let filter = TopicFilter::new("home/+/temperature")?;
/// assert!(filter.matches(TopicName::new("home/attic/temperature")?));
/// assert!(TopicFilter::new("home/#")?.covers(filter));
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<'a>(&'a str);

impl<'a> TopicFilter<'a> {
    /// A filter of at most [`MAX_LEVELS`] levels.
    pub fn new(filter: &'a str) -> Result<Self, TopicError> {
        Self::new_bounded(filter, MAX_LEVELS)
    }

    /// A filter of at most `max_levels` levels, and at most
    /// [`LEVELS_CEILING`](crate::LEVELS_CEILING).
    pub fn new_bounded(filter: &'a str, max_levels: usize) -> Result<Self, TopicError> {
        check_text(filter, max_levels)?;
        if has_wildcards(filter) {
            check_wildcards(filter)?;
        }
        Ok(Self(filter))
    }

    /// The filter as it was subscribed to.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The levels, at least one; a level may be empty.
    pub fn levels(self) -> impl Iterator<Item = &'a str> + Clone {
        self.0.split('/')
    }

    /// Whether the filter starts with `$`, so that it matches only system names.
    pub fn is_system(self) -> bool {
        self.0.starts_with('$')
    }

    /// Whether the filter may match more than the one name that it spells.
    pub fn has_wildcards(self) -> bool {
        has_wildcards(self.0)
    }

    /// Whether the filter matches `name` (MQTT 5 section 4.7).
    pub fn matches(self, name: TopicName<'_>) -> bool {
        if self.starts_with_wildcard() && name.is_system() {
            return false; // [MQTT-4.7.2-1]
        }
        let mut wanted = self.levels();
        let mut given = name.levels();
        loop {
            match (wanted.next(), given.next()) {
                (Some(MULTI_LEVEL), _) | (None, None) => return true,
                (Some(SINGLE_LEVEL), Some(_)) => {}
                (Some(wanted), Some(given)) if wanted == given => {}
                _ => return false,
            }
        }
    }

    /// Whether every name that `other` matches is matched by `self`.
    pub fn covers(self, other: TopicFilter<'_>) -> bool {
        if self.starts_with_wildcard() && other.is_system() {
            return false;
        }
        let mut wide = self.levels();
        let mut narrow = other.least().split('/');
        loop {
            match (wide.next(), narrow.next()) {
                (Some(MULTI_LEVEL), _) | (None, None) => return true,
                (_, Some(MULTI_LEVEL)) => return false,
                (Some(SINGLE_LEVEL), Some(_)) => {}
                (Some(wide), Some(narrow)) if wide == narrow => {}
                _ => return false,
            }
        }
    }

    /// Whether some name is matched by both filters.
    pub fn overlaps(self, other: TopicFilter<'_>) -> bool {
        if self.starts_with_wildcard() && other.is_system()
            || other.starts_with_wildcard() && self.is_system()
        {
            return false;
        }
        let mut left = self.least().split('/');
        let mut right = other.least().split('/');
        loop {
            match (left.next(), right.next()) {
                (Some(MULTI_LEVEL), _) | (_, Some(MULTI_LEVEL)) | (None, None) => return true,
                (Some(SINGLE_LEVEL), Some(_)) | (Some(_), Some(SINGLE_LEVEL)) => {}
                (Some(left), Some(right)) if left == right => {}
                _ => return false,
            }
        }
    }

    /// The name that a filter without wildcards spells.
    pub fn as_name(self) -> Option<TopicName<'a>> {
        // The bound on levels was the caller's, when this filter was made.
        (!self.has_wildcards()).then(|| TopicName::from_valid(self.0))
    }

    /// A filter for the same names that says that there must be a level: the only name without one
    /// would be the empty name, which is none.
    fn least(self) -> &'a str {
        match self.0 {
            MULTI_LEVEL => "+/#",
            "/#" => "/+/#",
            other => other,
        }
    }

    pub(crate) fn starts_with_wildcard(self) -> bool {
        self.0.starts_with(['+', '#'])
    }
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'a> From<TopicName<'a>> for TopicFilter<'a> {
    /// The filter that matches this name alone.
    fn from(name: TopicName<'a>) -> Self {
        Self(name.as_str())
    }
}

/// A wildcard is a whole level, and `#` the last \[MQTT-4.7.1-1\] \[MQTT-4.7.1-2\].
fn check_wildcards(filter: &str) -> Result<(), TopicError> {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_last = levels.peek().is_none();
        if level.contains('#') && !(level == MULTI_LEVEL && is_last) {
            return Err(TopicError::MisplacedMultiLevelWildcard);
        }
        if level.contains('+') && level != SINGLE_LEVEL {
            return Err(TopicError::MisplacedSingleLevelWildcard);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> TopicFilter<'_> {
        TopicFilter::new(text).expect("a valid filter")
    }

    fn matches(wanted: &str, name: &str) -> bool {
        filter(wanted).matches(TopicName::new(name).expect("a valid name"))
    }

    #[test]
    fn mqtt5_4_7_1_1_multi_level_wildcard_is_the_whole_last_level() {
        for text in ["#", "sport/#", "/#", "+/#", "sport/tennis/player1/#"] {
            assert!(TopicFilter::new(text).is_ok(), "{text}");
        }
        for text in [
            "sport/tennis#",
            "sport/#/ranking",
            "#/",
            "#a",
            "a#",
            "##",
            "#+",
            "sport/#a",
        ] {
            assert_eq!(
                TopicFilter::new(text),
                Err(TopicError::MisplacedMultiLevelWildcard),
                "{text}"
            );
        }
    }

    #[test]
    fn mqtt5_4_7_1_2_single_level_wildcard_is_a_whole_level() {
        for text in ["+", "+/tennis/#", "sport/+/player1", "/+", "+/+", "+/"] {
            assert!(TopicFilter::new(text).is_ok(), "{text}");
        }
        for text in ["sport+", "+sport", "a/b+/c", "++", "a/+b"] {
            assert_eq!(
                TopicFilter::new(text),
                Err(TopicError::MisplacedSingleLevelWildcard),
                "{text}"
            );
        }
    }

    #[test]
    fn mqtt5_4_7_1_2_multi_level_wildcard_matches_its_parent_and_all_below() {
        for name in [
            "sport/tennis/player1",
            "sport/tennis/player1/ranking",
            "sport/tennis/player1/score/wimbledon",
            "sport/tennis/player1/",
        ] {
            assert!(matches("sport/tennis/player1/#", name), "{name}");
        }
        assert!(!matches("sport/tennis/player1/#", "sport/tennis/player2"));
        assert!(!matches("sport/tennis/player1/#", "sport/tennis"));
        assert!(matches("sport/#", "sport"));
        assert!(matches("#", "a") && matches("#", "/") && matches("#", "a/b/c"));
        assert!(!matches("sport/#", "sports"));
    }

    #[test]
    fn mqtt5_4_7_1_3_single_level_wildcard_matches_one_level() {
        assert!(matches("sport/tennis/+", "sport/tennis/player1"));
        assert!(!matches("sport/tennis/+", "sport/tennis/player1/ranking"));
        assert!(!matches("sport/+", "sport"));
        assert!(matches("sport/+", "sport/"));
        assert!(matches("+/+", "/finance") && matches("/+", "/finance"));
        assert!(!matches("+", "/finance"));
        assert!(matches("+/b/#", "a/b") && matches("+/+/#", "a/b/c"));
    }

    #[test]
    fn mqtt5_4_7_2_1_leading_wildcard_does_not_match_dollar() {
        for wanted in ["#", "+/monitor/Clients", "+/#", "+"] {
            assert!(!matches(wanted, "$SYS/monitor/Clients"), "{wanted}");
        }
        assert!(!matches("+", "$SYS") && !matches("#", "$"));
        for wanted in [
            "$SYS/#",
            "$SYS/monitor/+",
            "$SYS/+/Clients",
            "$SYS/monitor/Clients",
        ] {
            assert!(matches(wanted, "$SYS/monitor/Clients"), "{wanted}");
        }
        assert!(matches("a/+", "a/$b") && matches("a/#", "a/$b"));
    }

    #[test]
    fn mqtt5_4_7_3_1_a_filter_is_not_empty() {
        assert_eq!(TopicFilter::new(""), Err(TopicError::Empty));
    }

    #[test]
    fn mqtt5_4_7_3_2_a_filter_has_no_nul() {
        assert_eq!(TopicFilter::new("a/\0/#"), Err(TopicError::Nul));
    }

    #[test]
    fn mqtt5_4_7_3_3_a_filter_has_at_most_65535_bytes() {
        assert!(TopicFilter::new(&"a".repeat(65_535)).is_ok());
        assert_eq!(
            TopicFilter::new(&"a".repeat(65_536)),
            Err(TopicError::TooLong)
        );
    }

    #[test]
    fn mqtt5_4_7_3_4_levels_and_characters_are_compared_exactly() {
        assert!(matches("ACCOUNTS", "ACCOUNTS") && !matches("ACCOUNTS", "Accounts"));
        assert!(matches("Accounts payable", "Accounts payable"));
        assert!(!matches("/finance", "finance") && !matches("a/", "a") && !matches("a", "a/"));
        // The same letter, composed and decomposed: no normalisation.
        assert!(!matches("caf\u{e9}", "cafe\u{301}"));
    }

    #[test]
    fn levels_are_bounded() {
        assert!(TopicFilter::new_bounded("+/#", 2).is_ok());
        assert_eq!(
            TopicFilter::new_bounded("+/+/#", 2),
            Err(TopicError::TooDeep)
        );
    }

    #[test]
    fn errors_say_where_a_wildcard_may_stand() {
        let said = |text| TopicFilter::new(text).unwrap_err().to_string();
        assert_eq!(said("a/#/b"), "# must be the whole of the last level");
        assert_eq!(said("a+"), "+ must be a whole level");
    }

    #[test]
    fn a_name_is_the_filter_that_matches_it_alone() {
        let name = TopicName::new("a/b").expect("a valid name");
        assert_eq!(TopicFilter::from(name), filter("a/b"));
    }

    #[test]
    fn only_a_filter_without_wildcards_is_a_name() {
        assert_eq!(filter("a/b").as_name(), TopicName::new("a/b").ok());
        assert_eq!(filter("a/+").as_name(), None);
        assert_eq!(filter("#").as_name(), None);
        assert_eq!(filter("a/+").to_string(), "a/+");
    }

    #[test]
    fn covers_is_exact_at_the_edges() {
        let covering = [
            ("#", "a"),
            ("#", "#"),
            ("#", "+/#"),
            ("+/#", "#"),
            ("a/#", "a"),
            ("a/#", "a/#"),
            ("a/#", "a/+/b"),
            ("+/b", "a/b"),
            ("+/b", "+/b"),
            ("$SYS/#", "$SYS/a"),
            ("+/+/#", "+/+"),
            ("a", "a"),
            ("$SYS/+", "$SYS/$x"),
        ];
        for (wide, narrow) in covering {
            assert!(
                filter(wide).covers(filter(narrow)),
                "{wide} covers {narrow}"
            );
        }
        let others = [
            ("#", "$SYS/a"),
            ("+/a", "$SYS/a"),
            ("a/+/#", "a/#"),
            ("+", "#"),
            ("+/+/#", "#"),
            ("a", "+"),
            ("a/+", "a"),
            ("a/+", "a/#"),
            ("a/b", "a"),
            ("$SYS/#", "#"),
            ("a/#", "#"),
        ];
        for (wide, narrow) in others {
            assert!(
                !filter(wide).covers(filter(narrow)),
                "{wide} does not cover {narrow}"
            );
        }
    }

    #[test]
    fn overlaps_is_exact_at_the_edges() {
        let overlapping = [
            ("+/b", "a/+"),
            ("a/#", "a"),
            ("#", "+/x"),
            ("a/+/c", "a/b/#"),
            ("+/+", "/"),
            ("$a/+", "$a/#"),
        ];
        let disjoint = [
            ("a", "b"),
            ("a/+", "a"),
            ("#", "$SYS/#"),
            ("+/a", "$SYS/a"),
            ("a/b", "a/b/c"),
            ("a/+/c", "a/b/d"),
        ];
        for (left, right) in overlapping {
            assert!(filter(left).overlaps(filter(right)), "{left} {right}");
            assert!(filter(right).overlaps(filter(left)), "{right} {left}");
        }
        for (left, right) in disjoint {
            assert!(!filter(left).overlaps(filter(right)), "{left} {right}");
            assert!(!filter(right).overlaps(filter(left)), "{right} {left}");
        }
    }
}
