//! MQTT in WebSocket frames: section 6 of both standards.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::Broker;

const CONNECT: &[u8] = b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01w";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";
const PINGREQ: &[u8] = b"\xC0\x00";
const PINGRESP: &[u8] = b"\xD0\x00";

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const LAST: u8 = 0x80;

fn broker() -> Broker {
    Broker::start("", "protocol = \"websockets\"")
}

/// The stream after the upgrade, and the subprotocol that the server chose.
fn upgrade(broker: &Broker, offered: &str) -> (TcpStream, Option<String>) {
    let mut stream = broker.dial();
    let patience = std::time::Duration::from_secs(20);
    stream.set_read_timeout(Some(patience)).expect("a socket");
    let request = format!(
        "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {offered}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let chosen = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_it = name.eq_ignore_ascii_case("sec-websocket-protocol");
        is_it.then(|| value.to_owned())
    });
    (stream, chosen)
}

/// Sends a frame under a mask of zeros.
fn send(stream: &mut TcpStream, first: u8, payload: &[u8]) {
    let header = [first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    stream
        .write_all(&[&header, payload].concat())
        .expect("sent");
}

/// The first byte of a frame and its payload.
fn receive(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 2];
    stream.read_exact(&mut header).expect("a frame");
    assert!(header[1] < 126, "a small frame without mask");
    let mut payload = vec![0; header[1].into()];
    stream.read_exact(&mut payload).expect("a frame");
    (header[0], payload)
}

// proves: MQTT311 [MQTT-6.0.0-3] [MQTT-6.0.0-4] MQTT5 [MQTT-6.0.0-3] [MQTT-6.0.0-4]
#[test]
fn mqtt_6_0_0_4_the_subprotocol_is_mqtt() {
    let broker = broker();
    for offered in ["mqtt", "chat, mqtt", "mqtt, mqttv3.1"] {
        let (_, chosen) = upgrade(&broker, offered);
        assert_eq!(chosen.as_deref(), Some("mqtt"), "{offered}");
    }
}

// proves: MQTT311 [MQTT-6.0.0-2] MQTT5 [MQTT-6.0.0-2]
#[test]
fn mqtt_6_0_0_2_frames_and_packets_begin_and_end_independently() {
    let broker = broker();
    let (mut stream, _) = upgrade(&broker, "mqtt");
    // Two packets in one frame, then one in three frames, then one in three fragments.
    send(&mut stream, LAST | BINARY, &[CONNECT, PINGREQ].concat());
    for part in [&CONNECT[..0], &PINGREQ[..1], &PINGREQ[1..]] {
        send(&mut stream, LAST | BINARY, part);
    }
    send(&mut stream, BINARY, &PINGREQ[..1]);
    send(&mut stream, CONTINUATION, b"");
    send(&mut stream, LAST | CONTINUATION, &PINGREQ[1..]);
    let expected = [CONNACK, PINGRESP, PINGRESP, PINGRESP].concat();
    let mut all = Vec::new();
    while all.len() < expected.len() {
        let (first, payload) = receive(&mut stream);
        assert_eq!(first, LAST | BINARY);
        all.extend(payload);
    }
    assert_eq!(all, expected);
}

// proves: MQTT311 [MQTT-6.0.0-1] MQTT5 [MQTT-6.0.0-1]
#[test]
fn mqtt_6_0_0_1_a_text_frame_ends_the_connection() {
    let broker = broker();
    let (mut stream, _) = upgrade(&broker, "mqtt");
    send(&mut stream, LAST | BINARY, CONNECT);
    assert_eq!(receive(&mut stream), (LAST | BINARY, CONNACK.to_vec()));
    send(&mut stream, LAST | TEXT, PINGREQ);
    let (first, _) = receive(&mut stream);
    assert_eq!(first, LAST | CLOSE);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the end");
    assert_eq!(rest, b"");
}
