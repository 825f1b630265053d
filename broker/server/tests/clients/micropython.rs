//! MicroPython's umqtt.simple, byte for byte: a packet in several small writes, keep alive 0, one
//! packet id after the other, and answers whose length it takes for granted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::broker::{ADA, Broker};
use crate::scaled;

struct Board {
    stream: TcpStream,
    last_packet_id: u16,
    received: Vec<(String, String)>,
}

impl Board {
    fn connect(broker: &Broker, client_id: &str, (user, password): (&str, &str)) -> Board {
        let stream = TcpStream::connect(broker.address()).expect("the broker accepts");
        // Each write a segment of its own, as its network stack may do.
        stream.set_nodelay(true).expect("a socket");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a socket");
        let mut board = Board {
            stream,
            last_packet_id: 0,
            received: Vec::new(),
        };

        let will = ("board/state", "offline");
        let fields = [client_id, will.0, will.1, user, password];
        let remaining = 10 + fields.iter().map(|field| 2 + field.len()).sum::<usize>();
        // The name's first length byte goes with the fixed header.
        let header = [&[0x10][..], &length(remaining), &[0]].concat();
        board.write(&header);
        // Clean session, a retained will at QoS 1, user name and password; keep alive 0.
        board.write(b"\x04MQTT\x04\xee\0\0");
        fields.iter().for_each(|field| board.write_text(field));
        assert_eq!(board.read::<4>(), [0x20, 2, 0, 0]);
        board
    }

    fn publish(&mut self, topic: &str, payload: &str, retain: bool, qos: u8) {
        let packet_id = if qos > 0 { 2 } else { 0 };
        let remaining = 2 + topic.len() + packet_id + payload.len();
        let header = [
            &[0x30 | qos << 1 | u8::from(retain)][..],
            &length(remaining),
        ]
        .concat();
        self.write(&header);
        self.write_text(topic);
        if qos > 0 {
            self.last_packet_id += 1;
            self.write(&self.last_packet_id.to_be_bytes());
        }
        self.write(payload.as_bytes());
        while qos == 1 && self.wait_message() != 0x40 {}
    }

    fn subscribe(&mut self, topic: &str, qos: u8) {
        self.last_packet_id += 1;
        let [high, low] = self.last_packet_id.to_be_bytes();
        let remaining = u8::try_from(2 + 2 + topic.len() + 1).expect("a short topic");
        self.write(&[0x82, remaining, high, low]);
        self.write_text(topic);
        self.write(&[qos]);
        while self.wait_message() != 0x90 {}
    }

    fn ping(&mut self) {
        self.write(&[0xc0, 0]);
        while self.wait_message() != 0xd0 {}
    }

    fn disconnect(mut self) {
        self.write(&[0xe0, 0]);
    }

    /// Takes one packet: its first byte. A message is kept, and acknowledged at QoS 1.
    fn wait_message(&mut self) -> u8 {
        let [first] = self.read();
        match first {
            0xd0 => assert_eq!(self.read(), [0]),
            0x40 => {
                let [high, low] = self.last_packet_id.to_be_bytes();
                assert_eq!(self.read(), [2, high, low]);
            }
            0x90 => {
                let [high, low] = self.last_packet_id.to_be_bytes();
                let [two_and_one, one, two, granted] = self.read();
                assert_eq!([two_and_one, one, two], [3, high, low]);
                assert!(granted < 2, "{granted:#x}");
            }
            _ => self.take_message(first),
        }
        first
    }

    fn take_message(&mut self, first: u8) {
        assert_eq!(first & 0xf0, 0x30, "{first:#x}");
        let mut remaining = self.read_length();
        let topic_length = usize::from(u16::from_be_bytes(self.read()));
        let topic = self.read_text(topic_length);
        remaining -= 2 + topic_length;
        let mut packet_id = None;
        if first & 6 != 0 {
            packet_id = Some(self.read::<2>());
            remaining -= 2;
        }
        let payload = self.read_text(remaining);
        self.received.push((topic, payload));
        match (first & 6, packet_id) {
            (2, Some([high, low])) => self.write(&[0x40, 2, high, low]),
            (qos, _) => assert_eq!(qos, 0, "it cannot do QoS 2"),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    fn write_text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).expect("a short text");
        self.write(&length.to_be_bytes());
        self.write(text.as_bytes());
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream
            .read_exact(&mut bytes)
            .expect("the broker answers");
        bytes
    }

    fn read_length(&mut self) -> usize {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let [byte] = self.read();
            length |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        length
    }

    fn read_text(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.stream
            .read_exact(&mut bytes)
            .expect("the broker sends all");
        String::from_utf8(bytes).expect("text")
    }
}

fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[test]
fn publishes_subscribes_and_pings() {
    let broker = Broker::with_users(&[ADA]);
    let mut board = Board::connect(&broker, "board", ADA);
    board.ping();
    board.subscribe("board/led", 1);
    let mut sent = Vec::new();
    for number in 0..scaled(20) {
        // From here on some have a length of two bytes.
        let payload = format!("{number:>width$}", width = 1 + number * 10);
        board.publish("board/led", &payload, false, (number % 2) as u8);
        sent.push(("board/led".to_owned(), payload));
    }
    board.ping();
    assert_eq!(board.received, sent);
    board.disconnect();
}

#[test]
fn a_retained_state_and_a_will() {
    let broker = Broker::with_users(&[ADA]);
    let mut board = Board::connect(&broker, "board", ADA);
    board.publish("board/state", "online", true, 1);
    let mut watcher = Board::connect(&broker, "watcher", ADA);
    watcher.subscribe("board/state", 1);
    drop(board);
    while watcher.received.len() < 2 {
        watcher.wait_message();
    }
    let state = |payload: &str| ("board/state".to_owned(), payload.to_owned());
    assert_eq!(watcher.received, [state("online"), state("offline")]);
}
