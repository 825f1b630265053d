//! Topic names and filters (MQTT 5, 4.7).

/// Whether a name may stand as one level of a topic: it has no `/`, `+` or `#` in it, which would make
/// several levels of it or match the topics of others.
pub fn is_level(name: &str) -> bool {
    !name.contains(['/', '+', '#', '\0'])
}

/// Whether this is a topic filter: wildcards stand alone in their level, and `#` in the last.
pub fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.len() > 65_535 || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let wildcard = level.contains(['+', '#']);
        if wildcard && level.len() > 1 || level == "#" && levels.peek().is_some() {
            return false;
        }
    }
    true
}

/// Whether a topic name matches a filter.
///
/// Names that begin with `$` are not matched by a wildcard in the first level [MQTT-4.7.2-1].
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut names = topic.split('/');
    let mut filters = filter.split('/');
    loop {
        match (filters.next(), names.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(filter), Some(name)) if filter == name => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_matches_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/b", "a", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("+/+", "/a", true),
            ("+", "/a", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn a_filter_has_its_wildcards_alone() {
        for filter in ["a", "/", "a/+/b", "#", "a/#", "+", "%c/#"] {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in ["", "a+", "a/#/b", "#/", "a/b#", "++", "a\0"] {
            assert!(!is_filter(filter), "{filter}");
        }
    }

    #[test]
    fn a_level_is_one_level() {
        assert!(is_level("pump 7") && is_level(""));
        for name in ["a/b", "+", "a#", "\0"] {
            assert!(!is_level(name), "{name}");
        }
    }
}
