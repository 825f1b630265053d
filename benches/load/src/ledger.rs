//! What was sent, and what of it has arrived: each message, each receiver.

use crate::crowd::Crowd;
use crate::error::Error;
use dunlin_codec::{PacketId, Qos};
use std::collections::VecDeque;

/// Unfinished messages of one publisher; packet ids name them one to one.
const OPEN: usize = 65_534;

/// Sequence numbers of one publisher are given to packet ids in turn.
const PACKET_IDS: u32 = 65_535;

/// The account of a run.
#[derive(Debug)]
pub struct Ledger {
    crowd: Crowd,
    qos: Qos,
    publishers: Vec<Window>,
    /// For each flow the sequence that comes next.
    expected: Vec<u32>,
    totals: Totals,
    unfinished: u64,
}

/// Counts since the start of the run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Messages sent.
    pub sent: u64,
    /// Deliveries that arrived for the first time.
    pub delivered: u64,
    /// Deliveries given up: a later one of the same flow arrived before, or
    /// nothing arrived for too long.
    pub lost: u64,
    /// Deliveries that arrived again, or after they were given up.
    pub repeated: u64,
    /// Messages that the broker has taken over (QoS > 0).
    pub acknowledged: u64,
}

/// A publisher's messages from the oldest unfinished one on.
#[derive(Debug, Default)]
struct Window {
    first: u32,
    open: VecDeque<Message>,
}

/// What an acknowledgement was of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// When the message was to be sent, as [`Ledger::send`] was told.
    pub intended_ns: u64,
    /// Nothing is owed of the message any more.
    pub finished: bool,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    intended_ns: u64,
    /// Deliveries that have not arrived.
    owed: u32,
    acknowledged: bool,
}

impl Message {
    fn finished(&self) -> bool {
        self.owed == 0 && self.acknowledged
    }
}

impl Ledger {
    /// Nothing is sent yet.
    pub fn new(crowd: Crowd, qos: Qos) -> Ledger {
        Ledger {
            crowd,
            qos,
            publishers: (0..crowd.publishers()).map(|_| Window::default()).collect(),
            expected: vec![0; crowd.flows()],
            totals: Totals::default(),
            unfinished: 0,
        }
    }

    /// Counts since the start of the run.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Messages that miss a delivery or their acknowledgement.
    pub fn unfinished(&self) -> u64 {
        self.unfinished
    }

    /// Enters a message of `publisher` that is to be sent at `intended_ns`; returns its sequence number and the packet
    /// id to send it with. An error if the broker is a whole round of packet ids
    /// behind.
    pub fn send(
        &mut self,
        publisher: u32,
        intended_ns: u64,
    ) -> Result<(u32, Option<PacketId>), Error> {
        let window = &mut self.publishers[publisher as usize];
        if window.open.len() >= OPEN {
            let what = format!("is {OPEN} messages behind publisher {publisher}");
            return Err(Error::Broker(what));
        }
        let acknowledged = self.qos == Qos::AtMostOnce;
        let sequence = window.first + window.open.len() as u32;
        window.open.push_back(Message {
            intended_ns,
            owed: self.crowd.receivers(),
            acknowledged,
        });
        self.totals.sent += 1;
        self.unfinished += 1;
        let packet_id = (sequence % PACKET_IDS + 1) as u16;
        let packet_id = PacketId::new(packet_id).filter(|_| !acknowledged);
        Ok((sequence, packet_id))
    }

    /// Enters the last acknowledgement of a message of `publisher`. An error if no
    /// such message is open.
    pub fn acknowledge(
        &mut self,
        publisher: u32,
        packet_id: PacketId,
    ) -> Result<Acknowledged, Error> {
        let window = &mut self.publishers[publisher as usize];
        let first_id = window.first % PACKET_IDS;
        let offset = (u32::from(packet_id.get()) - 1 + PACKET_IDS - first_id) % PACKET_IDS;
        let message = window.open.get_mut(offset as usize);
        let Some(message) = message.filter(|message| !message.acknowledged) else {
            let what = format!("acknowledged packet id {packet_id}, which waits for nothing");
            return Err(Error::Broker(what));
        };
        message.acknowledged = true;
        self.totals.acknowledged += 1;
        let acknowledged = Acknowledged {
            intended_ns: message.intended_ns,
            finished: message.finished(),
        };
        self.unfinished -= u64::from(acknowledged.finished);
        window.forget_finished();
        Ok(acknowledged)
    }

    /// Enters a delivery; returns how many messages it finished. An error if it
    /// was never sent or went to the wrong subscriber.
    pub fn deliver(
        &mut self,
        publisher: u32,
        subscriber: u32,
        sequence: u32,
    ) -> Result<u32, Error> {
        let flow = self.crowd.flow(publisher, subscriber)?;
        let window = &mut self.publishers[publisher as usize];
        if sequence >= window.first + window.open.len() as u32 {
            return Err(Error::Broker(
                "delivered a message before it was sent".into(),
            ));
        }
        let mut finished = 0;
        if let Some(flow) = flow {
            let expected = &mut self.expected[flow];
            for passed_over in *expected..sequence {
                self.totals.lost += 1;
                finished += u32::from(window.settle(passed_over) == Some(true));
            }
            if sequence < *expected {
                self.totals.repeated += 1;
                return Ok(0);
            }
            *expected = sequence + 1;
        }
        match window.settle(sequence) {
            None => self.totals.repeated += 1,
            Some(last) => {
                self.totals.delivered += 1;
                finished += u32::from(last);
            }
        }
        self.unfinished -= u64::from(finished);
        window.forget_finished();
        Ok(finished)
    }

    /// Gives up all that has not arrived; returns for each publisher how many
    /// messages that ended.
    pub fn give_up(&mut self) -> Vec<u32> {
        for (publisher, window) in self.publishers.iter().enumerate() {
            let next = window.first + window.open.len() as u32;
            for subscriber in 0..self.crowd.subscribers() {
                if let Ok(Some(flow)) = self.crowd.flow(publisher as u32, subscriber) {
                    self.expected[flow] = next;
                }
            }
        }
        self.unfinished = 0;
        let ended = self.publishers.iter_mut().map(|window| {
            window.first += window.open.len() as u32;
            let ended = window.open.drain(..).filter(|m| !m.finished());
            ended
                .inspect(|m| self.totals.lost += u64::from(m.owed))
                .count() as u32
        });
        ended.collect()
    }
}

impl Window {
    /// One delivery less is owed: `Some(true)` if that finished the message, and
    /// `None` if none was owed.
    fn settle(&mut self, sequence: u32) -> Option<bool> {
        let index = sequence.checked_sub(self.first)?;
        let message = self.open.get_mut(index as usize)?;
        message.owed = message.owed.checked_sub(1)?;
        Some(message.finished())
    }

    fn forget_finished(&mut self) {
        while self
            .open
            .pop_front_if(|message| message.finished())
            .is_some()
        {
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crowd::Pattern;

    fn ledger(pattern: Pattern, publishers: u32, subscribers: u32, qos: Qos) -> Ledger {
        let crowd = Crowd::new(pattern, publishers, subscribers).expect("within bounds");
        Ledger::new(crowd, qos)
    }

    #[test]
    fn a_message_is_finished_when_all_have_it_and_it_is_acknowledged() -> Result<(), Error> {
        let mut ledger = ledger(Pattern::Fan, 1, 2, Qos::AtLeastOnce);
        let (sequence, Some(packet_id)) = ledger.send(0, 7)? else {
            panic!("QoS 1 has a packet id");
        };
        assert_eq!(ledger.deliver(0, 0, sequence)?, 0);
        let acknowledged = ledger.acknowledge(0, packet_id)?;
        assert_eq!(
            (acknowledged.intended_ns, acknowledged.finished),
            (7, false)
        );
        assert_eq!(ledger.unfinished(), 1);
        assert_eq!(ledger.deliver(0, 1, sequence)?, 1);
        assert_eq!(ledger.unfinished(), 0);
        assert!(ledger.acknowledge(0, packet_id).is_err(), "a second time");
        Ok(())
    }

    #[test]
    fn packet_ids_go_round() -> Result<(), Error> {
        let mut ledger = ledger(Pattern::Pairs, 1, 1, Qos::AtLeastOnce);
        for count in 0..140_000_u32 {
            let (sequence, packet_id) = ledger.send(0, 7)?;
            assert_eq!(sequence, count);
            assert_eq!(ledger.deliver(0, 0, sequence)?, 0);
            assert!(ledger.acknowledge(0, packet_id.expect("QoS 1"))?.finished);
        }
        assert_eq!(ledger.totals().acknowledged, 140_000);
        Ok(())
    }

    #[test]
    fn a_publisher_is_at_most_a_round_of_packet_ids_ahead() -> Result<(), Error> {
        let mut ledger = ledger(Pattern::Pairs, 1, 1, Qos::AtLeastOnce);
        for _ in 0..OPEN {
            ledger.send(0, 7)?;
        }
        assert!(matches!(ledger.send(0, 7), Err(Error::Broker(_))));
        Ok(())
    }

    #[test]
    fn a_gap_is_lost_and_what_comes_late_is_repeated() -> Result<(), Error> {
        let mut ledger = ledger(Pattern::Pairs, 1, 1, Qos::AtMostOnce);
        for _ in 0..3 {
            ledger.send(0, 7)?;
        }
        assert_eq!(ledger.deliver(0, 0, 2)?, 3, "two are passed over");
        assert_eq!(ledger.deliver(0, 0, 1)?, 0);
        let Totals {
            delivered,
            lost,
            repeated,
            ..
        } = ledger.totals();
        assert_eq!((delivered, lost, repeated), (1, 2, 1));
        assert!(ledger.deliver(0, 0, 3).is_err(), "not sent yet");
        Ok(())
    }

    #[test]
    fn a_shared_message_goes_to_one_member_in_any_order() -> Result<(), Error> {
        let mut ledger = ledger(Pattern::Shared, 1, 2, Qos::AtMostOnce);
        for _ in 0..3 {
            ledger.send(0, 7)?;
        }
        assert_eq!(ledger.deliver(0, 0, 1)?, 1);
        assert_eq!(ledger.deliver(0, 1, 0)?, 1);
        assert_eq!(ledger.deliver(0, 1, 1)?, 0, "both members got it");
        assert_eq!(ledger.totals().repeated, 1);
        assert_eq!(ledger.unfinished(), 1);
        Ok(())
    }

    #[test]
    fn giving_up_counts_what_is_owed_and_goes_on() -> Result<(), Error> {
        let mut ledger = ledger(Pattern::Fan, 2, 3, Qos::AtMostOnce);
        ledger.send(0, 7)?;
        ledger.send(0, 7)?;
        ledger.deliver(0, 1, 0)?;
        assert_eq!(ledger.give_up(), [2, 0]);
        assert_eq!((ledger.totals().lost, ledger.unfinished()), (5, 0));
        assert_eq!(ledger.deliver(0, 0, 1)?, 0);
        assert_eq!(ledger.totals().repeated, 1, "it came late");
        let (sequence, _) = ledger.send(0, 7)?;
        assert_eq!(sequence, 2);
        assert_eq!(ledger.deliver(0, 2, 2)?, 0);
        assert_eq!(ledger.totals().lost, 5);
        Ok(())
    }
}
