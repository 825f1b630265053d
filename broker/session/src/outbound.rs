//! The sending half of a connection, the same for both roles.

mod packet_ids;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use dunlin_codec::{AckKind, PacketId, Qos, ReasonCode, Version, encode_ack};

use crate::channel::{Channel, Size, write};
use crate::{Delivery, Failure};
use packet_ids::{IDS, packet_id};

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
    /// wait to be sent again, or while 4 MiB are in flight.
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

    /// The messages that the peer may not have taken, in the order in which they were sent.
    pub(crate) fn into_deliveries(self) -> impl Iterator<Item = Delivery> {
        self.inflight.into_iter().filter_map(|entry| entry.delivery)
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
}

/// Memory of the messages in flight to one peer above which no more are sent, however large its
/// window: what it does not acknowledge stays in memory.
const INFLIGHT_BYTES: u32 = 4 * 1024 * 1024;

fn weight(delivery: &Delivery) -> u32 {
    // A packet has at most 2^28 bytes.
    u32::try_from(delivery.message.memory()).unwrap_or(u32::MAX)
}
