//! What stands in the log: one record is one or more steps, which happen together.
//!
//! Format version 1. Steps are never changed, only added: a newer broker reads older logs.

mod parts;
mod read;
#[cfg(test)]
mod tests;
mod write;

use dunlin_codec::PacketId;
use dunlin_router::ports::Retained;
use dunlin_session::{Delivery, Message, Will};
use dunlin_time::Wall;

use crate::image::{Entry, Session, Subscribed};

pub(crate) use write::{put_kept, put_more_queued, put_published, put_whole};

/// One step. Messages go by the numbers that the store gave them, sessions by the router's.
#[derive(Debug)]
pub(crate) enum Step {
    Began {
        session: u64,
        client_id: Box<str>,
        expiry: u32,
        will: Option<Box<Will>>,
    },
    Resumed {
        session: u64,
        expiry: u32,
        will: Option<Box<Will>>,
    },
    Left {
        session: u64,
        at: Wall,
        expiry: u32,
        will: bool,
    },
    Ended {
        session: u64,
    },
    Subscribed {
        session: u64,
        filter: Box<str>,
        subscribed: Subscribed,
    },
    Unsubscribed {
        session: u64,
        filter: Box<str>,
    },
    /// A new message, with the queues that have it.
    Published {
        number: u64,
        message: Message,
        retained: Retained,
        queued: Vec<(u64, Entry)>,
    },
    /// A message that is there already, with more queues.
    Queued {
        queued: Vec<(u64, Entry)>,
    },
    RetainedGone {
        topic: Box<str>,
    },
    Received {
        session: u64,
        packet_id: PacketId,
    },
    Released {
        session: u64,
        packet_id: PacketId,
    },
    Sent {
        session: u64,
        which: Which,
        packet_id: PacketId,
    },
    Taken {
        session: u64,
        packet_id: PacketId,
    },
    Completed {
        session: u64,
        packet_id: PacketId,
    },
    Removed {
        session: u64,
        which: Which,
    },
    WillDone {
        session: u64,
    },
    /// A message that still lives, written again so that an old segment can go.
    Kept {
        number: u64,
        message: Message,
        retained: bool,
    },
    /// A session that still lives, whole.
    Whole {
        session: u64,
        state: Box<Session>,
    },
}

/// Names an entry of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Which {
    pub message: u64,
    /// By a shared subscription: a session may have a message both ways.
    pub shared: bool,
}

impl Which {
    pub fn of(delivery: &Delivery) -> Self {
        Which {
            message: delivery
                .message
                .stored_as()
                .map_or(0, |number| number.get()),
            shared: delivery.shared.is_some(),
        }
    }
}

mod kind {
    pub const BEGAN: u8 = 1;
    pub const RESUMED: u8 = 2;
    pub const LEFT: u8 = 3;
    pub const ENDED: u8 = 4;
    pub const SUBSCRIBED: u8 = 5;
    pub const UNSUBSCRIBED: u8 = 6;
    pub const PUBLISHED: u8 = 7;
    pub const QUEUED: u8 = 8;
    pub const RETAINED_GONE: u8 = 9;
    pub const RECEIVED: u8 = 10;
    pub const RELEASED: u8 = 11;
    pub const SENT: u8 = 12;
    pub const TAKEN: u8 = 13;
    pub const COMPLETED: u8 = 14;
    pub const REMOVED: u8 = 15;
    pub const WILL_DONE: u8 = 16;
    pub const KEPT: u8 = 17;
    pub const WHOLE: u8 = 18;
}
