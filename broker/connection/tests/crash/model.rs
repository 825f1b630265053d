//! What the broker owes its clients, told from what they sent and heard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use dunlin_codec::Qos;
use dunlin_time::Wall;

use crate::client::{Got, Profile};
use crate::messages::{Messages, Number, Published, Tick};
use crate::retained::Retained;
use crate::sessions::{Session, is_shared};
use crate::wills::{Stage, Will, Wills};

/// Which client.
pub type Who = usize;

/// What the broker did and must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// An acknowledged message did not come.
    Lost(String),
    /// A QoS 2 message came twice.
    Doubled(String),
    /// Anything else.
    Other(String),
}

/// What happened in a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub crashes: u64,
    pub acknowledged: u64,
    pub delivered: u64,
    pub refused: u64,
}

#[derive(Default)]
pub struct Model {
    pub messages: Messages,
    pub retained: Retained,
    pub sessions: Vec<Session>,
    pub wills: Vec<Wills>,
    /// Deliveries that are owed to a session ...
    owed: BTreeSet<(Who, Number)>,
    /// ... and to one of those that share a subscription.
    owed_to_one: BTreeSet<(&'static str, Number)>,
    /// Live copies that came, and how many of them with QoS 2.
    got: BTreeMap<(Who, Number), u32>,
    /// A clean start is under way.
    clean: BTreeSet<Who>,
    tick: Tick,
    /// Says what happens.
    pub loud: bool,
    pub wrong: Vec<Wrong>,
    pub counts: Counts,
}

impl Model {
    pub fn new(profiles: &[Profile]) -> Self {
        let sessions = profiles.iter().map(|one| Session::new(one.expiry));
        Model {
            sessions: sessions.collect(),
            wills: profiles.iter().map(|_| Wills::default()).collect(),
            ..Model::default()
        }
    }

    /// Another moment.
    pub fn tick(&mut self) -> Tick {
        self.tick += 1;
        self.tick
    }

    /// For people who look at one run.
    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{:5} {}", self.tick, what());
        }
    }

    fn check(&mut self, outcome: Result<(), String>) {
        self.wrong.extend(outcome.err().map(Wrong::Other));
    }

    /// A client is about to publish, or to connect with a will.
    pub fn sending(&mut self, mut message: Published) -> Number {
        message.sent = self.tick();
        self.say(|| format!("message {:?}", message));
        self.messages.add(message)
    }

    /// PUBACK or PUBREC came: from now on it is owed to every session that had a subscription all
    /// the time since it was sent.
    pub fn accepted(&mut self, number: Number, now: Wall) {
        let tick = self.tick();
        let message = self.messages.get_mut(number);
        if message.accepted.is_some() {
            return;
        }
        message.accepted = Some((tick, now));
        self.say(|| format!("accepted {number}, {now:?}"));
        self.counts.acknowledged += 1;
        let message = self.messages.get(number);
        if message.qos == Qos::AtMostOnce || message.empty {
            return;
        }
        for (who, session) in self.sessions.iter().enumerate() {
            for filter in session.certain(&message.topic, message.sent) {
                if is_shared(filter) {
                    self.owed_to_one.insert((filter, number));
                } else {
                    self.owed.insert((who, number));
                }
            }
        }
    }

    pub fn connecting(&mut self, who: Who, clean: bool, will: Option<Will>, now: Wall) {
        self.tick();
        self.say(|| format!("client {who} connects, clean {clean}, {will:?}, {now:?}"));
        let ends = clean || self.sessions[who].may_be_over(now);
        self.sessions[who].connecting(ends, now);
        self.wills[who].connecting(will, now);
        if clean {
            self.clean.insert(who);
        }
        if ends {
            self.forgive(who);
        }
    }

    pub fn connected(&mut self, who: Who, present: bool, now: Wall) {
        self.say(|| format!("client {who} connected, present {present}, {now:?}"));
        let clean = self.clean.remove(&who);
        let outcome = self.sessions[who].check_present(clean, present, now);
        self.check(outcome.map_err(|what| format!("client {who}: {what}")));
        if let Some(number) = self.wills[who].connected() {
            self.accepted(number, now);
        }
        if !present {
            self.end_session(who);
        }
        self.sessions[who].connected();
    }

    /// The connection ended; not necessarily by DISCONNECT.
    pub fn disconnected(&mut self, who: Who, now: Wall, polite: bool, ends: bool) {
        self.tick();
        self.say(|| format!("client {who} disconnected, polite {polite}, ends {ends}, {now:?}"));
        match polite {
            true => self.wills[who].disconnected(),
            false => self.wills[who].ended(now, true),
        }
        self.sessions[who].disconnected(now, ends, self.tick);
        if !self.sessions[who].persists() {
            self.end_session(who);
        }
    }

    /// A client forgets its connection, and the broker does not know.
    pub fn gave_up(&mut self, who: Who, now: Wall) {
        self.tick();
        self.say(|| format!("client {who} gave up its connection, {now:?}"));
        self.wills[who].ended(now, false);
        self.sessions[who].gave_up(now);
        if !self.sessions[who].persists() {
            self.end_session(who);
        }
    }

    fn end_session(&mut self, who: Who) {
        let tick = self.tick();
        self.sessions[who].ended(tick);
        self.forgive(who);
    }

    /// A session is over, or may be: nothing is owed to it. What it got by a shared subscription
    /// goes to another member, if it is of QoS 1 and there was one all the time [MQTT-4.8.2-5].
    fn forgive(&mut self, ended: Who) {
        self.owed.retain(|(who, _)| *who != ended);
        let (messages, sessions) = (&self.messages, &self.sessions);
        self.owed_to_one.retain(|&(filter, number)| {
            let message = messages.get(number);
            let mut others = sessions.iter().enumerate().filter(|(who, _)| *who != ended);
            message.qos == Qos::AtLeastOnce
                && others.any(|(_, other)| {
                    other
                        .certain(&message.topic, message.sent)
                        .any(|own| own == filter)
                })
        });
    }

    /// A message came.
    pub fn got(&mut self, who: Who, got: &Got, now: Wall) {
        self.tick();
        self.say(|| {
            let text = String::from_utf8_lossy(&got.payload[..got.payload.len().min(5)]);
            let (topic, qos, retain) = (&got.topic, got.qos, got.retain);
            format!("client {who} got {text} on {topic} {qos:?} retain {retain}, {now:?}")
        });
        let number = match self.messages.recognize(got) {
            Ok(Some(number)) => number,
            Ok(None) => return,
            Err(what) => return self.check(Err(what)),
        };
        let message = self.messages.get(number);
        let wrong = |what: &str| format!("message {number} to client {who}: {what} ({message:?})");
        let mut found = Ok(());
        if message.void {
            found = Err(wrong("a will that was void"));
        }
        let late = |at| self.sessions[who].may_come_late(message.sent, at);
        if message.is_expired_at().is_some_and(|at| !late(at)) {
            found = Err(wrong("it has expired"));
        }
        let accepted = message.accepted.map(|(tick, _)| tick);
        let session = &self.sessions[who];
        let may = match got.retain {
            true => session.may_get_retained(&message.topic),
            false => session.may_get(&message.topic, message.sent, accepted),
        };
        if !may {
            found = Err(wrong("no subscription for it"));
        }
        let doubled = wrong("twice with QoS 2");
        self.check(found);
        if got.retain {
            return;
        }
        self.counts.delivered += 1;
        let copies = self.got.entry((who, number)).or_default();
        *copies += u32::from(got.qos == Qos::ExactlyOnce);
        if *copies > 1 {
            self.wrong.push(Wrong::Doubled(doubled));
        }
    }

    /// Everything is committed, and what was due was done.
    pub fn settled(&mut self, now: Wall) {
        self.say(|| format!("settled, {now:?}"));
        for who in 0..self.sessions.len() {
            self.sessions[who].settled();
            if let Some(number) = self.wills[who].settled(now) {
                self.accepted(number, now);
            }
            if let Some(number) = self.wills[who].void() {
                self.messages.get_mut(number).void = true;
            }
        }
    }

    /// The broker crashed at one time and starts again at another.
    pub fn restarted(&mut self, crash: Wall, now: Wall) {
        self.tick();
        self.say(|| format!("started again, {now:?}"));
        for who in 0..self.sessions.len() {
            self.wills[who].restarted(now);
            self.sessions[who].restarted(crash, now, self.tick);
            if !self.sessions[who].persists() {
                self.end_session(who);
            }
        }
    }

    /// The end of a run: what is owed and did not come is lost.
    pub fn finish(&mut self, now: Wall) {
        let in_time = |number: &Number| {
            let expires = self.messages.get(*number).may_expire_at();
            expires.is_none_or(|at| at > now)
        };
        let has = |who: Who, number: Number| self.got.contains_key(&(who, number));
        let to_one = |number: Number| (0..self.sessions.len()).any(|who| has(who, number));
        let lost = self.owed.iter().filter(|(_, number)| in_time(number));
        let lost = lost.filter(|(who, number)| !has(*who, *number));
        let mut all: Vec<_> = lost
            .map(|(who, number)| {
                format!("{number} to client {who}: {:?}", self.messages.get(*number))
            })
            .collect();
        let shared = self
            .owed_to_one
            .iter()
            .filter(|(_, number)| in_time(number));
        let shared = shared.filter(|(_, number)| !to_one(*number));
        all.extend(shared.map(|(filter, number)| {
            format!(
                "{number} to one of {filter}: {:?}",
                self.messages.get(*number)
            )
        }));
        self.wrong.extend(all.into_iter().map(Wrong::Lost));
    }
}

/// A will as the model has it.
pub fn will(number: Number, delay: Duration, session_expiry: u32) -> Will {
    let session = Duration::from_secs(session_expiry.into());
    Will {
        number,
        delay: delay.min(session),
        stage: Stage::Asked,
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.crashes += other.crashes;
        self.acknowledged += other.acknowledged;
        self.delivered += other.delivered;
        self.refused += other.refused;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            crashes,
            acknowledged,
            delivered,
            refused,
        } = self;
        write!(
            f,
            "crash points {crashes}, acknowledged {acknowledged}, refused {refused}, delivered \
             {delivered}"
        )
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Lost(what) => write!(f, "lost: message {what}"),
            Wrong::Doubled(what) => write!(f, "doubled: {what}"),
            Wrong::Other(what) => f.write_str(what),
        }
    }
}
