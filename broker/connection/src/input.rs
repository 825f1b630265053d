//! From the socket to packets: what a turn reads, and who keeps what is incomplete.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use dunlin_codec::{
    AckKind, Decoded, Packet, PacketId, Publish, ReasonCode, decode, decode_publish,
    decode_short_ack,
};
use dunlin_metrics::Counter;
use dunlin_net::{Ask, Stream};
use dunlin_session::Failure;
use dunlin_time::Now;
use dunlin_topic::TopicName;
use tokio::io::{AsyncRead, ReadBuf};

use crate::connection::{Connection, End};
use crate::crowd::may_overtake;

/// Reads in one turn; a layer below may give its bytes in small portions.
const READS: usize = 4;
/// How often a connection that ends is read as much as in a turn: 1 MiB, what a socket holds.
const LAST_READS: usize = 16;

impl Connection {
    /// Reads what has come, and handles every packet that is complete. Gives the number of bytes.
    pub fn read(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<usize, End> {
        let worker = self.worker.clone();
        let mut scratch = worker.input.borrow_mut();
        let mut total = 0;
        for _ in 0..READS {
            if self.reading_waits(now) {
                return Ok(total);
            }
            let count = match poll_read(&mut self.stream, context, &mut scratch) {
                Poll::Pending => return Ok(total),
                Poll::Ready(Ok(0)) => return self.unpark(now, out).and(Err(End::Closed)),
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => {
                    return self.unpark(now, out).and(Err(End::Broken(error)));
                }
            };
            worker.cells.add(Counter::BytesReceived, count as u64);
            self.charge_bytes(count, now);
            self.received(now, &scratch[..count], out)?;
            total += count;
            if total >= scratch.len() {
                break;
            }
        }
        // There may be more: after the others' turn.
        context.waker().wake_by_ref();
        Ok(total)
    }

    /// The same, with what the runtime has not heard of: before a decision against the client.
    pub fn read_unheard(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<usize, End> {
        self.stream.ask(Ask::Socket);
        let outcome = self.read(context, now, out);
        self.stream.ask(Ask::Runtime);
        outcome
    }

    /// Handles what a client sent before it came again on another connection: messages, perhaps
    /// a DISCONNECT. It may send on; this ends all the same.
    pub fn read_last(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        self.unpark(now, out)?;
        for _ in 0..LAST_READS {
            if self.read_unheard(context, now, out)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Handles what came in one piece with the CONNECT; nothing will announce it again.
    pub fn catch_up(&mut self) -> Result<(), End> {
        let bytes = std::mem::take(&mut self.partial);
        let mut out = Vec::new();
        let outcome = self.received(self.worker.now(), &bytes, &mut out);
        self.put_out(&out);
        self.worker.dispatch.borrow_mut().flush();
        outcome
    }

    /// Whether the client is not to be read for now, for a reason of ours.
    pub fn reading_waits(&mut self, now: Now) -> bool {
        self.unsent.pauses_reading()
            || self.holds_much()
            || self.crowd.as_ref().is_some_and(|crowd| crowd.is_full())
            || self.rate_blocks(now)
    }

    fn received(&mut self, now: Now, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), End> {
        if self.partial.is_empty() {
            let used = self.packets(now, bytes, out)?;
            self.partial.extend_from_slice(&bytes[used..]);
            return self.check_memory();
        }
        let mut partial = std::mem::take(&mut self.partial);
        partial.extend_from_slice(bytes);
        let used = self.packets(now, &partial, out)?;
        if used < partial.len() {
            partial.drain(..used);
            self.partial = partial;
        }
        self.check_memory()
    }

    fn check_memory(&self) -> Result<(), End> {
        Ok(self.worker.check_memory(self.partial.len())?)
    }

    /// Handles the complete packets at the front; how many bytes they took.
    pub fn packets(&mut self, now: Now, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, End> {
        let version = self.session.version();
        let maximum = self.session.terms().maximum_packet_size;
        let mut used = 0;
        let mut packets = 0;
        // Where this client was last allowed to publish, in these bytes: most stay with one topic.
        let mut known = None;
        let outcome = loop {
            // Nearly every packet is one; the general way moves the largest kind around.
            let known_text = known.map_or("", TopicName::as_str);
            match decode_publish(&bytes[used..], version, maximum, known_text) {
                Ok(Some((publish, length))) if self.crowd.is_none() => {
                    packets += 1;
                    used += length;
                    if let Err(end) = self.publish_packet(now, publish, &mut known, out) {
                        break Err(end);
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) => break Err(Failure::from(error).into()),
            }
            if let Some((kind, packet_id)) = decode_short_ack(&bytes[used..]) {
                packets += 1;
                used += AckKind::SHORT;
                if let Err(end) = self.short_ack(now, kind, packet_id, out) {
                    break Err(end);
                }
                continue;
            }
            match decode(&bytes[used..], version, maximum).map_err(Failure::from) {
                Ok(Decoded::Packet { packet, length }) => {
                    packets += 1;
                    let raw = &bytes[used..used + length];
                    used += length;
                    if let Err(end) = self.packet(now, packet, raw, out) {
                        break Err(end);
                    }
                }
                Ok(Decoded::Incomplete { .. }) => break Ok(used),
                Err(failure) => break Err(End::Failed(failure)),
            }
        };
        self.worker.cells.add(Counter::PacketsReceived, packets);
        outcome
    }

    fn publish_packet<'p>(
        &mut self,
        now: Now,
        publish: Publish<'p>,
        known: &mut Option<TopicName<'p>>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        match self.session.receive_publish(now, publish, *known, out)? {
            Some(incoming) => self.publish(now, incoming, known, out),
            None => Ok(()),
        }
    }

    /// Also while others of its packets wait: see [`may_overtake`].
    fn short_ack(
        &mut self,
        now: Now,
        kind: AckKind,
        packet_id: PacketId,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let reason = ReasonCode::Success;
        let progress = self
            .session
            .receive_ack(now, kind, packet_id, reason, out)?;
        self.progress(&progress);
        Ok(())
    }

    fn packet(
        &mut self,
        now: Now,
        packet: Packet<'_>,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        if let Some(crowd) = &mut self.crowd
            && !may_overtake(&packet)
        {
            crowd.park(raw);
            return Ok(());
        }
        let request = self.session.receive(now, packet, out)?;
        self.request(now, request, out)
    }
}

/// One read into `scratch`; zero is the end.
pub(crate) fn poll_read(
    stream: &mut Stream,
    context: &mut Context<'_>,
    scratch: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(scratch);
    Pin::new(stream)
        .poll_read(context, &mut buffer)
        .map_ok(|()| buffer.filled().len())
}
