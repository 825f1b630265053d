//! The bytes of version 1, which every later version reads.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use dunlin_codec::Qos;
use dunlin_router::TargetOptions;
use dunlin_session::{Identifiers, MessageParts};

use super::*;
use crate::image::Flow;
use crate::wire::Reader;

const ID: PacketId = NonZeroU16::new(300).unwrap();

fn message(number: u64) -> Message {
    let parts = MessageParts {
        publisher: 3,
        qos: Qos::ExactlyOnce,
        retain: true,
        expires: Some(Wall(1000)),
        topic: "t/1",
        forwarded: &[1, 1],
        payload: b"on",
    };
    let message = Message::new(parts, &mut Vec::new());
    message.set_stored_as(std::num::NonZeroU64::new(number).unwrap());
    message
}

fn entry(message: u64, flow: Flow) -> Entry {
    Entry {
        message,
        identifiers: Identifiers::One(NonZeroU32::new(7).unwrap()),
        flow,
        qos: Qos::ExactlyOnce,
        retain: true,
        shared: false,
    }
}

fn will() -> Option<Box<Will>> {
    Some(Box::new(Will {
        delay: Duration::from_secs(9),
        expiry: Some(0),
        qos: Qos::AtLeastOnce,
        retain: true,
        topic: "w".into(),
        forwarded: [].into(),
        payload: (*b"gone").into(),
    }))
}

fn subscribed() -> Subscribed {
    Subscribed {
        options: TargetOptions::new(Qos::AtLeastOnce, true, false, false),
        identifier: NonZeroU32::new(5),
    }
}

fn whole() -> Session {
    let mut session = Session::new("c".into(), 60, will());
    session.left = Some(Wall(4));
    session.subscriptions.push(("a/+".into(), subscribed()));
    session.received.push_back(ID);
    session.queue.push_back(entry(1, Flow::Waits));
    session.queue.push_back(entry(2, Flow::Sent(ID)));
    session.queue.push_back(entry(0, Flow::Taken(ID)));
    session
}

fn steps() -> Vec<(Step, &'static str)> {
    let session = 200;
    let packet_id = ID;
    let which = Which {
        message: 6,
        shared: true,
    };
    vec![
        (
            Step::Began {
                session,
                client_id: "c".into(),
                expiry: u32::MAX,
                will: will(),
            },
            "01c8010163ffffffff0f0109010501770004676f6e65",
        ),
        (
            Step::Resumed {
                session,
                expiry: 1,
                will: None,
            },
            "02c8010100",
        ),
        (
            Step::Left {
                session,
                at: Wall(128),
                expiry: 2,
                will: true,
            },
            "03c80180010201",
        ),
        (Step::Ended { session }, "04c801"),
        (
            Step::Subscribed {
                session,
                filter: "a/+".into(),
                subscribed: subscribed(),
            },
            "05c80103612f2b0505",
        ),
        (
            Step::Unsubscribed {
                session,
                filter: "a/+".into(),
            },
            "06c80103612f2b",
        ),
        (
            Step::Published {
                number: 6,
                message: message(6),
                retained: Retained::Set,
                queued: vec![(session, entry(6, Flow::Waits))],
            },
            "07060306e90703742f31020101026f6e0101c801060107",
        ),
        (
            Step::Queued {
                queued: vec![(session, entry(6, Flow::Waits))],
            },
            "080601c801060107",
        ),
        (
            Step::RetainedGone {
                topic: "t/1".into(),
            },
            "0903742f31",
        ),
        (Step::Received { session, packet_id }, "0ac801ac02"),
        (Step::Released { session, packet_id }, "0bc801ac02"),
        (
            Step::Sent {
                session,
                which,
                packet_id,
            },
            "0cc801ac020601",
        ),
        (Step::Taken { session, packet_id }, "0dc801ac02"),
        (Step::Completed { session, packet_id }, "0ec801ac02"),
        (Step::Removed { session, which }, "0fc8010601"),
        (Step::WillDone { session }, "10c801"),
        (
            Step::Kept {
                number: 6,
                message: message(6),
                retained: true,
            },
            "11060306e90703742f31020101026f6e01",
        ),
        (
            Step::Whole {
                session,
                state: Box::new(whole()),
            },
            "12c80101633c0109010501770004676f6e65050103612f2b050501ac020301060107000206010701ac020006010702ac02",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As the store writes it: queues are written from deliveries.
fn write(step: &Step) -> Vec<u8> {
    let mut bytes = Vec::new();
    let delivery = Delivery {
        message: message(6),
        identifiers: Identifiers::One(NonZeroU32::new(7).unwrap()),
        shared: None,
        qos: Qos::ExactlyOnce,
        retain: true,
        unchecked: false,
        stored: true,
    };
    let queued = [(200, &delivery)].into_iter();
    match step {
        Step::Published {
            number,
            message,
            retained,
            ..
        } => put_published(&mut bytes, *number, message, *retained, queued),
        Step::Queued { .. } => put_more_queued(&mut bytes, 6, queued),
        step => step.put(&mut bytes),
    }
    bytes
}

#[test]
fn steps_are_written_in_version_1() {
    for (step, bytes) in steps() {
        assert_eq!(hex(&write(&step)), bytes, "{step:?}");
    }
}

#[test]
fn steps_of_version_1_are_read() {
    for (step, hex) in steps() {
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<_> = (0..hex.len()).step_by(2).map(digits).collect();
        let mut reader = Reader(&bytes);
        let read = Step::read(&mut reader, &mut Vec::new()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{step:?}"));
        assert!(reader.is_empty());
        for end in 0..bytes.len() {
            assert!(
                Step::read(&mut Reader(&bytes[..end]), &mut Vec::new()).is_err(),
                "{end} of {hex}"
            );
        }
    }
}
