//! Who gets a message: a hash of exact filters and a list of wildcard ones.

use std::collections::HashMap;

/// A subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Index of its connection.
    pub connection: u32,
    /// The highest QoS that it wants.
    pub qos: u8,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub struct Routes {
    exact: HashMap<Box<[u8]>, Audience, foldhash::fast::RandomState>,
    wildcard: Vec<(Box<[u8]>, Audience)>,
}

/// Those who subscribed with one filter.
#[derive(Debug, Default)]
struct Audience {
    each: Vec<Target>,
    groups: Vec<Group>,
}

/// Those of whom one gets each message, in turn.
#[derive(Debug)]
struct Group {
    name: Box<[u8]>,
    members: Vec<Target>,
    next: usize,
}

impl Routes {
    /// Adds a subscription, which takes the place of an older one to the same
    /// filter.
    pub fn insert(&mut self, filter: &[u8], target: Target) {
        self.remove(filter, target.connection);
        let (group, filter) = split_shared(filter);
        let audience = self.audience(filter);
        let Some(name) = group else {
            audience.each.push(target);
            return;
        };
        match audience.groups.iter_mut().find(|g| *g.name == *name) {
            Some(group) => group.members.push(target),
            None => audience.groups.push(Group {
                name: name.into(),
                members: vec![target],
                next: 0,
            }),
        }
    }

    /// Removes a subscription, if it is there.
    pub fn remove(&mut self, filter: &[u8], connection: u32) {
        let (group, filter) = split_shared(filter);
        let audience = self.audience(filter);
        match group {
            None => audience.each.retain(|t| t.connection != connection),
            Some(name) => {
                for group in audience.groups.iter_mut().filter(|g| *g.name == *name) {
                    group.members.retain(|t| t.connection != connection);
                }
                audience.groups.retain(|g| !g.members.is_empty());
            }
        }
        if audience.each.is_empty() && audience.groups.is_empty() {
            self.exact.remove(filter);
            self.wildcard.retain(|(f, _)| **f != *filter);
        }
    }

    /// Calls `deliver` for each subscription that gets a message to `topic`.
    #[inline]
    pub fn matching(&mut self, topic: &[u8], mut deliver: impl FnMut(Target)) {
        if let Some(audience) = self.exact.get_mut(topic) {
            audience.next_receivers(&mut deliver);
        }
        for (filter, audience) in &mut self.wildcard {
            if matches(filter, topic) {
                audience.next_receivers(&mut deliver);
            }
        }
    }

    fn audience(&mut self, filter: &[u8]) -> &mut Audience {
        if !filter.iter().any(|b| matches!(b, b'+' | b'#')) {
            return self.exact.entry(filter.into()).or_default();
        }
        let known = self.wildcard.iter().position(|(f, _)| **f == *filter);
        let index = known.unwrap_or_else(|| {
            self.wildcard.push((filter.into(), Audience::default()));
            self.wildcard.len() - 1
        });
        &mut self.wildcard[index].1
    }
}

impl Audience {
    #[inline]
    fn next_receivers(&mut self, deliver: &mut impl FnMut(Target)) {
        self.each.iter().copied().for_each(&mut *deliver);
        for group in &mut self.groups {
            group.next = (group.next + 1) % group.members.len();
            deliver(group.members[group.next]);
        }
    }
}

/// The group, if it is a shared subscription, and the filter without it.
fn split_shared(filter: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let shared = filter.strip_prefix(b"$share/").and_then(|rest| {
        let slash = rest.iter().position(|b| *b == b'/')?;
        Some((Some(&rest[..slash]), &rest[slash + 1..]))
    });
    shared.unwrap_or((None, filter))
}

fn matches(filter: &[u8], topic: &[u8]) -> bool {
    if topic.starts_with(b"$") && matches!(filter.first(), Some(b'+' | b'#')) {
        return false;
    }
    let mut levels = topic.split(|b| *b == b'/');
    for wanted in filter.split(|b| *b == b'/') {
        match (wanted, levels.next()) {
            (b"#", _) => return true,
            (_, None) => return false,
            (b"+", Some(_)) => {}
            (exact, Some(level)) if exact == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receivers(routes: &mut Routes, topic: &str) -> Vec<u32> {
        let mut found = Vec::new();
        routes.matching(topic.as_bytes(), |t| found.push(t.connection));
        found
    }

    fn target(connection: u32) -> Target {
        Target { connection, qos: 0 }
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        let table = [
            ("a/+", "a/b", true),
            ("a/+", "a/", true),
            ("a/+", "a", false),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a", true),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
        ];
        for (filter, topic, expected) in table {
            let found = matches(filter.as_bytes(), topic.as_bytes());
            assert_eq!(found, expected, "{filter} {topic}");
        }
    }

    #[test]
    fn a_subscription_replaces_its_older_self_and_leaves_without_a_trace() {
        let mut routes = Routes::default();
        for filter in ["a", "+", "$share/g/a", "$share/g/+"] {
            routes.insert(filter.as_bytes(), target(1));
            routes.insert(filter.as_bytes(), target(1));
            assert_eq!(receivers(&mut routes, "a"), [1], "{filter}");
            routes.remove(filter.as_bytes(), 1);
            assert!(routes.exact.is_empty() && routes.wildcard.is_empty());
        }
    }

    #[test]
    fn a_group_takes_turns() {
        let mut routes = Routes::default();
        for connection in 0..3 {
            routes.insert(b"$share/g/a", target(connection));
        }
        routes.insert(b"a", target(9));
        let mut shared: Vec<_> = (0..6).map(|_| receivers(&mut routes, "a")[1]).collect();
        assert_ne!(shared[0], shared[1]);
        shared.sort_unstable();
        assert_eq!(shared, [0, 0, 1, 1, 2, 2]);
    }
}
