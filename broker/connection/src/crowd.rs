//! Back-pressure: a client whose messages crowd a subscriber's queue waits for it, a while.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use dunlin_codec::Packet;
use dunlin_router::Subscriber;
use dunlin_time::{Monotonic, Now};

use crate::connection::{Connection, End};

/// How long a client waits for a subscriber: half as long after each that it waited for in vain, so
/// that many who fall behind cost it little more than one, and longer again after others.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of parked packets above which the client is no longer read.
const PARKED_MAX: usize = 64 * 1024;

/// So often is patience halved: what is left is nothing.
const NO_PATIENCE: u32 = 31;

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
    /// Begins to wait for a subscriber that falls behind, unless it is this client's own.
    pub fn enter_crowd(&mut self, subscriber: Arc<Subscriber>, now: Now) {
        let waited_in_vain = self.rare.as_ref().map_or(0, |rare| rare.waited_in_vain);
        let patience = PATIENCE / (1 << waited_in_vain);
        if self.crowd.is_some() || subscriber.number == self.subscriber.number || patience.is_zero()
        {
            return;
        }
        self.crowd = Some(Box::new(Crowd {
            subscriber,
            until: now.monotonic + patience,
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
            crowd.subscriber.give_up();
            let rare = self.rare();
            rare.waited_in_vain = NO_PATIENCE.min(rare.waited_in_vain + 1);
        } else if let Some(rare) = &mut self.rare {
            rare.waited_in_vain = rare.waited_in_vain.saturating_sub(1);
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
        self.rare().waited_in_vain = NO_PATIENCE;
        self.packets(now, &crowd.packets, out).map(|_| ())
    }
}
