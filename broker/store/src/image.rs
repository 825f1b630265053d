//! What the log says, in memory: every step of every record goes through [`Image::apply`], while the
//! broker runs and when it starts again. So what comes back after a crash is what was there.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;

use dunlin_codec::{PacketId, Qos};
use dunlin_router::TargetOptions;
use dunlin_router::ports::Retained;
use dunlin_session::{Delivery, Identifiers, Message, Will};
use dunlin_time::Wall;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::record::{Step, Which};

type Map<K, V> = HashMap<K, V, RandomState>;

/// All that lives.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub sessions: BTreeMap<u64, Session>,
    pub messages: BTreeMap<u64, Kept>,
    /// Topic to message.
    pub retained: Map<Box<str>, u64>,
    /// The largest number that a session ever had.
    pub last_session: u64,
    /// The largest number that a message ever had.
    pub last_message: u64,
    /// Bytes that all of it takes in the log, roughly.
    pub live_bytes: u64,
    /// What was written where: each number stands in one list that is right, and in older ones.
    pub segments: BTreeMap<u64, Contents>,
    /// While the log is read, a message that nobody refers to may be referred to later.
    pub keep_unreferenced: bool,
}

/// What was written to a segment, in part no longer alive.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub messages: Vec<u64>,
    pub sessions: Vec<u64>,
}

/// A message, stored once however many refer to it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// `None` while the log is read and the message stands further on.
    pub message: Option<Message>,
    /// Queue entries, and one more if it is retained.
    pub references: u32,
    /// The segment that holds it.
    pub segment: u64,
}

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub client_id: Box<str>,
    /// Seconds that it outlives its connection.
    pub expiry: u32,
    /// When its connection ended; `None` while it has one.
    pub left: Option<Wall>,
    pub will: Option<Box<Will>>,
    /// Sorted by filter.
    pub subscriptions: Vec<(Box<str>, Subscribed)>,
    /// QoS 2 packet ids from its client, oldest first.
    pub received: VecDeque<PacketId>,
    /// Oldest first.
    pub queue: VecDeque<Entry>,
    /// The segment that all of it is in, or after.
    pub segment: u64,
    /// What it takes in the log, roughly ...
    bytes: u64,
    /// ... and how much of that the image counts.
    counted: u64,
}

/// A subscription's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subscribed {
    pub options: TargetOptions,
    pub identifier: Option<NonZeroU32>,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub message: u64,
    pub identifiers: Identifiers,
    pub flow: Flow,
    pub qos: Qos,
    pub retain: bool,
    pub shared: bool,
}

/// How far an entry's delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Waits,
    /// Under this packet id. At QoS 1 the record lags: after a crash the latest may seem to wait,
    /// and get the ids that follow, which they had.
    Sent(PacketId),
    /// PUBREC came; the entry's message is gone.
    Taken(PacketId),
}

impl Entry {
    pub fn of(delivery: &Delivery) -> Self {
        Entry {
            message: Which::of(delivery).message,
            identifiers: delivery.identifiers.clone(),
            flow: Flow::Waits,
            qos: delivery.qos,
            retain: delivery.retain,
            shared: delivery.shared.is_some(),
        }
    }

    fn has_id(&self, id: PacketId) -> bool {
        self.flow == Flow::Sent(id) || self.flow == Flow::Taken(id)
    }
}

/// What a session takes in the log beside its parts.
const SESSION_BYTES: u64 = 24;
/// What an entry of a queue takes.
const ENTRY_BYTES: u64 = 8;

impl Session {
    pub fn new(client_id: Box<str>, expiry: u32, will: Option<Box<Will>>) -> Self {
        Session {
            client_id,
            expiry,
            left: None,
            will,
            subscriptions: Vec::new(),
            received: VecDeque::new(),
            queue: VecDeque::new(),
            segment: 0,
            bytes: 0,
            counted: 0,
        }
    }

    fn measure(&self) -> u64 {
        let filters = self
            .subscriptions
            .iter()
            .map(|(filter, _)| filter_bytes(filter));
        SESSION_BYTES
            + self.client_id.len() as u64
            + will_bytes(self.will.as_deref())
            + filters.sum::<u64>()
            + self.queue.len() as u64 * ENTRY_BYTES
    }
}

fn will_bytes(will: Option<&Will>) -> u64 {
    will.map_or(0, |will| {
        (will.topic.len() + will.forwarded.len() + will.payload.len()) as u64 + 16
    })
}

/// What was written to a segment.
fn contents(segments: &mut BTreeMap<u64, Contents>, segment: u64) -> &mut Contents {
    segments.entry(segment).or_default()
}

fn filter_bytes(filter: &str) -> u64 {
    filter.len() as u64 + 8
}

fn message_bytes(message: &Message) -> u64 {
    message.memory() as u64
}

impl Image {
    /// One step, which stands in `segment`. Steps about what is not there mean nothing: it ended
    /// before.
    pub fn apply(&mut self, step: Step, segment: u64) {
        match step {
            Step::Published {
                number,
                message,
                retained,
                queued,
            } => {
                self.published(number, &message, retained, segment, queued.into_iter());
            }
            Step::Queued { queued } => self.queued(queued.into_iter()),
            Step::Kept {
                number,
                message,
                retained,
            } => {
                self.kept(number, &message, segment);
                if retained {
                    self.set_retained(number, &message);
                }
            }
            Step::RetainedGone { topic } => self.clear_retained(&topic),
            Step::Whole { session, state } => self.insert(session, *state, segment),
            Step::Began {
                session,
                client_id,
                expiry,
                will,
            } => {
                self.insert(session, Session::new(client_id, expiry, will), segment);
            }
            Step::Ended { session } => self.remove(session),
            step => self.change_session(step),
        }
    }

    /// A new message, with the queues that have it.
    pub fn published(
        &mut self,
        number: u64,
        message: &Message,
        retained: Retained,
        segment: u64,
        queued: impl Iterator<Item = (u64, Entry)>,
    ) {
        self.kept(number, message, segment);
        match retained {
            Retained::Untouched => {}
            Retained::Set => self.set_retained(number, message),
            Retained::Cleared => self.clear_retained(message.topic()),
        }
        self.queued(queued);
        self.drop_unreferenced(number);
    }

    /// More queues have messages.
    pub fn queued(&mut self, queued: impl Iterator<Item = (u64, Entry)>) {
        for (session, entry) in queued {
            if let Some(session) = self.sessions.get_mut(&session) {
                self.messages.entry(entry.message).or_default().references += 1;
                session.queue.push_back(entry);
                session.bytes += ENTRY_BYTES;
                session.counted += ENTRY_BYTES;
                self.live_bytes += ENTRY_BYTES;
            }
        }
    }

    fn kept(&mut self, number: u64, message: &Message, segment: u64) {
        self.last_message = self.last_message.max(number);
        let kept = self.messages.entry(number).or_default();
        if kept.segment != segment {
            kept.segment = segment;
            contents(&mut self.segments, segment).messages.push(number);
        }
        if kept.message.is_none() {
            kept.message = Some(message.clone());
            self.live_bytes += message_bytes(message);
        }
    }

    fn set_retained(&mut self, number: u64, message: &Message) {
        let earlier = match self.retained.get_mut(message.topic()) {
            Some(earlier) => Some(std::mem::replace(earlier, number)),
            None => self.retained.insert(message.topic().into(), number),
        };
        if earlier == Some(number) {
            return;
        }
        self.messages.entry(number).or_default().references += 1;
        if let Some(earlier) = earlier {
            self.release(earlier);
        }
    }

    fn clear_retained(&mut self, topic: &str) {
        if let Some(number) = self.retained.remove(topic) {
            self.release(number);
        }
    }

    fn release(&mut self, number: u64) {
        if let Some(kept) = self.messages.get_mut(&number) {
            kept.references = kept.references.saturating_sub(1);
        }
        self.drop_unreferenced(number);
    }

    fn drop_unreferenced(&mut self, number: u64) {
        if self.keep_unreferenced {
            return;
        }
        if let Some(kept) = self.messages.get(&number)
            && kept.references == 0
        {
            self.live_bytes -= kept.message.as_ref().map_or(0, message_bytes);
            self.messages.remove(&number);
        }
    }

    fn insert(&mut self, number: u64, mut session: Session, segment: u64) {
        for entry in &session.queue {
            if entry.message != 0 {
                self.messages.entry(entry.message).or_default().references += 1;
            }
        }
        self.remove(number);
        self.last_session = self.last_session.max(number);
        session.segment = segment;
        contents(&mut self.segments, segment).sessions.push(number);
        session.bytes = session.measure();
        session.counted = session.bytes;
        self.live_bytes += session.bytes;
        self.sessions.insert(number, session);
    }

    fn remove(&mut self, session: u64) {
        if let Some(session) = self.sessions.remove(&session) {
            self.live_bytes -= session.counted;
            for entry in session.queue {
                self.release(entry.message);
            }
        }
    }

    fn change_session(&mut self, step: Step) {
        let (Step::Resumed { session, .. }
        | Step::Left { session, .. }
        | Step::Subscribed { session, .. }
        | Step::Unsubscribed { session, .. }
        | Step::Received { session, .. }
        | Step::Released { session, .. }
        | Step::Sent { session, .. }
        | Step::Taken { session, .. }
        | Step::Completed { session, .. }
        | Step::Removed { session, .. }
        | Step::WillDone { session }) = step
        else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&session) else {
            return;
        };
        let gone = session.change(step);
        self.live_bytes = self.live_bytes - session.counted + session.bytes;
        session.counted = session.bytes;
        if let Some(message) = gone.filter(|message| *message != 0) {
            self.release(message);
        }
    }

    /// The session was written again.
    pub fn moved_session(&mut self, number: u64, segment: u64) {
        if let Some(session) = self.sessions.get_mut(&number) {
            session.segment = segment;
            contents(&mut self.segments, segment).sessions.push(number);
        }
    }

    /// The message was written again.
    pub fn moved_message(&mut self, number: u64, segment: u64) {
        if let Some(kept) = self.messages.get_mut(&number) {
            kept.segment = segment;
            contents(&mut self.segments, segment).messages.push(number);
        }
    }

    /// The whole log was read: what nobody refers to goes.
    ///
    /// # Errors
    /// A queue refers to a message that is nowhere.
    pub fn complete(&mut self) -> Result<(), String> {
        self.keep_unreferenced = false;
        let live_bytes = &mut self.live_bytes;
        let mut missing = None;
        self.messages.retain(|number, kept| {
            if kept.references > 0 && kept.message.is_none() {
                missing = Some(*number);
            }
            if kept.references == 0 {
                *live_bytes -= kept.message.as_ref().map_or(0, message_bytes);
            }
            kept.references > 0
        });
        match missing {
            None => Ok(()),
            Some(number) => Err(format!("message {number} is in a queue but not in the log")),
        }
    }
}

impl Session {
    /// Gives the message of an entry that is gone.
    fn change(&mut self, step: Step) -> Option<u64> {
        match step {
            Step::Resumed { expiry, will, .. } => {
                self.expiry = expiry;
                self.left = None;
                self.set_will(will);
            }
            Step::Left {
                at, expiry, will, ..
            } => {
                self.expiry = expiry;
                self.left = Some(at);
                if !will {
                    self.set_will(None);
                }
            }
            Step::WillDone { .. } => self.set_will(None),
            Step::Subscribed {
                filter, subscribed, ..
            } => match self.find_filter(&filter) {
                Ok(at) => self.subscriptions[at].1 = subscribed,
                Err(at) => {
                    self.bytes += filter_bytes(&filter);
                    self.subscriptions.insert(at, (filter, subscribed));
                }
            },
            Step::Unsubscribed { filter, .. } => {
                if let Ok(at) = self.find_filter(&filter) {
                    self.bytes -= filter_bytes(&filter);
                    self.subscriptions.remove(at);
                }
            }
            Step::Received { packet_id, .. } if self.received.contains(&packet_id) => (),
            Step::Received { packet_id, .. } => self.received.push_back(packet_id),
            Step::Released { packet_id, .. } => self.received.retain(|id| *id != packet_id),
            Step::Sent {
                which, packet_id, ..
            } => {
                if let Some(at) = self.find(which, |flow| flow == Flow::Waits) {
                    self.queue[at].flow = Flow::Sent(packet_id);
                }
            }
            Step::Taken { packet_id, .. } => return self.taken(packet_id),
            Step::Completed { packet_id, .. } => {
                let at = self
                    .queue
                    .iter()
                    .position(|entry| entry.has_id(packet_id))?;
                return self.forget(at);
            }
            Step::Removed { which, .. } => {
                let at = self.find(which, |flow| !matches!(flow, Flow::Taken(_)))?;
                return self.forget(at);
            }
            _ => {}
        }
        None
    }

    fn set_will(&mut self, will: Option<Box<Will>>) {
        self.bytes -= will_bytes(self.will.as_deref());
        self.bytes += will_bytes(will.as_deref());
        self.will = will;
    }

    fn taken(&mut self, packet_id: PacketId) -> Option<u64> {
        let entry = self
            .queue
            .iter_mut()
            .find(|entry| entry.has_id(packet_id))?;
        entry.flow = Flow::Taken(packet_id);
        Some(std::mem::take(&mut entry.message))
    }

    fn find_filter(&self, filter: &str) -> Result<usize, usize> {
        self.subscriptions
            .binary_search_by(|(other, _)| (**other).cmp(filter))
    }

    /// The first entry of a message: what is removed or sent stands near the front.
    fn find(&self, which: Which, has_come: impl Fn(Flow) -> bool) -> Option<usize> {
        self.queue.iter().position(|entry| {
            entry.message == which.message && entry.shared == which.shared && has_come(entry.flow)
        })
    }

    fn forget(&mut self, at: usize) -> Option<u64> {
        self.bytes -= ENTRY_BYTES;
        self.queue.remove(at).map(|entry| entry.message)
    }
}
