//! One client with a session: what its connection owns, and its loop.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use dunlin_auth::{Access, DecisionMemo, Exchange, Principal, Verdict};
use dunlin_net::{Protocol, Stream};
use dunlin_router::ports::Commit;
use dunlin_router::{Scan, Subscriber};
use dunlin_session::{Failure, Farewell, Session, Will};
use dunlin_time::Monotonic;

use crate::Admission;
use crate::crowd::Crowd;
use crate::durable::Held;
use crate::listener::ListenerContext;
use crate::output::Unsent;
use crate::rate::Bucket;
use crate::timer::Alarm;
use crate::worker::Worker;

/// A connection that has a session. What is rare is boxed: an idle one is small.
pub(crate) struct Connection {
    pub worker: Rc<Worker>,
    pub listener: Arc<ListenerContext>,
    /// The rules of this turn.
    pub access: Arc<Access>,
    /// The rules' epoch when the session's subscriptions were checked; at another one every
    /// delivery is.
    pub epoch: u64,
    /// Tells this connection from others of the same session.
    pub number: u64,
    pub stream: Stream,
    pub session: Session,
    pub subscriber: Arc<Subscriber>,
    pub principal: Principal,
    pub memo: DecisionMemo,
    /// The beginning of a packet whose rest has not come.
    pub partial: Vec<u8>,
    /// What this turn's output waits for.
    pub hold: Commit,
    /// Output that waits for the store.
    pub held: Option<Box<Held>>,
    /// What the socket did not take.
    pub unsent: Unsent,
    pub alarm: Alarm,
    pub will: Option<Box<Will>>,
    /// Retained messages that new subscriptions still wait for, oldest first.
    #[expect(clippy::box_collection, reason = "a word while there are none")]
    pub scans: Option<Box<VecDeque<Box<Scan>>>>,
    /// A subscriber that this client's messages wait for.
    pub crowd: Option<Box<Crowd>>,
    pub rare: Option<Box<Rare>>,
    pub address: Option<SocketAddr>,
    pub protocol: Protocol,
    pub _admission: Admission,
}

/// What few connections have.
#[derive(Default)]
pub(crate) struct Rare {
    pub messages: Option<Bucket>,
    pub bytes: Option<Bucket>,
    /// In microseconds.
    pub plugin_time: Option<Bucket>,
    /// When the grant of the authentication ends.
    pub grant_ends: Option<Monotonic>,
    /// A re-authentication under way.
    pub reauthentication: Option<Pin<Box<dyn Future<Output = Verdict>>>>,
    /// A re-authentication that waits for the client's next data.
    pub exchange: Option<Exchange>,
    /// How often it has waited lately for a subscriber that made no room in time.
    pub waited_in_vain: u32,
}

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum End {
    /// The client closed the socket without DISCONNECT.
    Closed,
    /// The socket failed.
    Broken(std::io::Error),
    /// One side broke the rules, or reached a limit.
    Failed(Failure),
    /// The client sent DISCONNECT.
    Left(Farewell),
    /// A newer connection takes the session.
    TakenOver,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        End::Failed(failure)
    }
}

impl Connection {
    pub fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Whether messages that need no check by themselves are checked all the same: the rules have
    /// changed since the subscriptions were made.
    pub fn rules_changed(&self) -> bool {
        self.access.epoch() != self.epoch
    }
}
