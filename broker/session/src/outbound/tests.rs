use std::num::{NonZeroU16, NonZeroU32};

use dunlin_time::Wall;
use triomphe::ThinArc;

use super::*;
use crate::alias::OutgoingAliases;
use crate::{Identifiers, Message, MessageParts};

fn delivery(qos: Qos, payload: &[u8]) -> Delivery {
    let parts = MessageParts {
        publisher: 0,
        qos,
        retain: false,
        expires: None,
        topic: "t",
        forwarded: &[],
        payload,
    };
    Delivery {
        message: Message::new(parts, &mut Vec::new()),
        identifiers: Identifiers::None,
        shared: None,
        qos,
        retain: false,
        unchecked: false,
        stored: false,
    }
}

fn channel() -> Channel<'static> {
    Channel {
        version: Version::Mqtt311,
        maximum_packet_size: 100,
        aliases: None,
        wall: Wall(0),
        mount_point: 0,
    }
}

fn channel_5(maximum_packet_size: u32, aliases: Option<&mut OutgoingAliases>) -> Channel<'_> {
    Channel {
        version: Version::Mqtt5,
        maximum_packet_size,
        aliases,
        ..channel()
    }
}

fn id(n: u16) -> PacketId {
    NonZeroU16::new(n).unwrap()
}

fn connected(window: u16) -> Outbound {
    let mut outbound = Outbound::default();
    outbound.connect(window);
    outbound
}

#[test]
fn mqtt_3_3_4_9_the_window_bounds_what_is_unfinished() {
    let mut outbound = connected(2);
    let mut out = Vec::new();
    for _ in 0..2 {
        assert!(outbound.room() > 0);
        outbound.send(delivery(Qos::AtLeastOnce, b""), channel(), &mut out);
    }
    assert!(outbound.room() == 0);
    assert!(outbound.puback(id(2)).unwrap().is_some());
    assert!(outbound.room() > 0);
}

#[test]
fn mqtt_4_4_0_1_unfinished_messages_are_sent_again_in_order() {
    let mut outbound = connected(10);
    let mut out = Vec::new();
    outbound.send(delivery(Qos::AtLeastOnce, b"1"), channel(), &mut out);
    outbound.send(delivery(Qos::ExactlyOnce, b"2"), channel(), &mut out);
    outbound
        .pubrec(id(2), ReasonCode::Success, Version::Mqtt311, &mut out)
        .unwrap();
    out.clear();
    outbound.connect(1);
    outbound.resend(channel(), &mut out);
    assert_eq!(out, [0x3a, 6, 0, 1, b't', 0, 1, b'1']);
    assert!(outbound.room() == 0);
    out.clear();
    outbound.puback(id(1)).unwrap();
    outbound.resend(channel(), &mut out);
    assert_eq!(out, [0x62, 2, 0, 2]);
    outbound.pubcomp(id(2)).unwrap();
    assert!(outbound.room() > 0);
}

#[test]
fn an_answer_to_what_was_not_sent_again_takes_no_place_in_the_window() {
    let mut outbound = connected(10);
    let mut out = Vec::new();
    for payload in [b"1", b"2", b"3"] {
        outbound.send(delivery(Qos::AtLeastOnce, payload), channel(), &mut out);
    }
    outbound.connect(1);
    outbound.resend(channel(), &mut out);
    out.clear();
    assert!(outbound.puback(id(2)).unwrap().is_some());
    outbound.resend(channel(), &mut out);
    assert_eq!(out, b"");
    assert!(outbound.puback(id(1)).unwrap().is_some());
    outbound.resend(channel(), &mut out);
    assert_eq!(out, [0x3a, 6, 0, 1, b't', 0, 3, b'3']);
}

#[test]
fn a_burst_is_forgotten_with_its_last_acknowledgement() {
    let mut outbound = connected(100);
    for _ in 0..100 {
        outbound.send(delivery(Qos::AtLeastOnce, b""), channel(), &mut Vec::new());
    }
    for n in 1..=100 {
        assert_eq!(outbound.unfinished(), usize::from(101 - n));
        assert!(outbound.puback(id(n)).unwrap().is_some());
    }
    assert_eq!(
        (outbound.unfinished(), outbound.inflight.capacity()),
        (0, 0)
    );
}

#[test]
fn mqtt_2_2_1_4_an_id_in_use_is_not_given_out_again() {
    let mut outbound = connected(10);
    let mut out = Vec::new();
    outbound.send(delivery(Qos::AtLeastOnce, b"held"), channel(), &mut out);
    for n in 2..=65_535 {
        outbound.send(delivery(Qos::AtLeastOnce, b""), channel(), &mut out);
        assert!(outbound.puback(id(n)).unwrap().is_some(), "{n}");
    }
    outbound.send(delivery(Qos::AtLeastOnce, b"next"), channel(), &mut out);
    assert!(outbound.puback(id(2)).unwrap().is_some());
    assert_eq!(
        outbound.puback(id(1)).unwrap().unwrap().message.payload(),
        b"held"
    );
}

#[test]
fn mqtt_3_1_2_25_a_message_too_large_for_the_peer_is_dropped() {
    let mut outbound = connected(10);
    let sent = outbound.send(
        delivery(Qos::AtLeastOnce, &[0; 100]),
        channel(),
        &mut Vec::new(),
    );
    assert_eq!(sent, Sent::TooLarge);
    assert_eq!(outbound.unfinished(), 0);
}

#[test]
fn mqtt_3_1_2_24_an_alias_is_left_out_where_it_would_exceed_the_maximum() {
    let (mut outbound, mut out) = (connected(10), Vec::new());
    let mut aliases = OutgoingAliases::new(1).unwrap();
    for _ in 0..3 {
        let channel = channel_5(8, Some(&mut aliases));
        out.clear();
        let sent = outbound.send(delivery(Qos::AtLeastOnce, b"1"), channel, &mut out);
        assert_eq!((sent, out.len()), (Sent::TooLarge, 0));
        let channel = channel_5(9, Some(&mut aliases));
        let sent = outbound.send(delivery(Qos::AtLeastOnce, b"1"), channel, &mut out);
        assert_eq!((sent, out.len()), (Sent::Yes, 9));
    }
}

#[test]
fn mqtt_3_1_2_24_no_packet_exceeds_the_maximum_and_none_that_fits_is_dropped() {
    let most = NonZeroU32::new(268_435_455).unwrap();
    let longest = Identifiers::Many(ThinArc::from_header_and_slice((), &[most; 9]));
    let delivery = Delivery {
        identifiers: longest,
        ..delivery(Qos::AtMostOnce, b"0123456789")
    };
    let mut plain = Vec::new();
    connected(10).send(delivery.clone(), channel_5(u32::MAX, None), &mut plain);
    for maximum in 1..200 {
        let mut aliases = OutgoingAliases::new(1).unwrap();
        for _ in 0..3 {
            let (mut outbound, mut out) = (connected(10), Vec::new());
            let channel = channel_5(maximum, Some(&mut aliases));
            let sent = outbound.send(delivery.clone(), channel, &mut out);
            let fits = plain.len() <= maximum as usize;
            assert_eq!(sent == Sent::Yes, fits, "{maximum}");
            assert!(out.len() <= maximum as usize, "{maximum}");
        }
    }
}

#[test]
fn an_alias_saves_the_topic_where_there_is_room_for_both() {
    let (mut outbound, mut aliases) = (connected(10), OutgoingAliases::new(1).unwrap());
    let lengths = [(); 3].map(|()| {
        let mut out = Vec::new();
        let channel = channel_5(100, Some(&mut aliases));
        outbound.send(delivery(Qos::AtMostOnce, b"0123456789"), channel, &mut out);
        out.len()
    });
    assert_eq!(lengths, [19, 18, 18]);
}

#[test]
fn mqtt_4_8_2_5_shared_qos_1_messages_move_on_and_qos_2_ones_stay() {
    let (mut outbound, mut out) = (connected(10), Vec::new());
    let shared = |qos, payload| Delivery {
        shared: NonZeroU32::new(7),
        ..delivery(qos, payload)
    };
    outbound.send(shared(Qos::AtLeastOnce, b"1"), channel(), &mut out);
    outbound.send(shared(Qos::ExactlyOnce, b"two"), channel(), &mut out);
    outbound.send(delivery(Qos::AtLeastOnce, b"three"), channel(), &mut out);
    let moved = outbound.take_shared();
    let payloads: Vec<_> = moved.iter().map(|moved| moved.message.payload()).collect();
    assert_eq!(payloads, [b"1"]);
    assert_eq!((outbound.unfinished(), outbound.room()), (2, 8));
    outbound.connect(10);
    out.clear();
    outbound.resend(channel(), &mut out);
    let (two, three) = (
        b"\x3C\x08\x00\x01t\x00\x02two",
        b"\x3A\x0A\x00\x01t\x00\x03three",
    );
    assert_eq!(out, [&two[..], three].concat());
    assert!(
        outbound
            .pubrec(id(2), ReasonCode::QuotaExceeded, Version::Mqtt5, &mut out)
            .is_ok()
    );
    assert!(outbound.puback(id(3)).is_ok());
    assert_eq!((outbound.unfinished(), outbound.bytes), (0, 0));
}

#[test]
fn mqtt_3_1_2_25_a_message_that_became_too_large_is_not_sent_again() {
    let (mut outbound, mut out) = (connected(10), Vec::new());
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce, Qos::AtLeastOnce] {
        let payload = [0; 10];
        let payload = &payload[..if outbound.unfinished() < 2 { 10 } else { 1 }];
        outbound.send(delivery(qos, payload), channel(), &mut out);
    }
    out.clear();
    outbound.connect(10);
    let channel = Channel {
        maximum_packet_size: 10,
        ..channel()
    };
    let dropped = outbound.take_too_large(&channel);
    assert_eq!(
        dropped.iter().map(|(id, _)| id.get()).collect::<Vec<_>>(),
        [1, 2]
    );
    outbound.resend(channel, &mut out);
    assert_eq!(out[..4], [0x62, 2, 0, 2]);
    assert_eq!(out[4..], [0x3a, 6, 0, 1, b't', 0, 3, 0]);
    assert_eq!(outbound.unfinished(), 2);
    assert_eq!(outbound.bytes, weight(&delivery(Qos::AtLeastOnce, &[0])));
}

#[test]
fn mqtt_4_4_0_1_what_an_earlier_process_left_goes_on_under_its_ids() {
    let restored = [
        (65_535, Some(b"a")),
        (2, None),
        (2, Some(b"b")),
        (7, Some(b"c")),
    ];
    let mut outbound = Outbound::restore(restored.map(|(number, payload)| {
        let payload = payload.map(|payload| delivery(Qos::ExactlyOnce, payload));
        (id(number), payload)
    }));
    let mut out = Vec::new();
    outbound.connect(10);
    outbound.resend(channel(), &mut out);
    let first = [0x3c, 6, 0, 1, b't', 0xff, 0xff, b'a'];
    let last = [0x3c, 6, 0, 1, b't', 0, 7, b'c'];
    assert_eq!(out, [&first[..], &[0x62, 2, 0, 2], &last].concat());
    outbound.send(delivery(Qos::ExactlyOnce, b"d"), channel(), &mut out);
    assert_eq!(outbound.last_packet_id(), id(8));
    assert!(outbound.pubcomp(id(2)).is_ok());
    assert_eq!(outbound.unfinished(), 3);
}

#[test]
fn messages_in_flight_are_bounded_in_bytes() {
    let mut outbound = connected(10);
    let mut out = Vec::new();
    let mebibyte = vec![0; 1024 * 1024];
    for room in [10, 9, 8, 7] {
        assert_eq!(outbound.room(), room);
        let channel = Channel {
            maximum_packet_size: u32::MAX,
            ..channel()
        };
        outbound.send(delivery(Qos::ExactlyOnce, &mebibyte), channel, &mut out);
    }
    assert_eq!(outbound.room(), 0);
    let version = Version::Mqtt311;
    for n in 1..=4 {
        outbound
            .pubrec(id(n), ReasonCode::Success, version, &mut out)
            .unwrap();
        assert_eq!(outbound.room(), 6);
    }
    (1..=4).for_each(|n| outbound.pubcomp(id(n)).unwrap());
    assert_eq!((outbound.room(), outbound.bytes), (10, 0));
    let around = weight(&delivery(Qos::AtLeastOnce, b""));
    let exact = vec![0; (INFLIGHT_BYTES - around) as usize];
    let channel = Channel {
        maximum_packet_size: u32::MAX,
        ..channel()
    };
    outbound.send(delivery(Qos::AtLeastOnce, &exact), channel, &mut out);
    assert_eq!(outbound.room(), 0);
}

#[test]
fn acknowledgements_of_the_wrong_kind_are_refused() {
    let mut outbound = connected(10);
    let mut out = Vec::new();
    outbound.send(delivery(Qos::AtLeastOnce, b""), channel(), &mut out);
    outbound.send(delivery(Qos::ExactlyOnce, b""), channel(), &mut out);
    let version = Version::Mqtt5;
    assert!(
        outbound
            .pubrec(id(1), ReasonCode::Success, version, &mut out)
            .is_err()
    );
    assert!(outbound.puback(id(2)).is_err());
    assert!(outbound.pubcomp(id(2)).is_err());
    assert!(outbound.puback(id(9)).unwrap().is_none());
}
