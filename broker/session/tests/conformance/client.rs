//! What the standard asks of a client, of the client's end.

use std::num::NonZeroU16;
use std::time::Duration;

use dunlin_codec::{
    Decoded, PacketId, PropertiesBuf, Property, Qos, ReasonCode, SubscribeFiltersBuf,
    SubscriptionOptions, UnsubscribeFiltersBuf, Version, decode,
};
use dunlin_session::client::{
    Connected, Event, Greeting, MAXIMUM_REQUESTS, NotSent, Options, Will,
};
use dunlin_session::{Client, Failure, Message, MessageParts, SessionState};
use dunlin_time::{Monotonic, Now};

const NOW: Now = Now {
    monotonic: Monotonic(0),
    wall: dunlin_time::Wall(0),
};

fn options() -> Options {
    Options {
        client_id: "c".to_owned(),
        keep_alive: 10,
        ..Options::default()
    }
}

/// CONNECT, and the outcome of this CONNACK; `out` is what was sent after it.
fn greet(
    options: &Options,
    state: Option<SessionState>,
    connack: &'static [u8],
    out: &mut Vec<u8>,
) -> Result<Box<Connected<'static>>, Failure> {
    let mut connect = Vec::new();
    let mut connecting = options.connect(NOW, state, &mut connect).expect("short");
    let decoded = decode(connack, options.version, u32::MAX)?;
    let Decoded::Packet { packet, .. } = decoded else {
        panic!("not complete");
    };
    match connecting.receive(NOW, packet, out)? {
        Greeting::Connected(connected) => Ok(connected),
        Greeting::Challenge(data) => panic!("challenged with {data:?}"),
    }
}

fn connected(connack: &'static [u8]) -> Client {
    greet(&options(), None, connack, &mut Vec::new())
        .expect("accepted")
        .client
}

/// Accepted, with these properties.
fn v5() -> Client {
    connected(b"\x20\x03\x00\x00\x00")
}

fn receive<'p>(
    client: &mut Client,
    bytes: &'p [u8],
    out: &mut Vec<u8>,
) -> Result<Event<'p>, Failure> {
    match decode(bytes, Version::Mqtt5, u32::MAX)? {
        Decoded::Packet { packet, .. } => client.receive(NOW, packet, out),
        Decoded::Incomplete { .. } => panic!("not complete"),
    }
}

fn message(qos: Qos, retain: bool) -> Message {
    let parts = MessageParts {
        publisher: 0,
        qos,
        retain,
        expires: None,
        topic: "t",
        forwarded: &[],
        payload: b"m",
    };
    Message::new(parts, &mut Vec::new())
}

fn publish(client: &mut Client, qos: Qos) -> Result<Option<PacketId>, NotSent> {
    client.publish(NOW, message(qos, false), &mut Vec::new())
}

#[test]
fn mqtt5_3_1_connect() {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::UserProperty("k", "v"))
        .expect("short");
    let options = Options {
        session_expiry: 5,
        will: Some(Will {
            qos: Qos::AtLeastOnce,
            topic: "w".to_owned(),
            payload: b"x".to_vec(),
            ..Will::default()
        }),
        username: Some("u".to_owned()),
        password: Some(b"p".to_vec()),
        receive_maximum: NonZeroU16::new(2).expect("not zero"),
        topic_alias_maximum: 3,
        properties,
        ..options()
    };
    let mut out = Vec::new();
    options.connect(NOW, None, &mut out).expect("short");
    let expected = b"\x10\x2D\x00\x04MQTT\x05\xCE\x00\x0A\
        \x12\x11\x00\x00\x00\x05\x21\x00\x02\x22\x00\x03\x26\x00\x01k\x00\x01v\
        \x00\x01c\x00\x00\x01w\x00\x01x\x00\x01u\x00\x01p";
    assert_eq!(out, expected);
}

#[test]
fn mqtt5_3_2_2_7_a_refusal_gives_its_reason_and_the_state_back() {
    let mut out = Vec::new();
    let options = Options {
        clean_start: false,
        ..options()
    };
    let state = Some(SessionState::default());
    let mut connecting = options.connect(NOW, state, &mut out).expect("short");
    let Ok(Decoded::Packet { packet, .. }) = decode(
        b"\x20\x08\x00\x87\x05\x1F\x00\x02no",
        Version::Mqtt5,
        u32::MAX,
    ) else {
        panic!("not complete");
    };
    let refused = connecting
        .receive(NOW, packet, &mut out)
        .expect_err("refused");
    assert_eq!(refused, Failure::new(ReasonCode::NotAuthorized, "no"));
    assert!(connecting.into_state().is_some());
}

#[test]
fn mqtt5_3_2_2_4_session_present_without_a_session_is_refused() {
    let kept = Options {
        clean_start: false,
        ..options()
    };
    let present = b"\x20\x03\x01\x00\x00";
    let refused =
        |options: &Options, state| greet(options, state, present, &mut Vec::new()).is_err();
    assert!(refused(&kept, None));
    assert!(refused(&options(), Some(SessionState::default())));
    assert!(!refused(&kept, Some(SessionState::default())));
}

#[test]
fn mqtt5_3_2_2_5_without_session_present_the_session_is_discarded() {
    let mut client = v5();
    publish(&mut client, Qos::AtLeastOnce).expect("sent");
    let kept = Options {
        clean_start: false,
        ..options()
    };
    let mut out = Vec::new();
    let state = Some(client.into_state());
    let connected = greet(&kept, state, b"\x20\x03\x00\x00\x00", &mut out).expect("accepted");
    assert_eq!((out.len(), connected.client.unacknowledged()), (0, 0));
    assert_eq!(connected.discarded[0].message.payload(), b"m");
}

#[test]
fn mqtt5_4_4_0_1_a_resumed_session_sends_again() {
    let mut client = v5();
    publish(&mut client, Qos::AtLeastOnce).expect("sent");
    let kept = Options {
        clean_start: false,
        ..options()
    };
    let mut out = Vec::new();
    let state = Some(client.into_state());
    greet(&kept, state, b"\x20\x03\x01\x00\x00", &mut out).expect("accepted");
    assert_eq!(out, b"\x3A\x07\x00\x01t\x00\x01\x00m");
}

#[test]
fn mqtt5_3_1_2_20_pingreq_when_nothing_else_was_sent() {
    let (mut client, mut out) = (v5(), Vec::new());
    let at = |milliseconds| NOW + Duration::from_millis(milliseconds);
    client
        .publish(at(4_000), message(Qos::AtMostOnce, false), &mut out)
        .expect("sent");
    out.clear();
    assert_eq!(client.deadline(), Some(Monotonic(14_000)));
    client.timeout(at(13_999), &mut out).expect("not due");
    assert_eq!(out, b"");
    client.timeout(at(14_000), &mut out).expect("due");
    assert_eq!(out, b"\xC0\x00");
    assert!(client.timeout(at(23_999), &mut out).is_ok());
    assert!(client.timeout(at(24_000), &mut out).is_err());
    receive(&mut client, b"\xD0\x00", &mut out).expect("conforms");
    assert!(client.timeout(at(23_999), &mut out).is_ok());
    // What comes in is no reason to send nothing.
    let publish = decode(b"\x30\x04\x00\x01t\x00", Version::Mqtt5, u32::MAX);
    let Ok(Decoded::Packet { packet, .. }) = publish else {
        panic!("not complete");
    };
    let message = client.receive(at(23_000), packet, &mut out);
    assert!(matches!(message, Ok(Event::Message(_))));
    assert_eq!(client.deadline(), Some(Monotonic(24_000)));
}

#[test]
fn mqtt5_3_1_2_21_server_keep_alive_is_used() {
    let client = connected(b"\x20\x06\x00\x00\x03\x13\x00\x03");
    assert_eq!(client.deadline(), Some(Monotonic(3_000)));
}

#[test]
fn mqtt5_3_2_2_11_and_3_2_2_14_what_the_server_does_not_offer_is_not_sent() {
    let mut client = connected(b"\x20\x07\x00\x00\x04\x24\x01\x25\x00");
    assert_eq!(
        publish(&mut client, Qos::ExactlyOnce),
        Err(NotSent::QosNotSupported)
    );
    let retained = client.publish(NOW, message(Qos::AtMostOnce, true), &mut Vec::new());
    assert_eq!(retained, Err(NotSent::RetainNotSupported));
    assert!(publish(&mut client, Qos::AtLeastOnce).is_ok());
}

#[test]
fn mqtt5_3_2_2_15_no_packet_above_the_servers_maximum() {
    let mut client = connected(b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x08");
    assert_eq!(
        publish(&mut client, Qos::AtLeastOnce),
        Err(NotSent::TooLarge)
    );
    assert!(publish(&mut client, Qos::AtMostOnce).is_ok());
    let (filters, properties) = (filters(&["abc"]), PropertiesBuf::new());
    let subscribed = client.subscribe(NOW, &filters, &properties, &mut Vec::new());
    assert_eq!(subscribed, Err(NotSent::TooLarge));
    let mut client = connected(b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x0B");
    let subscribed = client.subscribe(NOW, &filters, &properties, &mut Vec::new());
    assert_eq!(subscribed, Ok(PacketId::MIN));
}

#[test]
fn mqtt5_3_2_2_17_aliases_up_to_the_servers_maximum() {
    let mut client = connected(b"\x20\x06\x00\x00\x03\x22\x00\x01");
    let mut out = Vec::new();
    for _ in 0..3 {
        out.clear();
        client
            .publish(NOW, message(Qos::AtMostOnce, false), &mut out)
            .expect("sent");
    }
    assert_eq!(out, b"\x30\x07\x00\x00\x03\x23\x00\x01m");
}

#[test]
fn mqtt5_3_3_4_7_the_servers_receive_maximum_is_kept() {
    let (mut client, mut out) = (connected(b"\x20\x06\x00\x00\x03\x21\x00\x01"), Vec::new());
    let id = PacketId::MIN;
    assert_eq!(publish(&mut client, Qos::AtLeastOnce), Ok(Some(id)));
    assert_eq!(publish(&mut client, Qos::AtLeastOnce), Err(NotSent::Full));
    assert_eq!(client.unacknowledged(), 1);
    // [MQTT-3.3.4-8]
    assert!(publish(&mut client, Qos::AtMostOnce).is_ok());
    let event = receive(&mut client, b"\x40\x03\x00\x01\x97", &mut out).expect("conforms");
    let reason = ReasonCode::QuotaExceeded;
    assert!(
        matches!(event, Event::Published { packet_id, reason: r } if packet_id == id && r == reason)
    );
    assert_eq!(client.room(), 1);
}

#[test]
fn mqtt5_3_3_2_10_and_3_3_4_7_what_the_client_announced_is_enforced() {
    let options = Options {
        topic_alias_maximum: 1,
        receive_maximum: NonZeroU16::MIN,
        ..options()
    };
    let connected = greet(&options, None, b"\x20\x03\x00\x00\x00", &mut Vec::new());
    let (mut client, mut out) = (connected.expect("accepted").client, Vec::new());
    assert!(receive(&mut client, b"\x30\x07\x00\x01t\x03\x23\x00\x01", &mut out).is_ok());
    let above = receive(&mut client, b"\x30\x07\x00\x01t\x03\x23\x00\x02", &mut out);
    assert_eq!(
        above.expect_err("refused").reason,
        ReasonCode::TopicAliasInvalid
    );
    assert!(receive(&mut client, b"\x34\x06\x00\x01t\x00\x01\x00", &mut out).is_ok());
    let above = receive(&mut client, b"\x34\x06\x00\x01t\x00\x02\x00", &mut out);
    assert_eq!(
        above.expect_err("refused").reason,
        ReasonCode::ReceiveMaximumExceeded
    );
}

fn filters(names: &[&str]) -> SubscribeFiltersBuf {
    let mut filters = SubscribeFiltersBuf::new();
    for name in names {
        filters
            .push(name, SubscriptionOptions::default())
            .expect("short");
    }
    filters
}

#[test]
fn mqtt5_2_2_1_3_requests_and_messages_never_share_an_id() {
    let (mut client, mut out, none) = (v5(), Vec::new(), PropertiesBuf::new());
    let id = |n| PacketId::new(n).expect("not zero");
    assert_eq!(
        client.subscribe(NOW, &filters(&["a", "b"]), &none, &mut out),
        Ok(id(1))
    );
    assert_eq!(out, b"\x82\x0B\x00\x01\x00\x00\x01a\x00\x00\x01b\x00");
    for n in 2..=u16::MAX {
        assert_eq!(publish(&mut client, Qos::AtLeastOnce), Ok(Some(id(n))));
        let puback = [[0x40, 2], n.to_be_bytes()].concat();
        receive(&mut client, &puback, &mut out).expect("conforms");
    }
    assert_eq!(publish(&mut client, Qos::AtLeastOnce), Ok(Some(id(2))));
    let mut names = UnsubscribeFiltersBuf::new();
    names.push("a").expect("short");
    assert_eq!(client.unsubscribe(NOW, &names, &none, &mut out), Ok(id(3)));
    // [MQTT-3.8.4-6]: a reason for each filter. Not an answer to another request.
    for wrong in [
        &b"\x90\x04\x00\x01\x00\x00"[..],
        b"\xB0\x05\x00\x01\x00\x00\x00",
        b"\x90\x05\x00\x04\x00\x00\x00",
    ] {
        let failure = receive(&mut client, wrong, &mut out).expect_err("refused");
        assert_eq!(failure.reason, ReasonCode::ProtocolError);
    }
    let suback = receive(&mut client, b"\x90\x05\x00\x01\x00\x00\x87", &mut out);
    assert!(matches!(suback, Ok(Event::Subscribed(ack)) if ack.packet_id == id(1)));
    let unsuback = receive(&mut client, b"\xB0\x04\x00\x03\x00\x00", &mut out);
    assert!(matches!(unsuback, Ok(Event::Unsubscribed(ack)) if ack.packet_id == id(3)));
}

#[test]
fn mqtt5_4_12_authentication_and_reauthentication() {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::AuthenticationMethod("M"))
        .expect("short");
    let (options, mut out) = (
        Options {
            properties,
            ..options()
        },
        Vec::new(),
    );
    let mut connecting = options.connect(NOW, None, &mut out).expect("short");
    let mut greet = |bytes| match decode(bytes, Version::Mqtt5, u32::MAX) {
        Ok(Decoded::Packet { packet, .. }) => connecting.receive(NOW, packet, &mut Vec::new()),
        other => panic!("{other:?}"),
    };
    // [MQTT-4.12.0-5]
    assert!(greet(b"\xF0\x06\x18\x04\x15\x00\x01N").is_err());
    assert!(greet(b"\x20\x03\x00\x00\x00").is_err());
    let challenge = greet(b"\xF0\x0A\x18\x08\x15\x00\x01M\x16\x00\x01?");
    assert!(matches!(challenge, Ok(Greeting::Challenge(b"?"))));
    let Ok(Greeting::Connected(connected)) = greet(b"\x20\x07\x00\x00\x04\x15\x00\x01M") else {
        panic!("not accepted");
    };
    out.clear();
    // [MQTT-4.12.0-3]
    connecting.respond(b"!", &mut out);
    assert_eq!(out, b"\xF0\x0A\x18\x08\x15\x00\x01M\x16\x00\x01!");
    let mut client = connected.client;
    assert!(receive(&mut client, b"\xF0\x06\x18\x04\x15\x00\x01M", &mut out).is_err());
    out.clear();
    // [MQTT-4.12.1-1]
    assert!(client.reauthenticate(b"", &mut out));
    assert_eq!(out, b"\xF0\x06\x19\x04\x15\x00\x01M");
    assert!(!client.reauthenticate(b"", &mut out));
    let with_another_method = b"\xF0\x06\x00\x04\x15\x00\x01N";
    assert!(receive(&mut client, with_another_method, &mut out).is_err());
    let event = receive(&mut client, b"\xF0\x06\x18\x04\x15\x00\x01M", &mut out);
    assert!(matches!(event, Ok(Event::Challenge(b""))));
    assert!(client.respond(b"", &mut out));
    let event = receive(&mut client, b"\xF0\x00", &mut out);
    assert!(matches!(event, Ok(Event::Reauthenticated(b""))));
}

#[test]
fn mqtt5_4_12_0_7_no_auth_without_a_method() {
    let (mut client, mut out) = (v5(), Vec::new());
    assert!(!client.reauthenticate(b"x", &mut out));
    assert_eq!(out, b"");
    assert!(receive(&mut client, b"\xF0\x00", &mut out).is_err());
}

#[test]
fn mqtt5_3_2_2_3_2_the_servers_session_expiry_counts() {
    let kept = Options {
        session_expiry: 5,
        ..options()
    };
    let expiry = |connack| {
        let connected = greet(&kept, None, connack, &mut Vec::new());
        connected.expect("accepted").client.session_expiry()
    };
    assert_eq!(expiry(b"\x20\x03\x00\x00\x00"), 5);
    assert_eq!(expiry(b"\x20\x08\x00\x00\x05\x11\x00\x00\x00\x03"), 3);
}

#[test]
fn mqtt5_3_14_the_servers_disconnect_is_an_event() {
    let mut client = v5();
    let event = receive(&mut client, b"\xE0\x01\x8E", &mut Vec::new());
    let reason = ReasonCode::SessionTakenOver;
    assert!(matches!(event, Ok(Event::Disconnected(said)) if said.reason == reason));
}

#[test]
fn requests_and_messages_in_flight_leave_each_other_packet_ids() {
    let wide = Options {
        maximum_inflight: u16::MAX,
        ..options()
    };
    let connected = greet(&wide, None, b"\x20\x03\x00\x00\x00", &mut Vec::new());
    let (mut client, none) = (connected.expect("accepted").client, PropertiesBuf::new());
    assert_eq!(client.room() + MAXIMUM_REQUESTS, usize::from(u16::MAX));
    let mut subscribe = || client.subscribe(NOW, &filters(&["a"]), &none, &mut Vec::new());
    for _ in 0..MAXIMUM_REQUESTS {
        assert!(subscribe().is_ok());
    }
    assert_eq!(subscribe(), Err(NotSent::Full));
}

#[test]
fn mqtt5_3_14_disconnect() {
    let said = |options: &Options, reason, expiry| {
        let mut out = Vec::new();
        let connack: &[u8] = match options.version {
            Version::Mqtt5 => b"\x20\x03\x00\x00\x00",
            _ => b"\x20\x02\x00\x00",
        };
        let connected = greet(options, None, connack, &mut out).expect("accepted");
        connected.client.disconnect(reason, expiry, &mut out);
        out
    };
    assert_eq!(said(&options(), ReasonCode::Success, None), b"\xE0\x00");
    // (3.14.2.2.2): not after a CONNECT that asked for none.
    assert_eq!(said(&options(), ReasonCode::Success, Some(9)), b"\xE0\x00");
    let kept = Options {
        session_expiry: 5,
        ..options()
    };
    let with_expiry = b"\xE0\x07\x04\x05\x11\x00\x00\x00\x09";
    assert_eq!(
        said(&kept, ReasonCode::DisconnectWithWillMessage, Some(9)),
        with_expiry
    );
    let v311 = Options {
        version: Version::Mqtt311,
        ..options()
    };
    assert_eq!(said(&v311, ReasonCode::Success, None), b"\xE0\x00");
    assert_eq!(
        said(&v311, ReasonCode::DisconnectWithWillMessage, None),
        b""
    );
}

#[test]
fn mqtt5_2_1_2_packets_that_only_a_client_may_send_are_refused() {
    for bytes in [
        crate::table::CONNECT_5,
        b"\x20\x03\x00\x00\x00",
        b"\x82\x07\x00\x01\x00\x00\x01a\x00",
        b"\xA2\x06\x00\x01\x00\x00\x01a",
        b"\xC0\x00",
        b"\xE0\x00",
    ] {
        let mut client = v5();
        let failure = receive(&mut client, bytes, &mut Vec::new()).expect_err("refused");
        assert_eq!(failure.reason, ReasonCode::ProtocolError, "{bytes:?}");
    }
}
