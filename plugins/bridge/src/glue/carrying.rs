//! Messages from one side to the other.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use dunlin_session::client::Event;
use dunlin_time::Now;

use super::Glue;
use crate::intake::Gate;
use crate::settings::Start;
use crate::topics::Place;

impl<L: Fn() -> io::Result<UnixStream>> Glue<L> {
    /// Handles what was read.
    pub(super) fn receive(&mut self, place: Place, now: Now) -> Result<(), String> {
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
            now: now.monotonic,
            topics: &self.topics,
            traffic,
            identity: &self.identity,
            mark: self.settings.loop_detection && self.settings.version.has_properties(),
            keep_retain: !out || self.settings.outgoing_retain,
            keep: !(out && self.cut_off && self.settings.local_clean()),
            keep_qos_0: there,
            pending_bytes: self.settings.pending_bytes,
        };
        let last_message = &mut self.last_message;
        let result = side.receive(now, |event, client, output| match event {
            Event::Message(incoming) => {
                *last_message = now.monotonic;
                forth.accept(incoming, &gate, client, output);
            }
            Event::Published { packet_id, reason } => {
                back.answered(now, packet_id, reason, back_traffic);
            }
            _ => {}
        });
        link.swept |= link.side().is_some_and(|side| side.is_swept());
        self.tell_refused(place);
        result
    }

    fn tell_refused(&mut self, place: Place) {
        let (broker, link) = match place {
            Place::Local => ("own broker".into(), &mut self.local),
            Place::Remote => (self.dialer.name(self.address), &mut self.remote),
        };
        let refused = link.side().map(|side| side.subscribing.refused());
        for (topic, reason) in refused.unwrap_or_default() {
            let (bridge, reason) = (self.settings.name.as_str(), reason.name());
            let why = format!("{broker}: refused the subscription to {topic:?}: {reason}");
            self.status.failed(&why);
            tracing::warn!(bridge, broker, topic, reason, "a subscription was refused");
        }
    }

    /// Moves what can move.
    pub(super) fn carry(&mut self, now: Now) {
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

    pub(super) fn reads_remote(&self) -> bool {
        // Version 3 cannot be told how many messages to send.
        let many = 2 * usize::from(self.settings.receive_maximum) + 1000;
        self.ingress.waiting_bytes() <= self.settings.pending_bytes
            && self.ingress.waiting() <= many
    }
}
