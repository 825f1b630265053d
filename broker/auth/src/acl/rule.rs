//! One rule on topics.

use dunlin_topic::{TopicFilter, TopicName};
use tracing::debug;

use crate::{Action, Coverage, Principal, file::quote};

/// What a rule says about the topics that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    read: bool,
    write: bool,
}

impl Access {
    pub(super) const DENY: Self = Self {
        read: false,
        write: false,
    };
    pub(super) const READ: Self = Self {
        read: true,
        write: false,
    };
    pub(super) const WRITE: Self = Self {
        read: false,
        write: true,
    };
    pub(super) const READ_WRITE: Self = Self {
        read: true,
        write: true,
    };
}

/// A filter in which the client's names may stand, and what is granted where it matches.
#[derive(Debug)]
pub(super) struct Rule {
    access: Access,
    /// Joined by `/` they are the filter.
    parts: Box<[Part]>,
}

/// One level of a rule's filter, or several if they are mere text.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// `%c`
    ClientId,
    /// `%u`
    Username,
    /// `+`
    One,
    /// `#`
    Rest,
}

/// What a part is for one client.
enum Resolved<'a> {
    Text(&'a str),
    One,
    Rest,
}

impl Rule {
    /// A rule from a `topic` line, where `%c` and `%u` mean themselves.
    pub(super) fn topic(access: Access, filter: &str) -> Result<Self, String> {
        Self::new(access, filter, |level| Part::Text(level.into()))
    }

    /// A rule from a `pattern` line.
    pub(super) fn pattern(access: Access, filter: &str) -> Result<Self, String> {
        if let Some(level) = filter.split('/').find(|level| mixes_placeholder(level)) {
            return Err(format!(
                "{} mixes %c or %u with other text; they must fill a whole level, as in home/%u/#",
                quote(level)
            ));
        }
        Self::new(access, filter, |level| match level {
            "%c" => Part::ClientId,
            "%u" => Part::Username,
            text => Part::Text(text.into()),
        })
    }

    fn new(access: Access, filter: &str, part: impl Fn(&str) -> Part) -> Result<Self, String> {
        TopicFilter::new(filter)
            .map_err(|error| format!("{} is not a topic filter: {error}", quote(filter)))?;
        let mut parts = Vec::new();
        for level in filter.split('/') {
            let part = match level {
                "+" => Part::One,
                "#" => Part::Rest,
                level => part(level),
            };
            match (parts.last_mut(), part) {
                // Compared in one go.
                (Some(Part::Text(text)), Part::Text(more)) => {
                    *text = format!("{text}/{more}").into()
                }
                (_, part) => parts.push(part),
            }
        }
        Ok(Self {
            access,
            parts: parts.into(),
        })
    }

    pub(super) fn denies(&self) -> bool {
        self.access == Access::DENY
    }

    pub(super) fn grants(&self, action: Action) -> bool {
        match action {
            Action::Publish => self.access.write,
            Action::Receive => self.access.read,
        }
    }

    /// Whether the rule speaks of this topic when `who` uses it.
    pub(super) fn matches(&self, who: &Principal, topic: TopicName<'_>) -> bool {
        let mut left = Some(topic.as_str());
        for (index, part) in self.parts.iter().enumerate() {
            // No leading wildcard matches a topic that begins with `$` [MQTT-4.7.2-1].
            let may_be_wildcard = index > 0 || !topic.is_system();
            let after = match self.resolve(index, part, who) {
                // Also if nothing is left: `#` matches its parent level too.
                Some(Resolved::Rest) => return may_be_wildcard,
                Some(Resolved::One) if may_be_wildcard => left.map(after_level),
                Some(Resolved::Text(text)) => left.and_then(|left| after_text(left, text)),
                _ => None,
            };
            match after {
                Some(after) => left = after,
                None => return false,
            }
        }
        left.is_none()
    }

    /// How much of what `filter` matches the rule speaks of: `Mixed` is some of it, perhaps.
    pub(super) fn coverage(&self, who: &Principal, filter: TopicFilter<'_>) -> Coverage {
        let Some(text) = self.expand(who) else {
            return Coverage::None;
        };
        match TopicFilter::new(&text) {
            Ok(rule) if rule.covers(filter) => Coverage::All,
            Ok(rule) if rule.overlaps(filter) => Coverage::Mixed,
            Ok(_) => Coverage::None,
            // Longer, with the names in it, than a filter may be.
            Err(_) => Coverage::Mixed,
        }
    }

    /// The filter with the client's names in it; `None` if nothing matches it for this client.
    fn expand(&self, who: &Principal) -> Option<String> {
        let mut text = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                text.push('/');
            }
            text.push_str(match self.resolve(index, part, who)? {
                Resolved::Text(text) => text,
                Resolved::One => "+",
                Resolved::Rest => "#",
            });
        }
        // An empty name alone is no topic.
        (!text.is_empty()).then_some(text)
    }

    fn resolve<'a>(
        &self,
        index: usize,
        part: &'a Part,
        who: &'a Principal,
    ) -> Option<Resolved<'a>> {
        match part {
            Part::Text(text) => Some(Resolved::Text(text)),
            Part::One => Some(Resolved::One),
            Part::Rest => Some(Resolved::Rest),
            Part::ClientId => self.insert(index, who.client_id(), who.client_id_is_level()),
            Part::Username => self.insert(index, who.username()?, who.username_is_level()),
        }
    }

    /// Puts a client's name in the place of a level, if that cannot give it more than one level.
    fn insert<'a>(&self, index: usize, name: &'a str, is_level: bool) -> Option<Resolved<'a>> {
        if self.denies() {
            return Some(if is_level {
                Resolved::Text(name)
            } else {
                Resolved::One
            });
        }
        let fits = is_level && !(index == 0 && name.starts_with('$'));
        if !fits {
            debug!(
                name,
                "an ACL pattern is left out: this name cannot stand for a level"
            );
        }
        fits.then_some(Resolved::Text(name))
    }
}

fn mixes_placeholder(level: &str) -> bool {
    (level.contains("%c") || level.contains("%u")) && level.len() > 2
}

/// What of a topic is left after its first level: `None` if that was the last.
fn after_level(topic: &str) -> Option<&str> {
    let separator = topic.bytes().position(|byte| byte == b'/')?;
    Some(&topic[separator + 1..])
}

/// What is left after `text`, as in [`after_level`]; nothing at all if the topic does not
/// begin with these levels.
fn after_text<'a>(topic: &'a str, text: &str) -> Option<Option<&'a str>> {
    let left = topic.strip_prefix(text)?;
    if left.is_empty() {
        return Some(None);
    }
    left.strip_prefix('/').map(Some)
}
