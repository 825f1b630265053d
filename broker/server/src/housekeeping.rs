//! What is done every now and then.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dunlin_router::{Dispatch, Router};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::allocator;
use crate::config::Config;
use crate::listeners::Listeners;
use crate::storage::Storage;
use crate::system_topics::SystemTopics;

/// How late sessions and wills may be.
const TICK: Duration = Duration::from_millis(100);
/// Between two looks at the process' memory.
const MEMORY_TICK: Duration = Duration::from_millis(100);
/// Between two looks at the room on the disk.
const STORAGE_TICK: Duration = Duration::from_millis(50);
/// Between two times that queues are dropped: the memory of the first is on its way back.
const SHED_PAUSE: Duration = Duration::from_secs(1);
/// Between two steps of removing expired retained messages.
const SWEEP_TICK: Duration = Duration::from_secs(1);

/// Does due work of sessions that have no connection, for ever.
pub async fn sessions(router: Arc<Router>, dispatch: Rc<RefCell<Dispatch>>) {
    let mut tick = every(TICK);
    loop {
        tick.tick().await;
        router.run_due(router.now(), &dispatch).await;
        dispatch.borrow_mut().flush();
    }
}

/// Removes expired retained messages, a part at a time, for ever.
pub async fn retained(router: Arc<Router>) {
    let mut tick = every(SWEEP_TICK);
    let mut from = None;
    loop {
        tick.tick().await;
        from = router.sweep_retained(router.now(), from);
    }
}

/// Watches the process' memory against its budget, for ever.
pub async fn memory(router: Arc<Router>, config: &Config, dispatch: &RefCell<Dispatch>) {
    let total = total_memory().unwrap_or(u64::MAX);
    let Some(budget) = config.limits.memory.bytes(total) else {
        router.set_short_of_memory(false);
        return std::future::pending().await;
    };
    let mut tick = every(MEMORY_TICK);
    let mut shed = None;
    loop {
        tick.tick().await;
        let Some(resident) = resident_memory() else {
            continue;
        };
        let short = resident > budget;
        if short != router.is_short_of_memory() {
            router.set_short_of_memory(short);
            match short {
                true => tracing::warn!(
                    resident,
                    budget,
                    "over limits.memory: messages are dropped until it is less"
                ),
                false => tracing::info!(resident, budget, "within limits.memory again"),
            }
        }
        if short && shed.is_none_or(|at: Instant| at.elapsed() >= SHED_PAUSE) {
            shed = Some(Instant::now());
            router.shed_largest_queues(dispatch.borrow().cells());
            allocator::give_back();
        }
    }
}

/// Watches the room on the disk, for ever.
pub async fn storage(router: Arc<Router>, storage: Storage) {
    let mut tick = every(STORAGE_TICK);
    loop {
        tick.tick().await;
        let full = storage.full();
        if full.is_some() == router.is_short_of_storage() {
            continue;
        }
        router.set_short_of_storage(full.is_some());
        match full {
            Some(why) => tracing::error!(
                why,
                "the disk is full: messages above QoS 0 and retained ones are refused until there \
                 is room"
            ),
            None => tracing::info!("the disk has room again"),
        }
    }
}

/// Publishes `$SYS`, for ever.
pub async fn system_topics(
    router: Arc<Router>,
    interval: Duration,
    listeners: &RefCell<Listeners>,
    dispatch: &RefCell<Dispatch>,
) {
    if interval.is_zero() {
        return std::future::pending().await;
    }
    let mut topics = SystemTopics::new(router.now().monotonic);
    let mut next = Instant::now();
    loop {
        sleep_until(next).await;
        next += interval;
        let resident = resident_memory().unwrap_or(0);
        let plugins = listeners.borrow().plugins().figures();
        let mut dispatch = dispatch.borrow_mut();
        topics.publish(&router, resident, &plugins, &mut dispatch);
        dispatch.flush();
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Bytes of memory that the process occupies; `None` where the system does not say.
pub fn resident_memory() -> Option<u64> {
    kibibytes("/proc/self/status", "VmRSS:")
}

/// The machine's memory, or the container's if that is less.
fn total_memory() -> Option<u64> {
    let machine = kibibytes("/proc/meminfo", "MemTotal:")?;
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok());
    Some(container.map_or(machine, |container: u64| machine.min(container)))
}

fn kibibytes(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_how_much_memory_there_is() {
        let (resident, total) = (resident_memory().unwrap(), total_memory().unwrap());
        assert!(resident > 0 && resident < total, "{resident} {total}");
    }
}
