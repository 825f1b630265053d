use dunlin_metrics::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, yield_now};
use tokio::time::timeout;

use crate::broker::{Broker, PATIENCE, nothing_comes, read};

/// A client with this one-letter id, Clean Session, and nothing else.
pub fn connect(id: u8) -> [u8; 15] {
    [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, id]
}

/// The same with the will "w" on topic "w".
pub fn connect_with_will(id: u8) -> [u8; 21] {
    [
        0x10, 19, 0, 4, b'M', b'Q', b'T', b'T', 4, 6, 0, 0, 0, 1, id, 0, 1, b'w', 0, 1, b'w',
    ]
}

/// To the topic "t" with QoS 1, and its SUBACK.
pub const SUBSCRIBE: [u8; 8] = [0x82, 6, 0, 1, 0, 1, b't', 1];
pub const SUBACK: [u8; 5] = [0x90, 3, 0, 1, 1];

#[tokio::test]
async fn what_waits_for_room_is_not_lost_when_its_client_leaves() {
    let run = async {
        let broker = Broker::start();
        let mut subscriber = broker.client(&connect(b's')).await;
        subscriber.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut subscriber, 5).await, SUBACK);
        let mut publisher = broker.client(&connect_with_will(b'p')).await;
        // One is sent and never acknowledged; the queue is crowded from the 51st on.
        let mut bytes = Vec::new();
        for id in 1..=80 {
            bytes.extend([0x32, 6, 0, 1, b't', 0, id, id]);
        }
        bytes.extend([0xE0, 0]);
        publisher.write_all(&bytes).await.unwrap();
        publisher.shutdown().await.unwrap();
        timeout(PATIENCE, async {
            while broker.router.session("p").is_some() {
                yield_now().await;
            }
        })
        .await
        .unwrap();
        let queued = broker.router.session("s").unwrap().queued();
        assert!((79..=80).contains(&queued), "{queued}");
        assert_eq!(broker.metrics.total(Counter::WillsPublished), 0);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn several_who_take_nothing_hold_up_others_once() {
    let run = async {
        let broker = Broker::start();
        let subscribe = |topic| [0x82, 6, 0, 1, 0, 1, topic, 0];
        let mut subscribers = Vec::new();
        for topic in *b"abcdh" {
            let mut subscriber = broker.client(&connect(topic)).await;
            subscriber.write_all(&subscribe(topic)).await.unwrap();
            assert_eq!(read(&mut subscriber, 5).await, [0x90, 3, 0, 1, 0]);
            subscribers.push(subscriber);
        }
        let mut healthy = subscribers.pop().unwrap();
        // What nobody reads fills the kernel's buffers, then the queue of 100.
        let publish = |topic| {
            let mut publish = vec![0x30, 0x83, 0x80, 0x04, 0, 1, topic];
            publish.resize(publish.len() + 64 * 1024, 0);
            publish
        };
        let (mut publisher, round) = (
            broker.client(&connect(b'p')).await,
            b"abcd".map(publish).concat(),
        );
        let publishes = async {
            for _ in 0..300 {
                publisher.write_all(&round).await.unwrap();
            }
            publisher.write_all(&[0x30, 3, 0, 1, b'h']).await.unwrap();
        };
        let (got, ()) = tokio::join!(read(&mut healthy, 5), publishes);
        assert_eq!(got, [0x30, 3, 0, 1, b'h']);
        drop(subscribers);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_late_acknowledgement_leaves_the_connection_awake() {
    let run = async {
        let broker = Broker::start();
        let mut subscriber = broker.client(&connect(b's')).await;
        subscriber.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut subscriber, 5).await, SUBACK);
        // Retained: its acknowledgement waits for the store.
        let retained = [0x33, 6, 0, 1, b'r', 0, 7, b'x'];
        subscriber.write_all(&retained).await.unwrap();
        nothing_comes(&mut subscriber).await;
        broker.store.commit();
        assert_eq!(read(&mut subscriber, 4).await, [0x40, 2, 0, 7]);
        let mut publisher = broker.client(&connect(b'p')).await;
        publisher
            .write_all(&[0x30, 4, 0, 1, b't', b'y'])
            .await
            .unwrap();
        assert_eq!(read(&mut subscriber, 6).await, [0x30, 4, 0, 1, b't', b'y']);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_filter_subscribed_without_end_is_refused_in_the_end() {
    let run = async {
        let broker = Broker::start();
        let mut client = broker.client(&connect(b's')).await;
        client.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut client, 5).await, SUBACK);
        // Its window is full: no retained messages are looked for.
        client
            .write_all(&[0x32, 6, 0, 1, b't', 0, 7, b'x'])
            .await
            .unwrap();
        let both = read(&mut client, 4 + 8).await;
        assert_eq!(both, [0x40, 2, 0, 7, 0x32, 6, 0, 1, b't', 0, 1, b'x']);
        let mut again = vec![0x82, 2 + 4 * 5, 0, 2];
        again.extend([0, 1, b't', 1].repeat(5));
        client.write_all(&again).await.unwrap();
        assert_eq!(
            read(&mut client, 9).await,
            [0x90, 7, 0, 2, 1, 1, 1, 0x80, 0x80]
        );
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn what_a_full_disk_refused_is_taken_when_it_comes_again() {
    let run = async {
        let broker = Broker::start();
        let mut subscriber = broker.client(&connect(b's')).await;
        subscriber.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut subscriber, 5).await, SUBACK);
        // Its session lasts; version 3 is told that there is no room by closing.
        let mut lasting = connect(b'p');
        lasting[9] = 0;
        let mut publisher = TcpStream::connect(broker.address).await.unwrap();
        publisher.write_all(&lasting).await.unwrap();
        yield_until(|| broker.router.session("p").is_some()).await;
        broker.store.commit();
        assert_eq!(read(&mut publisher, 4).await, [0x20, 2, 0, 0]);
        broker.router.set_short_of_storage(true);
        let publish = [0x34, 6, 0, 1, b't', 0, 7, b'x'];
        publisher.write_all(&publish).await.unwrap();
        let closed = timeout(PATIENCE, publisher.read(&mut [0])).await;
        assert_eq!(closed.unwrap().unwrap(), 0);
        broker.router.set_short_of_storage(false);
        let mut publisher = TcpStream::connect(broker.address).await.unwrap();
        publisher.write_all(&lasting).await.unwrap();
        nothing_comes(&mut publisher).await;
        broker.store.commit();
        assert_eq!(read(&mut publisher, 4).await, [0x20, 2, 1, 0]);
        let again = [0x3c, 6, 0, 1, b't', 0, 7, b'x'];
        publisher.write_all(&again).await.unwrap();
        nothing_comes(&mut publisher).await;
        broker.store.commit();
        assert_eq!(read(&mut publisher, 4).await, [0x50, 2, 0, 7]);
        let message = read(&mut subscriber, 8).await;
        assert_eq!(message, [0x32, 6, 0, 1, b't', 0, 1, b'x']);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn after_unsuback_no_retained_message_is_looked_for() {
    let run = async {
        let broker = Broker::start();
        let mut publisher = broker.client(&connect(b'p')).await;
        let retained = [0x31, 4, 0, 1, b't', b'x'];
        publisher.write_all(&retained).await.unwrap();
        yield_until(|| broker.router.retained().0 == 1).await;
        let mut subscriber = broker.client(&connect(b's')).await;
        // In one piece, so that the scan has no turn in between.
        let both = [&SUBSCRIBE[..], &[0xa2, 5, 0, 2, 0, 1, b't']].concat();
        subscriber.write_all(&both).await.unwrap();
        let answers = [&SUBACK[..], &[0xb0, 2, 0, 2]].concat();
        assert_eq!(read(&mut subscriber, 9).await, answers);
        nothing_comes(&mut subscriber).await;
    };
    LocalSet::new().run_until(run).await;
}

pub async fn yield_until(mut holds: impl FnMut() -> bool) {
    timeout(PATIENCE, async {
        while !holds() {
            yield_now().await;
        }
    })
    .await
    .unwrap();
}
