use std::collections::VecDeque;

use dunlin_codec::{AckKind, PacketId, Qos, ReasonCode, Version, encode_ack};

use crate::channel::{Channel, Size, write};
use crate::{Delivery, Failure};

/// The sending half of QoS 1 and 2: packet ids, the peer's window, retransmission.
///
/// ```text
///  QoS 1   PUBLISH ─▶ AwaitPuback ──PUBACK──▶ gone
///  QoS 2   PUBLISH ─▶ AwaitPubrec ──PUBREC──▶ PUBREL ─▶ AwaitPubcomp ──PUBCOMP──▶ gone
///                          └─ PUBREC with an error ▶ gone
/// ```
///
/// Entries stand in the order in which they were first sent; the first `sent` of them were sent on
/// this connection, the others wait to be sent again [MQTT-4.4.0-1]. Never more than `window` are
/// sent and unfinished [MQTT-3.3.4-9].
#[derive(Debug, Default)]
pub struct Outbound {
    inflight: VecDeque<Inflight>,
    /// Entries sent on this connection: the front of `inflight`; at most `window`.
    sent: u16,
    window: u16,
    /// Memory of the messages in flight.
    bytes: u32,
    /// Packet ids given out so far; the next id follows from it.
    sequence: u64,
}

#[derive(Debug)]
struct Inflight {
    sequence: u64,
    /// What to send again; `None` once PUBREC came, when only PUBREL is.
    delivery: Option<Delivery>,
}

/// How a delivery went.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the output.
    Yes,
    /// Its expiry passed; it is dropped [MQTT-3.3.2-5].
    Expired,
    /// It exceeds the peer's Maximum Packet Size; it is dropped [MQTT-3.1.2-25].
    TooLarge,
}

impl Outbound {
    /// What a store kept of an earlier process: packet ids in the order in which they were given
    /// out, with the messages that the peer has not confirmed to have. An id that comes twice
    /// counts once.
    pub fn restore(unfinished: impl IntoIterator<Item = (PacketId, Option<Delivery>)>) -> Self {
        let mut outbound = Outbound::default();
        for (id, delivery) in unfinished {
            if outbound.find(id).is_some() {
                continue;
            }
            // The next sequence number that maps to this id.
            let behind = (u64::from(id.get()) + IDS - 1 - outbound.sequence % IDS) % IDS;
            outbound.sequence += behind + 1;
            outbound.bytes += delivery.as_ref().map_or(0, weight);
            let sequence = outbound.sequence;
            outbound.inflight.push_back(Inflight { sequence, delivery });
        }
        outbound
    }

    /// Begins a connection: everything unfinished will be sent again by
    /// [`Outbound::resend`], and never more than `window` at once.
    pub fn connect(&mut self, window: u16) {
        self.window = window;
        self.sent = 0;
    }

    /// How many deliveries of QoS 1 or 2 may be sent now; none while some of an earlier connection
    /// wait to be sent again, or while [`INFLIGHT_BYTES`] are in flight.
    pub fn room(&self) -> usize {
        let all_sent = usize::from(self.sent) == self.inflight.len();
        match all_sent && self.bytes < INFLIGHT_BYTES {
            true => usize::from(self.window.saturating_sub(self.sent)),
            false => 0,
        }
    }

    /// Messages sent and not finished, on this connection or an earlier one.
    pub fn unfinished(&self) -> usize {
        self.inflight.len()
    }

    /// Messages sent and not confirmed, oldest first.
    pub fn deliveries_mut(&mut self) -> impl Iterator<Item = &mut Delivery> {
        let entries = self.inflight.iter_mut();
        entries.filter_map(|entry| entry.delivery.as_mut())
    }

    /// Takes out what became too large for a new connection of the peer: it is dropped
    /// [MQTT-3.1.2-25].
    pub(crate) fn take_too_large(&mut self, channel: &Channel<'_>) -> Vec<(PacketId, Delivery)> {
        self.take_out(|delivery| Size::of(delivery, channel) == Size::TooLarge)
    }

    /// Takes out what is not to be sent again. PUBREL then frees the id of a QoS 2 message that the
    /// peer may hold.
    pub(crate) fn take_out(
        &mut self,
        mut goes: impl FnMut(&Delivery) -> bool,
    ) -> Vec<(PacketId, Delivery)> {
        let mut dropped = Vec::new();
        self.inflight.retain_mut(|entry| {
            let Some(delivery) = entry.delivery.take_if(|delivery| goes(delivery)) else {
                return true;
            };
            let stays = delivery.qos == Qos::ExactlyOnce;
            dropped.push((packet_id(entry.sequence), delivery));
            stays
        });
        self.bytes -= dropped.iter().map(|(_, gone)| weight(gone)).sum::<u32>();
        dropped
    }

    /// Sends again what an earlier connection left, as far as the window allows. Expiry does not
    /// apply: the peer may have seen it.
    pub fn resend(&mut self, mut channel: Channel<'_>, out: &mut Vec<u8>) {
        while self.sent < self.window && usize::from(self.sent) < self.inflight.len() {
            let entry = &self.inflight[usize::from(self.sent)];
            let packet_id = packet_id(entry.sequence);
            if let Some(delivery) = &entry.delivery {
                let size = Size::of(delivery, &channel);
                write(delivery, Some(packet_id), true, size, &mut channel, out);
            } else {
                let (kind, reason) = (AckKind::Pubrel, ReasonCode::Success);
                encode_ack(kind, packet_id, reason, channel.version, out);
            }
            self.sent += 1;
        }
    }

    /// Sends a delivery; one of QoS 1 or 2 only while there is [`Outbound::room`].
    pub fn send(
        &mut self,
        delivery: Delivery,
        mut channel: Channel<'_>,
        out: &mut Vec<u8>,
    ) -> Sent {
        if delivery
            .message
            .expires()
            .is_some_and(|at| at <= channel.wall)
        {
            return Sent::Expired;
        }
        let size = Size::of(&delivery, &channel);
        if size == Size::TooLarge {
            return Sent::TooLarge;
        }
        if delivery.qos == Qos::AtMostOnce {
            write(&delivery, None, false, size, &mut channel, out);
            return Sent::Yes;
        }
        let packet_id = self.reserve();
        let sequence = self.sequence;
        write(&delivery, Some(packet_id), false, size, &mut channel, out);
        self.sent += 1;
        self.bytes += weight(&delivery);
        self.inflight.push_back(Inflight {
            sequence,
            delivery: Some(delivery),
        });
        Sent::Yes
    }

    /// PUBACK. Gives back what it finishes; `None` for an id that is not in use, which a peer may
    /// send after a reconnect.
    ///
    /// # Errors
    /// The id belongs to a QoS 2 message.
    pub fn puback(&mut self, packet_id: PacketId) -> Result<Option<Delivery>, Failure> {
        let Some(at) = self.find(packet_id) else {
            return Ok(None);
        };
        match &self.inflight[at].delivery {
            Some(delivery) if delivery.qos == Qos::AtLeastOnce => Ok(self.finish(at)),
            _ => Err(Failure::protocol(
                "PUBACK for a QoS 2 message [MQTT-4.3.2-3]",
            )),
        }
    }

    /// PUBREC: answers PUBREL, or ends the flow if the peer refused the message. Gives back the
    /// message that the peer now owns or refused.
    ///
    /// # Errors
    /// The id belongs to a QoS 1 message.
    pub fn pubrec(
        &mut self,
        packet_id: PacketId,
        reason: ReasonCode,
        version: Version,
        out: &mut Vec<u8>,
    ) -> Result<Option<Delivery>, Failure> {
        let Some(at) = self.find(packet_id) else {
            // An error ends a flow, known or not: only below 0x80 is PUBREL due [MQTT-4.3.3-4].
            if !reason.is_error() {
                let unknown = ReasonCode::PacketIdentifierNotFound;
                encode_ack(AckKind::Pubrel, packet_id, unknown, version, out);
            }
            return Ok(None);
        };
        let entry = &mut self.inflight[at];
        if matches!(&entry.delivery, Some(delivery) if delivery.qos != Qos::ExactlyOnce) {
            return Err(Failure::protocol(
                "PUBREC for a QoS 1 message [MQTT-4.3.3-4]",
            ));
        }
        if reason.is_error() {
            return Ok(self.finish(at));
        }
        encode_ack(
            AckKind::Pubrel,
            packet_id,
            ReasonCode::Success,
            version,
            out,
        );
        let taken = entry.delivery.take();
        self.bytes -= taken.as_ref().map_or(0, weight);
        Ok(taken)
    }

    /// PUBCOMP: the id is free again. One for an id not in use is ignored.
    ///
    /// # Errors
    /// No PUBREC came for this message.
    pub fn pubcomp(&mut self, packet_id: PacketId) -> Result<(), Failure> {
        let Some(at) = self.find(packet_id) else {
            return Ok(());
        };
        if self.inflight[at].delivery.is_some() {
            return Err(Failure::protocol("PUBCOMP before PUBREC [MQTT-4.3.3-4]"));
        }
        self.finish(at);
        Ok(())
    }

    /// Takes out the messages that no PUBACK came for and that came by a shared subscription: the
    /// session ends and another member gets them. QoS 2 messages stay [MQTT-4.8.2-5].
    pub fn take_shared(&mut self) -> Vec<Delivery> {
        let moves = |entry: &Inflight| {
            matches!(&entry.delivery, Some(delivery)
                if delivery.shared.is_some() && delivery.qos == Qos::AtLeastOnce)
        };
        let (moved, kept) = std::mem::take(&mut self.inflight)
            .into_iter()
            .partition::<VecDeque<_>, _>(moves);
        self.inflight = kept;
        let kept = self.inflight.iter();
        self.bytes = kept
            .filter_map(|entry| entry.delivery.as_ref().map(weight))
            .sum();
        self.sent = self
            .sent
            .min(u16::try_from(self.inflight.len()).unwrap_or(u16::MAX));
        moved
            .into_iter()
            .filter_map(|entry| entry.delivery)
            .collect()
    }

    fn finish(&mut self, at: usize) -> Option<Delivery> {
        let entry = match at {
            0 => self.inflight.pop_front()?,
            _ => self.inflight.remove(at)?,
        };
        self.bytes -= entry.delivery.as_ref().map_or(0, weight);
        if at < usize::from(self.sent) {
            self.sent -= 1;
        }
        if self.inflight.is_empty() && self.inflight.capacity() > 64 {
            self.inflight = VecDeque::new();
        }
        entry.delivery
    }

    /// Where the entry with this id is. Entries are sorted by sequence and an id is given out only
    /// when free, so of the sequences that map to an id at most one is in flight.
    fn find(&self, id: PacketId) -> Option<usize> {
        if self.inflight.front().map(|entry| packet_id(entry.sequence)) == Some(id) {
            return Some(0);
        }
        let (first, last) = (self.inflight.front()?.sequence, self.sequence);
        let behind = (last + IDS - u64::from(id.get())) % IDS;
        let mut sequence = last.checked_sub(behind)?;
        // Most peers acknowledge in order: then nothing is missing in between.
        let dense = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
        if self.inflight.get(dense).map(|entry| entry.sequence) == Some(sequence) {
            return Some(dense);
        }
        while sequence >= first {
            let at = self
                .inflight
                .binary_search_by_key(&sequence, |entry| entry.sequence);
            if let Ok(at) = at {
                return Some(at);
            }
            sequence = sequence.checked_sub(IDS)?;
        }
        None
    }

    /// The packet id that the next message gets.
    pub(crate) fn next_packet_id(&self) -> PacketId {
        packet_id(self.free_sequence())
    }

    /// The packet id that was given out last.
    pub(crate) fn last_packet_id(&self) -> PacketId {
        packet_id(self.sequence.max(1))
    }

    /// Uses up the next packet id.
    pub(crate) fn reserve(&mut self) -> PacketId {
        self.sequence = self.free_sequence();
        packet_id(self.sequence)
    }

    /// The messages that the peer may not have taken, in the order in which they were sent.
    pub(crate) fn into_deliveries(self) -> impl Iterator<Item = Delivery> {
        self.inflight.into_iter().filter_map(|entry| entry.delivery)
    }

    /// The next sequence number whose packet id is free. There is one: the window is smaller than
    /// the number of ids.
    fn free_sequence(&self) -> u64 {
        let oldest = self
            .inflight
            .front()
            .map_or(u64::MAX, |entry| entry.sequence);
        let mut sequence = self.sequence + 1;
        while sequence.saturating_sub(oldest) >= IDS && self.find_other(sequence).is_some() {
            sequence += 1;
        }
        sequence
    }

    fn find_other(&self, sequence: u64) -> Option<usize> {
        self.inflight
            .iter()
            .position(|entry| packet_id(entry.sequence) == packet_id(sequence))
    }
}

/// Memory of the messages in flight to one peer above which no more are sent, however large its
/// window: what it does not acknowledge stays in memory.
const INFLIGHT_BYTES: u32 = 4 * 1024 * 1024;

fn weight(delivery: &Delivery) -> u32 {
    // A packet has at most 2^28 bytes.
    u32::try_from(delivery.message.memory()).unwrap_or(u32::MAX)
}

/// Packet ids that exist: 1 to 65,535.
const IDS: u64 = 65_535;

fn packet_id(sequence: u64) -> PacketId {
    // (n - 1) % 65,535 + 1 is in 1..=65,535; sequences begin at 1.
    PacketId::new(((sequence - 1) % IDS + 1) as u16).unwrap_or(PacketId::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroU32};

    use dunlin_time::Wall;
    use triomphe::ThinArc;

    use super::*;
    use crate::alias::OutgoingAliases;
    use crate::{Identifiers, Message, MessageParts};

    fn delivery(qos: Qos, payload: &[u8]) -> Delivery {
        let parts = MessageParts {
            publisher: 0,
            qos,
            retain: false,
            expires: None,
            topic: "t",
            forwarded: &[],
            payload,
        };
        Delivery {
            message: Message::new(parts, &mut Vec::new()),
            identifiers: Identifiers::None,
            shared: None,
            qos,
            retain: false,
            unchecked: false,
            stored: false,
        }
    }

    fn channel() -> Channel<'static> {
        Channel {
            version: Version::Mqtt311,
            maximum_packet_size: 100,
            aliases: None,
            wall: Wall(0),
            mount_point: 0,
        }
    }

    fn channel_5(maximum_packet_size: u32, aliases: Option<&mut OutgoingAliases>) -> Channel<'_> {
        Channel {
            version: Version::Mqtt5,
            maximum_packet_size,
            aliases,
            ..channel()
        }
    }

    fn id(n: u16) -> PacketId {
        NonZeroU16::new(n).unwrap()
    }

    fn connected(window: u16) -> Outbound {
        let mut outbound = Outbound::default();
        outbound.connect(window);
        outbound
    }

    #[test]
    fn mqtt_3_3_4_9_the_window_bounds_what_is_unfinished() {
        let mut outbound = connected(2);
        let mut out = Vec::new();
        for _ in 0..2 {
            assert!(outbound.room() > 0);
            outbound.send(delivery(Qos::AtLeastOnce, b""), channel(), &mut out);
        }
        assert!(outbound.room() == 0);
        assert!(outbound.puback(id(2)).unwrap().is_some());
        assert!(outbound.room() > 0);
    }

    #[test]
    fn mqtt_4_4_0_1_unfinished_messages_are_sent_again_in_order() {
        let mut outbound = connected(10);
        let mut out = Vec::new();
        outbound.send(delivery(Qos::AtLeastOnce, b"1"), channel(), &mut out);
        outbound.send(delivery(Qos::ExactlyOnce, b"2"), channel(), &mut out);
        outbound
            .pubrec(id(2), ReasonCode::Success, Version::Mqtt311, &mut out)
            .unwrap();
        out.clear();
        outbound.connect(1);
        outbound.resend(channel(), &mut out);
        assert_eq!(out, [0x3a, 6, 0, 1, b't', 0, 1, b'1']);
        assert!(outbound.room() == 0);
        out.clear();
        outbound.puback(id(1)).unwrap();
        outbound.resend(channel(), &mut out);
        assert_eq!(out, [0x62, 2, 0, 2]);
        outbound.pubcomp(id(2)).unwrap();
        assert!(outbound.room() > 0);
    }

    #[test]
    fn an_answer_to_what_was_not_sent_again_takes_no_place_in_the_window() {
        let mut outbound = connected(10);
        let mut out = Vec::new();
        for payload in [b"1", b"2", b"3"] {
            outbound.send(delivery(Qos::AtLeastOnce, payload), channel(), &mut out);
        }
        outbound.connect(1);
        outbound.resend(channel(), &mut out);
        out.clear();
        assert!(outbound.puback(id(2)).unwrap().is_some());
        outbound.resend(channel(), &mut out);
        assert_eq!(out, b"");
        assert!(outbound.puback(id(1)).unwrap().is_some());
        outbound.resend(channel(), &mut out);
        assert_eq!(out, [0x3a, 6, 0, 1, b't', 0, 3, b'3']);
    }

    #[test]
    fn a_burst_is_forgotten_with_its_last_acknowledgement() {
        let mut outbound = connected(100);
        for _ in 0..100 {
            outbound.send(delivery(Qos::AtLeastOnce, b""), channel(), &mut Vec::new());
        }
        for n in 1..=100 {
            assert_eq!(outbound.unfinished(), usize::from(101 - n));
            assert!(outbound.puback(id(n)).unwrap().is_some());
        }
        assert_eq!(
            (outbound.unfinished(), outbound.inflight.capacity()),
            (0, 0)
        );
    }

    #[test]
    fn mqtt_2_2_1_4_an_id_in_use_is_not_given_out_again() {
        let mut outbound = connected(10);
        let mut out = Vec::new();
        outbound.send(delivery(Qos::AtLeastOnce, b"held"), channel(), &mut out);
        for n in 2..=65_535 {
            outbound.send(delivery(Qos::AtLeastOnce, b""), channel(), &mut out);
            assert!(outbound.puback(id(n)).unwrap().is_some(), "{n}");
        }
        outbound.send(delivery(Qos::AtLeastOnce, b"next"), channel(), &mut out);
        assert!(outbound.puback(id(2)).unwrap().is_some());
        assert_eq!(
            outbound.puback(id(1)).unwrap().unwrap().message.payload(),
            b"held"
        );
    }

    #[test]
    fn mqtt_3_1_2_25_a_message_too_large_for_the_peer_is_dropped() {
        let mut outbound = connected(10);
        let sent = outbound.send(
            delivery(Qos::AtLeastOnce, &[0; 100]),
            channel(),
            &mut Vec::new(),
        );
        assert_eq!(sent, Sent::TooLarge);
        assert_eq!(outbound.unfinished(), 0);
    }

    #[test]
    fn mqtt_3_1_2_24_an_alias_is_left_out_where_it_would_exceed_the_maximum() {
        let (mut outbound, mut out) = (connected(10), Vec::new());
        let mut aliases = OutgoingAliases::new(1).unwrap();
        for _ in 0..3 {
            let channel = channel_5(8, Some(&mut aliases));
            out.clear();
            let sent = outbound.send(delivery(Qos::AtLeastOnce, b"1"), channel, &mut out);
            assert_eq!((sent, out.len()), (Sent::TooLarge, 0));
            let channel = channel_5(9, Some(&mut aliases));
            let sent = outbound.send(delivery(Qos::AtLeastOnce, b"1"), channel, &mut out);
            assert_eq!((sent, out.len()), (Sent::Yes, 9));
        }
    }

    #[test]
    fn mqtt_3_1_2_24_no_packet_exceeds_the_maximum_and_none_that_fits_is_dropped() {
        let most = NonZeroU32::new(268_435_455).unwrap();
        let longest = Identifiers::Many(ThinArc::from_header_and_slice((), &[most; 9]));
        let delivery = Delivery {
            identifiers: longest,
            ..delivery(Qos::AtMostOnce, b"0123456789")
        };
        let mut plain = Vec::new();
        connected(10).send(delivery.clone(), channel_5(u32::MAX, None), &mut plain);
        for maximum in 1..200 {
            let mut aliases = OutgoingAliases::new(1).unwrap();
            for _ in 0..3 {
                let (mut outbound, mut out) = (connected(10), Vec::new());
                let channel = channel_5(maximum, Some(&mut aliases));
                let sent = outbound.send(delivery.clone(), channel, &mut out);
                let fits = plain.len() <= maximum as usize;
                assert_eq!(sent == Sent::Yes, fits, "{maximum}");
                assert!(out.len() <= maximum as usize, "{maximum}");
            }
        }
    }

    #[test]
    fn an_alias_saves_the_topic_where_there_is_room_for_both() {
        let (mut outbound, mut aliases) = (connected(10), OutgoingAliases::new(1).unwrap());
        let lengths = [(); 3].map(|()| {
            let mut out = Vec::new();
            let channel = channel_5(100, Some(&mut aliases));
            outbound.send(delivery(Qos::AtMostOnce, b"0123456789"), channel, &mut out);
            out.len()
        });
        assert_eq!(lengths, [19, 18, 18]);
    }

    #[test]
    fn mqtt_4_8_2_5_shared_qos_1_messages_move_on_and_qos_2_ones_stay() {
        let (mut outbound, mut out) = (connected(10), Vec::new());
        let shared = |qos, payload| Delivery {
            shared: NonZeroU32::new(7),
            ..delivery(qos, payload)
        };
        outbound.send(shared(Qos::AtLeastOnce, b"1"), channel(), &mut out);
        outbound.send(shared(Qos::ExactlyOnce, b"two"), channel(), &mut out);
        outbound.send(delivery(Qos::AtLeastOnce, b"three"), channel(), &mut out);
        let moved = outbound.take_shared();
        let payloads: Vec<_> = moved.iter().map(|moved| moved.message.payload()).collect();
        assert_eq!(payloads, [b"1"]);
        assert_eq!((outbound.unfinished(), outbound.room()), (2, 8));
        outbound.connect(10);
        out.clear();
        outbound.resend(channel(), &mut out);
        let (two, three) = (
            b"\x3C\x08\x00\x01t\x00\x02two",
            b"\x3A\x0A\x00\x01t\x00\x03three",
        );
        assert_eq!(out, [&two[..], three].concat());
        assert!(
            outbound
                .pubrec(id(2), ReasonCode::QuotaExceeded, Version::Mqtt5, &mut out)
                .is_ok()
        );
        assert!(outbound.puback(id(3)).is_ok());
        assert_eq!((outbound.unfinished(), outbound.bytes), (0, 0));
    }

    #[test]
    fn mqtt_3_1_2_25_a_message_that_became_too_large_is_not_sent_again() {
        let (mut outbound, mut out) = (connected(10), Vec::new());
        for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce, Qos::AtLeastOnce] {
            let payload = [0; 10];
            let payload = &payload[..if outbound.unfinished() < 2 { 10 } else { 1 }];
            outbound.send(delivery(qos, payload), channel(), &mut out);
        }
        out.clear();
        outbound.connect(10);
        let channel = Channel {
            maximum_packet_size: 10,
            ..channel()
        };
        let dropped = outbound.take_too_large(&channel);
        assert_eq!(
            dropped.iter().map(|(id, _)| id.get()).collect::<Vec<_>>(),
            [1, 2]
        );
        outbound.resend(channel, &mut out);
        assert_eq!(out[..4], [0x62, 2, 0, 2]);
        assert_eq!(out[4..], [0x3a, 6, 0, 1, b't', 0, 3, 0]);
        assert_eq!(outbound.unfinished(), 2);
        assert_eq!(outbound.bytes, weight(&delivery(Qos::AtLeastOnce, &[0])));
    }

    #[test]
    fn mqtt_4_4_0_1_what_an_earlier_process_left_goes_on_under_its_ids() {
        let restored = [
            (65_535, Some(b"a")),
            (2, None),
            (2, Some(b"b")),
            (7, Some(b"c")),
        ];
        let mut outbound = Outbound::restore(restored.map(|(number, payload)| {
            let payload = payload.map(|payload| delivery(Qos::ExactlyOnce, payload));
            (id(number), payload)
        }));
        let mut out = Vec::new();
        outbound.connect(10);
        outbound.resend(channel(), &mut out);
        let first = [0x3c, 6, 0, 1, b't', 0xff, 0xff, b'a'];
        let last = [0x3c, 6, 0, 1, b't', 0, 7, b'c'];
        assert_eq!(out, [&first[..], &[0x62, 2, 0, 2], &last].concat());
        outbound.send(delivery(Qos::ExactlyOnce, b"d"), channel(), &mut out);
        assert_eq!(outbound.last_packet_id(), id(8));
        assert!(outbound.pubcomp(id(2)).is_ok());
        assert_eq!(outbound.unfinished(), 3);
    }

    #[test]
    fn messages_in_flight_are_bounded_in_bytes() {
        let mut outbound = connected(10);
        let mut out = Vec::new();
        let mebibyte = vec![0; 1024 * 1024];
        for room in [10, 9, 8, 7] {
            assert_eq!(outbound.room(), room);
            let channel = Channel {
                maximum_packet_size: u32::MAX,
                ..channel()
            };
            outbound.send(delivery(Qos::ExactlyOnce, &mebibyte), channel, &mut out);
        }
        assert_eq!(outbound.room(), 0);
        let version = Version::Mqtt311;
        for n in 1..=4 {
            outbound
                .pubrec(id(n), ReasonCode::Success, version, &mut out)
                .unwrap();
            assert_eq!(outbound.room(), 6);
        }
        (1..=4).for_each(|n| outbound.pubcomp(id(n)).unwrap());
        assert_eq!((outbound.room(), outbound.bytes), (10, 0));
        let around = weight(&delivery(Qos::AtLeastOnce, b""));
        let exact = vec![0; (INFLIGHT_BYTES - around) as usize];
        let channel = Channel {
            maximum_packet_size: u32::MAX,
            ..channel()
        };
        outbound.send(delivery(Qos::AtLeastOnce, &exact), channel, &mut out);
        assert_eq!(outbound.room(), 0);
    }

    #[test]
    fn acknowledgements_of_the_wrong_kind_are_refused() {
        let mut outbound = connected(10);
        let mut out = Vec::new();
        outbound.send(delivery(Qos::AtLeastOnce, b""), channel(), &mut out);
        outbound.send(delivery(Qos::ExactlyOnce, b""), channel(), &mut out);
        let version = Version::Mqtt5;
        assert!(
            outbound
                .pubrec(id(1), ReasonCode::Success, version, &mut out)
                .is_err()
        );
        assert!(outbound.puback(id(2)).is_err());
        assert!(outbound.pubcomp(id(2)).is_err());
        assert!(outbound.puback(id(9)).unwrap().is_none());
    }
}
