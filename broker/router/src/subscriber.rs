//! A session as the rest of the broker sees it: an inbox with a name.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use dunlin_codec::{Qos, ReasonCode};
use dunlin_session::{Delivery, SessionState, Will};
use dunlin_time::Wall;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::QueueLimits;

/// One session's place in the broker, from its first CONNECT to its end: what index targets point
/// to. Connections come and go; the queue stays.
pub struct Subscriber {
    /// Unique in this process; also what No Local compares.
    pub number: u64,
    /// Unique among live sessions.
    pub client_id: Arc<str>,
    /// The worker whose connection last had this session: deliveries travel by its mailboxes, so
    /// that one path keeps their order.
    home: AtomicU16,
    /// Whether the session outlives its connection.
    persistent: AtomicBool,
    /// Whether it also outlives the process: then its messages gate acknowledgements.
    stored: bool,
    /// Whether the queue was at its limit when it last changed: for those who send by mailbox and
    /// cannot wait to see.
    full: AtomicBool,
    /// Whether publishers wait for room: one of [`crowding`].
    // Written under the lock of the inbox.
    crowding: AtomicU8,
    /// No message of the queue has expired before, in milliseconds of [`Wall`]; [`NEVER`] if none
    /// does.
    // Written under the lock of the inbox.
    expires: AtomicU64,
    /// Messages sent and unacknowledged, as of the last turn: for shared subscriptions.
    inflight: AtomicU16,
    // Locked for a push or a swap, by any worker; never while another lock is taken.
    inbox: Mutex<Inbox>,
    /// Filters as subscribed, with `$share/...`; sorted.
    // Locked by the session's own connection, and by whoever ends the session.
    pub(crate) subscriptions: Mutex<Vec<Box<str>>>,
}

/// How a queue of which more than half is taken is treated by those who fill it.
mod crowding {
    /// It has room.
    pub const NONE: u8 = 0;
    /// They wait for room.
    pub const WAITED_FOR: u8 = 1;
    /// One has waited for nothing: until it has drained nobody waits.
    pub const GIVEN_UP: u8 = 2;
}

#[derive(Default)]
struct Inbox {
    queue: VecDeque<Delivery>,
    /// Of the queue and of what has a place in it.
    bytes: usize,
    /// Deliveries that have a place and are being recorded.
    reserved: u32,
    rare: Option<Box<Rare>>,
    /// Present while a connection sleeps on this inbox.
    waker: Option<Waker>,
    /// Whether a delivery wakes it, or only a word from outside.
    wants_deliveries: bool,
    attached: bool,
    /// The session is over: nothing is queued any more.
    ended: bool,
}

/// What few inboxes have: boxed, so that an idle one is small.
#[derive(Default)]
struct Rare {
    control: VecDeque<Control>,
    /// Woken when the queue has drained below half its limit.
    waiting_for_room: Vec<Waker>,
}

/// Room for so many deliveries is made at once: they come in bursts, and an inbox that was emptied
/// owns no memory.
const BURST: usize = 16;

/// Among milliseconds of [`Wall`].
const NEVER: u64 = u64::MAX;

/// Messages expire by the second: a full queue need not be searched more often.
const BETWEEN_SEARCHES: Duration = Duration::from_secs(1);

/// Stands for whichever connection has the session.
pub const EVERY_CONNECTION: u64 = 0;

/// What a connection is told from outside, ahead of its messages.
#[derive(Debug)]
pub enum Control {
    /// A newer connection has the same client id: end, and hand the session over.
    TakeOver(oneshot::Sender<HandedOver>),
    /// End this connection.
    Close {
        /// The connection meant, or [`EVERY_CONNECTION`]; another one of the session ignores it.
        connection: u64,
        /// For the DISCONNECT.
        reason: ReasonCode,
        /// For the log and the client.
        what: Cow<'static, str>,
    },
}

/// A session on its way from one connection to the next.
#[derive(Debug, Default)]
pub struct HandedOver {
    /// What the older connection left.
    pub state: SessionState,
    /// A delayed will: void if the session goes on, due if it ends [MQTT-3.1.3-9].
    pub will: Option<Will>,
    /// The session ended with the older connection: only a new one can follow [MQTT-3.1.2-6].
    pub ends: bool,
}

/// What became of a pushed delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is queued.
    Queued,
    /// It is queued, the queue is more than half full, and who fills it should wait.
    Crowded,
    /// The queue is at its limit, or the session has ended: dropped for this session.
    Full,
    /// QoS 0 while no connection is there: dropped, as the standard allows.
    Away,
}

impl Pushed {
    /// Whether the queue has it.
    pub fn is_taken(self) -> bool {
        matches!(self, Pushed::Queued | Pushed::Crowded)
    }
}

impl Subscriber {
    pub(crate) fn new(number: u64, client_id: Arc<str>, home: u16, stored: bool) -> Self {
        Subscriber {
            number,
            client_id,
            home: AtomicU16::new(home),
            persistent: AtomicBool::new(stored),
            stored,
            full: AtomicBool::new(false),
            crowding: AtomicU8::new(crowding::NONE),
            expires: AtomicU64::new(NEVER),
            inflight: AtomicU16::new(0),
            inbox: Mutex::default(),
            subscriptions: Mutex::default(),
        }
    }

    /// The worker whose mailboxes lead here.
    pub fn home(&self) -> u16 {
        self.home.load(Ordering::Acquire)
    }

    pub(crate) fn move_home(&self, worker: u16) {
        self.home.store(worker, Ordering::Release);
    }

    /// Whether the session outlives its connection.
    pub fn is_persistent(&self) -> bool {
        self.persistent.load(Ordering::Relaxed)
    }

    /// Whether the session outlives the process, and its changes are recorded.
    pub fn is_stored(&self) -> bool {
        self.stored
    }

    /// Whether the queue takes no more, as far as is known without its lock.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Set at CONNECT, and again if DISCONNECT changes the expiry.
    pub fn set_persistent(&self, persistent: bool) {
        self.persistent.store(persistent, Ordering::Relaxed);
    }

    /// Tells shared subscriptions how busy this session is.
    pub fn set_inflight(&self, inflight: usize) {
        let inflight = u16::try_from(inflight).unwrap_or(u16::MAX);
        if self.inflight.load(Ordering::Relaxed) != inflight {
            self.inflight.store(inflight, Ordering::Relaxed);
        }
    }

    /// Messages queued or unacknowledged; roughly, for choosing.
    pub(crate) fn load(&self) -> usize {
        self.inbox.lock().queue.len() + self.inflight.load(Ordering::Relaxed) as usize
    }

    /// Queues a delivery and wakes the connection if it sleeps. Gives it back if the queue is full.
    ///
    /// # Errors
    /// The delivery, which found no room.
    #[inline]
    pub fn push(&self, delivery: Delivery, limits: &QueueLimits) -> Result<Pushed, Delivery> {
        let mut inbox = self.inbox.lock();
        match self.refuse(&inbox, &delivery, limits) {
            None => {}
            Some(Pushed::Full) => return Err(delivery),
            Some(refused) => return Ok(refused),
        }
        inbox.bytes += delivery.message.memory();
        self.note_expiry(&delivery);
        let waker = inbox.push(delivery);
        let pushed = self.pushed(&inbox, limits);
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(pushed)
    }

    /// Gives a delivery a place in the queue, to be taken by [`Subscriber::push_reserved`] once it
    /// is recorded: what becomes of a message is recorded after the message.
    pub(crate) fn reserve(&self, delivery: &Delivery, limits: &QueueLimits) -> Pushed {
        let mut inbox = self.inbox.lock();
        if let Some(refused) = self.refuse(&inbox, delivery, limits) {
            return refused;
        }
        inbox.bytes += delivery.message.memory();
        inbox.reserved += 1;
        self.pushed(&inbox, limits)
    }

    /// Queues a delivery at its reserved place; gives it back if the session has ended meanwhile.
    pub(crate) fn push_reserved(&self, delivery: Delivery) -> Option<Delivery> {
        let mut inbox = self.inbox.lock();
        if inbox.ended {
            return Some(delivery);
        }
        inbox.reserved -= 1;
        self.note_expiry(&delivery);
        let waker = inbox.push(delivery);
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    #[inline]
    fn pushed(&self, inbox: &Inbox, limits: &QueueLimits) -> Pushed {
        match inbox.is_crowded(limits) {
            true => self.crowded(),
            false => Pushed::Queued,
        }
    }

    #[cold]
    fn crowded(&self) -> Pushed {
        match self.crowding.load(Ordering::Relaxed) {
            crowding::GIVEN_UP => Pushed::Queued,
            _ => {
                self.crowding.store(crowding::WAITED_FOR, Ordering::Relaxed);
                Pushed::Crowded
            }
        }
    }

    #[inline]
    fn refuse(&self, inbox: &Inbox, delivery: &Delivery, limits: &QueueLimits) -> Option<Pushed> {
        if !inbox.attached && delivery.qos == Qos::AtMostOnce && !limits.keep_qos_0 {
            return Some(Pushed::Away);
        }
        if inbox.ended {
            return Some(Pushed::Full);
        }
        let waiting = inbox.queue.len() + inbox.reserved as usize;
        let bytes = inbox.bytes + delivery.message.memory();
        // A message larger than the whole limit still passes through an empty queue.
        if (waiting >= limits.messages || bytes > limits.bytes) && waiting > 0 {
            self.full.store(true, Ordering::Relaxed);
            return Some(Pushed::Full);
        }
        None
    }

    /// Sends word to the connection.
    pub fn control(&self, control: Control) {
        let mut inbox = self.inbox.lock();
        inbox.rare().control.push_back(control);
        if let Some(waker) = inbox.waker.take() {
            drop(inbox);
            waker.wake();
        }
    }

    /// Ends the connection that has the session; `false` if none has.
    pub fn disconnect(&self, reason: ReasonCode, what: &'static str) -> bool {
        let mut inbox = self.inbox.lock();
        if !inbox.attached {
            return false;
        }
        inbox.rare().control.push_back(Control::Close {
            connection: EVERY_CONNECTION,
            reason,
            what: what.into(),
        });
        if let Some(waker) = inbox.waker.take() {
            drop(inbox);
            waker.wake();
        }
        true
    }

    /// Leaves a word for whoever has the session next.
    pub fn put_back_control(&self, control: Control) {
        self.inbox.lock().rare().control.push_front(control);
    }

    /// The oldest word to the connection.
    pub fn next_control(&self) -> Option<Control> {
        self.inbox.lock().next_control()
    }

    /// Moves up to `most` deliveries, of about `bytes` together, to `batch`, which is empty. Without
    /// any, `waker` is kept, and woken by the next push.
    ///
    /// With `most` zero only word from outside wakes.
    pub fn take(
        &self,
        most: usize,
        bytes: usize,
        batch: &mut VecDeque<Delivery>,
        waker: &Waker,
    ) -> Taken {
        let mut inbox = self.inbox.lock();
        inbox.take(most, bytes, batch);
        let taken = batch.len();
        if taken > 0 && self.is_full() {
            self.full.store(false, Ordering::Relaxed);
        }
        if inbox.queue.is_empty() && inbox.queue.capacity() > 0 {
            inbox.queue = VecDeque::new();
        }
        let is_empty = inbox.queue.is_empty();
        if is_empty && self.expires().is_some() {
            self.expires.store(NEVER, Ordering::Relaxed);
        }
        if !inbox.has_control() && (is_empty || taken == 0) {
            inbox.wants_deliveries = most > 0;
            match &mut inbox.waker {
                Some(kept) => kept.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        let waiting = match is_empty || inbox.queue.len() < taken {
            true => self.drained(&mut inbox),
            false => Vec::new(),
        };
        let taken = Taken {
            control: inbox.has_control(),
            more: !is_empty,
        };
        drop(inbox);
        waiting.into_iter().for_each(Waker::wake);
        taken
    }

    /// Puts a delivery back at the front: the window closed before it.
    pub fn put_back(&self, deliveries: impl DoubleEndedIterator<Item = Delivery>) {
        let mut inbox = self.inbox.lock();
        inbox.queue.reserve_exact(deliveries.size_hint().0);
        for delivery in deliveries.rev() {
            inbox.bytes += delivery.message.memory();
            self.note_expiry(&delivery);
            inbox.queue.push_front(delivery);
        }
    }

    /// Before this no message of the queue has expired; `None` if none does. As far as is known
    /// without its lock.
    pub(crate) fn expires(&self) -> Option<Wall> {
        let expires = self.expires.load(Ordering::Relaxed);
        (expires != NEVER).then_some(Wall(expires))
    }

    #[inline]
    fn note_expiry(&self, delivery: &Delivery) {
        if let Some(at) = delivery.message.expires()
            && at.0 < self.expires.load(Ordering::Relaxed)
        {
            self.expires.store(at.0, Ordering::Relaxed);
        }
    }

    /// Takes what has expired out of the queue.
    pub(crate) fn take_expired(&self, now: Wall) -> VecDeque<Delivery> {
        let mut inbox = self.inbox.lock();
        let queue = std::mem::take(&mut inbox.queue);
        let (expired, kept): (VecDeque<_>, VecDeque<_>) = queue
            .into_iter()
            .partition(|delivery| delivery.message.expires().is_some_and(|at| at <= now));
        let memory = expired.iter().map(|delivery| delivery.message.memory());
        inbox.bytes -= memory.sum::<usize>();
        let next = kept
            .iter()
            .filter_map(|delivery| delivery.message.expires());
        let next = next.min().map(|at| at.max(now + BETWEEN_SEARCHES));
        self.expires
            .store(next.map_or(NEVER, |at| at.0), Ordering::Relaxed);
        inbox.queue = kept;
        if !expired.is_empty() {
            self.full.store(false, Ordering::Relaxed);
        }
        expired
    }

    /// Who waits for room.
    fn drained(&self, inbox: &mut Inbox) -> Vec<Waker> {
        if self.crowding.load(Ordering::Relaxed) != crowding::NONE {
            self.crowding.store(crowding::NONE, Ordering::Relaxed);
        }
        inbox.take_waiting()
    }

    /// Whether who fills the queue should wait, as far as is known without its lock.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.crowding.load(Ordering::Relaxed) == crowding::WAITED_FOR
    }

    /// Wakes `waker` once when the queue has room again; whether it must wait at all. Whoever ends
    /// while it waits says so: [`Subscriber::stop_waiting`].
    pub fn wait_for_room(&self, limits: &QueueLimits, waker: &Waker) -> bool {
        let mut inbox = self.inbox.lock();
        let wait = inbox.attached && inbox.is_crowded(limits) && self.is_waited_for();
        if wait {
            let waiting = &mut inbox.rare().waiting_for_room;
            if !waiting.iter().any(|other| other.will_wake(waker)) {
                waiting.push(waker.clone());
            }
        } else {
            inbox.stop_waiting(waker);
        }
        wait
    }

    /// Nobody waits for room any more until the queue has drained.
    pub fn give_up(&self) {
        let mut inbox = self.inbox.lock();
        self.crowding.store(crowding::GIVEN_UP, Ordering::Relaxed);
        let waiting = inbox.take_waiting();
        drop(inbox);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Forgets a waker that waits for room.
    pub fn stop_waiting(&self, waker: &Waker) {
        self.inbox.lock().stop_waiting(waker);
    }

    /// Messages queued.
    pub fn queued(&self) -> usize {
        self.inbox.lock().queue.len()
    }

    /// Messages queued, and their bytes.
    pub fn queue(&self) -> (usize, usize) {
        let inbox = self.inbox.lock();
        (inbox.queue.len(), inbox.bytes)
    }

    /// Bytes queued.
    pub fn queued_bytes(&self) -> usize {
        self.inbox.lock().bytes
    }

    /// Whether a connection is there.
    pub fn is_attached(&self) -> bool {
        self.inbox.lock().attached
    }

    pub(crate) fn set_attached(&self, attached: bool) {
        let mut inbox = self.inbox.lock();
        inbox.attached = attached;
        if !attached {
            inbox.waker = None;
            let waiting = self.drained(&mut inbox);
            drop(inbox);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// The session ends: mail to it is refused from here on.
    pub(crate) fn refuse_mail(&self) {
        self.full.store(true, Ordering::Relaxed);
    }

    /// The session ended: what was queued, and nothing is queued any more.
    pub(crate) fn end(&self) -> VecDeque<Delivery> {
        let mut inbox = self.inbox.lock();
        inbox.ended = true;
        inbox.bytes = 0;
        std::mem::take(&mut inbox.queue)
    }

    /// Empties the queue of what no store has promised to keep: memory is short.
    pub(crate) fn drain(&self) -> VecDeque<Delivery> {
        let mut inbox = self.inbox.lock();
        let queue = std::mem::take(&mut inbox.queue);
        let (kept, dropped): (VecDeque<_>, VecDeque<_>) =
            queue.into_iter().partition(|delivery| delivery.stored);
        let memory = dropped.iter().map(|delivery| delivery.message.memory());
        inbox.bytes -= memory.sum::<usize>();
        inbox.queue = kept;
        self.full.store(false, Ordering::Relaxed);
        dropped
    }

    /// Gives the session to the oldest connection that still waits for it; back if none does.
    pub(crate) fn pass_on(&self, mut handed_over: HandedOver) -> Option<HandedOver> {
        while let Some(taker) = self.next_taker() {
            match taker.send(handed_over) {
                Ok(()) => return None,
                // It gave up.
                Err(back) => handed_over = back,
            }
        }
        Some(handed_over)
    }

    /// Whether a connection waits for the session.
    pub(crate) fn is_claimed(&self) -> bool {
        let waits =
            |control: &Control| matches!(control, Control::TakeOver(taker) if !taker.is_closed());
        let inbox = self.inbox.lock();
        let rare = inbox.rare.as_ref();
        rare.is_some_and(|rare| rare.control.iter().any(waits))
    }

    /// The oldest waiting take-over; other words were for a connection that is gone.
    pub(crate) fn next_taker(&self) -> Option<oneshot::Sender<HandedOver>> {
        let mut inbox = self.inbox.lock();
        while let Some(control) = inbox.next_control() {
            if let Control::TakeOver(taker) = control {
                return Some(taker);
            }
        }
        None
    }
}

/// What [`Subscriber::take`] leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Words from outside wait.
    pub control: bool,
    /// Deliveries wait.
    pub more: bool,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("number", &self.number)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Inbox {
    /// Gives whom to wake.
    #[inline(always)]
    fn push(&mut self, delivery: Delivery) -> Option<Waker> {
        if self.queue.capacity() == 0 {
            self.queue = VecDeque::with_capacity(BURST);
        }
        self.queue.push_back(delivery);
        match self.wants_deliveries {
            true => self.waker.take(),
            false => None,
        }
    }

    fn take(&mut self, most: usize, bytes: usize, batch: &mut VecDeque<Delivery>) {
        if self.queue.len() <= most && self.bytes <= bytes && self.reserved == 0 {
            *batch = std::mem::take(&mut self.queue);
            self.bytes = 0;
            return;
        }
        let mut size = 0;
        while batch.len() < most && size < bytes {
            let Some(delivery) = self.queue.pop_front() else {
                break;
            };
            size += delivery.message.memory();
            batch.push_back(delivery);
        }
        self.bytes -= size;
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn has_control(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| !rare.control.is_empty())
    }

    fn next_control(&mut self) -> Option<Control> {
        self.rare.as_mut()?.control.pop_front()
    }

    fn take_waiting(&mut self) -> Vec<Waker> {
        let rare = self.rare.as_mut();
        rare.map_or_else(Vec::new, |rare| std::mem::take(&mut rare.waiting_for_room))
    }

    fn stop_waiting(&mut self, waker: &Waker) {
        if let Some(rare) = &mut self.rare {
            rare.waiting_for_room
                .retain(|other| !other.will_wake(waker));
        }
    }

    fn is_crowded(&self, limits: &QueueLimits) -> bool {
        self.queue.len() * 2 > limits.messages || self.bytes * 2 > limits.bytes
    }
}
