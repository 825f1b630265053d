//! Wills: what must be published, what may, and what must not.
//!
//! ```text
//!  CONNECT ─▶ Asked ──CONNACK──▶ Armed ──DISCONNECT──▶ Void
//!                                  │ the connection ends otherwise, or the broker crashes
//!                                  ▼
//!                                Due ──its time came, all committed──▶ published
//! ```
//! Whatever is not certain is forgotten: then the will may be seen, or not.

use std::time::Duration;

use dunlin_time::Wall;

use crate::messages::Number;
use crate::sessions::LATE;

#[derive(Clone, Debug)]
pub struct Will {
    pub number: Number,
    /// From the end of the connection; the end of the session may be sooner.
    pub delay: Duration,
    pub stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Asked,
    Armed,
    /// To be published at this time at the latest, if the broker knows of the end by then.
    Due {
        at: Wall,
        known: bool,
    },
    /// DISCONNECT was sent, and survives a crash or not.
    Void {
        durable: bool,
    },
}

/// The wills of one client, of which at most two count: one of a connection that is over, and one
/// of the next.
#[derive(Debug, Default)]
pub struct Wills {
    pub before: Option<Will>,
    pub current: Option<Will>,
}

impl Wills {
    /// CONNECT goes out. What was due by now will have been published before its CONNACK; what is
    /// not may be void.
    pub fn connecting(&mut self, next: Option<Will>, now: Wall) {
        let before = self.before.take();
        self.before = before.filter(|will| match will.stage {
            Stage::Due { at, .. } => at <= now,
            _ => false,
        });
        self.current = next;
    }

    /// CONNACK came: gives what must have been published before it.
    pub fn connected(&mut self) -> Option<Number> {
        if let Some(will) = &mut self.current {
            will.stage = Stage::Armed;
        }
        let before = self.before.take()?;
        matches!(before.stage, Stage::Due { .. }).then_some(before.number)
    }

    /// The connection ended without DISCONNECT, and the broker sees that or not.
    pub fn ended(&mut self, now: Wall, known: bool) {
        let Some(mut will) = self.current.take() else {
            return;
        };
        if will.stage == Stage::Armed {
            let at = now + will.delay;
            will.stage = Stage::Due { at, known };
            self.before = Some(will);
        }
    }

    /// DISCONNECT went out.
    pub fn disconnected(&mut self) {
        if let Some(mut will) = self.current.take()
            && will.stage == Stage::Armed
        {
            will.stage = Stage::Void { durable: false };
            self.before = Some(will);
        }
    }

    /// The broker starts again: it may not know that the connection had ended.
    pub fn restarted(&mut self, now: Wall) {
        self.ended(now, true);
        if let Some(will) = &mut self.before {
            match &mut will.stage {
                Stage::Due { at, known } => (*at, *known) = (now + will.delay, true),
                Stage::Void { durable: false } => self.before = None,
                _ => {}
            }
        }
    }

    /// Everything is committed, and what was due was done: gives a will that is certainly
    /// published.
    pub fn settled(&mut self, now: Wall) -> Option<Number> {
        let will = self.before.as_mut()?;
        match &mut will.stage {
            Stage::Void { durable } => {
                *durable = true;
                None
            }
            Stage::Due { at, known: true } if *at + LATE <= now => {
                let number = will.number;
                self.before = None;
                Some(number)
            }
            _ => None,
        }
    }

    /// A will that nobody may see any more.
    pub fn void(&self) -> Option<Number> {
        let will = self.before.as_ref()?;
        (will.stage == Stage::Void { durable: true }).then_some(will.number)
    }
}
