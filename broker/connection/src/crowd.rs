//! Back-pressure: a client whose messages crowd a subscriber's queue waits for it, a while.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use dunlin_codec::Packet;
use dunlin_router::Subscriber;
use dunlin_time::{Monotonic, Now};

use crate::connection::{Connection, End};

/// How long a client waits for one subscriber.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of parked packets above which the client is no longer read.
const PARKED_MAX: usize = 64 * 1024;

/// In place of a subscriber that is not waited for: none is.
const EVERYBODY: u64 = u64::MAX;

/// A crowded subscriber, and the packets that wait for it. What does not add to the crowd is still
/// handled: a client that waits for itself, or for one that waits for it, goes on.
pub(crate) struct Crowd {
    subscriber: Arc<Subscriber>,
    pub until: Monotonic,
    packets: Vec<u8>,
}

/// Whether a packet may be handled before earlier ones that are parked.
pub(crate) fn may_overtake(packet: &Packet<'_>) -> bool {
    matches!(
        packet,
        Packet::Puback(_)
            | Packet::Pubrec(_)
            | Packet::Pubrel(_)
            | Packet::Pubcomp(_)
            | Packet::Pingreq
    )
}

impl Crowd {
    pub fn park(&mut self, packet: &[u8]) {
        self.packets.extend_from_slice(packet);
    }

    pub fn is_full(&self) -> bool {
        self.packets.len() > PARKED_MAX
    }
}

impl Connection {
    /// Begins to wait for a subscriber that falls behind, unless it is this client's own or had
    /// its chance.
    pub fn enter_crowd(&mut self, subscriber: Arc<Subscriber>, now: Now) {
        let stuck = self.rare.as_ref().map_or(0, |rare| rare.stuck);
        if self.crowd.is_some()
            || subscriber.number == self.subscriber.number
            || subscriber.number == stuck
            || stuck == EVERYBODY
        {
            return;
        }
        self.crowd = Some(Box::new(Crowd {
            subscriber,
            until: now.monotonic + PATIENCE,
            packets: Vec::new(),
        }));
    }

    /// Handles what was parked, once there is room or patience ends.
    pub fn leave_crowd(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let Some(crowd) = &self.crowd else {
            return Ok(());
        };
        let limits = self.worker.router.settings().queue;
        let wait = crowd.subscriber.wait_for_room(&limits, context.waker());
        let stuck = crowd.until <= now.monotonic;
        if wait && !stuck {
            return Ok(());
        }
        if wait {
            let number = crowd.subscriber.number;
            crowd.subscriber.stop_waiting(context.waker());
            self.rare().stuck = number;
        }
        let Some(crowd) = self.crowd.take() else {
            return Ok(());
        };
        // Complete packets only; some may be parked again.
        self.packets(now, &crowd.packets, out).map(|_| ())
    }

    /// Leaves the line for room.
    pub fn stop_waiting(&self, context: &Context<'_>) {
        if let Some(crowd) = &self.crowd {
            crowd.subscriber.stop_waiting(context.waker());
        }
    }

    /// Handles what was parked although nobody made room: the client has gone, and it came before
    /// that, perhaps with a DISCONNECT.
    pub fn unpark(&mut self, now: Now, out: &mut Vec<u8>) -> Result<(), End> {
        let Some(crowd) = self.crowd.take() else {
            return Ok(());
        };
        self.rare().stuck = EVERYBODY;
        self.packets(now, &crowd.packets, out).map(|_| ())
    }
}
