//! Connections that the bridge ends by itself, and what it says of its state.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use dunlin_codec::{Qos, ReasonCode};
use dunlin_session::{Message, MessageParts, SessionState};

use super::Glue;
use super::connecting::PRIMARY_RETRY;
use crate::client::Side;
use crate::topics::Place;
use crate::wire::Wire;

impl<L: Fn() -> io::Result<UnixStream>> Glue<L> {
    /// The preferred address was looked at.
    pub(super) fn probed(&mut self, found: bool) {
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
    pub(super) fn rest(&mut self) {
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

    fn farewell(&self, mut side: Side, place: Place) -> (Wire, SessionState) {
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
    pub(super) async fn leave(&mut self) {
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
    pub(super) fn notify(&mut self, connected: bool) {
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
