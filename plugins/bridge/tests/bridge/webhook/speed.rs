//! How fast messages go out: run by hand.
//!
//! Our broker is Mosquitto here, so that the webhook is what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use dunlin_bridge::{Identity, Local, Qos, Webhook, WebhookSettings};

use super::hook;
use crate::peer::{Peer, lasting};
use crate::world::{Far, Running, until};

const MESSAGES: u64 = 100_000;

#[test]
#[ignore = "a measurement"]
fn speed() {
    for batch_messages in [1, 100, 1000] {
        let near = Far::with("allow_anonymous true\nlistener 0 {dir}/mqtt\n", |_| ());
        let settings = WebhookSettings {
            batch_messages,
            ..hook(takes_all(), Qos::AtLeastOnce)
        };
        let webhook = Webhook::new(settings, Arc::new(Identity)).expect("good settings");
        let path = near.directory().join("mqtt");
        let running = Running::spawn(webhook.status(), async move |stopped| {
            let local = Local::new(|| UnixStream::connect(&path));
            webhook.run(local, stopped).await
        });
        let status = running.status.clone();
        until("its own broker", || {
            status.local_connected.load(Ordering::Relaxed)
        });
        let mut here = Peer::far(near.port, lasting("publisher"));
        let carried = || status.egress.messages.load(Ordering::Relaxed);
        until("the subscription", || {
            here.publish("t/x", b"probe", Qos::AtLeastOnce, false);
            here.confirmed();
            carried() > 0
        });
        let before = carried();
        let start = Instant::now();
        let count = if batch_messages == 1 {
            10_000
        } else {
            MESSAGES
        };
        for _ in 0..count {
            here.publish("t/x", &[b'x'; 100], Qos::AtLeastOnce, false);
        }
        here.confirmed();
        until("all of them", || carried() >= before + count);
        let rate = count as f64 / start.elapsed().as_secs_f64();
        let cpu = running.cpu_seconds() / carried() as f64 * 1e6;
        println!(
            "QoS 1, {batch_messages} to a request: {rate:.0} messages/s, {cpu:.2} µs of CPU each \
             besides the thread that posts"
        );
    }
}

/// The URL of a server that looks at nothing.
fn takes_all() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let mut stream = BufReader::new(socket);
            while take(&mut stream).is_some() {}
        }
    });
    url
}

fn take(stream: &mut BufReader<std::net::TcpStream>) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim_end().is_empty() {
            break;
        }
    }
    std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink()).ok()?;
    let answer = b"HTTP/1.1 204 x\r\n\r\n";
    stream.get_mut().write_all(answer).ok()
}
