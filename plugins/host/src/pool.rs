//! The instances of a plugin that are not at work.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::instance::{Instance, World};

/// Instances, made when calls need them up to a limit, and used again.
pub(crate) struct Pool<W: World> {
    /// A lock because any thread may call; held for a push or a pop.
    state: Mutex<PoolState<W>>,
    returned: Condvar,
    limit: usize,
}

struct PoolState<W: World> {
    /// The last one back is the first to go: its memory is warm.
    idle: Vec<Box<Instance<W>>>,
    /// Those at work, too.
    live: usize,
    calls: u64,
    busy: Duration,
}

/// What a pool has done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) instances: usize,
    pub(crate) calls: u64,
    pub(crate) busy: Duration,
}

/// A place among the live instances, given back when dropped.
pub(crate) struct Checkout<'p, W: World> {
    pool: &'p Pool<W>,
    /// `None` if one must be made; left `None` when it must not be used again.
    pub(crate) instance: Option<Box<Instance<W>>>,
    /// How long it worked; counted as a call if so.
    pub(crate) worked: Option<Duration>,
}

impl<W: World> Pool<W> {
    /// With one instance to begin with.
    pub(crate) fn new(limit: usize, first: Instance<W>) -> Self {
        Pool {
            state: Mutex::new(PoolState {
                idle: vec![Box::new(first)],
                live: 1,
                calls: 0,
                busy: Duration::ZERO,
            }),
            returned: Condvar::new(),
            limit,
        }
    }

    /// `None` if all are at work until the deadline.
    pub(crate) fn take(&self, deadline: impl FnOnce() -> Instant) -> Option<Checkout<'_, W>> {
        let mut state = self.state.lock();
        if state.idle.is_empty() && state.live >= self.limit {
            let deadline = deadline();
            while state.idle.is_empty() && state.live >= self.limit {
                if self.returned.wait_until(&mut state, deadline).timed_out() {
                    break;
                }
            }
        }
        let instance = state.idle.pop();
        if instance.is_none() {
            if state.live >= self.limit {
                return None;
            }
            state.live += 1;
        }
        Some(Checkout {
            pool: self,
            instance,
            worked: None,
        })
    }

    pub(crate) fn work(&self) -> Work {
        let state = self.state.lock();
        Work {
            instances: state.live,
            calls: state.calls,
            busy: state.busy,
        }
    }
}

impl<W: World> Drop for Checkout<'_, W> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock();
        if let Some(worked) = self.worked {
            state.calls += 1;
            state.busy += worked;
        }
        match self.instance.take() {
            Some(instance) => state.idle.push(instance),
            None => state.live -= 1,
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}
