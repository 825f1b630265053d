//! What is read again is what was there, whatever happened, compaction included.

use std::fmt::Write as _;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use dunlin_codec::Qos;
use dunlin_log::{FaultyDisk, MemoryDisk, Options};
use dunlin_router::TargetOptions;
use dunlin_router::ports::{Change, Queued, Retained, SessionTerms, Store, Urgency};
use dunlin_session::{Delivery, Identifiers, Message, MessageParts, Will};
use dunlin_time::Wall;
use proptest::prelude::*;

use crate::Disk;
use crate::image::Image;

fn open(files: &MemoryDisk) -> Disk {
    let options = Options {
        segment_bytes: 2048,
        low_space_bytes: 0,
        ..Options::default()
    };
    Disk::open(Arc::new(files.clone()), options, &mut |_| ()).unwrap()
}

fn commit(disk: &Disk) {
    while disk.commit().unwrap() {}
}

fn message(topic: &str, payload: &[u8], expires: Option<Wall>) -> Message {
    let parts = MessageParts {
        publisher: 3,
        qos: Qos::ExactlyOnce,
        retain: true,
        expires,
        topic,
        // Payload Format Indicator 1.
        forwarded: &[1, 1],
        payload,
    };
    Message::new(parts, &mut Vec::new())
}

fn delivery(message: &Message, qos: Qos, shared: bool) -> Delivery {
    let one = |number| Identifiers::One(NonZeroU32::new(number).unwrap());
    Delivery {
        message: message.clone(),
        identifiers: match qos {
            Qos::AtMostOnce => Identifiers::None,
            Qos::AtLeastOnce => one(7),
            Qos::ExactlyOnce => one(7).merge(one(8)),
        },
        shared: shared.then_some(NonZeroU32::MIN),
        qos,
        retain: shared,
        unchecked: false,
        stored: true,
    }
}

fn will() -> Will {
    Will {
        delay: Duration::from_secs(9),
        expiry: Some(0),
        qos: Qos::AtLeastOnce,
        retain: true,
        topic: "wills".into(),
        forwarded: [1, 0].into(),
        payload: (*b"gone").into(),
    }
}

/// All that lives, in words.
fn story(image: &Image) -> String {
    let mut story = String::new();
    let payload = |number: u64| {
        let kept = image.messages.get(&number);
        let message = kept.and_then(|kept| kept.message.as_ref());
        message.map(|message| (message.topic().to_owned(), message.payload().to_vec()))
    };
    let mut numbers: Vec<_> = image.sessions.keys().collect();
    numbers.sort();
    for number in numbers {
        let session = &image.sessions[number];
        let terms = (session.expiry, session.left, &session.will);
        let open = (&session.subscriptions, &session.received);
        writeln!(story, "{number} {} {terms:?} {open:?}", session.client_id).unwrap();
        for entry in &session.queue {
            let flags = (entry.qos, entry.retain, entry.shared, entry.flow);
            let what = (payload(entry.message), &entry.identifiers, flags);
            writeln!(story, "  {what:?}").unwrap();
        }
    }
    let mut retained: Vec<_> = image
        .retained
        .values()
        .map(|number| payload(*number))
        .collect();
    retained.sort();
    writeln!(story, "{retained:?} {}", image.messages.len()).unwrap();
    story
}

fn told(disk: &Disk) -> (String, u64) {
    let state = disk.state.lock();
    (story(&state.image), state.image.live_bytes)
}

/// What may happen: a kind, a session to choose, and a number to choose the rest by.
type Event = (u8, usize, usize);

/// What a broker remembers beside its store.
#[derive(Default)]
struct Broker {
    sessions: Vec<u64>,
    last_session: u64,
    queued: Vec<Queued>,
}

impl Broker {
    /// The number of a session that there is. A new one has a number that none had before it.
    fn session(&mut self, kind: u8, which: usize) -> u64 {
        if kind == 0 || self.sessions.is_empty() {
            self.last_session += 1;
            return self.last_session;
        }
        self.sessions[which % self.sessions.len()]
    }
}

/// What a broker would record, as far as its sessions and their queues allow it.
fn happen(disk: &Disk, broker: &mut Broker, (kind, which, n): Event) {
    let kind = if broker.sessions.is_empty() { 0 } else { kind };
    let session = broker.session(kind, which);
    let Broker {
        sessions, queued, ..
    } = broker;
    let packet_id = NonZeroU16::new(n as u16 % 9 + 1).unwrap();
    let will = will();
    let terms = SessionTerms {
        expiry: n as u32,
        will: Some(&will).filter(|_| n.is_multiple_of(2)),
    };
    let filter = ["a", "b/+", "$share/g/c/#"][n % 3];
    let topic = ["a", "b/1", "c"][n % 3];
    let record = |changes: &[Change<'_>]| {
        disk.record(changes, Urgency::Now);
    };
    let at = (!queued.is_empty()).then(|| n % queued.len().max(1));
    match kind {
        0 => {
            record(&[Change::Began {
                session,
                client_id: "client",
                terms,
            }]);
            sessions.push(session);
        }
        1 => record(&[Change::Resumed { session, terms }]),
        2 => record(&[Change::Left {
            session,
            at: Wall(n as u64),
            expiry: 5,
            will: n % 2 == 0,
        }]),
        3 => {
            record(&[Change::Ended { session }]);
            queued.retain(|entry| entry.session != session);
            sessions.retain(|other| *other != session);
        }
        4 => record(&[Change::Subscribed {
            session,
            filter,
            options: TargetOptions::new(Qos::AtLeastOnce, n % 2 == 0, false, true),
            identifier: NonZeroU32::new(n as u32 % 3),
        }]),
        5 => record(&[Change::Unsubscribed { session, filter }]),
        6 => record(&[Change::RetainedGone { topic }]),
        7 => record(&[Change::Received { session, packet_id }]),
        8 => record(&[Change::Released { session, packet_id }]),
        9 => record(&[Change::Taken { session, packet_id }]),
        10 => record(&[Change::Completed { session, packet_id }]),
        11 => record(&[Change::WillDone { session }]),
        12 => {
            if let Some(entry) = at.map(|at| &queued[at]) {
                let (session, delivery) = (entry.session, &entry.delivery);
                record(&[Change::Sent {
                    session,
                    delivery,
                    packet_id,
                }]);
            }
        }
        13 => {
            if let Some(entry) = at.map(|at| queued.swap_remove(at)) {
                let (session, delivery) = (entry.session, &entry.delivery);
                record(&[Change::Removed { session, delivery }]);
            }
        }
        _ => publish(disk, broker, topic, n),
    }
}

fn publish(disk: &Disk, broker: &mut Broker, topic: &str, n: usize) {
    let Broker {
        sessions, queued, ..
    } = broker;
    let again = queued.get(n / 2).filter(|_| n.is_multiple_of(5));
    let new = message(topic, &vec![n as u8; n % 300], Some(Wall(n as u64)));
    let message = again.map_or(&new, |entry| &entry.delivery.message).clone();
    let to = |session| Queued {
        session,
        delivery: delivery(
            &message,
            [Qos::AtLeastOnce, Qos::ExactlyOnce][n % 2],
            n.is_multiple_of(7),
        ),
    };
    let targets: Vec<_> = sessions.iter().copied().take(n % 5).map(to).collect();
    let retained = match again {
        Some(_) => Retained::Untouched,
        None => [Retained::Untouched, Retained::Set, Retained::Cleared][n % 3],
    };
    let change = Change::Published {
        message: &message,
        retained,
        queued: &targets,
    };
    disk.record(&[change], Urgency::Later);
    queued.extend(targets);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_again_is_what_was_there(
        events in prop::collection::vec((0u8..20, 0usize..8, 0usize..1000), 1..200),
    ) {
        let files = MemoryDisk::default();
        let disk = open(&files);
        let mut broker = Broker::default();
        for (count, event) in events.into_iter().enumerate() {
            happen(&disk, &mut broker, event);
            if count % 3 == 0 {
                commit(&disk);
                while disk.compact().unwrap() {
                    commit(&disk);
                }
            }
        }
        commit(&disk);
        let before = told(&disk);
        drop(disk);
        let disk = open(&files);
        let after = told(&disk);
        for (before, after) in before.0.lines().zip(after.0.lines()) {
            prop_assert_eq!(before, after);
        }
        prop_assert_eq!(before.0.len(), after.0.len());
        prop_assert_eq!(before.1, after.1);
    }

    #[test]
    fn bytes_that_are_no_record_are_an_error_at_most(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        // It may be a record all the same.
        let _ = crate::disk::read(&mut Image::default(), 1, &bytes, &mut Vec::new());
    }
}

#[test]
fn space_is_bounded_by_twice_what_lives() {
    let files = MemoryDisk::default();
    let disk = open(&files);
    let mut broker = Broker::default();
    happen(&disk, &mut broker, (0, 1, 3));
    for n in 0..5_000 {
        happen(&disk, &mut broker, (19, 1, n));
        while broker.queued.len() > 20 {
            happen(&disk, &mut broker, (13, 1, 0));
        }
        commit(&disk);
        while disk.compact().unwrap() {
            commit(&disk);
        }
        let (files, lives) = disk.bytes();
        assert!(files <= 2 * lives + 3 * 2048 + 2048, "{n}: {files} {lives}");
    }
}

#[test]
fn a_store_without_any_room_says_so() {
    let files = FaultyDisk::new(1);
    let disk = Disk::open(Arc::new(files.clone()), Options::default(), &mut |_| ()).unwrap();
    assert!(disk.stuck().is_none());
    files.set_capacity(files.used());
    disk.record(
        &[Change::RetainedGone {
            topic: &"t".repeat(2_000_000),
        }],
        Urgency::Now,
    );
    assert!(!disk.commit().unwrap());
    assert!(disk.stuck().is_some());
    files.set_capacity(u64::MAX);
    commit(&disk);
    assert!(disk.stuck().is_none());
}
