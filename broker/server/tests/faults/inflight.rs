//! What a client had not acknowledged comes again under its packet ids, also from a broker that
//! started again: an acknowledgement that the client still owes is for the message that it means.

use dunlin_codec::{Connect, PacketId, Qos, Version};
use rustix::process::Signal;

use crate::daemon::{Daemon, LISTENER};
use crate::support::Client;

fn resume(daemon: &Daemon) -> (Client, bool) {
    let connect = Connect {
        version: Version::Mqtt311,
        client_id: "lasts",
        ..Connect::default()
    };
    let (client, connack) = Client::request_over(daemon.dial(), &connect);
    let session_present = connack.connack().session_present;
    (client, session_present)
}

/// The next message: its id, its payload, and whether it says that it comes again.
fn message(client: &mut Client) -> (PacketId, Vec<u8>, bool) {
    let frame = client.receive();
    let publish = frame.publish();
    let id = publish.packet_id.expect("QoS 1");
    (id, publish.payload.to_vec(), publish.dup)
}

fn after(end: impl FnOnce(&mut Daemon)) {
    let mut daemon = Daemon::start(LISTENER);
    let (mut client, _) = resume(&daemon);
    client.subscribe("t", Qos::AtLeastOnce);
    let mut publisher = daemon.client("publisher");
    let sent = ["a", "b", "c"].map(|payload| {
        publisher.publish("t", payload.as_bytes(), Qos::AtLeastOnce);
        message(&mut client)
    });
    client.puback(sent[0].0);
    client.ping();
    // What is acknowledged to anybody stands behind all that was recorded before.
    publisher.publish_retained("other", b"kept", Qos::AtLeastOnce);
    end(&mut daemon);
    daemon.start_again();

    let (mut client, session_present) = resume(&daemon);
    assert!(session_present);
    let again = [message(&mut client), message(&mut client)];
    let [_, b, c] = &sent;
    let expected = [b, c].map(|(id, payload, _)| (*id, payload.clone(), true));
    assert_eq!(again, expected);
    // It says so for "b" alone.
    client.puback(b.0);
    client.ping();
    client.lose();
    let (mut client, _) = resume(&daemon);
    assert_eq!(message(&mut client), (c.0, b"c".to_vec(), true));
    client.ping();
}

#[test]
fn mqtt_4_4_0_1_a_broker_that_was_killed_sends_again_under_the_same_ids() {
    after(Daemon::crash);
}

#[test]
fn mqtt_4_4_0_1_a_broker_that_was_stopped_sends_again_under_the_same_ids() {
    after(|daemon| {
        daemon.signal(Signal::TERM);
        assert!(daemon.wait().success());
    });
}
