//! Shared subscriptions (MQTT 5, section 4.8.2).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::target::SessionTarget;

/// How a shared subscription chooses the member for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest messages queued and unacknowledged.
    LeastInFlight,
}

/// The sessions that share one filter under one name.
pub struct Group {
    number: NonZeroU32,
    strategy: Strategy,
    // Locked to join, leave and choose.
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    list: Vec<SessionTarget>,
    /// Whose turn it is; the first's if it is behind the last.
    next: usize,
}

/// Members that are tried for one message.
const TRIES: usize = 8;

impl Group {
    /// Names the group in a delivery.
    pub fn number(&self) -> NonZeroU32 {
        self.number
    }

    pub(crate) fn key(&self) -> u64 {
        1 << 63 | u64::from(self.number.get())
    }

    /// The members in the order in which they should be tried: those with a connection first.
    /// At most `TRIES`, so that a large group with full queues stays cheap.
    pub(crate) fn choose(&self) -> impl Iterator<Item = SessionTarget> {
        let mut members = self.members.lock();
        let Members { list, next } = &mut *members;
        let mut chosen: Vec<SessionTarget> = Vec::new();
        match self.strategy {
            Strategy::RoundRobin => {
                let (first, count) = (*next, list.len());
                let in_turn = (0..count).map(|step| (first + step) % count);
                let is_here = |at: &usize| list[*at].subscriber.is_attached();
                match in_turn.clone().find(is_here) {
                    Some(at) => {
                        *next = at + 1;
                        chosen.push(list[at].clone());
                    }
                    None => {
                        *next = (first + 1) % count.max(1);
                        chosen.extend(in_turn.take(TRIES).map(|at| list[at].clone()));
                    }
                }
            }
            Strategy::LeastInFlight => {
                let least = list.iter().min_by_key(|member| {
                    (!member.subscriber.is_attached(), member.subscriber.load())
                });
                chosen.extend(least.cloned());
            }
        }
        chosen.into_iter()
    }

    /// Members with a connection to be tried when the chosen one has no room; at most `TRIES`.
    pub(crate) fn others(&self) -> Vec<SessionTarget> {
        let members = self.members.lock();
        let (before, after) = members.list.split_at(members.next.min(members.list.len()));
        let all = after.iter().chain(before);
        all.filter(|member| member.subscriber.is_attached())
            .take(TRIES)
            .cloned()
            .collect()
    }
}

/// All groups, by their subscription's text and by number.
pub(crate) struct Groups {
    strategy: Strategy,
    numbers: AtomicU32,
    // Locked to join and leave, and when a session with shared messages ends.
    groups: Mutex<Registered>,
}

#[derive(Default)]
struct Registered {
    by_text: HashMap<Box<str>, Arc<Group>, RandomState>,
    by_number: HashMap<NonZeroU32, Arc<Group>, RandomState>,
}

impl Groups {
    pub fn new(strategy: Strategy) -> Self {
        Groups {
            strategy,
            numbers: AtomicU32::new(1),
            groups: Mutex::default(),
        }
    }

    /// The number of the group `$share/name/filter`.
    pub fn number(&self, text: &str) -> Option<NonZeroU32> {
        let groups = self.groups.lock();
        groups.by_text.get(text).map(|group| group.number)
    }

    /// Adds or replaces a member of the group `$share/name/filter`; `on_first` runs under the lock
    /// if it is the first.
    pub fn join(&self, text: &str, target: SessionTarget, on_first: impl FnOnce(&Arc<Group>)) {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.by_text.get(text) {
            let mut members = group.members.lock();
            let number = target.subscriber.number;
            match members
                .list
                .iter_mut()
                .find(|member| member.subscriber.number == number)
            {
                Some(member) => *member = target,
                None => members.list.push(target),
            }
            return;
        }
        let group = self.create(target);
        groups.by_text.insert(text.into(), group.clone());
        groups.by_number.insert(group.number, group.clone());
        on_first(&group);
    }

    /// Removes a member; `on_last` runs under the lock if it was the last.
    pub fn leave(&self, text: &str, session: u64, on_last: impl FnOnce(&Arc<Group>)) {
        let mut groups = self.groups.lock();
        let Some(group) = groups.by_text.get(text).cloned() else {
            return;
        };
        let mut members = group.members.lock();
        members
            .list
            .retain(|member| member.subscriber.number != session);
        if members.list.is_empty() {
            groups.by_text.remove(text);
            groups.by_number.remove(&group.number);
            on_last(&group);
        }
    }

    /// The group of a delivery; `None` once its last member left.
    pub fn get(&self, number: NonZeroU32) -> Option<Arc<Group>> {
        self.groups.lock().by_number.get(&number).cloned()
    }

    fn create(&self, first: SessionTarget) -> Arc<Group> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Arc::new(Group {
            // Only zero after four thousand million groups; then the number 1 is shared.
            number: NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN),
            strategy: self.strategy,
            members: Mutex::new(Members {
                list: vec![first],
                next: 0,
            }),
        })
    }
}
