//! Clients that do as they like, and what comes of it.

use std::time::Duration;

use dunlin_codec::{PropertiesBuf, Property, Qos, Version};
use dunlin_log::CommitError;
use dunlin_session::client::Will;
use dunlin_session::{Message, MessageParts};

use crate::broker::Broker;
use crate::chance::Chance;
use crate::client::{Heard, Peer, Profile};
use crate::messages::Published;
use crate::model::{Model, Who, will};
use crate::wire::Wire;

/// For ever.
const ALWAYS: u32 = u32::MAX;

/// Publishers and subscribers at once; the last two have sessions that end with the connection.
const CLIENTS: [Profile; 6] = [
    profile("five", Version::Mqtt5, ALWAYS, 3),
    profile("three", Version::Mqtt311, ALWAYS, 100),
    profile("brief", Version::Mqtt5, 20, 100),
    profile("long", Version::Mqtt5, 3600, 2),
    profile("clean five", Version::Mqtt5, 0, 100),
    profile("clean three", Version::Mqtt311, 0, 100),
];

pub const fn profile(
    name: &'static str,
    version: Version,
    expiry: u32,
    receive_maximum: u16,
) -> Profile {
    Profile {
        name,
        version,
        expiry,
        receive_maximum,
    }
}

pub const TOPICS: [&str; 6] = ["a/0", "a/1", "b/0", "s/0", "s/1", "u/0"];
/// Those that share overlap with none: else several copies of a message were right.
const FILTERS: [&str; 8] = [
    "a/0",
    "a/+",
    "b/#",
    "a/#",
    "r/+",
    "w/#",
    "$share/g/s/#",
    "$share/h/u/0",
];
const QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

/// The disk failed: the broker is over.
#[derive(Debug)]
pub struct Down;

impl From<CommitError> for Down {
    fn from(_: CommitError) -> Self {
        Down
    }
}

pub struct World {
    pub chance: Chance,
    pub model: Model,
    pub peers: Vec<Peer>,
    /// Connections that clients gave up and that the broker may take for alive.
    given_up: Vec<Wire>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        World {
            chance: Chance::new(seed),
            model: Model::new(&CLIENTS),
            peers: CLIENTS.map(Peer::new).into(),
            given_up: Vec::new(),
        }
    }

    /// Every connection is gone, and nobody said so.
    pub fn lose_connections(&mut self) {
        self.given_up.clear();
        for peer in &mut self.peers {
            peer.cut();
        }
    }

    /// Clients come back soon after a start, most of them.
    pub fn arrive(&mut self, broker: &Broker) {
        for who in 0..self.peers.len() {
            if self.chance.below(3) > 0 {
                self.connect(broker, who);
            }
        }
    }

    /// One thing that a client, the disk, or time does.
    pub async fn step(&mut self, broker: &Broker) -> Result<(), Down> {
        let who = self.chance.below(CLIENTS.len() as u64) as usize;
        match self.chance.below(100) {
            0..35 => self.publish(broker, who),
            35..42 => self.subscribe(broker, who),
            42..44 => self.unsubscribe(broker, who),
            44..55 => self.connect(broker, who),
            55..56 => self.disconnect(broker, who),
            56..57 => self.drop_connection(broker, who),
            57..70 => drop(broker.commit()?),
            70..73 => drop(broker.compact()),
            73..75 => self.pass(broker).await,
            75..77 => self.settle(broker).await?,
            _ => drop(self.turn(broker, who)),
        }
        broker.run(self.chance.below(6)).await;
        Ok(())
    }

    fn publish(&mut self, broker: &Broker, who: Who) {
        if !self.peers[who].is_online() {
            return;
        }
        let chance = &mut self.chance;
        let retain = chance.one_in(5);
        let topic = match retain {
            true => format!("r/{who}"),
            false => chance.pick(&TOPICS).to_owned(),
        };
        let expires = CLIENTS[who].version.has_properties() && chance.one_in(6);
        let now = broker.now();
        // A message of QoS 1 that comes again overwrites one of QoS 2 that does not: a publisher
        // that means its values to follow each other uses one of them.
        let qos = match retain {
            true => chance.pick(&[Qos::AtMostOnce, QOS[1 + who % 2]]),
            false => chance.pick(&QOS),
        };
        let published = Published {
            topic,
            qos,
            retain,
            sent: 0,
            sent_at: now.wall,
            accepted: None,
            expiry: expires.then(|| chance.pick(&[2, 30, 600])),
            empty: retain && chance.one_in(3),
            void: false,
        };
        let bytes = chance.pick(&[1, 20, 20, 300, 900]);
        self.send(broker, who, published, bytes);
    }

    pub fn send(&mut self, broker: &Broker, who: Who, published: Published, bytes: usize) {
        let now = broker.now();
        let number = self.model.sending(published);
        let published = self.model.messages.get(number);
        let payload = published.payload(number, bytes);
        let parts = MessageParts {
            publisher: 0,
            qos: published.qos,
            retain: published.retain,
            expires: published
                .expiry
                .map(|seconds| now.wall + Duration::from_secs(seconds.into())),
            topic: &published.topic,
            forwarded: &[],
            payload: &payload,
        };
        let message = Message::new(parts, &mut Vec::new());
        let (topic, retain) = (published.topic.clone(), published.retain);
        if self.peers[who].publish(now, message, number) && retain {
            self.model.retained.sent(&topic, number);
        }
    }

    fn subscribe(&mut self, broker: &Broker, who: Who) {
        if !self.peers[who].is_online() {
            return;
        }
        // Members of a group outlive a crash: else nobody owes the group anything.
        let filters = match self.peers[who].persists() {
            true => &FILTERS[..],
            false => &FILTERS[..6],
        };
        let (filter, qos) = (self.chance.pick(filters), self.chance.pick(&QOS));
        let qos = match crate::sessions::is_shared(filter) {
            true => qos.max(Qos::AtLeastOnce),
            false => qos,
        };
        let tick = self.model.tick();
        self.model
            .say(|| format!("client {who} subscribes to {filter} {qos:?}"));
        self.model.sessions[who].subscribing(filter, qos, tick);
        self.peers[who].subscribe(broker.now(), filter, qos);
    }

    fn unsubscribe(&mut self, broker: &Broker, who: Who) {
        if !self.peers[who].is_online() {
            return;
        }
        let filter = self.chance.pick(&FILTERS);
        self.model
            .say(|| format!("client {who} unsubscribes from {filter}"));
        self.model.sessions[who].unsubscribing(filter);
        self.peers[who].unsubscribe(broker.now(), filter);
    }

    fn connect(&mut self, broker: &Broker, who: Who) {
        // Now and then the client has given up a connection that the broker still has.
        if !self.peers[who].is_offline() {
            if !self.chance.one_in(8) {
                return;
            }
            self.given_up.extend(self.peers[who].cut());
            self.model.gave_up(who, broker.now().wall);
        }
        let clean = self.chance.one_in(12);
        let will = self.chance.one_in(2);
        self.connect_as(broker, who, clean, will);
    }

    pub fn connect_as(&mut self, broker: &Broker, who: Who, clean: bool, has_will: bool) {
        let now = broker.now();
        let will = has_will.then(|| self.will(broker, who));
        let (will, tracked) = will.unzip();
        // The will of a session that ends with its connection is lost with the broker.
        let tracked = tracked.filter(|_| self.peers[who].persists());
        let clean = self.peers[who].starts_clean(clean);
        let over = self.model.sessions[who].may_be_over(now.wall);
        self.model.connecting(who, clean, tracked, now.wall);
        self.peers[who].connect(now, broker.accept(), (clean, over), will);
    }

    fn will(&mut self, broker: &Broker, who: Who) -> (Will, crate::wills::Will) {
        let delay = match CLIENTS[who].version.has_properties() {
            true => self.chance.pick(&[0, 0, 3, 30]),
            false => 0,
        };
        let qos = self.chance.pick(&QOS);
        let number = self.model.sending(Published {
            topic: format!("w/{who}"),
            qos,
            retain: false,
            sent: 0,
            sent_at: broker.now().wall,
            accepted: None,
            expiry: None,
            empty: false,
            void: false,
        });
        let mut properties = PropertiesBuf::new();
        if delay > 0 {
            let delay = Property::WillDelayInterval(delay);
            properties.push(delay).expect("a short property");
        }
        let published = self.model.messages.get(number);
        let asked = Will {
            qos,
            retain: false,
            topic: published.topic.clone(),
            payload: published.payload(number, 10),
            properties,
        };
        let delay = Duration::from_secs(delay.into());
        (asked, will(number, delay, CLIENTS[who].expiry))
    }

    fn disconnect(&mut self, broker: &Broker, who: Who) {
        if !self.peers[who].is_online() {
            return;
        }
        let can = CLIENTS[who].version.has_properties() && self.peers[who].persists();
        let ends = can && self.chance.one_in(4);
        let polite = self.peers[who].disconnect(ends);
        self.model
            .disconnected(who, broker.now().wall, polite, ends);
    }

    fn drop_connection(&mut self, broker: &Broker, who: Who) {
        if self.peers[who].cut().is_some() {
            self.model
                .disconnected(who, broker.now().wall, false, false);
        }
    }

    async fn pass(&mut self, broker: &Broker) {
        // What happened before the time passes is seen before.
        broker.run(20).await;
        let millis = self.chance.pick(&[10, 500, 1500, 7000, 40_000]);
        broker.pass(Duration::from_millis(millis)).await;
    }

    /// A client reads and answers.
    fn turn(&mut self, broker: &Broker, who: Who) -> bool {
        let now = broker.now();
        let mut heard = Vec::new();
        let moved = self.peers[who].turn(now, &mut heard);
        for heard in heard {
            self.hear(broker, who, heard);
        }
        moved
    }

    fn hear(&mut self, broker: &Broker, who: Who, heard: Heard) {
        let wall = broker.now().wall;
        if let Heard::Subscribed { .. } | Heard::Unsubscribed { .. } | Heard::Answered { .. } =
            heard
        {
            self.model.say(|| format!("client {who} {heard:?}"));
        }
        let model = &mut self.model;
        match heard {
            Heard::Connected { present } => {
                model.connected(who, present, wall);
                if !self.peers[who].persists() {
                    self.subscribe(broker, who);
                }
            }
            Heard::Closed => model.disconnected(who, wall, false, false),
            Heard::Answered { number, taken } => match taken {
                true => model.accepted(number, wall),
                false => model.counts.refused += 1,
            },
            Heard::Subscribed { filter, granted } => {
                let tick = model.tick();
                if granted {
                    model.sessions[who].subscribed(filter, tick);
                }
            }
            Heard::Unsubscribed { filter } => {
                let tick = model.tick();
                model.sessions[who].unsubscribed(filter, tick);
            }
            Heard::Message(got) => model.got(who, &got, wall),
            Heard::Broken(what) => {
                let what = format!("client {who}: {what}");
                model.wrong.push(crate::model::Wrong::Other(what));
            }
        }
    }

    /// Until nothing moves any more and all is committed, or there is no room.
    pub async fn settle(&mut self, broker: &Broker) -> Result<(), Down> {
        let mut quiet = 0;
        while quiet < 3 {
            broker.run(8).await;
            quiet += 1;
            while broker.commit()? {
                quiet = 0;
            }
            for who in 0..self.peers.len() {
                if self.turn(broker, who) {
                    quiet = 0;
                }
            }
            if quiet == 2 {
                broker.pass(Duration::ZERO).await;
            }
        }
        if broker.is_settled() {
            self.model.settled(broker.now().wall);
        }
        Ok(())
    }
}
