//! What a bridge may do, and what nobody but a bridge may.

use dunlin_codec::{Packet, Publish, Qos, ReasonCode, Version};

use super::daemon::{Daemon, LISTENER};
use super::support::id;
use super::{BOTH, CONNECTED, bridge};

#[test]
fn nobody_takes_its_session_or_speaks_for_it() {
    let far = Daemon::with("");
    let near = super::bridged(far.listener(0).port(), "", BOTH);
    near.expect_metric(CONNECTED, 1);
    for version in [Version::Mqtt311, Version::Mqtt5] {
        let (_, reason) = near.ask(&dunlin_codec::Connect {
            version,
            client_id: "$bridge.cloud",
            clean_start: true,
            ..Default::default()
        });
        assert_eq!(reason, ReasonCode::ClientIdentifierNotValid);
    }
    let mut client = near.client("here");
    client.send(&Packet::Publish(Publish {
        topic: "$SYS/broker/connection/site/state",
        payload: b"0",
        qos: Qos::AtLeastOnce,
        packet_id: Some(id(7)),
        ..Publish::default()
    }));
    assert_eq!(client.receive().puback(), (7, ReasonCode::NotAuthorized));
    assert_eq!(near.metric(CONNECTED), 1);
}

#[test]
fn the_acl_file_holds_for_a_bridge_with_a_user_name() {
    let far = Daemon::with("");
    let directory = tempfile::tempdir().expect("a directory");
    let rules = "topic readwrite both/#\nuser site\ntopic read both/out\ntopic write both/in\n";
    std::fs::write(directory.path().join("acl"), rules).expect("a file");
    let bridge = bridge(far.listener(0).port(), "local_username = \"site\"", BOTH);
    let settings = format!("access.acl_file = \"{{dir}}/acl\"\n{LISTENER}{bridge}");
    let near = Daemon::prepared(directory, &settings);
    near.expect_metric(CONNECTED, 1);
    let (mut here, mut there) = (near.client("here"), far.client("there"));
    here.subscribe("both/#", Qos::AtLeastOnce);
    there.subscribe("both/#", Qos::AtLeastOnce);
    for topic in ["both/secret", "both/out"] {
        here.publish(topic, b"from here", Qos::AtLeastOnce);
        here.expect_message(topic, b"from here");
    }
    there.expect_message("both/out", b"from here");
    for topic in ["both/out", "both/in"] {
        there.publish(topic, b"from there", Qos::AtLeastOnce);
        there.expect_message(topic, b"from there");
    }
    here.expect_message("both/in", b"from there");
}
