//! Which topics cross, and under which names: the `topic` lines of `mosquitto.conf`.

use std::borrow::Cow;

use dunlin_codec::Qos;
use dunlin_topic::{Subscription, TopicError, TopicFilter, TopicName};

use crate::settings::{Direction, TopicRule};

/// The rules of a bridge, checked.
#[derive(Debug)]
pub(crate) struct Topics {
    rules: Vec<Rule>,
    /// Filters that the session in our own broker has already.
    pub known: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    direction: Direction,
    qos: Qos,
    local: Half,
    remote: Half,
    /// A prefix stands on either side: otherwise the topic stays as it is.
    renames: bool,
}

/// A rule as one of the brokers sees it.
#[derive(Debug)]
struct Half {
    /// What is subscribed to; may be shared.
    subscription: String,
    /// Where the filter begins in it: behind the group of a shared subscription.
    filter_at: usize,
    prefix: String,
}

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Local,
    Remote,
}

impl Topics {
    /// # Errors
    /// A rule that Mosquitto refuses, or whose topics are no filters.
    pub fn new(rules: &[TopicRule]) -> Result<Self, String> {
        let rules = rules.iter().map(Rule::new);
        Ok(Topics {
            rules: rules.collect::<Result<_, _>>()?,
            known: Vec::new(),
        })
    }

    /// What to subscribe to there, and with which QoS; a filter that several rules have comes once.
    pub fn subscriptions(&self, place: Place) -> Vec<(&str, Qos)> {
        let mut all: Vec<(&str, Qos)> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.leaves(place)) {
            let filter = rule.half(place).subscription.as_str();
            match all.iter_mut().find(|(known, _)| *known == filter) {
                Some((_, qos)) => *qos = rule.qos.max(*qos),
                None => all.push((filter, rule.qos)),
            }
        }
        all
    }

    /// What an earlier configuration may have subscribed to there, and this one does not want.
    pub fn unwanted(&self, place: Place) -> Vec<&str> {
        let wanted = self.subscriptions(place);
        let others = self.rules.iter().filter(|rule| !rule.leaves(place));
        let others = others.map(|rule| rule.half(place).subscription.as_str());
        let known = self.known.iter().filter(|_| place == Place::Local);
        let mut unwanted: Vec<_> = others
            .chain(known.map(String::as_str))
            .filter(|filter| wanted.iter().all(|(known, _)| known != filter))
            .collect();
        unwanted.sort_unstable();
        unwanted.dedup();
        unwanted
    }

    /// Whether a message may leave this place with QoS 2.
    pub fn exactly_once(&self, place: Place) -> bool {
        let mut leaving = self.rules.iter().filter(|rule| rule.leaves(place));
        leaving.any(|rule| rule.qos == Qos::ExactlyOnce)
    }

    /// The name in the other broker of a topic of this one. `None` if no rule matches: a
    /// subscription that an earlier configuration left.
    ///
    /// As in Mosquitto the first matching rule with a prefix renames, and no other; a rule without
    /// prefixes lets through what none renames.
    pub fn rename<'t>(&self, from: Place, topic: TopicName<'t>) -> Option<Cow<'t, str>> {
        let mut matched = false;
        for rule in self.rules.iter().filter(|rule| rule.leaves(from)) {
            if !rule.half(from).matches(topic) {
                continue;
            }
            if rule.renames {
                let (own, other) = (&rule.half(from).prefix, &rule.half(from.other()).prefix);
                let rest = topic.as_str();
                let rest = rest.strip_prefix(own.as_str()).unwrap_or(rest);
                return Some(match other.is_empty() {
                    true => rest.into(),
                    false => [other, rest].concat().into(),
                });
            }
            matched = true;
        }
        matched.then_some(topic.as_str().into())
    }
}

impl Place {
    pub fn other(self) -> Place {
        match self {
            Place::Local => Place::Remote,
            Place::Remote => Place::Local,
        }
    }
}

impl Rule {
    fn new(rule: &TopicRule) -> Result<Self, String> {
        let (local, remote) = (&rule.local_prefix, &rule.remote_prefix);
        if rule.pattern.is_empty() && (local.is_empty() || remote.is_empty()) {
            return Err("a topic without pattern needs a local and a remote prefix".into());
        }
        Ok(Rule {
            direction: rule.direction,
            qos: rule.qos,
            local: Half::new(local, &rule.pattern)?,
            remote: Half::new(remote, &rule.pattern)?,
            renames: !(local.is_empty() && remote.is_empty()),
        })
    }

    fn half(&self, place: Place) -> &Half {
        match place {
            Place::Local => &self.local,
            Place::Remote => &self.remote,
        }
    }

    /// Whether messages go from there to the other broker.
    fn leaves(&self, place: Place) -> bool {
        match place {
            Place::Local => self.direction.is_out(),
            Place::Remote => self.direction.is_in(),
        }
    }
}

impl Half {
    fn new(prefix: &str, pattern: &str) -> Result<Self, String> {
        let subscription = [prefix, pattern].concat();
        let wrong = |error: TopicError| format!("topic {subscription:?}: {error}");
        let filter = Subscription::new(&subscription).map_err(wrong)?.filter;
        let filter_at = subscription.len() - filter.as_str().len();
        Ok(Half {
            filter_at,
            prefix: prefix.get(filter_at..).unwrap_or_default().into(),
            subscription,
        })
    }

    fn matches(&self, topic: TopicName<'_>) -> bool {
        // It was a filter when the rule was made.
        TopicFilter::new(&self.subscription[self.filter_at..])
            .is_ok_and(|filter| filter.matches(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, direction: Direction, local: &str, remote: &str) -> TopicRule {
        TopicRule {
            pattern: pattern.into(),
            direction,
            qos: Qos::AtLeastOnce,
            local_prefix: local.into(),
            remote_prefix: remote.into(),
        }
    }

    fn renamed(topics: &Topics, from: Place, topic: &str) -> Option<String> {
        let name = TopicName::new(topic).unwrap();
        topics.rename(from, name).map(Cow::into_owned)
    }

    /// The table of `man mosquitto.conf`, section "topic".
    #[test]
    fn prefixes_map_as_mosquittos_table_says() {
        let valid = [
            ("pattern", "L/", "R/", "L/pattern", "R/pattern"),
            ("pattern", "L/", "", "L/pattern", "pattern"),
            ("pattern", "", "R/", "pattern", "R/pattern"),
            ("pattern", "", "", "pattern", "pattern"),
            ("", "local", "remote", "local", "remote"),
            ("a/#", "L/", "R/", "L/a/b/c", "R/a/b/c"),
            (
                "#",
                "local/topic/",
                "remote/topic/",
                "local/topic/x",
                "remote/topic/x",
            ),
            ("+/b", "", "R/", "a/b", "R/a/b"),
        ];
        for (pattern, local, remote, near, far) in valid {
            let topics = Topics::new(&[rule(pattern, Direction::Both, local, remote)]).unwrap();
            let out = renamed(&topics, Place::Local, near);
            assert_eq!(out.as_deref(), Some(far), "{pattern} {local} {remote}");
            let back = renamed(&topics, Place::Remote, far);
            assert_eq!(back.as_deref(), Some(near), "{pattern} {local} {remote}");
        }
        for (local, remote) in [("local", ""), ("", "remote"), ("", "")] {
            assert!(Topics::new(&[rule("", Direction::Both, local, remote)]).is_err());
        }
        assert!(Topics::new(&[rule("a/#", Direction::Out, "+#", "")]).is_err());
    }

    /// `bridge__remap_topic_in` and `send__publish` of Mosquitto 2.0.
    #[test]
    fn the_first_rule_with_a_prefix_renames_and_no_other() {
        let topics = Topics::new(&[
            rule("a/#", Direction::Out, "", ""),
            rule("a/b", Direction::Out, "", "first/"),
            rule("a/+", Direction::Out, "", "second/"),
            rule("c", Direction::In, "", "third/"),
        ])
        .unwrap();
        let cases = [
            ("a/b", Some("first/a/b")),
            ("a/c", Some("second/a/c")),
            ("a/b/c", Some("a/b/c")),
            ("c", None),
            ("d", None),
        ];
        for (topic, expected) in cases {
            let out = renamed(&topics, Place::Local, topic);
            assert_eq!(out.as_deref(), expected, "{topic}");
        }
        let back = renamed(&topics, Place::Remote, "third/c");
        assert_eq!(back.as_deref(), Some("c"));
        assert_eq!(renamed(&topics, Place::Remote, "c"), None);
    }

    #[test]
    fn each_side_is_subscribed_where_messages_leave_it() {
        let topics = Topics::new(&[
            rule("x", Direction::Out, "L/", "R/"),
            rule("y", Direction::In, "L/", "R/"),
            rule("z", Direction::Both, "L/", "R/"),
            rule("z", Direction::Out, "L/", "elsewhere/"),
        ])
        .unwrap();
        let filters = |place| {
            let all = topics.subscriptions(place).into_iter();
            all.map(|(filter, _)| filter).collect::<Vec<_>>()
        };
        assert_eq!(filters(Place::Local), ["L/x", "L/z"]);
        assert_eq!(filters(Place::Remote), ["R/y", "R/z"]);
        assert_eq!(topics.unwanted(Place::Local), ["L/y"]);
        assert_eq!(topics.unwanted(Place::Remote), ["R/x", "elsewhere/z"]);
        let known = ["L/x", "old"].map(String::from).into();
        let topics = Topics { known, ..topics };
        assert_eq!(topics.unwanted(Place::Local), ["L/y", "old"]);
    }

    #[test]
    fn a_shared_subscription_matches_by_its_filter() {
        let topics = Topics::new(&[rule("$share/g/a/#", Direction::In, "", "")]).unwrap();
        assert_eq!(topics.subscriptions(Place::Remote)[0].0, "$share/g/a/#");
        let name = renamed(&topics, Place::Remote, "a/b");
        assert_eq!(name.as_deref(), Some("a/b"));
    }
}
