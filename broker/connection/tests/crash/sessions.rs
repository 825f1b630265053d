//! What is known of a client's session from outside.

use std::time::Duration;

use dunlin_codec::Qos;
use dunlin_time::Wall;
use dunlin_topic::{Subscription, TopicName};

use crate::messages::Tick;

/// How late the broker may be with what is due.
pub const LATE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Session {
    /// Seconds that it outlives a connection.
    expiry: u32,
    /// It was said to exist, and nothing was done since that ends it at once.
    certain: bool,
    /// It may exist.
    possible: bool,
    /// The CONNECT that is under way may find it.
    may_be_found: bool,
    /// When its connection ended, at the earliest and at the latest; `None` while it has one.
    left: Option<(Wall, Wall)>,
    /// The end of its connection survives a crash.
    left_is_durable: bool,
    /// Its client has given up a connection that the broker still takes for alive.
    half_open: bool,
    /// Nothing that was published after this moment and has expired by this time may come on this
    /// connection: there was none meanwhile.
    away: Option<(Tick, Wall)>,
    /// When the last connection ended.
    last_end: Option<Tick>,
    subscriptions: Vec<Subscribed>,
}

/// One SUBSCRIBE, from when to when it counted.
#[derive(Debug)]
struct Subscribed {
    filter: &'static str,
    qos: Qos,
    asked: Tick,
    acknowledged: Option<Tick>,
    /// Something was sent that ends it.
    ending: bool,
    ended: Option<Tick>,
}

impl Subscribed {
    fn is_certain_since(&self, tick: Tick) -> bool {
        self.acknowledged.is_some_and(|since| since <= tick) && !self.ending && self.ended.is_none()
    }
}

pub fn is_shared(filter: &str) -> bool {
    filter.starts_with("$share/")
}

pub fn matches(filter: &str, topic: &str) -> bool {
    let subscription = Subscription::new(filter).expect("one of ours");
    let topic = TopicName::new(topic).expect("one of ours");
    subscription.filter.matches(topic)
}

impl Session {
    pub fn new(expiry: u32) -> Self {
        Session {
            expiry,
            certain: false,
            possible: false,
            may_be_found: false,
            left: None,
            left_is_durable: false,
            half_open: false,
            away: None,
            last_end: None,
            subscriptions: Vec::new(),
        }
    }

    pub fn persists(&self) -> bool {
        self.expiry > 0
    }

    /// CONNECT was sent; what was before may be over by it.
    pub fn connecting(&mut self, ends: bool, now: Wall) {
        let late = |left: Wall| now <= left + self.lifetime() + LATE;
        let may_live = self.expiry == u32::MAX || self.left.is_none_or(|(_, last)| late(last));
        self.may_be_found = self.possible && may_live;
        self.possible = true;
        self.away = self.last_end.take().map(|end| (end, now));
        if let Some((_, last)) = &mut self.left {
            // It may have a connection, though nobody said so.
            *last = Wall(u64::MAX);
            self.left_is_durable = false;
        }
        if ends {
            self.certain = false;
            for subscribed in &mut self.subscriptions {
                subscribed.ending = true;
            }
        }
    }

    /// CONNACK came: whether it says what it must about a session that was there.
    pub fn check_present(&self, clean: bool, present: bool, now: Wall) -> Result<(), String> {
        let must = !clean && !self.may_be_over(now);
        let may = !clean && self.may_be_found;
        match present {
            true if !may => Err("a session that is over came back".to_owned()),
            false if must => Err("a session is lost".to_owned()),
            _ => Ok(()),
        }
    }

    /// Whether a CONNECT may find that it is over, and begin another one.
    pub fn may_be_over(&self, now: Wall) -> bool {
        !self.certain || self.may_have_expired(now)
    }

    fn may_have_expired(&self, now: Wall) -> bool {
        let left = self.left.map(|(first, _)| first);
        self.expiry != u32::MAX && left.is_some_and(|left| now > left + self.lifetime())
    }

    fn lifetime(&self) -> Duration {
        Duration::from_secs(self.expiry.into())
    }

    pub fn connected(&mut self) {
        self.certain = self.persists();
        self.possible = true;
        self.left = None;
        self.left_is_durable = false;
        self.half_open = false;
    }

    /// The connection ended; a session that `ends` with it may be over.
    pub fn disconnected(&mut self, now: Wall, ends: bool, tick: Tick) {
        let first = self.left.map_or(now, |(earlier, _)| earlier);
        let last = if self.half_open { Wall(u64::MAX) } else { now };
        self.left = Some((first, last));
        self.last_end = (!self.half_open).then_some(tick);
        if ends {
            self.certain = false;
        }
    }

    /// The client takes another connection, and leaves this one as it is.
    pub fn gave_up(&mut self, now: Wall) {
        self.half_open = true;
        self.disconnected(now, false, 0);
    }

    /// Whether what was published then and has expired by now may still come.
    pub fn may_come_late(&self, sent: Tick, expired: Wall) -> bool {
        self.away
            .is_none_or(|(end, begin)| sent <= end || expired >= begin)
    }

    /// Everything is committed.
    pub fn settled(&mut self) {
        self.left_is_durable = self.left.is_some() && !self.half_open;
    }

    /// The broker starts again: what it does not know for sure to have left has left now.
    pub fn restarted(&mut self, crash: Wall, now: Wall, tick: Tick) {
        self.half_open = false;
        self.last_end.get_or_insert(tick);
        match &mut self.left {
            Some((_, last)) if !self.left_is_durable => *last = now,
            Some(_) => {}
            None => self.left = Some((crash, now)),
        }
    }

    /// It is over, with all of its subscriptions.
    pub fn ended(&mut self, tick: Tick) {
        self.certain = false;
        self.possible = false;
        for subscribed in &mut self.subscriptions {
            subscribed.ended.get_or_insert(tick);
        }
    }

    pub fn subscribing(&mut self, filter: &'static str, qos: Qos, tick: Tick) {
        self.ending(filter);
        self.subscriptions.push(Subscribed {
            filter,
            qos,
            asked: tick,
            acknowledged: None,
            ending: false,
            ended: None,
        });
    }

    /// SUBACK, for the newest SUBSCRIBE of this filter; earlier ones are replaced.
    pub fn subscribed(&mut self, filter: &str, tick: Tick) {
        let mut same = self.same(filter);
        if let Some(newest) = same.next_back() {
            newest.acknowledged = Some(tick);
        }
        same.for_each(|earlier| earlier.ended = Some(tick));
    }

    pub fn unsubscribing(&mut self, filter: &str) {
        self.ending(filter);
    }

    pub fn unsubscribed(&mut self, filter: &str, tick: Tick) {
        self.same(filter)
            .filter(|subscribed| subscribed.ending)
            .for_each(|gone| gone.ended = Some(tick));
    }

    fn ending(&mut self, filter: &str) {
        self.same(filter).for_each(|earlier| earlier.ending = true);
    }

    fn same(&mut self, filter: &str) -> impl DoubleEndedIterator<Item = &mut Subscribed> {
        self.subscriptions
            .iter_mut()
            .filter(move |subscribed| subscribed.filter == filter && subscribed.ended.is_none())
    }

    /// Filters that certainly had this topic since `tick` above QoS 0.
    pub fn certain(&self, topic: &str, since: Tick) -> impl Iterator<Item = &'static str> {
        self.subscriptions
            .iter()
            .filter(move |one| one.is_certain_since(since) && one.qos > Qos::AtMostOnce)
            .filter(move |one| matches(one.filter, topic))
            .map(|one| one.filter)
    }

    /// Whether a message of this time may have come by one of its subscriptions. What a shared one
    /// delivers may come much later, from a session that ended.
    pub fn may_get(&self, topic: &str, sent: Tick, accepted: Option<Tick>) -> bool {
        self.subscriptions.iter().any(|one| {
            let after = one.ended.is_some_and(|ended| ended < sent);
            let before = accepted.is_some_and(|accepted| accepted < one.asked);
            matches(one.filter, topic) && !after && (!before || is_shared(one.filter))
        })
    }

    /// A retained value comes to whoever subscribes, and may wait in the queue of one who has
    /// unsubscribed since.
    pub fn may_get_retained(&self, topic: &str) -> bool {
        let mut all = self.subscriptions.iter();
        all.any(|one| !is_shared(one.filter) && matches(one.filter, topic))
    }

    /// Compares what the broker has with what it must have and may have.
    pub fn check_filters(&self, filters: &[Box<str>], now: Wall) -> Result<(), String> {
        let certain = !self.may_be_over(now);
        let open = || self.subscriptions.iter().filter(|one| one.ended.is_none());
        let has = |filter: &str| filters.iter().any(|other| **other == *filter);
        for one in open().filter(|one| one.is_certain_since(Tick::MAX)) {
            if certain && !has(one.filter) {
                return Err(format!("the subscription {} is lost", one.filter));
            }
        }
        match filters
            .iter()
            .find(|filter| !open().any(|one| *one.filter == ***filter))
        {
            Some(filter) => Err(format!("the subscription {filter} came back")),
            None => Ok(()),
        }
    }
}
