//! Connections of either side: begun, there, gone.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_codec::{RetainHandling, Version};
use dunlin_time::Now;
use tokio::time::timeout;

use super::Glue;
use crate::client::Side;
use crate::greeting::{Doubt, Greeted, Refused};
use crate::settings::Start;
use crate::topics::Place;

/// Between two looks whether the preferred address is back.
pub(super) const PRIMARY_RETRY: Duration = Duration::from_secs(30);

impl<L: Fn() -> io::Result<UnixStream>> Glue<L> {
    pub(super) fn connect_local(&mut self) {
        let mut introduction = self.settings.introduction(Place::Local);
        introduction.sweep = !self.local.swept && self.topics.exactly_once(Place::Remote);
        let stream = (self.connect_local)();
        self.local.begin_here(stream, introduction, self.clock);
    }

    pub(super) fn connect_remote(&mut self) {
        let mut introduction = self.settings.introduction(Place::Remote);
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

    pub(super) fn up(&mut self, place: Place, now: Now, greeted: Greeted) {
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
        let retained = match (place, resumed) {
            (Place::Local, _) => RetainHandling::DoNotSend,
            (Place::Remote, true) => RetainHandling::SendIfNew,
            (Place::Remote, false) => RetainHandling::SendAtSubscribe,
        };
        side.subscribe(now, &self.topics, place, retained);
        // What is wanted stands before anything else is given up: nothing is missed in between.
        if place == Place::Local || self.settings.attempt_unsubscribe {
            side.unsubscribe(now, &self.topics, place);
        }
        match place {
            Place::Local => {
                tracing::info!(bridge, resumed, "bridge connected to its own broker");
                self.status.local_connected.store(true, Ordering::Relaxed);
                self.refresh |= !resumed;
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
                self.cut_off = false;
                self.private_works = self.private;
                self.probe_at = now.monotonic + PRIMARY_RETRY;
                self.last_message = now.monotonic;
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
    pub(super) fn lost(&mut self, place: Place, why: &str) -> Result<(), String> {
        match self.take(place) {
            Some(side) => {
                let state = side.client.into_state();
                self.down(place, Refused::unreached(why.into(), state))
            }
            None => Ok(()),
        }
    }

    pub(super) fn take(&mut self, place: Place) -> Option<Side> {
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
    pub(super) fn down(&mut self, place: Place, refused: Refused) -> Result<(), String> {
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
        self.cut_off = true;
        if self.settings.local_clean() {
            self.egress.forget(&self.status.egress);
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
}
