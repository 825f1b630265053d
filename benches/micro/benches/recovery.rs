//! A start after a crash, with a million sessions that have ten messages each in their queues:
//! `cargo bench -p dunlin-micro --bench recovery [-- DIRECTORY]`.
//!
//! A directory that is named is kept, and only read if it has files in it already: so a broker can be
//! started on it too.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use dunlin_codec::Qos;
use dunlin_log::{Directory, Options};
use dunlin_metrics::Registry;
use dunlin_router::ports::{Change, Queued, Retained, SessionTerms, Store, Urgency};
use dunlin_router::{Router, Settings, TargetOptions};
use dunlin_session::{Delivery, Identifiers, Message, MessageParts};
use dunlin_store::Disk;
use dunlin_time::{Clock, Wall};

const SESSIONS: u64 = 1_000_000;
const QUEUED: u64 = 10;
const PAYLOAD: &[u8] = &[b'x'; 64];

fn main() {
    let named = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let of_its_own =
        || std::env::temp_dir().join(format!("dunlin-recovery-{}", std::process::id()));
    let path = named.as_ref().map_or_else(of_its_own, PathBuf::from);
    if !path.exists() {
        fill(&path);
    }
    read(&path);
    if named.is_none() {
        std::fs::remove_dir_all(&path).expect("its own directory goes");
    }
}

fn open(path: &PathBuf) -> Disk {
    let files = Directory::open(path).expect("a directory");
    let options = Options {
        segment_bytes: 16 << 20,
        ..Options::default()
    };
    Disk::open(Arc::new(files), options, &mut |_| ()).expect("a store")
}

fn fill(path: &PathBuf) {
    let begun = Instant::now();
    let disk = open(path);
    let commit_some = |n: u64| {
        if n.is_multiple_of(10_000) {
            while disk.commit().expect("a disk that works") {}
        }
    };
    for session in 1..=SESSIONS {
        begin(&disk, session);
        commit_some(session);
    }
    // Round by round, so that what one session has is far apart.
    for round in 0..QUEUED {
        for session in 1..=SESSIONS {
            queue(&disk, session, round);
            commit_some(session);
        }
    }
    println!("filled in {:.1} s", begun.elapsed().as_secs_f64());
}

fn begin(disk: &Disk, session: u64) {
    let terms = SessionTerms {
        expiry: u32::MAX,
        will: None,
    };
    let began = Change::Began {
        session,
        client_id: &format!("device-{session:08}"),
        terms,
    };
    let subscribed = Change::Subscribed {
        session,
        filter: &format!("site/{}/device/{session}/command", session % 1_000),
        options: TargetOptions::new(Qos::AtLeastOnce, false, false, false),
        identifier: None,
    };
    let left = Change::Left {
        session,
        at: Wall(0),
        expiry: u32::MAX,
        will: false,
    };
    disk.record(&[began, subscribed, left], Urgency::Later);
}

fn queue(disk: &Disk, session: u64, n: u64) {
    let parts = MessageParts {
        publisher: n,
        qos: Qos::AtLeastOnce,
        retain: false,
        expires: None,
        topic: &format!("site/{}/device/{session}/command", session % 1_000),
        forwarded: &[],
        payload: PAYLOAD,
    };
    let message = Message::new(parts, &mut Vec::new());
    let delivery = Delivery {
        message: message.clone(),
        identifiers: Identifiers::None,
        shared: None,
        qos: Qos::AtLeastOnce,
        retain: false,
        unchecked: false,
        stored: true,
    };
    let published = Change::Published {
        message: &message,
        retained: Retained::Untouched,
        queued: &[Queued { session, delivery }],
    };
    disk.record(&[published], Urgency::Later);
}

fn read(path: &PathBuf) {
    let begun = Instant::now();
    let disk = Arc::new(open(path));
    let opened = begun.elapsed().as_secs_f64();
    let metrics = Arc::new(Registry::default());
    let router = Router::new(
        Settings::default(),
        Clock::start(),
        disk.clone(),
        metrics.clone(),
    );
    let restored = disk.restore(&router, router.now(), &metrics.cells());
    let ready = begun.elapsed().as_secs_f64();
    let (bytes, _) = disk.bytes();
    println!(
        "{} sessions and {} queued messages in {} MiB: read in {opened:.1} s, ready in {ready:.1} s, \
         {} MiB of memory",
        restored.sessions,
        restored.queued,
        bytes >> 20,
        resident_bytes() >> 20,
    );
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number of pages") * 4096
}
