//! The last few decisions of one connection.

use dunlin_topic::TopicName;

use crate::{Access, Action, Decision, Principal};

/// How many decisions are kept.
const ENTRIES: usize = 4;

/// Longer topics are not kept, which bounds a memo to about 1 KiB.
const MAX_TOPIC_BYTES: usize = 256;

/// Remembers the latest decisions of one connection, so that a client that keeps using
/// the same few topics costs a comparison of bytes each time.
///
/// A word while unused. Entries of an older epoch are forgotten, pending decisions never kept.
#[derive(Debug, Default)]
pub struct DecisionMemo(Option<Box<Entries>>);

#[derive(Debug)]
struct Entries {
    epoch: u64,
    /// The next one to replace.
    next: usize,
    entries: [Option<Entry>; ENTRIES],
}

#[derive(Debug)]
struct Entry {
    topic: String,
    action: Action,
    allowed: bool,
}

impl DecisionMemo {
    /// Answers as [`Access::authorize`] does, asking it only when the answer is not known.
    ///
    /// One memo serves one principal: who it is does not take part in the comparison.
    pub fn authorize(
        &mut self,
        access: &Access,
        who: &Principal,
        action: Action,
        topic: TopicName<'_>,
    ) -> Decision {
        if access.allows_every_topic() {
            return Decision::Allow;
        }
        let epoch = access.epoch();
        if let Some(allowed) = self.recall(epoch, action, topic) {
            return if allowed {
                Decision::Allow
            } else {
                Decision::Deny
            };
        }
        let decision = access.authorize(who, action, topic);
        match decision {
            Decision::Allow => self.remember(epoch, action, topic, true),
            Decision::Deny => self.remember(epoch, action, topic, false),
            Decision::Pending(_) => {}
        }
        decision
    }

    fn recall(&self, epoch: u64, action: Action, topic: TopicName<'_>) -> Option<bool> {
        let memo = self.0.as_ref().filter(|memo| memo.epoch == epoch)?;
        let known = |entry: &&Entry| entry.action == action && entry.topic == topic.as_str();
        memo.entries
            .iter()
            .flatten()
            .find(known)
            .map(|entry| entry.allowed)
    }

    fn remember(&mut self, epoch: u64, action: Action, topic: TopicName<'_>, allowed: bool) {
        if topic.as_str().len() > MAX_TOPIC_BYTES {
            return;
        }
        let memo = self.0.get_or_insert_with(|| Box::new(Entries::new(epoch)));
        if memo.epoch != epoch {
            **memo = Entries::new(epoch);
        }
        memo.replace_next(topic.as_str(), action, allowed);
    }
}

impl Entries {
    fn new(epoch: u64) -> Self {
        Self {
            epoch,
            next: 0,
            entries: [const { None }; ENTRIES],
        }
    }

    /// Writes over the oldest entry, whose memory is used again: a client that goes round
    /// many topics causes no allocation for each.
    fn replace_next(&mut self, topic: &str, action: Action, allowed: bool) {
        let mut text = self.entries[self.next]
            .take()
            .map(|oldest| oldest.topic)
            .unwrap_or_default();
        text.clear();
        text.push_str(topic);
        self.entries[self.next] = Some(Entry {
            topic: text,
            action,
            allowed,
        });
        self.next = (self.next + 1) % ENTRIES;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use super::*;
    use crate::{Ticket, access::tests::Constant};

    struct Rules {
        constant: Arc<Constant>,
        access: Access,
        memo: DecisionMemo,
    }

    impl Rules {
        fn new(decision: Decision) -> Self {
            let constant = Arc::new(Constant {
                decision: Some(decision),
                ..Default::default()
            });
            let access = Access::open().with_authorizer(Arc::<Constant>::clone(&constant));
            Self {
                constant,
                access,
                memo: DecisionMemo::default(),
            }
        }

        /// The decision, and how many times the rules were asked for it.
        fn ask(&mut self, action: Action, topic: &str) -> (Decision, u64) {
            let before = self.constant.asked.load(Ordering::Relaxed);
            let topic = TopicName::new(topic).expect("a valid name");
            let who = Principal::new("c", None);
            let decision = self.memo.authorize(&self.access, &who, action, topic);
            (
                decision,
                self.constant.asked.load(Ordering::Relaxed) - before,
            )
        }
    }

    #[test]
    fn the_last_few_are_known() {
        for decision in [Decision::Allow, Decision::Deny] {
            let mut rules = Rules::new(decision);
            for topic in ["a", "b", "c", "d"] {
                assert_eq!(rules.ask(Action::Publish, topic), (decision, 1));
            }
            for topic in ["a", "b", "c", "d"] {
                assert_eq!(rules.ask(Action::Publish, topic), (decision, 0));
            }
            assert_eq!(rules.ask(Action::Publish, "e"), (decision, 1));
            assert_eq!(rules.ask(Action::Publish, "b"), (decision, 0));
            assert_eq!(rules.ask(Action::Publish, "a"), (decision, 1));
        }
    }

    #[test]
    fn actions_and_topics_are_told_apart() {
        let mut rules = Rules::new(Decision::Allow);
        assert_eq!(rules.ask(Action::Publish, "a").1, 1);
        assert_eq!(rules.ask(Action::Receive, "a").1, 1);
        assert_eq!(rules.ask(Action::Publish, "a/b").1, 1);
        assert_eq!(rules.ask(Action::Publish, "A").1, 1);
    }

    #[test]
    fn a_new_epoch_forgets() {
        let mut rules = Rules::new(Decision::Allow);
        rules.ask(Action::Publish, "a");
        rules.ask(Action::Publish, "b");
        rules.constant.epoch.fetch_add(1, Ordering::Relaxed);
        assert_eq!(rules.ask(Action::Publish, "a").1, 1);
        assert_eq!(rules.ask(Action::Publish, "a").1, 0);
        assert_eq!(rules.ask(Action::Publish, "b").1, 1);
    }

    #[test]
    fn pending_decisions_and_long_topics_are_not_kept() {
        let mut rules = Rules::new(Decision::Pending(Ticket(7)));
        assert_eq!(
            rules.ask(Action::Publish, "a"),
            (Decision::Pending(Ticket(7)), 1)
        );
        assert_eq!(rules.ask(Action::Publish, "a").1, 1);
        assert!(rules.memo.0.is_none());

        let mut rules = Rules::new(Decision::Allow);
        let (fits, long) = ("a".repeat(MAX_TOPIC_BYTES), "a".repeat(MAX_TOPIC_BYTES + 1));
        assert_eq!(
            [
                rules.ask(Action::Publish, &fits).1,
                rules.ask(Action::Publish, &fits).1
            ],
            [1, 0]
        );
        assert_eq!(
            [
                rules.ask(Action::Publish, &long).1,
                rules.ask(Action::Publish, &long).1
            ],
            [1, 1]
        );
    }

    #[test]
    fn without_rules_nothing_is_kept() {
        let mut memo = DecisionMemo::default();
        let topic = TopicName::new("a").expect("a valid name");
        let who = Principal::new("c", None);
        assert_eq!(
            memo.authorize(&Access::open(), &who, Action::Publish, topic),
            Decision::Allow
        );
        assert!(memo.0.is_none());
        assert_eq!(size_of::<DecisionMemo>(), size_of::<usize>());
    }
}
