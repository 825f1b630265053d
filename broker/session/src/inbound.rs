use std::collections::VecDeque;

use dunlin_codec::{AckKind, PacketId, ReasonCode, Version, encode_ack};

use crate::Failure;

/// The receiving half of QoS 1 and 2: which packet ids are in use, and acknowledgements in the
/// order of their PUBLISH packets [MQTT-4.6.0-2] [MQTT-4.6.0-3].
///
/// ```text
///  QoS 1   PUBLISH ─▶ open ──answer──▶ PUBACK
///  QoS 2   PUBLISH ─▶ open ──answer──▶ PUBREC ─▶ received ──PUBREL──▶ PUBCOMP
///                              └─ error: PUBREC with it, and the id is free again
/// ```
///
/// Bounded by Receive Maximum: [`Inbound::publish`] refuses one more. Ids that an earlier connection
/// left do not count towards it (section 4.9); there are at most 65,535 of them.
#[derive(Debug, Default)]
pub struct Inbound {
    /// QoS 2 packet ids from PUBLISH to PUBREL, oldest first.
    received: VecDeque<PacketId>,
    /// How many of them, at the front, came on an earlier connection.
    resumed: u16,
    /// Allocated while an answer waits for disk or peers.
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    pubacks: VecDeque<Open>,
    pubrecs: VecDeque<Open>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Open {
    ticket: Ticket,
    packet_id: PacketId,
    reason: Option<ReasonCode>,
}

/// Names a PUBLISH whose answer comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a PUBLISH must be acknowledged with; answered with [`Inbound::acknowledge`] at once or
/// turned into a [`Ticket`] by [`Inbound::postpone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a PUBLISH that is not answered is never acknowledged"]
pub struct Acknowledgement {
    kind: AckKind,
    packet_id: PacketId,
}

impl Acknowledgement {
    /// The id that a QoS 2 message holds until PUBREL.
    pub fn received(&self) -> Option<PacketId> {
        (self.kind == AckKind::Pubrec).then_some(self.packet_id)
    }
}

/// What [`Inbound::publish`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A new message.
    New(Acknowledgement),
    /// A QoS 2 PUBLISH that came before: answered, not to be delivered again [MQTT-4.3.3-10].
    Duplicate,
}

impl Inbound {
    /// A QoS 1 or 2 PUBLISH arrived; `maximum` is the Receive Maximum that we announced.
    ///
    /// # Errors
    /// 0x93 when the peer exceeds it [MQTT-3.3.4-7].
    pub fn publish(
        &mut self,
        kind: AckKind,
        packet_id: PacketId,
        maximum: u16,
        version: Version,
        out: &mut Vec<u8>,
    ) -> Result<Received, Failure> {
        if kind == AckKind::Pubrec && self.received.contains(&packet_id) {
            if !self.waits_for_pubrec(packet_id) {
                encode_ack(kind, packet_id, ReasonCode::Success, version, out);
            }
            return Ok(Received::Duplicate);
        }
        if self.unfinished() >= usize::from(maximum) {
            return Err(Failure::new(
                ReasonCode::ReceiveMaximumExceeded,
                "more unacknowledged PUBLISH packets than Receive Maximum [MQTT-3.3.4-7]",
            ));
        }
        if kind == AckKind::Pubrec {
            self.received.push_back(packet_id);
        }
        Ok(Received::New(Acknowledgement { kind, packet_id }))
    }

    /// Answers a PUBLISH now, after those of its kind that came before it.
    pub fn acknowledge(
        &mut self,
        acknowledgement: Acknowledgement,
        reason: ReasonCode,
        version: Version,
        out: &mut Vec<u8>,
    ) {
        if self.waiting.is_none() {
            return self.write(acknowledgement, reason, version, out);
        }
        let ticket = self.postpone(acknowledgement);
        self.settle(ticket, reason, version, out);
    }

    /// Keeps a PUBLISH open until [`Inbound::settle`].
    pub fn postpone(&mut self, acknowledgement: Acknowledgement) -> Ticket {
        let waiting = self.waiting.get_or_insert_default();
        let ticket = Ticket(waiting.next_ticket);
        waiting.next_ticket += 1;
        waiting.queue(acknowledgement.kind).push_back(Open {
            ticket,
            packet_id: acknowledgement.packet_id,
            reason: None,
        });
        ticket
    }

    /// The answer to a postponed PUBLISH. Writes every acknowledgement that no longer waits for an
    /// earlier one. A ticket of an earlier connection is ignored.
    pub fn settle(
        &mut self,
        ticket: Ticket,
        reason: ReasonCode,
        version: Version,
        out: &mut Vec<u8>,
    ) {
        for kind in [AckKind::Puback, AckKind::Pubrec] {
            let Some(waiting) = &mut self.waiting else {
                return;
            };
            let queue = waiting.queue(kind);
            if let Ok(at) = queue.binary_search_by_key(&ticket, |open| open.ticket) {
                queue[at].reason = Some(reason);
            }
            while let Some(open) = self.pop_answered(kind) {
                let acknowledgement = Acknowledgement {
                    kind,
                    packet_id: open.0,
                };
                self.write(acknowledgement, open.1, version, out);
            }
        }
        if self
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.len() == 0)
        {
            self.waiting = None;
        }
    }

    /// PUBREL: frees the id and answers PUBCOMP, 0x92 if the id is unknown [MQTT-4.3.3-11] or its
    /// PUBREC has not gone out. Whether it was in use.
    pub fn release(&mut self, packet_id: PacketId, version: Version, out: &mut Vec<u8>) -> bool {
        let reason = match self.received.iter().position(|id| *id == packet_id) {
            Some(at) if !self.waits_for_pubrec(packet_id) => {
                self.received.remove(at);
                if at < usize::from(self.resumed) {
                    self.resumed -= 1;
                }
                ReasonCode::Success
            }
            _ => ReasonCode::PacketIdentifierNotFound,
        };
        encode_ack(AckKind::Pubcomp, packet_id, reason, version, out);
        self.shrink();
        reason == ReasonCode::Success
    }

    /// PUBLISH packets of this connection that have no final acknowledgement.
    pub fn unfinished(&self) -> usize {
        self.received.len() - usize::from(self.resumed)
            + self
                .waiting
                .as_ref()
                .map_or(0, |waiting| waiting.pubacks.len())
    }

    /// Postponed answers that have not come.
    pub fn waiting(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.len())
    }

    /// QoS 2 packet ids between PUBLISH and PUBREL, oldest first: what outlives a connection.
    ///
    /// A PUBLISH without answer is forgotten, as is one refused: its sender did not get PUBREC, so
    /// it sends it again. One whose success only waited for its turn is remembered: it was taken.
    pub fn into_received(mut self) -> VecDeque<PacketId> {
        if let Some(waiting) = self.waiting.take() {
            let taken = |open: &Open| open.reason.is_some_and(|reason| !reason.is_error());
            self.received.retain(|id| {
                let open = waiting.pubrecs.iter().find(|open| open.packet_id == *id);
                open.is_none_or(taken)
            });
        }
        self.received
    }

    /// Continues with what an earlier connection of the session received.
    pub fn resume(received: VecDeque<PacketId>) -> Self {
        Inbound {
            resumed: u16::try_from(received.len()).unwrap_or(u16::MAX),
            received,
            waiting: None,
        }
    }

    fn write(
        &mut self,
        Acknowledgement { kind, packet_id }: Acknowledgement,
        reason: ReasonCode,
        version: Version,
        out: &mut Vec<u8>,
    ) {
        if kind == AckKind::Pubrec && reason.is_error() && version.has_reason_codes() {
            self.received.retain(|id| *id != packet_id);
            self.shrink();
        }
        encode_ack(kind, packet_id, reason, version, out);
    }

    fn pop_answered(&mut self, kind: AckKind) -> Option<(PacketId, ReasonCode)> {
        let queue = self.waiting.as_mut()?.queue(kind);
        let reason = queue.front()?.reason?;
        let open = queue.pop_front()?;
        Some((open.packet_id, reason))
    }

    fn waits_for_pubrec(&self, packet_id: PacketId) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| {
            waiting
                .pubrecs
                .iter()
                .any(|open| open.packet_id == packet_id)
        })
    }

    fn shrink(&mut self) {
        if self.received.is_empty() && self.received.capacity() > 64 {
            self.received = VecDeque::new();
        }
    }
}

impl Waiting {
    fn queue(&mut self, kind: AckKind) -> &mut VecDeque<Open> {
        match kind {
            AckKind::Puback => &mut self.pubacks,
            _ => &mut self.pubrecs,
        }
    }

    fn len(&self) -> usize {
        self.pubacks.len() + self.pubrecs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V5: Version = Version::Mqtt5;

    fn id(n: u16) -> PacketId {
        PacketId::new(n).unwrap()
    }

    fn new(inbound: &mut Inbound, kind: AckKind, n: u16) -> Acknowledgement {
        match inbound.publish(kind, id(n), 10, V5, &mut Vec::new()) {
            Ok(Received::New(acknowledgement)) => acknowledgement,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mqtt_4_6_0_2_pubacks_keep_the_order_of_their_publishes() {
        let (mut inbound, mut out) = (Inbound::default(), Vec::new());
        let first = new(&mut inbound, AckKind::Puback, 1);
        let first = inbound.postpone(first);
        let second = new(&mut inbound, AckKind::Puback, 2);
        inbound.acknowledge(second, ReasonCode::Success, V5, &mut out);
        assert!(out.is_empty());
        inbound.settle(first, ReasonCode::Success, V5, &mut out);
        assert_eq!(out, [0x40, 2, 0, 1, 0x40, 2, 0, 2]);
        assert_eq!(inbound.unfinished(), 0);
    }

    #[test]
    fn mqtt_4_3_3_10_a_duplicate_is_answered_and_not_delivered() {
        let (mut inbound, mut out) = (Inbound::default(), Vec::new());
        let first = new(&mut inbound, AckKind::Pubrec, 1);
        inbound.acknowledge(first, ReasonCode::Success, V5, &mut out);
        let again = inbound.publish(AckKind::Pubrec, id(1), 10, V5, &mut out);
        assert_eq!(again, Ok(Received::Duplicate));
        assert_eq!(out, [0x50, 2, 0, 1, 0x50, 2, 0, 1]);
        inbound.release(id(1), V5, &mut out);
        new(&mut inbound, AckKind::Pubrec, 1).packet_id.get();
    }

    #[test]
    fn mqtt_4_3_3_9_a_pubrec_with_an_error_frees_the_id() {
        let (mut inbound, mut out) = (Inbound::default(), Vec::new());
        let first = new(&mut inbound, AckKind::Pubrec, 1);
        inbound.acknowledge(first, ReasonCode::NotAuthorized, V5, &mut out);
        assert_eq!(inbound.unfinished(), 0);
        assert_eq!(out, [0x50, 3, 0, 1, 0x87]);
    }

    #[test]
    fn mqtt_3_3_4_7_one_more_than_receive_maximum_is_refused() {
        let mut inbound = Inbound::default();
        for n in 1..=10 {
            let acknowledgement = new(&mut inbound, AckKind::Pubrec, n);
            inbound.acknowledge(acknowledgement, ReasonCode::Success, V5, &mut Vec::new());
        }
        let over = inbound.publish(AckKind::Pubrec, id(11), 10, V5, &mut Vec::new());
        assert_eq!(over.unwrap_err().reason, ReasonCode::ReceiveMaximumExceeded);
    }

    #[test]
    fn a_burst_is_forgotten_with_its_last_release() {
        let (mut inbound, mut out) = (Inbound::default(), Vec::new());
        for n in 1..=100 {
            let received = inbound.publish(AckKind::Pubrec, id(n), 100, V5, &mut out);
            assert!(matches!(received, Ok(Received::New(_))));
        }
        for n in 1..=100 {
            assert_eq!(inbound.unfinished(), usize::from(101 - n));
            inbound.release(id(n), V5, &mut out);
        }
        assert_eq!((inbound.unfinished(), inbound.received.capacity()), (0, 0));
    }

    #[test]
    fn an_open_qos_2_publish_does_not_outlive_the_connection() {
        let mut inbound = Inbound::default();
        let answered = new(&mut inbound, AckKind::Pubrec, 1);
        inbound.acknowledge(answered, ReasonCode::Success, V5, &mut Vec::new());
        let open = new(&mut inbound, AckKind::Pubrec, 2);
        let _ = inbound.postpone(open);
        assert_eq!(inbound.into_received(), [id(1)]);
    }

    #[test]
    fn a_publish_taken_behind_an_open_one_outlives_the_connection() {
        let mut inbound = Inbound::default();
        let mut open = || {
            let next = 1 + inbound.unfinished() as u16;
            let acknowledgement = new(&mut inbound, AckKind::Pubrec, next);
            inbound.postpone(acknowledgement)
        };
        let (_first, second, third) = (open(), open(), open());
        let mut out = Vec::new();
        inbound.settle(second, ReasonCode::Success, V5, &mut out);
        inbound.settle(third, ReasonCode::QuotaExceeded, V5, &mut out);
        assert!(out.is_empty());
        assert_eq!(inbound.into_received(), [id(2)]);
    }

    #[test]
    fn mqtt_4_9_ids_of_an_earlier_connection_take_no_room() {
        let (mut inbound, mut out) = (Inbound::resume([id(1), id(2)].into()), Vec::new());
        let publish = |inbound: &mut Inbound, n| {
            inbound.publish(AckKind::Pubrec, id(n), 1, V5, &mut Vec::new())
        };
        assert!(publish(&mut inbound, 3).is_ok());
        assert!(publish(&mut inbound, 4).is_err());
        inbound.release(id(2), V5, &mut out);
        assert!(publish(&mut inbound, 4).is_err());
        inbound.release(id(3), V5, &mut out);
        assert!(publish(&mut inbound, 4).is_ok());
        assert_eq!(inbound.into_received(), [id(1), id(4)]);
    }

    #[test]
    fn a_pubrel_before_its_pubrec_releases_nothing() {
        let (mut inbound, mut out) = (Inbound::default(), Vec::new());
        let open = new(&mut inbound, AckKind::Pubrec, 1);
        let ticket = inbound.postpone(open);
        inbound.release(id(1), V5, &mut out);
        assert_eq!(out, [0x70, 3, 0, 1, 0x92]);
        assert_eq!(inbound.unfinished(), 1);
        inbound.settle(ticket, ReasonCode::Success, V5, &mut out);
        assert_eq!(out[5..], [0x50, 2, 0, 1]);
    }
}
