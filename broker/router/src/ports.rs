//! What the router needs from elsewhere, as traits: implemented by crates it does not know.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::Waker;

use dunlin_codec::PacketId;
use dunlin_session::{Delivery, Message, SessionState, Will};
use dunlin_time::Wall;

use crate::TargetOptions;

/// An answer that may take a disk or a network: there now, or later.
pub enum Reply<T> {
    /// There, without any waiting.
    Now(T),
    /// On its way.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Reply<T> {
    /// The answer, waited for.
    pub async fn get(self) -> T {
        match self {
            Reply::Now(value) => value,
            Reply::Later(future) => future.await,
        }
    }
}

/// Keeps what must outlive a connection, or the process: in memory, on disk, or on another node.
///
/// What a session has open is with its connection between [`Store::attach`] and
/// [`Store::detach`]. What must outlive the process goes into a log of [`Change`]s: whoever tells
/// a client something waits until the changes behind it are committed, and tells it then.
pub trait Store: Send + Sync + 'static {
    /// Takes out what an earlier connection of this client left, for a new connection to continue.
    /// `None` if there is nothing.
    fn attach(&self, client_id: &str) -> Reply<Result<Option<SessionState>, StoreError>>;

    /// Keeps a session that has no connection now.
    fn detach(&self, client_id: &str, state: SessionState) -> Reply<Result<(), StoreError>>;

    /// Whether anything outlives the process; if not, nobody records changes.
    fn is_durable(&self) -> bool;

    /// Why no change will be committed for now, if so: sessions that are to last are refused then,
    /// rather than kept waiting.
    fn stuck(&self) -> Option<StoreError> {
        None
    }

    /// Adds changes to the log, in the order of these calls: all of them survive, or none. Gives
    /// every message among them its number ([`Message::stored_as`]).
    fn record(&self, changes: &[Change<'_>], urgency: Urgency) -> Commit;

    /// The newest change.
    fn recorded(&self) -> Commit;

    /// All changes up to this one survive.
    fn committed(&self) -> Commit;

    /// Wakes `waker` once `commit` is committed; `false` if it is already.
    fn wake_at(&self, commit: Commit, waker: &Waker) -> bool;
}

/// A place in the log of changes. The default comes before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commit(pub u64);

/// Whether somebody waits for a change to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody does.
    Now,
    /// Nobody: it goes with the next, or a little later.
    Later,
}

/// One change of what must outlive the process. Sessions go by [`crate::Subscriber::number`].
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A session began, empty.
    Began {
        /// Which.
        session: u64,
        /// Whose.
        client_id: &'a str,
        /// How it is to end.
        terms: SessionTerms<'a>,
    },
    /// Its client connected again.
    Resumed {
        /// Which.
        session: u64,
        /// How it is to end now.
        terms: SessionTerms<'a>,
    },
    /// Its connection ended.
    Left {
        /// Which.
        session: u64,
        /// When.
        at: Wall,
        /// Seconds from then to its end; `u32::MAX` is for ever.
        expiry: u32,
        /// Whether its will is still to be published, after its delay.
        will: bool,
    },
    /// It is over, with all that it had.
    Ended {
        /// Which.
        session: u64,
    },
    /// A subscription was added or replaced.
    Subscribed {
        /// Whose.
        session: u64,
        /// As the client wrote it, with `$share/...`, below the listener's mount point.
        filter: &'a str,
        /// How messages are delivered.
        options: TargetOptions,
        /// The client's Subscription Identifier.
        identifier: Option<NonZeroU32>,
    },
    /// A subscription was removed.
    Unsubscribed {
        /// Whose.
        session: u64,
        /// As subscribed.
        filter: &'a str,
    },
    /// A message was queued, retained, or both.
    Published {
        /// What.
        message: &'a Message,
        /// What it means for its topic's retained message.
        retained: Retained,
        /// The queues that have it from now on, behind what they had.
        queued: &'a [Queued],
    },
    /// A topic has no retained message any more.
    RetainedGone {
        /// Which.
        topic: &'a str,
    },
    /// A QoS 2 PUBLISH came from this session's client: its packet id is in use.
    Received {
        /// Whose.
        session: u64,
        /// Which.
        packet_id: PacketId,
    },
    /// PUBREL came: the id is free.
    Released {
        /// Whose.
        session: u64,
        /// Which.
        packet_id: PacketId,
    },
    /// A queued message is about to be sent under this packet id.
    Sent {
        /// To whom.
        session: u64,
        /// What.
        delivery: &'a Delivery,
        /// As what.
        packet_id: PacketId,
    },
    /// PUBREC came: the client has the message; the id stays in use until it is completed.
    Taken {
        /// Who.
        session: u64,
        /// Which.
        packet_id: PacketId,
    },
    /// PUBCOMP came: the id is free.
    Completed {
        /// Who.
        session: u64,
        /// Which.
        packet_id: PacketId,
    },
    /// A message left a queue: acknowledged, refused or dropped.
    Removed {
        /// Whose.
        session: u64,
        /// What.
        delivery: &'a Delivery,
    },
    /// The session's will was published, or is void.
    WillDone {
        /// Whose.
        session: u64,
    },
}

/// How a session is to end.
#[derive(Clone, Copy, Debug)]
pub struct SessionTerms<'a> {
    /// Seconds that it outlives its connection; `u32::MAX` is for ever.
    pub expiry: u32,
    /// What is published when the connection ends badly.
    pub will: Option<&'a Will>,
}

/// What a published message means for its topic's retained message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retained {
    /// Nothing.
    Untouched,
    /// It is the one.
    Set,
    /// There is none now.
    Cleared,
}

/// A message that one more session's queue has.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Whose.
    pub session: u64,
    /// How it is delivered.
    pub delivery: Delivery,
}

/// Why a store could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// For the log: what, where, what to do.
    pub what: String,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for StoreError {}
