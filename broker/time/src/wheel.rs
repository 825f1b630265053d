//! Timers by the million: setting and clearing one costs the same however many there are.

use std::time::Duration;

use crate::Monotonic;

/// Milliseconds to one tick: how late a timer may fire.
const TICK: u64 = 64;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 64^6 ticks of 64 ms are 139 years.
const LEVELS: usize = 6;
const NONE: u32 = u32::MAX;

/// A hierarchical timer wheel: insert, cancel and fire in constant time, 32 bytes a timer with a
/// pointer-sized value. Deadlines are rounded up to 64 ms; none fires early.
///
/// Level 0 has a slot for each of the next 64 ticks, level n for each of the next 64^(n+1) in
/// steps of 64^n. When the clock enters a slot of a higher level, its timers move down.
///
/// At most 2^32 - 2 timers.
#[derive(Debug)]
pub struct Wheel<T> {
    now: u64,
    heads: [[u32; SLOTS]; LEVELS],
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
}

#[derive(Debug)]
struct Entry<T> {
    deadline: u64,
    previous: u32,
    next: u32,
    generation: u32,
    value: Option<T>,
}

/// Names one timer of a [`Wheel`]; stale once it fired or was cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerKey {
    index: u32,
    generation: u32,
}

impl<T> Wheel<T> {
    /// An empty wheel that starts at `now`.
    pub fn new(now: Monotonic) -> Self {
        Wheel {
            now: now.0 / TICK,
            heads: [[NONE; SLOTS]; LEVELS],
            entries: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    /// How many timers wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a timer that [`Wheel::advance`] hands out at the first tick at or after `deadline`.
    pub fn insert(&mut self, deadline: Monotonic, value: T) -> TimerKey {
        let deadline = deadline.0.div_ceil(TICK).max(self.now + 1);
        let index = self.allocate(deadline, value);
        self.link(index);
        self.len += 1;
        TimerKey {
            index,
            generation: self.entries[index as usize].generation,
        }
    }

    /// Removes a timer; `None` when it has fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation != key.generation || entry.value.is_none() {
            return None;
        }
        self.unlink(key.index);
        self.release(key.index)
    }

    /// Moves the clock to `now` and appends what is due to `fired`, earlier ticks first.
    pub fn advance(&mut self, now: Monotonic, fired: &mut Vec<T>) {
        let target = now.0 / TICK;
        while self.now < target {
            if self.len == 0 {
                self.now = target;
                return;
            }
            self.now += 1;
            self.cascade();
            self.fire(fired);
        }
    }

    /// When [`Wheel::advance`] has something to do next, at the latest; `None` while empty.
    ///
    /// For timers further away than level 0 reaches, this is when they next move down.
    pub fn next_wake(&self) -> Option<Monotonic> {
        if self.len == 0 {
            return None;
        }
        let within = self.now as usize % SLOTS;
        let ticks = (1..=SLOTS - within)
            .find(|step| self.heads[0][(within + step) % SLOTS] != NONE)
            .unwrap_or(SLOTS - within);
        Some(Monotonic((self.now + ticks as u64) * TICK))
    }

    /// The most that a timer may be late when [`Wheel::advance`] is called at every tick.
    pub const fn resolution() -> Duration {
        Duration::from_millis(TICK)
    }

    /// Moves timers of higher levels down whose slot begins at this tick.
    fn cascade(&mut self) {
        for level in 1..LEVELS {
            let below = SLOT_BITS * level as u32;
            if self.now & ((1 << below) - 1) != 0 {
                return;
            }
            let slot = (self.now >> below) as usize % SLOTS;
            let mut index = std::mem::replace(&mut self.heads[level][slot], NONE);
            while index != NONE {
                let next = self.entries[index as usize].next;
                self.link(index);
                index = next;
            }
        }
    }

    fn fire(&mut self, fired: &mut Vec<T>) {
        let slot = self.now as usize % SLOTS;
        let mut index = std::mem::replace(&mut self.heads[0][slot], NONE);
        while index != NONE {
            let next = self.entries[index as usize].next;
            if self.entries[index as usize].deadline > self.now {
                self.link(index);
            } else {
                fired.extend(self.release(index));
            }
            index = next;
        }
    }

    fn place(&self, deadline: u64) -> (usize, usize) {
        let farthest = self.now + (1 << (SLOT_BITS * LEVELS as u32)) - 1;
        let deadline = deadline.min(farthest);
        let distance = deadline.saturating_sub(self.now).max(1);
        let level = (distance.ilog2() / SLOT_BITS) as usize;
        let slot = (deadline >> (SLOT_BITS * level as u32)) as usize % SLOTS;
        (level, slot)
    }

    fn link(&mut self, index: u32) {
        let (level, slot) = self.place(self.entries[index as usize].deadline);
        let head = std::mem::replace(&mut self.heads[level][slot], index);
        if head != NONE {
            self.entries[head as usize].previous = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.previous = NONE;
        entry.next = head;
    }

    fn unlink(&mut self, index: u32) {
        let Entry { previous, next, .. } = self.entries[index as usize];
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
            return;
        }
        for head in self.heads.iter_mut().flatten() {
            if *head == index {
                *head = next;
                return;
            }
        }
    }

    fn allocate(&mut self, deadline: u64, value: T) -> u32 {
        if self.free == NONE {
            self.entries.push(Entry {
                deadline,
                previous: NONE,
                next: NONE,
                generation: 0,
                value: Some(value),
            });
            return (self.entries.len() - 1) as u32;
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        entry.deadline = deadline;
        entry.value = Some(value);
        index
    }

    fn release(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
        entry.value.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn advance(wheel: &mut Wheel<u32>, milliseconds: u64) -> Vec<u32> {
        let mut fired = Vec::new();
        wheel.advance(Monotonic(milliseconds), &mut fired);
        fired
    }

    #[test]
    fn fires_at_the_first_tick_at_or_after_the_deadline() {
        let mut wheel = Wheel::new(Monotonic(0));
        wheel.insert(Monotonic(100), 1);
        assert_eq!(advance(&mut wheel, 99), []);
        assert_eq!(advance(&mut wheel, 100 + TICK), [1]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_cancelled_timer_never_fires_and_its_key_is_stale() {
        let mut wheel = Wheel::new(Monotonic(0));
        let key = wheel.insert(Monotonic(100), 1);
        assert_eq!(wheel.cancel(key), Some(1));
        let second = wheel.insert(Monotonic(200), 2);
        assert_eq!(wheel.cancel(key), None);
        assert_eq!(advance(&mut wheel, 1000), [2]);
        assert_eq!(wheel.cancel(second), None);
    }

    #[test]
    fn a_deadline_beyond_the_last_level_waits_there() {
        let mut wheel = Wheel::new(Monotonic(0));
        let key = wheel.insert(Monotonic(u64::MAX), 1);
        assert_eq!(advance(&mut wheel, 10_000_000), []);
        assert_eq!(wheel.cancel(key), Some(1));
    }

    proptest! {
        #[test]
        fn fires_all_and_only_what_is_due(
            deadlines in prop::collection::vec(0u64..50_000_000, 0..200),
            steps in prop::collection::vec(1u64..4_000_000, 0..60),
            cancelled in prop::collection::vec(any::<bool>(), 200),
        ) {
            let mut wheel = Wheel::new(Monotonic(0));
            let keys: Vec<_> = deadlines.iter().enumerate()
                .map(|(i, d)| wheel.insert(Monotonic(*d), i as u32)).collect();
            let mut waiting: Vec<usize> = (0..deadlines.len()).collect();
            waiting.retain(|i| if cancelled[*i] { wheel.cancel(keys[*i]).is_none() } else { true });
            let mut now = 0;
            for step in steps {
                now += step;
                let mut fired = advance(&mut wheel, now);
                fired.sort();
                let due: Vec<u32> = waiting.iter().filter(|i| {
                    deadlines[**i].div_ceil(TICK).max(1) <= now / TICK
                }).map(|i| *i as u32).collect();
                waiting.retain(|i| !due.contains(&(*i as u32)));
                prop_assert_eq!(fired, due);
                prop_assert_eq!(wheel.len(), waiting.len());
                if let Some(wake) = wheel.next_wake() {
                    prop_assert!(wake.0 > now / TICK * TICK);
                }
            }
        }
    }
}
