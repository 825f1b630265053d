//! From when on a bridge misses nothing.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dunlin_codec::{Connect, Qos, Version};

use super::bridge;
use super::daemon::Daemon;
use super::reloading::reload;
use super::support::Client;

/// The race was lost three times of four.
const ROUNDS: usize = 6;

/// A client as soon as somebody answers there.
fn first_client(address: SocketAddr) -> Client {
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: "first",
        clean_start: true,
        ..Connect::default()
    };
    loop {
        if let Ok(stream) = TcpStream::connect(address) {
            return Client::request_over(stream, &connect).0;
        }
        thread::yield_now();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

#[test]
fn what_the_first_client_publishes_crosses() {
    let far = Daemon::with("");
    let mut there = far.client("there");
    there.subscribe("up", Qos::AtLeastOnce);
    let address = free_address();
    let with = |clean: bool| {
        let more = format!("local_clean_session = {clean}");
        let port = far.listener(0).port();
        let bridge = bridge(port, &more, "{ filter = \"up\", qos = 1 }");
        // Without a session from before, which would have the subscription.
        format!("store = \"memory\"\n[[listeners]]\naddress = \"{address}\"\n{bridge}")
    };
    let mut near = Daemon::start(&with(false));
    for round in 0..ROUNDS {
        near.crash();
        near.configure(&with(round % 2 == 1));
        near.begin_again();
        let mut first = first_client(address);
        let payload = format!("{round}");
        first.publish("up", payload.as_bytes(), Qos::AtLeastOnce);
        there.expect_message("up", payload.as_bytes());
        near.expect_start();
    }
}

#[test]
fn what_is_published_after_a_reload_crosses() {
    let far = Daemon::with("");
    let mut there = far.client("there");
    there.subscribe("#", Qos::AtLeastOnce);
    let mut near = Daemon::with("");
    let mut here = near.client("here");
    for round in 0..ROUNDS {
        let topics = format!("{{ filter = \"new{round}\", qos = 1 }}");
        reload(&mut near, &bridge(far.listener(0).port(), "", &topics));
        let topic = format!("new{round}");
        here.publish(&topic, b"x", Qos::AtLeastOnce);
        while there.receive().publish().topic != topic {}
        // Those of the rounds before are ended.
        near.expect_metric("subscriptions", 1);
    }
}

#[test]
fn what_is_published_while_topics_change_crosses() {
    let far = Daemon::with("");
    let mut there = far.client("there");
    there.subscribe("kept", Qos::AtLeastOnce);
    let mut near = Daemon::with("");
    let mut here = near.client("here");
    let port = far.listener(0).port();
    let with = |topic: &str| {
        let out = "{ filter = \"kept\", qos = 1 }";
        bridge(port, "", &format!("{out}, {{ filter = \"{topic}\" }}"))
    };
    reload(&mut near, &with("first"));
    let over = AtomicBool::new(false);
    let (published, seen) = thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                here.publish("kept", format!("{count}").as_bytes(), Qos::AtLeastOnce);
                count += 1;
            }
            here.publish("kept", b"last", Qos::AtLeastOnce);
            count
        });
        let reader = scope.spawn(|| read_to(&mut there, b"last"));
        for round in 0..ROUNDS {
            reload(&mut near, &with(&format!("other{round}")));
        }
        over.store(true, Ordering::Relaxed);
        let published = publisher.join().expect("no panic");
        (published, reader.join().expect("no panic"))
    });
    let is_lost = |count: &usize| !seen.contains(format!("{count}").as_bytes());
    let lost: Vec<usize> = (0..published).filter(is_lost).collect();
    assert!(lost.is_empty(), "{lost:?} of {published}");
}

/// The payloads before this one, acknowledged.
fn read_to(client: &mut Client, last: &[u8]) -> HashSet<Vec<u8>> {
    let mut seen = HashSet::new();
    loop {
        let frame = client.receive();
        let publish = frame.publish();
        if let Some(packet_id) = publish.packet_id {
            client.puback(packet_id);
        }
        if publish.payload == last {
            return seen;
        }
        seen.insert(publish.payload.to_vec());
    }
}
