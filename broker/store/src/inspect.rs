//! What a directory holds, for people: read without changing it, and without a broker.

use dunlin_codec::{PacketId, Qos};
use dunlin_log::{Disk as Files, Found, OpenError, Progress};
use dunlin_router::TargetOptions;
use dunlin_session::{Message, Will};
use dunlin_time::Wall;

use crate::disk::read;
use crate::image::{Entry, Flow, Image, Session};

/// All that lives in a store, as its log says. Like the running store it keeps every message in
/// memory.
pub struct Contents {
    found: Found,
    image: Image,
}

/// How much lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions.
    pub sessions: usize,
    /// Those of them whose time is over: they end when a broker starts.
    pub sessions_over: usize,
    /// Messages in their queues, each counted in each, those under way among them.
    pub queued: usize,
    /// Those of them whose time is over: nobody gets them.
    pub queued_expired: usize,
    /// Retained messages.
    pub retained: usize,
    /// Those of them whose time is over.
    pub retained_expired: usize,
    /// Messages, each once however many queues have it.
    pub messages: usize,
    /// Bytes that all of it takes in the log, roughly.
    pub live_bytes: u64,
}

/// Reads a store and changes nothing.
///
/// # Errors
/// Those of [`crate::Disk::open`].
pub fn inspect(
    files: &dyn Files,
    progress: &mut dyn FnMut(Progress),
) -> Result<Contents, OpenError> {
    let mut image = Image {
        keep_unreferenced: true,
        ..Image::default()
    };
    let mut scratch = Vec::new();
    let found = dunlin_log::inspect(
        files,
        &mut |segment, record| read(&mut image, segment, record, &mut scratch),
        progress,
    )?;
    image.complete().map_err(|why| OpenError::Damaged {
        file: format!("{:016x}.log", found.segments.1),
        offset: 0,
        why,
    })?;
    Ok(Contents { found, image })
}

impl Contents {
    /// What the files are like.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// How much lives; what is over at `now` is still there.
    pub fn totals(&self, now: Wall) -> Totals {
        let expired = |message: &Message| message.expires().is_some_and(|at| at <= now);
        let mut totals = Totals {
            retained: self.image.retained.len(),
            retained_expired: self.retained().filter(|message| expired(message)).count(),
            messages: self.messages().count(),
            live_bytes: self.image.live_bytes,
            ..Totals::default()
        };
        for session in self.sessions() {
            totals.sessions += 1;
            totals.sessions_over += usize::from(session.is_over(now));
            for queued in session.queue() {
                totals.queued += 1;
                totals.queued_expired += usize::from(queued.message().is_some_and(expired));
            }
        }
        totals
    }

    /// Sessions, in the order in which they began.
    pub fn sessions(&self) -> impl Iterator<Item = StoredSession<'_>> {
        let image = &self.image;
        let sessions = image.sessions.values();
        sessions.map(move |session| StoredSession { image, session })
    }

    /// Retained messages, by topic.
    pub fn retained(&self) -> impl Iterator<Item = &Message> {
        let mut topics: Vec<(&str, u64)> = Vec::with_capacity(self.image.retained.len());
        topics.extend(
            self.image
                .retained
                .iter()
                .map(|(topic, at)| (&**topic, *at)),
        );
        topics.sort_unstable();
        topics
            .into_iter()
            .filter_map(|(_, number)| message(&self.image, number))
    }

    /// Messages with their numbers, the oldest first.
    pub fn messages(&self) -> impl Iterator<Item = (u64, &Message)> {
        let mut numbers: Vec<u64> = self.image.messages.keys().copied().collect();
        numbers.sort_unstable();
        numbers
            .into_iter()
            .filter_map(|number| Some((number, message(&self.image, number)?)))
    }
}

fn message(image: &Image, number: u64) -> Option<&Message> {
    image.messages.get(&number)?.message.as_ref()
}

/// A session as it is stored.
#[derive(Clone, Copy)]
pub struct StoredSession<'a> {
    image: &'a Image,
    session: &'a Session,
}

impl<'a> StoredSession<'a> {
    /// Whose.
    pub fn client_id(&self) -> &'a str {
        &self.session.client_id
    }

    /// Seconds that it outlives its connection; `u32::MAX` is for ever.
    pub fn expiry(&self) -> u32 {
        self.session.expiry
    }

    /// When its connection ended; `None` if it had one when the broker ended.
    pub fn left(&self) -> Option<Wall> {
        self.session.left
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Wall) -> bool {
        let expiry = std::time::Duration::from_secs(self.session.expiry.into());
        self.session.expiry != u32::MAX && self.session.left.is_some_and(|at| at + expiry <= now)
    }

    /// What is still to be published for it.
    pub fn will(&self) -> Option<&'a Will> {
        self.session.will.as_deref()
    }

    /// Its subscriptions, by filter.
    pub fn subscriptions(&self) -> impl Iterator<Item = StoredSubscription<'a>> {
        let subscriptions = self.session.subscriptions.iter();
        subscriptions.map(|(filter, subscribed)| StoredSubscription {
            filter,
            options: subscribed.options,
            identifier: subscribed.identifier.map(|identifier| identifier.get()),
        })
    }

    /// Packet ids of QoS 2 messages from its client that it has not released yet.
    pub fn received(&self) -> impl Iterator<Item = PacketId> {
        self.session.received.iter().copied()
    }

    /// What waits or is under way, the oldest first.
    pub fn queue(&self) -> impl ExactSizeIterator<Item = StoredEntry<'a>> {
        let image = self.image;
        let queue = self.session.queue.iter();
        queue.map(move |entry| StoredEntry { image, entry })
    }
}

/// A subscription as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredSubscription<'a> {
    /// With `$share/...`, below the listener's mount point.
    pub filter: &'a str,
    /// How messages are delivered.
    pub options: TargetOptions,
    /// The client's Subscription Identifier.
    pub identifier: Option<u32>,
}

/// A message in a queue.
#[derive(Clone, Copy)]
pub struct StoredEntry<'a> {
    image: &'a Image,
    entry: &'a Entry,
}

/// How far a message in a queue has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It waits.
    Not,
    /// It was sent under this packet id.
    Sent(PacketId),
    /// Its client has it, and holds this packet id.
    Taken(PacketId),
}

impl<'a> StoredEntry<'a> {
    /// What; `None` once its client has it.
    pub fn message(&self) -> Option<&'a Message> {
        message(self.image, self.entry.message)
    }

    /// The message's number; 0 once its client has it.
    pub fn number(&self) -> u64 {
        self.entry.message
    }

    /// The QoS it is delivered with.
    pub fn qos(&self) -> Qos {
        self.entry.qos
    }

    /// How far it has come.
    pub fn delivered(&self) -> Delivered {
        match self.entry.flow {
            Flow::Waits => Delivered::Not,
            Flow::Sent(packet_id) => Delivered::Sent(packet_id),
            Flow::Taken(packet_id) => Delivered::Taken(packet_id),
        }
    }
}
