//! What a broker has when it starts, and what everyone must have got in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_codec::{Qos, Version};

use crate::broker::Broker;
use crate::client::{Heard, Peer};
use crate::messages::Published;
use crate::model::Wrong;
use crate::world::{Down, TOPICS, World, profile};

impl World {
    /// What a broker that just started has, before any client is back.
    pub async fn inspect(&mut self, broker: &Broker) -> Result<(), Down> {
        for (who, peer) in self.peers.iter().enumerate() {
            let Some(subscriber) = broker.router.session(peer.profile.name) else {
                continue;
            };
            let filters = broker.router.subscriptions_of(&subscriber);
            let outcome = self.model.sessions[who].check_filters(&filters, broker.now().wall);
            let what = outcome.err().map(|what| format!("client {who}: {what}"));
            self.model.wrong.extend(what.map(Wrong::Other));
        }
        self.inspect_retained(broker).await
    }

    /// All come back and take what they are owed; then one message for each topic, and everyone
    /// who is subscribed has to get it.
    pub async fn finish(&mut self, broker: &Broker) -> Result<(), Down> {
        if self.chance.one_in(2) {
            self.settle(broker).await?;
            broker.pass(Duration::from_secs(60)).await;
        }
        self.settle(broker).await?;
        for who in 0..self.peers.len() {
            if self.peers[who].is_offline() {
                self.connect_as(broker, who, false, false);
            }
        }
        self.settle(broker).await?;
        for topic in TOPICS {
            let published = Published {
                topic: topic.to_owned(),
                qos: Qos::ExactlyOnce,
                retain: false,
                sent: 0,
                sent_at: broker.now().wall,
                accepted: None,
                expiry: None,
                empty: false,
                void: false,
            };
            self.send(broker, 1, published, 10);
            self.settle(broker).await?;
        }
        let stuck = self.peers.iter().find(|peer| !peer.is_quiet());
        if let Some(peer) = stuck {
            let what = format!("{} waits for an answer", peer.profile.name);
            self.model.wrong.push(Wrong::Other(what));
        }
        self.inspect_retained(broker).await?;
        self.model.finish(broker.now().wall);
        Ok(())
    }

    /// What somebody gets who subscribes to all retained values.
    async fn inspect_retained(&mut self, broker: &Broker) -> Result<(), Down> {
        let profile = profile("observer", Version::Mqtt5, 0, 100);
        let mut observer = Peer::new(profile);
        observer.connect(broker.now(), broker.accept(), (true, true), None);
        let mut heard = Vec::new();
        for round in 0..6 {
            broker.run(8).await;
            observer.turn(broker.now(), &mut heard);
            if round == 1 {
                observer.subscribe(broker.now(), "r/+", Qos::AtMostOnce);
            }
            // A value of QoS 2 is seen once all before it is committed.
            while round == 3 && broker.commit()? {}
        }
        observer.disconnect(false);
        broker.run(8).await;
        let model = &mut self.model;
        let mut values = BTreeMap::new();
        let mut subscribed = false;
        for heard in heard {
            match heard {
                Heard::Message(got) => {
                    let number = model.messages.recognize(&got);
                    values.insert(got.topic, number.ok().flatten());
                }
                Heard::Subscribed { .. } => subscribed = true,
                _ => {}
            }
        }
        assert!(subscribed, "the observer got no answer");
        let topics: Vec<_> = model.retained.topics().map(str::to_owned).collect();
        for topic in topics {
            let value = values.get(&topic).copied().flatten();
            let now = broker.now().wall;
            let outcome = model.retained.check(&model.messages, &topic, value, now);
            model.wrong.extend(outcome.err().map(Wrong::Other));
        }
        Ok(())
    }
}
