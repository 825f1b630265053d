//! Steps to bytes.

use dunlin_codec::PacketId;
use dunlin_router::ports::Retained;
use dunlin_session::{Delivery, Message};

use super::parts::*;
use super::{Step, kind};
use crate::image::{Entry, Flow, Session};
use crate::wire::{put_bytes, put_number};

/// Writes a step that names no more than a session, a packet id and an entry.
fn put_small(out: &mut Vec<u8>, kind: u8, session: u64, packet_id: Option<PacketId>) {
    out.push(kind);
    put_number(out, session);
    if let Some(packet_id) = packet_id {
        put_number(out, packet_id.get().into());
    }
}

/// Writes a new message with the queues that have it.
pub(crate) fn put_published<'e>(
    out: &mut Vec<u8>,
    number: u64,
    message: &Message,
    retained: Retained,
    queued: impl ExactSizeIterator<Item = (u64, &'e Delivery)>,
) {
    out.push(kind::PUBLISHED);
    put_number(out, number);
    put_message(out, message);
    out.push(retained as u8);
    put_queued(out, queued);
}

/// Writes that more queues have a message.
pub(crate) fn put_more_queued<'e>(
    out: &mut Vec<u8>,
    number: u64,
    queued: impl ExactSizeIterator<Item = (u64, &'e Delivery)>,
) {
    out.push(kind::QUEUED);
    put_number(out, number);
    put_queued(out, queued);
}

fn put_queued<'e>(out: &mut Vec<u8>, queued: impl ExactSizeIterator<Item = (u64, &'e Delivery)>) {
    put_number(out, queued.len() as u64);
    for (session, delivery) in queued {
        put_number(out, session);
        put_entry(out, &Entry::of(delivery));
    }
}

impl Step {
    /// Appends the step to a record.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Step::Began {
                session,
                client_id,
                expiry,
                will,
            } => {
                put_small(out, kind::BEGAN, *session, None);
                put_bytes(out, client_id.as_bytes());
                put_terms(out, *expiry, will.as_deref());
            }
            Step::Resumed {
                session,
                expiry,
                will,
            } => {
                put_small(out, kind::RESUMED, *session, None);
                put_terms(out, *expiry, will.as_deref());
            }
            Step::Left {
                session,
                at,
                expiry,
                will,
            } => {
                put_small(out, kind::LEFT, *session, None);
                put_number(out, at.0);
                put_number(out, (*expiry).into());
                out.push((*will).into());
            }
            Step::Ended { session } => put_small(out, kind::ENDED, *session, None),
            Step::Subscribed {
                session,
                filter,
                subscribed,
            } => {
                put_small(out, kind::SUBSCRIBED, *session, None);
                put_subscribed(out, filter, subscribed);
            }
            Step::Unsubscribed { session, filter } => {
                put_small(out, kind::UNSUBSCRIBED, *session, None);
                put_bytes(out, filter.as_bytes());
            }
            // The log's writer has no entries yet, only deliveries: see `put_published`.
            Step::Published { .. } | Step::Queued { .. } => {}
            Step::RetainedGone { topic } => {
                out.push(kind::RETAINED_GONE);
                put_bytes(out, topic.as_bytes());
            }
            Step::Received { session, packet_id } => {
                put_small(out, kind::RECEIVED, *session, Some(*packet_id));
            }
            Step::Released { session, packet_id } => {
                put_small(out, kind::RELEASED, *session, Some(*packet_id));
            }
            Step::Sent {
                session,
                which,
                packet_id,
            } => {
                put_small(out, kind::SENT, *session, Some(*packet_id));
                put_which(out, *which);
            }
            Step::Taken { session, packet_id } => {
                put_small(out, kind::TAKEN, *session, Some(*packet_id));
            }
            Step::Completed { session, packet_id } => {
                put_small(out, kind::COMPLETED, *session, Some(*packet_id));
            }
            Step::Removed { session, which } => {
                put_small(out, kind::REMOVED, *session, None);
                put_which(out, *which);
            }
            Step::WillDone { session } => put_small(out, kind::WILL_DONE, *session, None),
            Step::Kept {
                number,
                message,
                retained,
            } => put_kept(out, *number, message, *retained),
            Step::Whole { session, state } => put_whole(out, *session, state),
        }
    }
}

/// Writes that a message still lives.
pub(crate) fn put_kept(out: &mut Vec<u8>, number: u64, message: &Message, retained: bool) {
    out.push(kind::KEPT);
    put_number(out, number);
    put_message(out, message);
    out.push(retained.into());
}

/// Writes a session that still lives.
pub(crate) fn put_whole(out: &mut Vec<u8>, session: u64, state: &Session) {
    put_small(out, kind::WHOLE, session, None);
    put_bytes(out, state.client_id.as_bytes());
    put_terms(out, state.expiry, state.will.as_deref());
    put_number(out, state.left.map_or(0, |at| at.0.saturating_add(1)));
    put_number(out, state.subscriptions.len() as u64);
    for (filter, subscribed) in &state.subscriptions {
        put_subscribed(out, filter, subscribed);
    }
    put_number(out, state.received.len() as u64);
    for id in &state.received {
        put_number(out, id.get().into());
    }
    put_number(out, state.queue.len() as u64);
    for entry in &state.queue {
        put_number(out, entry.message);
        put_entry(out, entry);
        match entry.flow {
            Flow::Waits => out.push(0),
            Flow::Sent(id) => put_small(out, 1, id.get().into(), None),
            Flow::Taken(id) => put_small(out, 2, id.get().into(), None),
        }
    }
}
