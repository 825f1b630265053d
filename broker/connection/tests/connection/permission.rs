//! What answers of authorizers and filters come to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_auth::{
    Access, Answer, Authenticator, Authorizer, BoxFuture, ConnectRequest, Coverage, Decision,
    Filtered, Grant, GrantedRules, Holds, Outcome, Permission, Principal, PublishFilter,
    Publishing, Question, Replacement,
};
use dunlin_metrics::Counter;
use dunlin_topic::{TopicFilter, TopicName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, yield_now};
use tokio::time::timeout;

use crate::broker::{Broker, PATIENCE, read};

/// Denies topics that begin with "no", cannot decide about those that begin with "?".
struct Rules {
    holds: Mutex<Holds>,
    /// Works so long for each question.
    work: Duration,
    asked: AtomicU64,
    epoch: AtomicU64,
}

impl Rules {
    fn new(holds: Holds, work: Duration) -> Arc<Self> {
        Arc::new(Rules {
            holds: Mutex::new(holds),
            work,
            asked: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
        })
    }
}

impl Authorizer for Rules {
    fn authorize(&self, who: &Principal, question: &Question<'_>) -> Answer {
        self.asked.fetch_add(1, Ordering::Relaxed);
        who.charge(self.work);
        let allowed_before = self.epoch.load(Ordering::Relaxed) == 0;
        let decision = match question.topic.as_str() {
            topic if topic.starts_with("no") => Decision::Deny,
            topic if topic.starts_with('?') => Decision::Unavailable,
            _ if allowed_before => Decision::Allow,
            _ => Decision::Deny,
        };
        let holds = self.holds.lock().unwrap().clone();
        Answer { decision, holds }
    }

    fn coverage(&self, _: &Principal, _: TopicFilter<'_>) -> Coverage {
        Coverage::Mixed
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}

/// Does with a message what its payload says.
struct Obedient;

impl PublishFilter for Obedient {
    fn concerns(&self, topic: TopicName<'_>) -> bool {
        topic.as_str() != "unseen"
    }

    fn on_publish(&self, _: &Principal, message: &Publishing<'_>) -> Filtered {
        let to = |topic: &str| Replacement {
            topic: Some(topic.to_owned()),
            ..Replacement::default()
        };
        match message.payload {
            b"drop" => Filtered::Drop("it asked for it".into()),
            b"fail" => Filtered::Unavailable,
            b"move" => Filtered::Replace(to("t")),
            b"steal" => Filtered::Replace(to("no/way")),
            b"spoil" => Filtered::Replace(to("a/#")),
            b"paint" => Filtered::Replace(Replacement {
                payload: Some(b"red".into()),
                user_properties: Some(vec![("k".into(), "v".into())]),
                ..Replacement::default()
            }),
            _ => Filtered::Pass,
        }
    }
}

/// A client with this one-letter id, Clean Start, and nothing else.
async fn client(broker: &Broker, version: u8, id: u8) -> TcpStream {
    let mut stream = TcpStream::connect(broker.address).await.unwrap();
    let mut connect = vec![0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', version, 2, 0, 0];
    if version == 5 {
        connect[1] += 1;
        connect.push(0);
    }
    connect.extend([0, 1, id]);
    stream.write_all(&connect).await.unwrap();
    let connack = packet(&mut stream).await;
    assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:x?}");
    stream
}

/// The next packet; they are short here.
async fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut packet = read(stream, 2).await;
    packet.extend(read(stream, packet[1].into()).await);
    packet
}

/// Above QoS 0 its packet id is 7.
fn publish(version: u8, qos: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![0, topic.len() as u8];
    body.extend(topic.as_bytes());
    if qos > 0 {
        body.extend([0, 7]);
    }
    if version == 5 {
        body.push(0);
    }
    body.extend(payload);
    let mut packet = vec![0x30 | qos << 1, body.len() as u8];
    packet.extend(body);
    packet
}

async fn subscribed(broker: &Broker, topic: &str) -> TcpStream {
    let mut stream = client(broker, 5, b's').await;
    let mut subscribe = vec![0x82, 6 + topic.len() as u8, 0, 1, 0, 0, topic.len() as u8];
    subscribe.extend(topic.as_bytes());
    subscribe.push(1);
    stream.write_all(&subscribe).await.unwrap();
    assert_eq!(packet(&mut stream).await[..2], [0x90, 4]);
    stream
}

/// What a version 5 client is told about a message of QoS 1.
async fn outcome(stream: &mut TcpStream, topic: &str, payload: &[u8]) -> u8 {
    stream
        .write_all(&publish(5, 1, topic, payload))
        .await
        .unwrap();
    let puback = packet(stream).await;
    assert_eq!((puback[0], &puback[2..4]), (0x40, &[0, 7][..]));
    puback.get(4).copied().unwrap_or(0)
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    matches!(read, Ok(Ok(0)))
}

async fn run(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn no_and_not_known_are_told_apart() {
    run(async {
        let rules = Rules::new(Holds::UntilEpoch, Duration::ZERO);
        let broker = Broker::guarded_by(Access::open().with_authorizer(rules));
        let mut five = client(&broker, 5, b'a').await;
        assert_eq!(outcome(&mut five, "no", b"").await, 0x87);
        assert_eq!(outcome(&mut five, "?", b"").await, 0x83);
        assert_eq!(outcome(&mut five, "yes", b"").await, 0x10);
        // Version 3 cannot be told: what it may not do is acknowledged and dropped, what is our
        // fault is not acknowledged.
        let mut three = client(&broker, 4, b'b').await;
        three.write_all(&publish(4, 1, "no", b"")).await.unwrap();
        assert_eq!(packet(&mut three).await, [0x40, 2, 0, 7]);
        three.write_all(&publish(4, 0, "?", b"")).await.unwrap();
        three.write_all(&publish(4, 1, "?", b"")).await.unwrap();
        assert!(is_closed(&mut three).await);
        assert_eq!(broker.metrics.total(Counter::PublishesUndecided), 3);
        assert_eq!(broker.metrics.total(Counter::PublishesDenied), 2);
    })
    .await;
}

#[tokio::test]
async fn an_answer_for_once_is_asked_for_each_time() {
    run(async {
        let rules = Rules::new(Holds::Once, Duration::ZERO);
        let access = Access::open().with_authorizer(Arc::<Rules>::clone(&rules));
        let broker = Broker::guarded_by(access);
        let mut client = client(&broker, 5, b'a').await;
        let three = publish(5, 0, "t", b"x").repeat(3);
        client.write_all(&three).await.unwrap();
        assert_eq!(outcome(&mut client, "t", b"").await, 0x10);
        assert_eq!(rules.asked.load(Ordering::Relaxed), 4);

        *rules.holds.lock().unwrap() = Holds::UntilEpoch;
        client.write_all(&three).await.unwrap();
        assert_eq!(outcome(&mut client, "t", b"").await, 0x10);
        assert_eq!(rules.asked.load(Ordering::Relaxed), 5);
    })
    .await;
}

#[tokio::test]
async fn a_new_epoch_stops_a_live_subscription() {
    run(async {
        let rules = Rules::new(Holds::UntilEpoch, Duration::ZERO);
        let access = Access::open().with_authorizer(Arc::<Rules>::clone(&rules));
        let broker = Broker::guarded_by(access);
        let mut subscriber = subscribed(&broker, "t").await;
        let mut server = broker.router.dispatch(None, broker.metrics.cells());
        let mut publish = |payload: &'static [u8]| {
            let topic = TopicName::new("t").unwrap();
            server.publish(dunlin_router::Publication {
                topic,
                publisher: 0,
                qos: dunlin_codec::Qos::AtMostOnce,
                retain: false,
                expires: None,
                forwarded: &[],
                payload,
                origin: dunlin_router::Origin::Anyone,
            });
            server.flush();
        };
        publish(b"1");
        let first = packet(&mut subscriber).await;
        assert_eq!(first.last(), Some(&b'1'));
        rules.epoch.fetch_add(1, Ordering::Relaxed);
        publish(b"2");
        timeout(PATIENCE, async {
            while broker.metrics.total(Counter::DeliveriesDenied) == 0 {
                yield_now().await;
            }
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn filters_drop_change_and_fail() {
    run(async {
        let rules = Rules::new(Holds::UntilEpoch, Duration::ZERO);
        let access = Access::open()
            .with_authorizer(rules)
            .with_filter(Arc::new(Obedient));
        let broker = Broker::guarded_by(access);
        let mut subscriber = subscribed(&broker, "t").await;
        let mut five = client(&broker, 5, b'a').await;
        assert_eq!(outcome(&mut five, "t", b"drop").await, 0x87);
        assert_eq!(outcome(&mut five, "t", b"fail").await, 0x83);
        // A filter does not widen what its client may do, and cannot break the protocol.
        assert_eq!(outcome(&mut five, "t", b"steal").await, 0x87);
        assert_eq!(outcome(&mut five, "t", b"spoil").await, 0x83);
        assert_eq!(outcome(&mut five, "unseen", b"drop").await, 0x10);
        assert_eq!(outcome(&mut five, "elsewhere", b"move").await, 0);
        assert_eq!(packet(&mut subscriber).await[2..], *b"\0\x01t\0\x01\0move");
        subscriber.write_all(&[0x40, 2, 0, 1]).await.unwrap();
        assert_eq!(outcome(&mut five, "t", b"paint").await, 0);
        let painted = packet(&mut subscriber).await;
        assert_eq!(painted[2..], *b"\0\x01t\0\x02\x07\x26\0\x01k\0\x01vred");
        let mut three = client(&broker, 4, b'b').await;
        three.write_all(&publish(4, 1, "t", b"drop")).await.unwrap();
        assert_eq!(packet(&mut three).await, [0x40, 2, 0, 7]);
        three.write_all(&publish(4, 2, "t", b"fail")).await.unwrap();
        assert!(is_closed(&mut three).await);
        assert_eq!(broker.metrics.total(Counter::PublishesFiltered), 2);
    })
    .await;
}

#[tokio::test]
async fn a_will_goes_through_rules_and_filters() {
    run(async {
        let rules = Rules::new(Holds::UntilEpoch, Duration::ZERO);
        let access = Access::open()
            .with_authorizer(rules)
            .with_filter(Arc::new(Obedient));
        let broker = Broker::guarded_by(access);
        let mut subscriber = subscribed(&broker, "t").await;
        for (topic, payload) in [("no", "x"), ("t", "drop"), ("t", "fail"), ("u", "move")] {
            let mut stream = TcpStream::connect(broker.address).await.unwrap();
            let text = |text: &str| [&[0, text.len() as u8], text.as_bytes()].concat();
            let body = [
                b"\0\x04MQTT\x04\x06\0\0".to_vec(),
                text("w"),
                text(topic),
                text(payload),
            ]
            .concat();
            let connect = [&[0x10, body.len() as u8], &*body].concat();
            stream.write_all(&connect).await.unwrap();
            assert_eq!(packet(&mut stream).await, [0x20, 2, 0, 0]);
            drop(stream);
            timeout(PATIENCE, async {
                while broker.router.session("w").is_some() {
                    yield_now().await;
                }
            })
            .await
            .unwrap();
        }
        assert_eq!(packet(&mut subscriber).await[2..], *b"\0\x01t\0move");
        assert_eq!(broker.metrics.total(Counter::WillsPublished), 1);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_plugins_work_for_too_long_is_closed() {
    run(async {
        let rules = Rules::new(Holds::Once, Duration::from_millis(3));
        let access = Access::open().with_authorizer(rules).with_details();
        let broker = Broker::guarded_by(access);
        let mut patient = client(&broker, 5, b'p').await;
        assert_eq!(outcome(&mut patient, "t", b"").await, 0x10);
        let mut greedy = client(&broker, 5, b'g').await;
        let many = publish(5, 0, "t", b"").repeat(7);
        greedy.write_all(&many).await.unwrap();
        let disconnect = packet(&mut greedy).await;
        assert_eq!((disconnect[0], disconnect[2]), (0xE0, 0x97));
        assert!(is_closed(&mut greedy).await);
        assert_eq!(broker.metrics.total(Counter::PluginTimeExceeded), 1);
        assert_eq!(outcome(&mut patient, "t", b"").await, 0x10);
    })
    .await;
}

/// Lets everyone in, to publish on topics of its own.
struct Granting;

impl Authenticator for Granting {
    fn authenticate<'a>(&'a self, _: &'a ConnectRequest) -> BoxFuture<'a, Outcome> {
        let rules = GrantedRules::new([(Permission::Write, "own/%c")]);
        let grant = Grant {
            rules: Some(rules.unwrap()),
            ..Grant::default()
        };
        Box::pin(async { Outcome::Granted(grant) })
    }
}

#[tokio::test]
async fn the_rules_of_a_grant_hold_for_its_client() {
    run(async {
        let access = Access::open().with_authenticator(Arc::new(Granting));
        let broker = Broker::guarded_by(access);
        let mut stream = client(&broker, 5, b'a').await;
        assert_eq!(outcome(&mut stream, "own/a", b"").await, 0x10);
        assert_eq!(outcome(&mut stream, "own/b", b"").await, 0x87);
    })
    .await;
}
