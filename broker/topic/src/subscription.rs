//! What a SUBSCRIBE names: a filter, perhaps shared by a group.

use crate::{MAX_LEVELS, TopicError, TopicFilter};

const SHARE_PREFIX: &str = "$share/";

/// A topic filter as a SUBSCRIBE carries it, with the group of a shared subscription split off
/// (MQTT 5 section 4.8.2).
///
/// ```
/// use dunlin_topic::{Subscription, TopicError};
///
/// let subscription = Subscription::new("$share/workers/jobs/+")?;
/// assert_eq!(subscription.share, Some("workers"));
/// assert_eq!(subscription.filter.as_str(), "jobs/+");
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscription<'a> {
    /// The group among whose members each message goes to one; `None` if not shared.
    pub share: Option<&'a str>,
    /// What the messages' names must match.
    pub filter: TopicFilter<'a>,
}

impl<'a> Subscription<'a> {
    /// A subscription whose filter has at most [`MAX_LEVELS`] levels.
    pub fn new(text: &'a str) -> Result<Self, TopicError> {
        Self::new_bounded(text, MAX_LEVELS)
    }

    /// A subscription whose filter has at most `max_levels` levels; `$share` and the group do not
    /// count.
    pub fn new_bounded(text: &'a str, max_levels: usize) -> Result<Self, TopicError> {
        let Some(shared) = text.strip_prefix(SHARE_PREFIX) else {
            let filter = TopicFilter::new_bounded(text, max_levels)?;
            return Ok(Self {
                share: None,
                filter,
            });
        };
        if text.len() > crate::MAX_BYTES {
            return Err(TopicError::TooLong);
        }
        let (share, filter) = shared.split_once('/').unwrap_or((shared, ""));
        if share.is_empty() || share.contains(['+', '#']) {
            return Err(TopicError::InvalidShareName);
        }
        if share.contains('\0') {
            return Err(TopicError::Nul);
        }
        if filter.is_empty() {
            return Err(TopicError::ShareWithoutFilter);
        }
        Ok(Self {
            share: Some(share),
            filter: TopicFilter::new_bounded(filter, max_levels)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mqtt5_4_8_2_a_shared_subscription_is_split() {
        let cases = [
            ("$share/group/a", "group", "a"),
            ("$share/group//", "group", "/"),
            ("$share/group//a", "group", "/a"),
            ("$share/g/+/b/#", "g", "+/b/#"),
            ("$share/$share/x", "$share", "x"),
            ("$share/g/$share/x/y", "g", "$share/x/y"),
        ];
        for (text, share, filter) in cases {
            let parsed = Subscription::new(text).map(|s| (s.share, s.filter.as_str()));
            assert_eq!(parsed, Ok((Some(share), filter)), "{text}");
        }
    }

    #[test]
    fn mqtt5_4_8_2_other_filters_are_not_shared() {
        for text in [
            "a/b",
            "$share",
            "$shared/g/a",
            "$SHARE/g/a",
            "a/$share/g",
            "/$share/g/a",
            "#",
        ] {
            let parsed = Subscription::new(text).map(|s| (s.share, s.filter.as_str()));
            assert_eq!(parsed, Ok((None, text)));
        }
    }

    #[test]
    fn mqtt5_4_8_2_1_a_share_name_has_a_character_and_no_wildcard() {
        for text in [
            "$share/",
            "$share//",
            "$share//a",
            "$share/+/a",
            "$share/#/a",
            "$share/g+/a",
            "$share/#",
        ] {
            assert_eq!(
                Subscription::new(text),
                Err(TopicError::InvalidShareName),
                "{text}"
            );
        }
        assert_eq!(Subscription::new("$share/g\0/a"), Err(TopicError::Nul));
    }

    #[test]
    fn mqtt5_4_8_2_2_a_share_name_is_followed_by_a_filter() {
        for text in ["$share/g", "$share/g/"] {
            assert_eq!(
                Subscription::new(text),
                Err(TopicError::ShareWithoutFilter),
                "{text}"
            );
        }
        assert_eq!(
            Subscription::new("$share/g/a/#/b"),
            Err(TopicError::MisplacedMultiLevelWildcard)
        );
        assert_eq!(
            Subscription::new("$share/g/a+"),
            Err(TopicError::MisplacedSingleLevelWildcard)
        );
    }

    #[test]
    fn bounds_hold_for_the_whole_and_for_the_filter() {
        let longest = format!("$share/g/{}", "a".repeat(65_526));
        assert_eq!(longest.len(), 65_535);
        assert!(Subscription::new(&longest).is_ok());
        assert_eq!(
            Subscription::new(&format!("{longest}a")),
            Err(TopicError::TooLong)
        );
        assert!(Subscription::new_bounded("$share/g/a/b", 2).is_ok());
        assert_eq!(
            Subscription::new_bounded("$share/g/a/b/c", 2),
            Err(TopicError::TooDeep)
        );
    }
}
