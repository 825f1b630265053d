//! What is durable before which packet leaves: one test for each entry of the list. Nothing is
//! committed until the test says so, and nothing of what would promise it is sent before.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::broker::{Broker, nothing_comes, read};

/// A client with this one-letter id and a session that lasts.
fn connect(id: u8) -> [u8; 15] {
    [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 0, 0, 1, id]
}

/// The same for a session that ends with its connection.
fn connect_clean(id: u8) -> [u8; 15] {
    [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, id]
}

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

async fn send(client: &mut TcpStream, packet: &[u8]) {
    client.write_all(packet).await.unwrap();
}

/// Sends a packet; the answer comes once it is committed, and not before.
async fn waits(broker: &Broker, client: &mut TcpStream, packet: &[u8], answer: &[u8]) {
    send(client, packet).await;
    nothing_comes(client).await;
    broker.store.commit();
    assert_eq!(read(client, answer.len()).await, answer);
}

/// A client whose session lasts.
async fn client(broker: &Broker, id: u8) -> TcpStream {
    let mut stream = TcpStream::connect(broker.address).await.unwrap();
    waits(broker, &mut stream, &connect(id), &CONNACK).await;
    stream
}

/// A client whose session lasts, subscribed to "t" with this QoS.
async fn subscriber(broker: &Broker, id: u8, qos: u8) -> TcpStream {
    let mut stream = client(broker, id).await;
    let (subscribe, suback) = ([0x82, 6, 0, 1, 0, 1, b't', qos], [0x90, 3, 0, 1, qos]);
    waits(broker, &mut stream, &subscribe, &suback).await;
    stream
}

async fn run(test: impl AsyncFnOnce(&Broker)) {
    LocalSet::new()
        .run_until(async { test(&Broker::start()).await })
        .await;
}

#[tokio::test]
async fn connack_waits_for_the_session() {
    run(async |broker| {
        client(broker, b'a').await;
    })
    .await;
}

#[tokio::test]
async fn suback_waits_for_the_subscription() {
    run(async |broker| {
        subscriber(broker, b'a', 1).await;
    })
    .await;
}

#[tokio::test]
async fn unsuback_waits_for_its_end() {
    run(async |broker| {
        let mut client = subscriber(broker, b'a', 1).await;
        let (unsubscribe, unsuback) = ([0xa2, 5, 0, 2, 0, 1, b't'], [0xb0, 2, 0, 2]);
        waits(broker, &mut client, &unsubscribe, &unsuback).await;
    })
    .await;
}

#[tokio::test]
async fn puback_waits_for_every_queue() {
    run(async |broker| {
        let _subscriber = subscriber(broker, b's', 1).await;
        let mut publisher = broker.client(&connect_clean(b'p')).await;
        let publish = [0x32, 6, 0, 1, b't', 0, 7, b'x'];
        waits(broker, &mut publisher, &publish, &[0x40, 2, 0, 7]).await;
    })
    .await;
}

#[tokio::test]
async fn puback_waits_for_the_retained_value() {
    run(async |broker| {
        let mut publisher = broker.client(&connect_clean(b'p')).await;
        let publish = [0x33, 6, 0, 1, b't', 0, 7, b'x'];
        waits(broker, &mut publisher, &publish, &[0x40, 2, 0, 7]).await;
    })
    .await;
}

#[tokio::test]
async fn pubrec_waits_for_the_id_and_every_queue_and_nobody_sees_the_message_earlier() {
    run(async |broker| {
        let mut subscriber = subscriber(broker, b's', 1).await;
        let mut clean = broker.client(&connect_clean(b'c')).await;
        send(&mut clean, &[0x82, 6, 0, 1, 0, 1, b't', 2]).await;
        assert_eq!(read(&mut clean, 5).await, [0x90, 3, 0, 1, 2]);
        let mut publisher = client(broker, b'p').await;
        send(&mut publisher, &[0x34, 6, 0, 1, b't', 0, 7, b'x']).await;
        nothing_comes(&mut publisher).await;
        nothing_comes(&mut subscriber).await;
        nothing_comes(&mut clean).await;
        broker.store.commit();
        assert_eq!(read(&mut publisher, 4).await, [0x50, 2, 0, 7]);
        let message = read(&mut subscriber, 8).await;
        assert_eq!(message, [0x32, 6, 0, 1, b't', 0, 1, b'x']);
        let message = read(&mut clean, 8).await;
        assert_eq!(message, [0x34, 6, 0, 1, b't', 0, 1, b'x']);
    })
    .await;
}

#[tokio::test]
async fn nobody_sees_a_qos_2_message_before_its_id_is_safe_though_no_queue_keeps_it() {
    run(async |broker| {
        let mut clean = broker.client(&connect_clean(b'c')).await;
        send(&mut clean, &[0x82, 6, 0, 1, 0, 1, b't', 2]).await;
        assert_eq!(read(&mut clean, 5).await, [0x90, 3, 0, 1, 2]);
        let mut publisher = client(broker, b'p').await;
        send(&mut publisher, &[0x34, 6, 0, 1, b't', 0, 7, b'x']).await;
        nothing_comes(&mut clean).await;
        broker.store.commit();
        let message = read(&mut clean, 8).await;
        assert_eq!(message, [0x34, 6, 0, 1, b't', 0, 1, b'x']);
    })
    .await;
}

#[tokio::test]
async fn pubrec_waits_for_the_id_though_nobody_subscribed() {
    run(async |broker| {
        let mut publisher = client(broker, b'p').await;
        let publish = [0x34, 6, 0, 1, b't', 0, 7, b'x'];
        waits(broker, &mut publisher, &publish, &[0x50, 2, 0, 7]).await;
    })
    .await;
}

#[tokio::test]
async fn pubcomp_waits_for_the_release_of_the_id() {
    run(async |broker| {
        let mut publisher = client(broker, b'p').await;
        let publish = [0x34, 6, 0, 1, b't', 0, 7, b'x'];
        waits(broker, &mut publisher, &publish, &[0x50, 2, 0, 7]).await;
        waits(broker, &mut publisher, &[0x62, 2, 0, 7], &[0x70, 2, 0, 7]).await;
    })
    .await;
}

#[tokio::test]
async fn a_qos_2_publish_waits_for_its_packet_id_and_pubrel_for_pubrec() {
    run(async |broker| {
        let mut subscriber = subscriber(broker, b's', 2).await;
        let mut publisher = client(broker, b'p').await;
        send(&mut publisher, &[0x34, 6, 0, 1, b't', 0, 7, b'x']).await;
        nothing_comes(&mut subscriber).await;
        broker.store.commit();
        let publish = read(&mut subscriber, 8).await;
        assert_eq!(publish, [0x34, 6, 0, 1, b't', 0, 1, b'x']);
        let (pubrec, pubrel) = ([0x50, 2, 0, 1], [0x62, 2, 0, 1]);
        waits(broker, &mut subscriber, &pubrec, &pubrel).await;
    })
    .await;
}

#[tokio::test]
async fn qos_0_and_sessions_that_end_with_their_connection_wait_for_nothing() {
    run(async |broker| {
        let mut client = broker.client(&connect_clean(b'c')).await;
        send(&mut client, &[0x82, 6, 0, 1, 0, 1, b't', 1]).await;
        assert_eq!(read(&mut client, 5).await, [0x90, 3, 0, 1, 1]);
        send(&mut client, &[0x30, 4, 0, 1, b't', b'0']).await;
        send(&mut client, &[0x32, 6, 0, 1, b't', 0, 7, b'1']).await;
        let qos_0 = [0x30, 4, 0, 1, b't', b'0'];
        let puback = [0x40, 2, 0, 7];
        let qos_1 = [0x32, 6, 0, 1, b't', 0, 1, b'1'];
        let mut expected = [&qos_0[..], &puback, &qos_1].concat();
        let mut came = read(&mut client, expected.len()).await;
        expected.sort_unstable();
        came.sort_unstable();
        assert_eq!(came, expected);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_committed_is_not_said_at_the_end_either() {
    run(async |broker| {
        let _subscriber = subscriber(broker, b's', 1).await;
        let mut publisher = client(broker, b'p').await;
        send(&mut publisher, &[0x32, 6, 0, 1, b't', 0, 7, b'x']).await;
        nothing_comes(&mut publisher).await;
        // A newer connection takes the session; the older one is closed without PUBACK.
        let mut newer = TcpStream::connect(broker.address).await.unwrap();
        send(&mut newer, &connect(b'p')).await;
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut publisher, &mut rest)
            .await
            .unwrap();
        assert_eq!(rest, []);
        nothing_comes(&mut newer).await;
        broker.store.commit();
        assert_eq!(read(&mut newer, 4).await, [0x20, 2, 1, 0]);
    })
    .await;
}
