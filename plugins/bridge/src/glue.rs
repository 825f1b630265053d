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

use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_codec::{Qos, ReasonCode, RetainHandling, Version};
use dunlin_session::client::Event;
use dunlin_session::{Message, MessageParts, SessionState};
use dunlin_time::{Clock, Monotonic, Now};
use tokio::time::timeout;

use crate::client::{Doubt, Greeted, Introduction, Refused, Side};
use crate::link::{Link, Turn};
use crate::map::Map;
use crate::pipe::{Gate, Pipe};
use crate::remote::Dialer;
use crate::settings::{BridgeSettings, Restart, Start};
use crate::status::Status;
use crate::topics::{Place, Topics};

/// Our own broker is back sooner than another.
const LOCAL_RESTART: Restart = Restart {
    base: Duration::from_millis(100),
    cap: Some(Duration::from_secs(5)),
};
/// Between two looks whether the preferred address is back.
const PRIMARY_RETRY: Duration = Duration::from_secs(30);
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
    /// Retained messages of our broker are to be sent when the other is there.
    refresh: bool,
    last_message: Monotonic,
    /// When to look for the preferred address, and the look.
    probe_at: Monotonic,
    probe: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    stopping: bool,
}

impl<L: Fn() -> io::Result<UnixStream>> Glue<L> {
    pub fn new(
        settings: BridgeSettings,
        topics: Topics,
        map: Arc<dyn Map>,
        status: Arc<Status>,
        dialer: Arc<Dialer>,
        connect_local: L,
    ) -> Self {
        let mut remote = Link::new(settings.restart);
        remote.idle = matches!(settings.start, Start::Lazy { .. });
        let mut glue = Glue {
            identity: settings.remote_id(),
            notification_topic: settings.notification_topic(),
            clock: Clock::start(),
            local: Link::new(LOCAL_RESTART),
            remote,
            egress: Pipe::new(Place::Local),
            ingress: Pipe::new(Place::Remote),
            address: 0,
            failed: 0,
            private: false,
            private_works: false,
            refresh: false,
            last_message: Monotonic(0),
            probe_at: Monotonic(0),
            probe: None,
            stopping: false,
            settings,
            topics,
            map,
            status,
            dialer,
            connect_local,
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

    fn connect_local(&mut self) {
        let mut introduction = Introduction::new(&self.settings, Place::Local);
        introduction.sweep = !self.local.swept && self.topics.exactly_once(Place::Remote);
        let stream = (self.connect_local)().and_then(|stream| {
            stream.set_nonblocking(true)?;
            tokio::net::UnixStream::from_std(stream)
        });
        let clock = self.clock;
        self.local.begin(|state| async move {
            match stream {
                Ok(stream) => introduction.greet(Box::new(stream), state, clock).await,
                Err(error) => Err(Refused::unreached(error.to_string(), state)),
            }
        });
    }

    fn connect_remote(&mut self) {
        let mut introduction = Introduction::new(&self.settings, Place::Remote);
        introduction.sweep = !self.remote.swept && self.topics.exactly_once(Place::Local);
        introduction.private = self.private;
        let (dialer, index, clock) = (Arc::clone(&self.dialer), self.address, self.clock);
        self.remote.begin(move |state| async move {
            let stream = timeout(dialer.timeout, dialer.dial(index)).await;
            match stream.unwrap_or_else(|_| Err("no connection in time".into())) {
                Ok(stream) => introduction.greet(stream, state, clock).await,
                Err(why) => Err(Refused::unreached(why, state)),
            }
        });
    }

    fn up(&mut self, place: Place, now: Now, greeted: Greeted) {
        let Greeted {
            mut side,
            resumed,
            too_large,
        } = greeted;
        let bridge = self.settings.name.as_str();
        let (source, destination) = match place {
            Place::Local => (&mut self.egress, &mut self.ingress),
            Place::Remote => (&mut self.ingress, &mut self.egress),
        };
        source.source_back(resumed);
        let traffic = match place {
            Place::Local => &self.status.ingress,
            Place::Remote => &self.status.egress,
        };
        destination.destination_back(resumed, &too_large, traffic);
        if self.settings.attempt_unsubscribe {
            side.unsubscribe(now, &self.topics, place);
        }
        match place {
            Place::Local => {
                tracing::info!(bridge, resumed, "bridge connected to its own broker");
                self.status.local_connected.store(true, Ordering::Relaxed);
                self.refresh |= !resumed;
                side.subscribe(now, &self.topics, place, RetainHandling::DoNotSend);
                self.local.up(side);
            }
            Place::Remote => {
                let address = self.dialer.name(self.address);
                tracing::info!(bridge, address, resumed, "bridge connected");
                if self.status.connected.swap(true, Ordering::Relaxed) || self.remote.ever {
                    self.status.reconnects.fetch_add(1, Ordering::Relaxed);
                }
                self.refresh |= !resumed || side.version == Version::Mqtt31;
                self.failed = 0;
                self.private_works = self.private;
                self.probe_at = now.monotonic + PRIMARY_RETRY;
                self.last_message = now.monotonic;
                let retained = match resumed {
                    true => RetainHandling::SendIfNew,
                    false => RetainHandling::SendAtSubscribe,
                };
                side.subscribe(now, &self.topics, place, retained);
                self.remote.up(side);
                self.notify(true);
            }
        }
        // A destination that may have lost what was retained gets it again.
        if let (true, Some(local)) = (self.refresh && self.remote.is_up(), self.local.side()) {
            local.subscribe(
                now,
                &self.topics,
                Place::Local,
                RetainHandling::SendAtSubscribe,
            );
            self.refresh = false;
        }
    }

    /// A connection that was up is gone.
    fn lost(&mut self, place: Place, why: &str) -> Result<(), String> {
        match self.take(place) {
            Some(side) => {
                let state = side.client.into_state();
                self.down(place, Refused::unreached(why.into(), state))
            }
            None => Ok(()),
        }
    }

    fn take(&mut self, place: Place) -> Option<Side> {
        let (link, pipe, connected) = match place {
            Place::Local => (
                &mut self.local,
                &mut self.egress,
                &self.status.local_connected,
            ),
            Place::Remote => (&mut self.remote, &mut self.ingress, &self.status.connected),
        };
        let side = link.take()?;
        connected.store(false, Ordering::Relaxed);
        pipe.source_lost();
        if place == Place::Remote {
            self.probe = None;
            self.notify(false);
        }
        Some(side)
    }

    /// There is no connection: when to try the next.
    fn down(&mut self, place: Place, refused: Refused) -> Result<(), String> {
        let Refused {
            why,
            state,
            private,
        } = refused;
        let bridge = self.settings.name.as_str();
        let now = self.clock.now().monotonic;
        if place == Place::Local {
            tracing::warn!(bridge, why, "bridge is not connected to its own broker");
            self.status.failed(&format!("own broker: {why}"));
            self.local.pause(state, now, true);
            return Ok(());
        }
        let address = self.dialer.name(self.address);
        tracing::warn!(bridge, address, why, "bridge is not connected");
        self.status.failed(&format!("{address}: {why}"));
        if private == Doubt::Version || (private == Doubt::Closed && !self.private_works) {
            self.private = false;
            self.remote.pause(state, now, false);
            return Ok(());
        }
        if !self.remote.ever {
            // It was not the bit.
            self.private = self.may_be_private();
        }
        if self.settings.start == Start::Once && !self.stopping {
            self.remote.stay_away(state);
            return Err(why);
        }
        self.failed += 1;
        self.address = (self.address + 1) % self.dialer.count();
        let all_failed = self.failed >= self.dialer.count();
        if all_failed {
            self.failed = 0;
        }
        self.remote.pause(state, now, all_failed);
        Ok(())
    }

    /// Handles what was read.
    fn receive(&mut self, place: Place, now: Now) -> Result<(), String> {
        let lazy = matches!(self.settings.start, Start::Lazy { .. });
        let (link, forth, back, traffic, back_traffic, there) = match place {
            Place::Local => (
                &mut self.local,
                &mut self.egress,
                &mut self.ingress,
                &self.status.egress,
                &self.status.ingress,
                self.remote.is_up() || lazy,
            ),
            Place::Remote => (
                &mut self.remote,
                &mut self.ingress,
                &mut self.egress,
                &self.status.ingress,
                &self.status.egress,
                self.local.is_up(),
            ),
        };
        let Some(side) = link.side() else {
            return Ok(());
        };
        let out = place == Place::Local;
        let gate = Gate {
            topics: &self.topics,
            traffic,
            identity: &self.identity,
            mark: self.settings.loop_detection && self.settings.version.has_properties(),
            keep_retain: !out || self.settings.outgoing_retain,
            keep_qos_0: there,
            pending_bytes: self.settings.pending_bytes,
        };
        let last_message = &mut self.last_message;
        let bridge = self.settings.name.as_str();
        let result = side.receive(now, |event, client, output| match event {
            Event::Message(incoming) => {
                *last_message = now.monotonic;
                forth.accept(incoming, &gate, client, output);
            }
            Event::Published { packet_id, reason } => {
                back.answered(now, packet_id, reason, back_traffic);
            }
            Event::Subscribed(answer) => {
                for reason in answer.reasons.iter().filter(|reason| reason.is_error()) {
                    let reason = reason.name();
                    tracing::warn!(bridge, ?place, reason, "a subscription was refused");
                }
            }
            _ => {}
        });
        link.swept |= link.side().is_some_and(|side| side.is_swept());
        result
    }

    /// Moves what can move.
    fn carry(&mut self, now: Now) {
        let map = &*self.map;
        let status = &*self.status;
        self.egress.map(now, map, &status.egress);
        self.ingress.map(now, map, &status.ingress);
        if !self.stopping {
            if let Some(remote) = self.remote.side() {
                let largest = self
                    .settings
                    .max_outgoing_packet_bytes
                    .filter(|most| *most > 0);
                self.egress.carry(now, remote, largest, &status.egress);
            }
            if let Some(local) = self.local.side() {
                self.ingress.carry(now, local, None, &status.ingress);
            }
        }
        self.egress.settle(self.local.side());
        self.ingress.settle(self.remote.side());
        let in_flight = self.egress.in_flight() + self.ingress.in_flight();
        status.in_flight.store(in_flight as u64, Ordering::Relaxed);
    }

    fn reads_remote(&self) -> bool {
        // Version 3 cannot be told how many messages to send.
        let many = 2 * usize::from(self.settings.receive_maximum) + 1000;
        self.ingress.waiting_bytes() <= self.settings.pending_bytes
            && self.ingress.waiting() <= many
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

    /// The preferred address was looked at.
    fn probed(&mut self, found: bool) {
        self.probe = None;
        self.probe_at = self.clock.now().monotonic + PRIMARY_RETRY;
        if !found {
            return;
        }
        if let Some(side) = self.take(Place::Remote) {
            tracing::info!(
                bridge = self.settings.name,
                "bridge returns to its first address"
            );
            let now = self.clock.now().monotonic;
            let state = self.part(side, Place::Remote);
            self.remote.pause(state, now, false);
            (self.address, self.failed) = (0, 0);
        }
    }

    /// A lazy bridge has nothing to do.
    fn rest(&mut self) {
        if let Some(side) = self.take(Place::Remote) {
            tracing::info!(
                bridge = self.settings.name,
                "bridge disconnected: nothing to do"
            );
            let state = self.part(side, Place::Remote);
            self.remote.stay_away(state);
        }
    }

    /// Ends a connection as it should be, in the background; gives what outlives it.
    fn part(&self, side: Side, place: Place) -> SessionState {
        let (wire, state) = self.farewell(side, place);
        tokio::spawn(wire.close());
        state
    }

    fn farewell(&self, mut side: Side, place: Place) -> (crate::wire::Wire, SessionState) {
        let now = self.clock.now();
        let tells = match place {
            Place::Local => self.settings.notifications,
            Place::Remote => self.settings.notifications && !self.settings.notifications_local_only,
        };
        if tells {
            // At QoS 0, since nobody waits for an answer any more; DISCONNECT takes back the will.
            let parts = MessageParts {
                publisher: 0,
                qos: Qos::AtMostOnce,
                retain: side.retain,
                expires: None,
                topic: &self.notification_topic,
                forwarded: &[],
                payload: b"0",
            };
            let message = Message::new(parts, &mut Vec::new());
            let sent = side.client.publish(now, message, &mut side.wire.output);
            if let Err(why) = sent {
                tracing::debug!(?why, "the bridge could not say that it leaves");
            }
        }
        let output = &mut side.wire.output;
        let state = side.client.disconnect(ReasonCode::Success, None, output);
        (side.wire, state)
    }

    /// Both connections, at the end.
    async fn leave(&mut self) {
        for place in [Place::Remote, Place::Local] {
            let link = match place {
                Place::Local => &mut self.local,
                Place::Remote => &mut self.remote,
            };
            if let Some(side) = link.take() {
                self.farewell(side, place).0.close().await;
            }
        }
        self.status.connected.store(false, Ordering::Relaxed);
        self.status.local_connected.store(false, Ordering::Relaxed);
        tracing::info!(bridge = self.settings.name, "bridge stopped");
    }

    /// Says whether the other broker is connected, to those who want to know.
    fn notify(&mut self, connected: bool) {
        if !self.settings.notifications {
            return;
        }
        let payload: &[u8] = if connected { b"1" } else { b"0" };
        self.ingress.announce(&self.notification_topic, payload);
        // There it is always a 1: one that is on its way goes again by itself.
        let out = connected && !self.settings.notifications_local_only;
        if out && !self.egress.announces() {
            self.egress.announce(&self.notification_topic, payload);
        }
    }
}

async fn look(probe: &mut Option<Pin<Box<dyn Future<Output = bool> + Send>>>) -> bool {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}
