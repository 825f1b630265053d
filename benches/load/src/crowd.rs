//! Who publishes what to whom.

use crate::error::Error;

/// How publishers and subscribers meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    /// Each publisher has a topic and a subscriber of its own.
    Pairs,
    /// All publish to one topic that all subscribers have: fan-in, fan-out.
    Fan,
    /// All publish to one topic that the subscribers share as one group.
    Shared,
    /// Each publisher has a topic, each subscriber has all of them by `+`.
    Wildcard,
}

/// The clients of a run: publishers by their index, then subscribers.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    pattern: Pattern,
    publishers: u32,
    subscribers: u32,
}

/// Flows are remembered one by one; this bounds their table to 64 MiB.
const FLOWS: u64 = 1 << 24;

impl Crowd {
    /// Refuses crowds that are empty, pairs that are not, and more flows than a
    /// run can remember.
    pub fn new(pattern: Pattern, publishers: u32, subscribers: u32) -> Result<Crowd, Error> {
        let refuse = |why: &str| Err(Error::Refused(why.into()));
        if publishers == 0 || subscribers == 0 {
            return refuse("a crowd needs a publisher and a subscriber");
        }
        if pattern == Pattern::Pairs && publishers != subscribers {
            return refuse("pairs need as many publishers as subscribers");
        }
        if u64::from(publishers) * u64::from(subscribers) > FLOWS && pattern != Pattern::Pairs {
            return refuse("more than 2^24 pairs of a publisher and a subscriber");
        }
        Ok(Crowd {
            pattern,
            publishers,
            subscribers,
        })
    }

    /// How they meet.
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// How many publish.
    pub fn publishers(&self) -> u32 {
        self.publishers
    }

    /// How many subscribe.
    pub fn subscribers(&self) -> u32 {
        self.subscribers
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.publishers as usize + self.subscribers as usize
    }

    /// The client that is this subscriber.
    pub fn client_of(&self, subscriber: u32) -> usize {
        self.publishers as usize + subscriber as usize
    }

    /// The subscriber that is this client, unless it is a publisher.
    pub fn subscriber_of(&self, client: usize) -> Option<u32> {
        client
            .checked_sub(self.publishers as usize)
            .map(|subscriber| subscriber as u32)
    }

    /// What a publisher publishes to.
    pub fn topic(&self, publisher: u32) -> String {
        match self.pattern {
            Pattern::Pairs => format!("load/pair/{publisher}"),
            Pattern::Fan => "load/fan".into(),
            Pattern::Shared => "load/shared".into(),
            Pattern::Wildcard => format!("load/wildcard/{publisher}"),
        }
    }

    /// What a subscriber subscribes to.
    pub fn filter(&self, subscriber: u32) -> String {
        match self.pattern {
            Pattern::Pairs => self.topic(subscriber),
            Pattern::Fan => self.topic(0),
            Pattern::Shared => format!("$share/load/{}", self.topic(0)),
            Pattern::Wildcard => "load/wildcard/+".into(),
        }
    }

    /// How many deliveries each message owes.
    pub fn receivers(&self) -> u32 {
        match self.pattern {
            Pattern::Pairs | Pattern::Shared => 1,
            Pattern::Fan | Pattern::Wildcard => self.subscribers,
        }
    }

    /// How many flows there are; see [`flow`](Self::flow).
    pub fn flows(&self) -> usize {
        match self.pattern {
            Pattern::Pairs => self.publishers as usize,
            Pattern::Fan | Pattern::Wildcard => {
                self.publishers as usize * self.receivers() as usize
            }
            Pattern::Shared => 0,
        }
    }

    /// What this publisher sends and this subscriber gets, wholly and in order.
    /// `None` if they share with others; an error if they should never meet.
    pub fn flow(&self, publisher: u32, subscriber: u32) -> Result<Option<usize>, Error> {
        let stranger = publisher >= self.publishers || subscriber >= self.subscribers;
        match self.pattern {
            Pattern::Pairs if publisher == subscriber && !stranger => Ok(Some(publisher as usize)),
            Pattern::Fan | Pattern::Wildcard if !stranger => {
                let row = publisher as usize * self.subscribers as usize;
                Ok(Some(row + subscriber as usize))
            }
            Pattern::Shared if !stranger => Ok(None),
            _ => Err(Error::Broker(format!(
                "delivered a message of publisher {publisher} to subscriber {subscriber}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn crowd(pattern: Pattern, publishers: u32, subscribers: u32) -> Crowd {
        Crowd::new(pattern, publishers, subscribers).expect("a crowd within bounds")
    }

    #[test]
    fn a_message_owes_what_its_pattern_says() {
        let table = [
            (crowd(Pattern::Pairs, 4, 4), 1),
            (crowd(Pattern::Fan, 5, 500), 500),
            (crowd(Pattern::Fan, 500, 1), 1),
            (crowd(Pattern::Shared, 500, 5), 1),
            (crowd(Pattern::Wildcard, 100, 100), 100),
        ];
        for (crowd, receivers) in table {
            assert_eq!(crowd.receivers(), receivers, "{crowd:?}");
        }
    }

    #[test]
    fn each_flow_has_a_place_of_its_own() -> Result<(), Error> {
        for pattern in [Pattern::Fan, Pattern::Wildcard] {
            let crowd = crowd(pattern, 3, 4);
            let mut places = HashSet::new();
            for (publisher, subscriber) in (0..3).flat_map(|p| (0..4).map(move |s| (p, s))) {
                places.extend(crowd.flow(publisher, subscriber)?);
            }
            assert_eq!(places, (0..crowd.flows()).collect());
        }
        Ok(())
    }

    #[test]
    fn a_delivery_to_the_wrong_subscriber_blames_the_broker() {
        let pairs = crowd(Pattern::Pairs, 3, 3);
        assert!(matches!(pairs.flow(1, 1), Ok(Some(1))));
        assert!(matches!(pairs.flow(1, 2), Err(Error::Broker(_))));
        assert!(matches!(pairs.flow(3, 3), Err(Error::Broker(_))));
        let fan = crowd(Pattern::Fan, 2, 3);
        assert!(matches!(fan.flow(2, 0), Err(Error::Broker(_))));
    }

    #[test]
    fn publishers_come_before_subscribers() {
        let crowd = crowd(Pattern::Fan, 2, 3);
        assert_eq!(crowd.clients(), 5);
        assert_eq!(crowd.subscriber_of(1), None);
        assert_eq!(crowd.subscriber_of(crowd.client_of(2)), Some(2));
    }

    #[test]
    fn crowds_that_cannot_meet_are_refused() {
        for (pattern, publishers, subscribers) in [
            (Pattern::Pairs, 2, 3),
            (Pattern::Fan, 0, 1),
            (Pattern::Shared, 1, 0),
            (Pattern::Wildcard, 1 << 13, 1 << 12),
        ] {
            let crowd = Crowd::new(pattern, publishers, subscribers);
            assert!(matches!(crowd, Err(Error::Refused(_))));
        }
    }
}
