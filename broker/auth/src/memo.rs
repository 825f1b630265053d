//! The last few decisions of one connection.

use dunlin_time::Monotonic;
use dunlin_topic::{TopicFilter, TopicName};

use crate::{Access, Action, Answer, Decision, Holds, Principal, Question};

/// How many decisions are kept that rules in memory gave.
const ENTRIES: usize = 4;

/// How many are kept if somebody gives them for a time: it costs more to ask again.
const COSTLY_ENTRIES: usize = 32;

/// Longer topics are not kept, which bounds a memo to about 10 KiB.
const MAX_TOPIC_BYTES: usize = 256;

/// Remembers the latest decisions of one connection, so that a client that keeps using
/// the same few topics costs a comparison of bytes each time.
///
/// A word while unused. Entries of an older epoch are forgotten. Only yes and no are kept.
#[derive(Debug, Default)]
pub struct DecisionMemo(Option<Box<Entries>>);

#[derive(Debug)]
struct Entries {
    epoch: u64,
    /// The next one to replace.
    next: usize,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The topic name that it answered last: to compare bytes costs less than to match a filter.
    topic: String,
    /// A filter, if it answers for all that match.
    scope: Option<Box<str>>,
    action: Action,
    allowed: bool,
    /// `None` holds until the epoch changes.
    until: Option<Monotonic>,
}

/// A decision, and whether it holds beyond this question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Yes or no.
    pub decision: Decision,
    /// The same question, asked at once, has the same answer.
    pub holds: bool,
}

impl DecisionMemo {
    /// Answers as [`Access::authorize`] does, asking it only when the answer is not known.
    ///
    /// One memo serves one principal: who it is does not take part in the comparison.
    pub fn authorize(
        &mut self,
        access: &Access,
        who: &Principal,
        question: &Question<'_>,
        now: Monotonic,
    ) -> Remembered {
        if access.allows_every_topic() && who.rules().is_none() {
            return Remembered {
                decision: Decision::Allow,
                holds: true,
            };
        }
        let epoch = access.epoch();
        if let Some(allowed) = self.recall(epoch, question.action, question.topic, now) {
            let decision = match allowed {
                true => Decision::Allow,
                false => Decision::Deny,
            };
            return Remembered {
                decision,
                holds: true,
            };
        }
        let Answer { decision, holds } = access.authorize(who, question);
        let allowed = match decision {
            Decision::Allow => true,
            Decision::Deny => false,
            Decision::Next | Decision::Unavailable => {
                return Remembered {
                    decision,
                    holds: false,
                };
            }
        };
        let lasts = holds != Holds::Once;
        self.remember(epoch, question, allowed, holds, now);
        Remembered {
            decision,
            holds: lasts,
        }
    }

    /// What is known of this very topic, of which only bytes are at hand.
    pub fn recall_bytes(
        &self,
        access: &Access,
        action: Action,
        topic: &[u8],
        now: Monotonic,
    ) -> Option<bool> {
        let memo = self
            .0
            .as_ref()
            .filter(|memo| memo.epoch == access.epoch())?;
        let mut entries = memo.entries.iter();
        let found = entries.find(|entry| entry.answered(action, topic, now));
        found.map(|entry| entry.allowed)
    }

    fn recall(
        &mut self,
        epoch: u64,
        action: Action,
        topic: TopicName<'_>,
        now: Monotonic,
    ) -> Option<bool> {
        let memo = self.0.as_mut().filter(|memo| memo.epoch == epoch)?;
        let bytes = topic.as_str().as_bytes();
        let mut entries = memo.entries.iter();
        if let Some(entry) = entries.find(|entry| entry.answered(action, bytes, now)) {
            return Some(entry.allowed);
        }
        let mut entries = memo.entries.iter_mut();
        let entry = entries.find(|entry| entry.answers(action, topic, now))?;
        if topic.as_str().len() <= MAX_TOPIC_BYTES {
            entry.topic.clear();
            entry.topic.push_str(topic.as_str());
        }
        Some(entry.allowed)
    }

    fn remember(
        &mut self,
        epoch: u64,
        question: &Question<'_>,
        allowed: bool,
        holds: Holds,
        now: Monotonic,
    ) {
        let (until, scope) = match holds {
            Holds::Once => return,
            Holds::UntilEpoch => (None, None),
            Holds::For { time, scope } => {
                let speaks_of_it = scope.as_deref().is_some_and(|scope| {
                    TopicFilter::new(scope).is_ok_and(|scope| scope.matches(question.topic))
                });
                (Some(now + time), scope.filter(|_| speaks_of_it))
            }
        };
        let topic = question.topic.as_str();
        let scope = scope.filter(|scope| scope.len() <= MAX_TOPIC_BYTES);
        if topic.len() > MAX_TOPIC_BYTES && scope.is_none() {
            return;
        }
        let memo = self.0.get_or_insert_with(|| Box::new(Entries::new(epoch)));
        if memo.epoch != epoch {
            **memo = Entries::new(epoch);
        }
        let entry = memo.place(until.is_some());
        entry.topic.clear();
        if topic.len() <= MAX_TOPIC_BYTES {
            entry.topic.push_str(topic);
        }
        entry.scope = scope;
        entry.action = question.action;
        entry.allowed = allowed;
        entry.until = until;
    }
}

impl Entry {
    /// Whether it answered for this topic, and still does.
    fn answered(&self, action: Action, topic: &[u8], now: Monotonic) -> bool {
        self.topic.as_bytes() == topic && self.holds(action, now)
    }

    /// Whether its scope answers for this topic.
    fn answers(&self, action: Action, topic: TopicName<'_>, now: Monotonic) -> bool {
        let Some(scope) = &self.scope else {
            return false;
        };
        self.holds(action, now) && TopicFilter::new(scope).is_ok_and(|scope| scope.matches(topic))
    }

    fn holds(&self, action: Action, now: Monotonic) -> bool {
        self.action == action && self.until.is_none_or(|until| now < until)
    }
}

impl Entries {
    fn new(epoch: u64) -> Self {
        Self {
            epoch,
            next: 0,
            entries: Vec::new(),
        }
    }

    /// A new entry or the oldest one, whose memory is used again: a client that goes round
    /// many topics causes no allocation for each.
    fn place(&mut self, costly: bool) -> &mut Entry {
        let most = match costly {
            true => COSTLY_ENTRIES,
            false => ENTRIES,
        };
        let at = match self.entries.len() < most {
            true => {
                self.entries.push(Entry {
                    topic: String::new(),
                    scope: None,
                    action: Action::Publish,
                    allowed: false,
                    until: None,
                });
                self.entries.len() - 1
            }
            false => {
                let at = self.next % self.entries.len();
                self.next = at + 1;
                at
            }
        };
        &mut self.entries[at]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use super::*;
    use std::time::Duration;

    use crate::access::tests::Constant;

    struct Rules {
        constant: Arc<Constant>,
        access: Access,
        memo: DecisionMemo,
    }

    impl Rules {
        fn new(decision: Decision) -> Self {
            Self::answering(decision.into())
        }

        fn answering(answer: Answer) -> Self {
            let constant = Arc::new(Constant {
                answer: Some(answer),
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
            self.ask_at(Monotonic(0), action, topic)
        }

        fn ask_at(&mut self, now: Monotonic, action: Action, topic: &str) -> (Decision, u64) {
            let before = self.constant.asked.load(Ordering::Relaxed);
            let topic = TopicName::new(topic).expect("a valid name");
            let who = Principal::new("c", None);
            let question = Question::new(action, topic);
            let known = self.memo.authorize(&self.access, &who, &question, now);
            (
                known.decision,
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
            // It took the place of "b", the oldest then.
            assert_eq!(rules.ask(Action::Publish, "e"), (decision, 0));
            assert_eq!(rules.ask(Action::Publish, "b"), (decision, 1));
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
    fn what_holds_for_a_time_is_asked_again_after_it() {
        let time = Duration::from_millis(100);
        let holds = |scope: Option<&str>| Answer {
            decision: Decision::Allow,
            holds: Holds::For {
                time,
                scope: scope.map(Into::into),
            },
        };
        let mut rules = Rules::answering(holds(None));
        assert_eq!(rules.ask_at(Monotonic(5), Action::Publish, "a/b").1, 1);
        assert_eq!(rules.ask_at(Monotonic(104), Action::Publish, "a/b").1, 0);
        assert_eq!(rules.ask_at(Monotonic(105), Action::Publish, "a/b").1, 1);
        assert_eq!(rules.ask_at(Monotonic(6), Action::Publish, "a/c").1, 1);

        let mut rules = Rules::answering(holds(Some("a/#")));
        assert_eq!(rules.ask_at(Monotonic(5), Action::Publish, "a/b").1, 1);
        assert_eq!(rules.ask_at(Monotonic(6), Action::Publish, "a/c").1, 0);
        assert_eq!(rules.ask_at(Monotonic(6), Action::Publish, "a/b").1, 0);
        let known = |rules: &Rules, action, topic: &[u8], now| {
            let memo = &rules.memo;
            memo.recall_bytes(&rules.access, action, topic, Monotonic(now))
        };
        assert_eq!(known(&rules, Action::Publish, b"a/b", 6), Some(true));
        assert_eq!(known(&rules, Action::Publish, b"a/c", 6), None);
        assert_eq!(known(&rules, Action::Publish, b"a/b", 105), None);
        assert_eq!(known(&rules, Action::Receive, b"a/b", 6), None);
        assert_eq!(rules.ask_at(Monotonic(6), Action::Receive, "a/c").1, 1);
        assert_eq!(rules.ask_at(Monotonic(6), Action::Publish, "b").1, 1);
        assert_eq!(rules.ask_at(Monotonic(105), Action::Publish, "a/c").1, 1);
    }

    #[test]
    fn costly_answers_are_kept_in_larger_numbers() {
        let mut rules = Rules::answering(Answer {
            decision: Decision::Deny,
            holds: Holds::For {
                time: Duration::from_secs(1),
                scope: None,
            },
        });
        let topics: Vec<_> = (0..=COSTLY_ENTRIES).map(|n| n.to_string()).collect();
        for topic in &topics[..COSTLY_ENTRIES] {
            assert_eq!(rules.ask(Action::Receive, topic).1, 1);
        }
        for topic in &topics[..COSTLY_ENTRIES] {
            assert_eq!(rules.ask(Action::Receive, topic), (Decision::Deny, 0));
        }
        assert_eq!(rules.ask(Action::Receive, &topics[COSTLY_ENTRIES]).1, 1);
        assert_eq!(rules.ask(Action::Receive, &topics[0]).1, 1);
    }

    #[test]
    fn what_is_unavailable_or_for_once_and_long_topics_are_not_kept() {
        let mut rules = Rules::new(Decision::Unavailable);
        assert_eq!(rules.ask(Action::Publish, "a"), (Decision::Unavailable, 1));
        assert_eq!(rules.ask(Action::Publish, "a").1, 1);
        assert!(rules.memo.0.is_none());

        let mut rules = Rules::answering(Answer {
            decision: Decision::Allow,
            holds: Holds::Once,
        });
        assert_eq!(rules.ask(Action::Publish, "a"), (Decision::Allow, 1));
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
    fn it_says_whether_an_answer_may_be_given_again() {
        let for_a_time = Holds::For {
            time: Duration::from_secs(1),
            scope: None,
        };
        for (decision, holds, expected) in [
            (Decision::Allow, Holds::UntilEpoch, true),
            (Decision::Deny, for_a_time, true),
            (Decision::Allow, Holds::Once, false),
            (Decision::Unavailable, Holds::UntilEpoch, false),
        ] {
            let mut rules = Rules::answering(Answer { decision, holds });
            let topic = TopicName::new("a").expect("a valid name");
            let question = Question::new(Action::Publish, topic);
            let who = Principal::new("c", None);
            let known = rules
                .memo
                .authorize(&rules.access, &who, &question, Monotonic(0));
            let holds = expected;
            assert_eq!(known, Remembered { decision, holds });
        }
    }

    #[test]
    fn without_rules_nothing_is_kept() {
        let mut memo = DecisionMemo::default();
        let topic = TopicName::new("a").expect("a valid name");
        let who = Principal::new("c", None);
        let question = Question::new(Action::Publish, topic);
        let known = memo.authorize(&Access::open(), &who, &question, Monotonic(0));
        assert_eq!(
            known,
            Remembered {
                decision: Decision::Allow,
                holds: true
            }
        );
        assert!(memo.0.is_none());
        assert_eq!(size_of::<DecisionMemo>(), size_of::<usize>());
    }
}
