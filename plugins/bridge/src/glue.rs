//! Both sides and both directions in one task: what a [`crate::Bridge`] does while it runs.
//!
//! The local side stays connected while the other broker is away: our broker then delivers no more
//! than the window and keeps the rest in the session's queue, on disk if it keeps sessions there.
//! So memory is bounded, the bridge knows that something waits (for a lazy start), and says on the
//! notification topic that it is cut off.
//!
//! The local side is read at all times: its window bounds it, and QoS 0 is dropped beyond a bound.
//! Only the other broker is ever left unread. With one side always read, the two cannot wait for
//! each other.

mod carrying;
mod connecting;
mod leaving;

use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dunlin_time::{Clock, Monotonic, Now};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::Bridge;
use crate::link::{Link, Turn};
use crate::local::Local;
use crate::map::Map;
use crate::pipe::Pipe;
use crate::remote::Dialer;
use crate::settings::{BridgeSettings, Start};
use crate::status::Status;
use crate::topics::{Place, Topics};

/// How long a bridge that stops waits for what is in flight.
const DRAIN: Duration = Duration::from_secs(5);

/// A running bridge.
pub(crate) struct Glue<L> {
    pub settings: BridgeSettings,
    pub topics: Topics,
    pub map: Arc<dyn Map>,
    pub status: Arc<Status>,
    pub dialer: Arc<Dialer>,
    pub connect_local: L,
    clock: Clock,
    identity: String,
    notification_topic: String,
    local: Link,
    remote: Link,
    /// From our broker to the other.
    egress: Pipe,
    /// The other way.
    ingress: Pipe,
    /// The address to connect to next, or connected to.
    address: usize,
    /// Addresses that failed since the last pause.
    failed: usize,
    /// Say that we are a bridge.
    private: bool,
    /// The other broker took it.
    private_works: bool,
    /// The other broker was lost or is not to be reached, and not back yet.
    cut_off: bool,
    /// Retained messages of our broker are to be sent when the other is there.
    refresh: bool,
    last_message: Monotonic,
    /// When to look for the preferred address, and the look.
    probe_at: Monotonic,
    probe: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    stopping: bool,
    /// Told once our broker has answered all subscriptions.
    subscribed: Option<oneshot::Sender<()>>,
}

impl<L: Fn() -> io::Result<UnixStream>> Glue<L> {
    pub fn new(bridge: Bridge, local: Local<L>) -> Self {
        let Bridge {
            settings,
            mut topics,
            dialer,
            map,
            status,
        } = bridge;
        topics.known = local.known;
        let mut remote = Link::new(settings.restart);
        remote.idle = matches!(settings.start, Start::Lazy { .. });
        let mut glue = Glue {
            identity: settings.remote_id(),
            notification_topic: settings.notification_topic(),
            clock: Clock::start(),
            local: Link::to_own_broker(),
            remote,
            egress: Pipe::new(Place::Local),
            ingress: Pipe::new(Place::Remote),
            address: 0,
            failed: 0,
            private: false,
            private_works: false,
            cut_off: false,
            refresh: false,
            last_message: Monotonic(0),
            probe_at: Monotonic(0),
            probe: None,
            stopping: false,
            subscribed: local.subscribed,
            settings,
            topics,
            map,
            status,
            dialer,
            connect_local: local.open,
        };
        glue.private = glue.may_be_private();
        glue
    }

    fn may_be_private(&self) -> bool {
        self.settings.try_private && !self.settings.version.has_subscription_options()
    }

    /// Until `stop`; what is in flight then has [`DRAIN`] to arrive.
    ///
    /// # Errors
    /// A bridge that starts once lost its connection.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), String> {
        self.notify(false);
        let ended = self.until(stop).await;
        self.stopping = true;
        // What does not arrive in time stays in its source's session.
        let _ = timeout(DRAIN, self.until(std::future::pending())).await;
        self.leave().await;
        ended
    }

    async fn until(&mut self, stop: impl Future<Output = ()>) -> Result<(), String> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let now = self.clock.now();
            self.tend(now);
            self.carry(now);
            self.local.tell_subscribed(&mut self.subscribed);
            if self.stopping && self.is_drained() {
                return Ok(());
            }
            let wait = self.deadline().map(|at| at - now.monotonic);
            let wait = wait.unwrap_or(Duration::from_secs(3600));
            let read_remote = self.reads_remote();
            let (place, turn) = tokio::select! {
                () = &mut stop => return Ok(()),
                turn = self.local.turn(true) => (Place::Local, turn),
                turn = self.remote.turn(read_remote) => (Place::Remote, turn),
                found = look(&mut self.probe) => {
                    self.probed(found);
                    continue;
                }
                () = tokio::time::sleep(wait) => continue,
            };
            let now = self.clock.now();
            match turn {
                Turn::Answered(Ok(greeted)) => self.up(place, now, *greeted),
                Turn::Answered(Err(refused)) => {
                    self.down(place, refused)?;
                }
                Turn::Ready(result) => {
                    let result = result.map_err(|error| error.to_string());
                    if let Err(why) = result.and_then(|()| self.receive(place, now)) {
                        self.lost(place, &why)?;
                    }
                }
                Turn::Overdue(why) => self.lost(place, &why)?,
            }
        }
    }

    /// What time alone brings: connections to begin, PINGREQ, an idle line.
    fn tend(&mut self, now: Now) {
        let reads_remote = self.reads_remote();
        self.local.keep_alive(now);
        if reads_remote {
            self.remote.keep_alive(now);
        }
        if self.stopping {
            return;
        }
        if self.local.is_due(now) {
            self.connect_local();
        }
        if let Start::Lazy {
            threshold,
            idle_timeout,
        } = self.settings.start
        {
            if self.remote.idle && self.egress.waiting() >= threshold.into() {
                self.remote.idle = false;
            }
            let quiet = self.egress.waiting() + self.egress.in_flight() + self.ingress.in_flight();
            let since = now.monotonic - self.last_message;
            if self.remote.is_up() && quiet == 0 && since >= idle_timeout {
                self.rest();
            }
        }
        // Our broker says what waits, and has to be told first.
        if self.local.ever && self.remote.is_due(now) {
            self.connect_remote();
        }
        let secondary = !self.settings.round_robin && self.address > 0 && self.remote.is_up();
        if secondary && self.probe.is_none() && self.probe_at <= now.monotonic {
            let dialer = Arc::clone(&self.dialer);
            self.probe = Some(Box::pin(async move { dialer.probe(0).await }));
        }
    }

    fn is_drained(&mut self) -> bool {
        let arriving = |link: &mut Link, pipe: &Pipe| link.is_up() && pipe.in_flight() > 0;
        !arriving(&mut self.remote, &self.egress) && !arriving(&mut self.local, &self.ingress)
    }

    fn deadline(&mut self) -> Option<Monotonic> {
        let reads_remote = self.reads_remote();
        let mut all = vec![self.local.deadline(true), self.egress.deadline()];
        all.push(self.ingress.deadline());
        if self.local.ever {
            all.push(self.remote.deadline(reads_remote));
        }
        if self.remote.is_up() {
            if let Start::Lazy { idle_timeout, .. } = self.settings.start {
                all.push(Some(self.last_message + idle_timeout));
            }
            if !self.settings.round_robin && self.address > 0 && self.probe.is_none() {
                all.push(Some(self.probe_at));
            }
        }
        all.into_iter().flatten().min()
    }
}

async fn look(probe: &mut Option<Pin<Box<dyn Future<Output = bool> + Send>>>) -> bool {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}
