//! What a client has done and the runtime has not heard of: it counts when a connection is about
//! to be closed. In these tests the runtime gets no turn in between.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use dunlin_codec::{Qos, ReasonCode};
use dunlin_metrics::Counter;
use dunlin_router::ports::SessionTerms;
use dunlin_router::{AttachRequest, Control, Origin, Publication};
use dunlin_topic::TopicName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::{LocalSet, yield_now};

use crate::broker::{Broker, read};
use crate::turns::{SUBACK, SUBSCRIBE, connect, connect_with_will, yield_until};

/// Takes a session over, as a CONNECT does.
async fn take_over(broker: &Broker, client_id: &str) {
    let request = AttachRequest {
        client_id: &Arc::from(client_id),
        clean_start: true,
        terms: SessionTerms {
            expiry: 0,
            will: None,
        },
        worker: 0,
    };
    let dispatch = RefCell::new(broker.router.dispatch(None, broker.metrics.cells()));
    broker.router.attach(request, &dispatch).await.unwrap();
}

/// Gives a connection a turn, by a word that is for another.
async fn wake(broker: &Broker, client_id: &str) {
    if let Some(session) = broker.router.session(client_id) {
        session.control(Control::Close {
            connection: u64::MAX,
            reason: ReasonCode::UnspecifiedError,
            what: "it was for another".into(),
        });
    }
    yield_now().await;
}

#[tokio::test]
async fn what_a_client_sent_before_its_session_is_taken_over_is_handled() {
    let run = async {
        let broker = Broker::start();
        let mut subscriber = broker.client(&connect(b's')).await;
        subscriber.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut subscriber, 5).await, SUBACK);
        let publisher = broker.client(&connect_with_will(b'p')).await;
        let mut publisher = publisher.into_std().unwrap();
        // More than one turn reads.
        let payload = [b'x'; 50_000];
        let length = payload.len() + 3;
        let mut messages = Vec::new();
        for _ in 0..4 {
            messages.extend([0x30, length as u8 | 0x80, (length >> 7) as u8 | 0x80]);
            messages.extend([(length >> 14) as u8, 0, 1, b't']);
            messages.extend(payload);
        }
        messages.extend([0xE0, 0]);
        publisher.write_all(&messages).unwrap();
        take_over(&broker, "p").await;
        assert_eq!(broker.metrics.total(Counter::WillsPublished), 0);
        read(&mut subscriber, 4 * (length + 4)).await;
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_ping_that_waits_to_be_read_keeps_a_client() {
    let run = async {
        let (broker, hands) = Broker::by_hand();
        let mut connect = connect(b'k');
        connect[11] = 10;
        let client = broker.client(&connect).await;
        let mut client = client.into_std().unwrap();
        client.write_all(&[0xC0, 0]).unwrap();
        hands.advance(Duration::from_secs(16));
        wake(&broker, "k").await;
        let mut client = TcpStream::from_std(client).unwrap();
        assert_eq!(read(&mut client, 2).await, [0xD0, 0]);
        hands.advance(Duration::from_secs(16));
        wake(&broker, "k").await;
        assert_eq!(broker.metrics.total(Counter::KeepAliveTimeouts), 1);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_one_that_does_not_read() {
    let run = async {
        let (broker, hands) = Broker::by_hand();
        let mut client = broker.unix();
        client.write_all(&connect(b's')).await.unwrap();
        client.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut client, 4 + 5).await[4..], SUBACK);
        let mut client = client.into_std().unwrap();
        flood(&broker).await;
        // Of so little the kernel does not tell the broker.
        for _ in 0..20 {
            client.read_exact(&mut vec![0; 64 * 1024]).unwrap();
            hands.advance(Duration::from_secs(20));
            wake(&broker, "s").await;
        }
        assert_eq!(broker.metrics.total(Counter::SlowConsumersClosed), 0);
        hands.advance(Duration::from_secs(31));
        wake(&broker, "s").await;
        hands.advance(Duration::from_secs(31));
        wake(&broker, "s").await;
        assert_eq!(broker.metrics.total(Counter::SlowConsumersClosed), 1);
    };
    LocalSet::new().run_until(run).await;
}

/// Publishes to "t" until nobody takes it any more.
async fn flood(broker: &Broker) {
    let mut dispatch = broker.router.dispatch(None, broker.metrics.cells());
    let publication = Publication {
        topic: TopicName::new("t").unwrap(),
        publisher: 0,
        qos: Qos::AtMostOnce,
        retain: false,
        expires: None,
        forwarded: &[],
        payload: &[0; 32 * 1024],
        origin: Origin::Anyone,
    };
    yield_until(|| {
        dispatch.publish(publication);
        dispatch.flush();
        broker.metrics.total(Counter::DroppedQueueFull) > 0
    })
    .await;
}
