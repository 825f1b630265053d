//! One timer for all connections of a worker.

use std::cell::RefCell;
use std::task::Waker;

use dunlin_time::{Clock, Monotonic, TimerKey, Wheel};
use tokio::sync::Notify;

pub(crate) struct Timers {
    clock: Clock,
    wheel: RefCell<Wheel<Waker>>,
    /// Told when a timer is set that may be the next.
    changed: Notify,
}

/// A connection's place in the wheel: one timer, for whichever of its deadlines is next.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: TimerKey,
    /// [`NEVER`] while no timer is set.
    at: Monotonic,
}

const NEVER: Monotonic = Monotonic(u64::MAX);

impl Default for Alarm {
    fn default() -> Self {
        Alarm {
            timer: TimerKey::default(),
            at: NEVER,
        }
    }
}

impl Timers {
    pub fn new(clock: Clock) -> Self {
        Timers {
            clock,
            wheel: RefCell::new(Wheel::new(clock.now().monotonic)),
            changed: Notify::new(),
        }
    }

    pub async fn run(&self) {
        let mut fired = Vec::new();
        loop {
            let now = self.clock.now().monotonic;
            self.wheel.borrow_mut().advance(now, &mut fired);
            fired.drain(..).for_each(Waker::wake);
            let next = self.wheel.borrow().next_wake();
            match next {
                Some(at) => {
                    let changed = self.changed.notified();
                    // Either way the wheel is looked at again.
                    let _ = tokio::time::timeout(at - now, changed).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Makes sure that `waker` is woken at `deadline` or earlier.
    pub fn arm(&self, alarm: &mut Alarm, deadline: Option<Monotonic>, waker: &Waker) {
        let Some(deadline) = deadline else { return };
        if alarm.at <= deadline {
            return;
        }
        self.disarm(alarm);
        let mut wheel = self.wheel.borrow_mut();
        let sooner = wheel.next_wake().is_none_or(|next| deadline < next);
        *alarm = Alarm {
            timer: wheel.insert(deadline, waker.clone()),
            at: deadline,
        };
        if sooner {
            self.changed.notify_one();
        }
    }

    /// Forgets a timer that has fired.
    pub fn acknowledge(&self, alarm: &mut Alarm, now: Monotonic) {
        if alarm.at <= now {
            self.disarm(alarm);
        }
    }

    pub fn disarm(&self, alarm: &mut Alarm) {
        if alarm.at != NEVER {
            self.wheel.borrow_mut().cancel(alarm.timer);
            alarm.at = NEVER;
        }
    }
}
