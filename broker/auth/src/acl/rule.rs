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

/// A filter whose levels may stand for the client's names, and what is granted where it matches.
#[derive(Debug)]
pub(super) struct Rule {
    access: Access,
    levels: Box<[Level]>,
}

/// One level of a rule's filter.
#[derive(Debug, PartialEq, Eq)]
enum Level {
    Name(Box<str>),
    /// `%c`
    ClientId,
    /// `%u`
    Username,
    /// `+`
    One,
    /// `#`
    Rest,
}

/// What a level is for one client.
enum Resolved<'a> {
    Name(&'a str),
    One,
    Rest,
}

impl Rule {
    /// A rule from a `topic` line, where `%c` and `%u` mean themselves.
    pub(super) fn topic(access: Access, filter: &str) -> Result<Self, String> {
        Self::new(access, filter, |level| Level::Name(level.into()))
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
            "%c" => Level::ClientId,
            "%u" => Level::Username,
            name => Level::Name(name.into()),
        })
    }

    fn new(access: Access, filter: &str, name: impl Fn(&str) -> Level) -> Result<Self, String> {
        TopicFilter::new(filter)
            .map_err(|error| format!("{} is not a topic filter: {error}", quote(filter)))?;
        let levels = filter.split('/').map(|level| match level {
            "+" => Level::One,
            "#" => Level::Rest,
            level => name(level),
        });
        Ok(Self {
            access,
            levels: levels.collect(),
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
        let mut names = topic.as_str().split('/');
        for (index, level) in self.levels.iter().enumerate() {
            let name = names.next();
            match (self.resolve(index, level, who), name) {
                (None, _) => return false,
                // `#` also matches its parent level, but no leading wildcard matches
                // a topic that begins with `$` [MQTT-4.7.2-1].
                (Some(Resolved::Rest), name) => return index > 0 || !is_dollar(name),
                (_, None) => return false,
                (Some(Resolved::One), name) if index == 0 && is_dollar(name) => return false,
                (Some(Resolved::One), _) => {}
                (Some(Resolved::Name(wanted)), Some(name)) if wanted == name => {}
                (Some(Resolved::Name(_)), _) => return false,
            }
        }
        names.next().is_none()
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

    /// The filter with the client's names in it; `None` if it does not concern this client.
    fn expand(&self, who: &Principal) -> Option<String> {
        let mut text = String::new();
        for (index, level) in self.levels.iter().enumerate() {
            if index > 0 {
                text.push('/');
            }
            text.push_str(match self.resolve(index, level, who)? {
                Resolved::Name(name) => name,
                Resolved::One => "+",
                Resolved::Rest => "#",
            });
        }
        Some(text)
    }

    fn resolve<'a>(
        &self,
        index: usize,
        level: &'a Level,
        who: &'a Principal,
    ) -> Option<Resolved<'a>> {
        match level {
            Level::Name(name) => Some(Resolved::Name(name)),
            Level::One => Some(Resolved::One),
            Level::Rest => Some(Resolved::Rest),
            Level::ClientId => self.insert(index, who.client_id(), who.client_id_is_level()),
            Level::Username => self.insert(index, who.username()?, who.username_is_level()),
        }
    }

    /// Puts a client's name in the place of a level, if that cannot give it more than one level.
    fn insert<'a>(&self, index: usize, name: &'a str, is_level: bool) -> Option<Resolved<'a>> {
        if self.denies() {
            return Some(if is_level {
                Resolved::Name(name)
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
        fits.then_some(Resolved::Name(name))
    }
}

fn mixes_placeholder(level: &str) -> bool {
    (level.contains("%c") || level.contains("%u")) && level.len() > 2
}

fn is_dollar(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.starts_with('$'))
}
