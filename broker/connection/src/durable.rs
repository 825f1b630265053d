//! What a client is told is true after a crash, too: output waits until the changes behind it are
//! committed.
//!
//! ```text
//!  turn ─▶ record(change) ─▶ commit n      out: ... PUBACK
//!                             │                    │ behind n
//!  store: fdatasync ─▶ n ─────┴──▶ wake ─▶ socket ◀┘
//! ```
//!
//! Whatever a turn writes waits for what the turn recorded, and later output waits behind it: a
//! connection has one order. Sessions that are not stored record nothing and wait for nothing.

use std::collections::VecDeque;
use std::task::Context;

use dunlin_codec::{PacketId, Qos};
use dunlin_metrics::Counter;
use dunlin_router::ports::{Change, Commit, Urgency};
use dunlin_session::{Delivery, Finished, Progress, Sent};

use crate::connection::Connection;

/// Output that is not yet true, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// What each part waits for, and how long it is.
    parts: VecDeque<(Commit, usize)>,
    bytes: VecDeque<u8>,
    /// The commit that will wake the connection.
    asked: Commit,
}

/// Bytes held above which a connection neither reads nor delivers more.
const HELD_MAX: usize = 256 * 1024;

impl Held {
    pub fn is_full(&self) -> bool {
        self.bytes.len() > HELD_MAX
    }

    fn push(&mut self, commit: Commit, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.parts.push_back((commit, bytes.len()));
        self.bytes.extend(bytes);
    }

    /// Moves what is true by now to `out`; what the rest waits for.
    fn release(&mut self, committed: Commit, out: &mut Vec<u8>) -> Option<Commit> {
        while let Some(&(commit, length)) = self.parts.front() {
            if commit > committed {
                return Some(commit);
            }
            self.parts.pop_front();
            out.extend(self.bytes.drain(..length));
        }
        None
    }
}

impl Connection {
    /// What this turn writes waits for `commit`.
    pub fn hold(&mut self, commit: Commit) {
        self.hold = self.hold.max(commit);
    }

    /// Takes `out` if it has to wait, and gives what need not wait any more in its place.
    pub fn hold_back(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) {
        if self.held.is_none() && self.hold == Commit::default() {
            return;
        }
        self.keep_back(out);
        out.clear();
        let Some(held) = &mut self.held else {
            return;
        };
        let router = &self.worker.router;
        let was_full = held.is_full();
        while let Some(next) = held.release(router.committed(), out) {
            if held.asked == next || router.wake_at(next, context.waker()) {
                held.asked = next;
                break;
            }
        }
        if was_full && !held.is_full() {
            context.waker().wake_by_ref();
        }
        if held.parts.is_empty() {
            self.held = None;
        }
    }

    /// Puts output behind what waits.
    fn keep_back(&mut self, out: &[u8]) {
        let commit = std::mem::take(&mut self.hold);
        self.held.get_or_insert_default().push(commit, out);
    }

    /// Output outside of a turn.
    pub fn put_out(&mut self, out: &[u8]) {
        if self.held.is_none() && self.hold == Commit::default() {
            self.unsent.push(out);
        } else {
            self.keep_back(out);
        }
    }

    /// The connection ends: what is true by now may still be said, the rest never is.
    pub fn release_last(&mut self) {
        if let Some(mut held) = self.held.take() {
            let mut out = Vec::new();
            held.release(self.worker.router.committed(), &mut out);
            self.unsent.push(&out);
        }
    }

    /// Whether so much waits that no more should be read or delivered.
    pub fn holds_much(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_full())
    }

    /// A delivery was sent, or not.
    pub fn record_sent(&mut self, sent: &Sent, delivery: &Delivery) {
        let session = self.subscriber.number;
        if *sent != Sent::Yes || delivery.qos == Qos::AtMostOnce {
            return self.record(Change::Removed { session, delivery }, Urgency::Later);
        }
        let change = Change::Sent {
            session,
            delivery,
            packet_id: self.session.last_packet_id(),
        };
        // At QoS 1 the id serves to send the message again under it; at QoS 2 all depends on it.
        let urgency = match delivery.qos {
            Qos::ExactlyOnce => Urgency::Now,
            _ => Urgency::Later,
        };
        self.record(change, urgency);
    }

    /// A delivery is not to be sent.
    pub fn record_dropped(&mut self, delivery: &Delivery) {
        let session = self.subscriber.number;
        if delivery.stored {
            self.record(Change::Removed { session, delivery }, Urgency::Later);
        }
    }

    /// Messages that are not sent again, and what counts them.
    pub fn drop_unfinished(&mut self, dropped: Vec<(PacketId, Delivery)>, cause: Counter) {
        for (packet_id, delivery) in dropped {
            self.worker.cells.add(cause, 1);
            let released = delivery.qos == Qos::ExactlyOnce;
            self.finished(&Finished {
                delivery,
                packet_id,
                released,
            });
        }
    }

    /// An acknowledgement came.
    pub fn progress(&mut self, progress: &Progress) {
        match progress {
            Progress::Nothing => {}
            Progress::Finished(finished) => self.finished(finished),
            Progress::Completed(packet_id) => self.completed(*packet_id),
            Progress::Released(packet_id) => self.released(*packet_id),
        }
    }

    /// A message is the client's now, or was refused.
    fn finished(&mut self, finished: &Finished) {
        let session = self.subscriber.number;
        let packet_id = finished.packet_id;
        if !finished.delivery.stored {
            return;
        }
        if finished.released {
            // PUBREL goes out: the message must not come again.
            return self.record(Change::Taken { session, packet_id }, Urgency::Now);
        }
        self.record_dropped(&finished.delivery);
    }

    /// PUBCOMP came.
    fn completed(&mut self, packet_id: PacketId) {
        let session = self.subscriber.number;
        if self.subscriber.is_stored() {
            self.record(Change::Completed { session, packet_id }, Urgency::Later);
        }
    }

    /// PUBREL came.
    fn released(&mut self, packet_id: PacketId) {
        let session = self.subscriber.number;
        if self.subscriber.is_stored() {
            self.record(Change::Released { session, packet_id }, Urgency::Now);
        }
    }

    fn record(&mut self, change: Change<'_>, urgency: Urgency) {
        let commit = self.worker.router.record(&[change], urgency);
        if urgency == Urgency::Now {
            self.hold(commit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_in_order_as_they_are_committed() {
        let mut held = Held::default();
        held.push(Commit(3), b"ab");
        held.push(Commit(0), b"c");
        held.push(Commit(5), b"d");
        let mut out = Vec::new();
        assert_eq!(held.release(Commit(2), &mut out), Some(Commit(3)));
        assert_eq!(held.release(Commit(3), &mut out), Some(Commit(5)));
        assert_eq!(out, b"abc");
        assert_eq!(held.release(Commit(9), &mut out), None);
        assert_eq!(out, b"abcd");
    }
}
