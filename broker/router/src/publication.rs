//! A message on its way into the router, and what became of it.

use std::sync::Arc;

use dunlin_codec::{PacketId, Qos, ReasonCode};
use dunlin_time::Wall;
use dunlin_topic::TopicName;

use crate::Subscriber;
use crate::ports::{Change, Commit};

/// A message to be published, still in its packet.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// Where.
    pub topic: TopicName<'a>,
    /// The session's number; 0 for the server itself.
    pub publisher: u64,
    /// Its QoS.
    pub qos: Qos,
    /// Whether it becomes the topic's retained message.
    pub retain: bool,
    /// When it is dropped undelivered.
    pub expires: Option<Wall>,
    /// Encoded properties that pass through.
    pub forwarded: &'a [u8],
    /// The application's bytes.
    pub payload: &'a [u8],
    /// What else is true from then on.
    pub origin: Origin,
}

/// What is recorded together with a message, in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nothing.
    #[default]
    Anyone,
    /// The publisher's session, which is stored, has this id in use for it.
    Received {
        /// The QoS 2 message's.
        packet_id: PacketId,
        /// Also if it is refused: version 3 cannot be told.
        always: bool,
    },
    /// It was the will of this stored session.
    Will(u64),
}

impl Origin {
    pub(crate) fn change(self, publisher: u64, reason: ReasonCode) -> Option<Change<'static>> {
        match self {
            Origin::Will(session) => Some(Change::WillDone { session }),
            Origin::Received { packet_id, always } if always || !reason.is_error() => {
                let session = publisher;
                Some(Change::Received { session, packet_id })
            }
            Origin::Received { .. } | Origin::Anyone => None,
        }
    }
}

/// What became of a message.
#[derive(Default)]
pub struct Published {
    /// Sessions whose subscriptions matched; a shared subscription counts once.
    pub matched: usize,
    /// Of those, the ones that have it dropped because their queue is full.
    pub full: usize,
    /// A connected session that is falling behind: reason to read the publisher less eagerly.
    pub crowded: Option<Arc<Subscriber>>,
    /// What must be committed before it is acknowledged.
    pub commit: Commit,
}

impl Published {
    /// For the PUBACK or PUBREC, which waits for [`Published::commit`].
    pub fn reason(&self) -> ReasonCode {
        match (self.matched, self.full) {
            (0, _) => ReasonCode::NoMatchingSubscribers,
            (matched, full) if full >= matched => ReasonCode::QuotaExceeded,
            _ => ReasonCode::Success,
        }
    }
}
