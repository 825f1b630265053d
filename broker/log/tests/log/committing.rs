//! The committer's thread: who is woken when, and what waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use dunlin_log::{CommitError, FaultyDisk, Log, MemoryDisk, Options, Position, Urgency};

use super::{open, options};

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(20);

/// Sends a word when it is woken.
struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.send(()).unwrap();
    }
}

fn bell() -> (Waker, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    (Waker::from(Arc::new(Bell(sender))), receiver)
}

/// Waits until a position is committed, as a task would.
fn wait(log: &Log, position: Position) {
    let (waker, woken) = bell();
    if log.wake_at(position, &waker) {
        woken.recv_timeout(BOUND).unwrap();
    }
    assert!(log.committed() >= position);
}

/// Does something while the committer's thread runs, which has committed something already; how
/// the thread ended.
fn beside_committer(log: &Log, work: impl FnOnce()) -> Result<(), CommitError> {
    /// Lets the thread end, also when a test fails.
    struct Close<'a>(&'a Log);
    impl Drop for Close<'_> {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    thread::scope(|scope| {
        let close = Close(log);
        let committer = scope.spawn(|| log.run());
        wait(log, log.append(b"it runs", Urgency::Now).position);
        work();
        drop(close);
        committer.join().unwrap()
    })
}

#[test]
fn what_is_urgent_is_committed_by_the_thread() {
    let (log, _) = open(MemoryDisk::default(), options()).unwrap();
    let ended = beside_committer(&log, || {
        for _ in 0..100 {
            wait(&log, log.append(b"record", Urgency::Now).position);
        }
    });
    ended.unwrap();
    assert_eq!(log.counts().batches, 101);
}

#[test]
fn what_can_wait_is_committed_within_its_time() {
    let (log, _) = open(MemoryDisk::default(), options()).unwrap();
    let ended = beside_committer(&log, || {
        let begin = Instant::now();
        let first = log.append(b"first", Urgency::Later).position;
        let second = log.append(b"second", Urgency::Later).position;
        assert_eq!(first, second, "both go with the same commit");
        wait(&log, second);
        assert!(
            begin.elapsed() >= Duration::from_millis(90),
            "{:?}",
            begin.elapsed()
        );
        let can_wait = log.append(b"can wait", Urgency::Later).position;
        let cannot = log.append(b"cannot", Urgency::Now).position;
        assert_eq!(can_wait, cannot);
        wait(&log, cannot);
    });
    ended.unwrap();
    assert_eq!(log.counts().batches, 3);
}

#[test]
fn closing_commits_what_is_there() {
    let disk = MemoryDisk::default();
    let options = Options {
        segment_bytes: 100,
        ..options()
    };
    let (log, _) = open(disk.clone(), options.clone()).unwrap();
    for _ in 0..10 {
        log.append(&[1; 50], Urgency::Later);
    }
    log.close();
    log.run().unwrap();
    assert_eq!(open(disk, options).unwrap().1.len(), 10);
}

#[test]
fn ten_thousand_wait_for_one_sync() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (log, _) = open(MemoryDisk::default(), options()).unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    for _ in 0..10_000 {
        assert!(log.wake_at(log.append(b"record", Urgency::Now).position, &waker));
    }
    let syncs = log.counts().syncs;
    assert!(log.commit().unwrap());
    assert_eq!(count.0.load(Ordering::Relaxed), 10_000);
    assert_eq!(log.counts().syncs, syncs + 1);
    assert!(!log.wake_at(log.appended(), &waker), "it is committed");
    assert_eq!(Arc::strong_count(&count), 2, "no waker is kept");
}

#[test]
fn wakers_wait_for_their_own_position() {
    let (log, _) = open(
        MemoryDisk::default(),
        Options {
            segment_bytes: 100,
            ..options()
        },
    )
    .unwrap();
    let bells: Vec<_> = (0..3)
        .map(|_| {
            let (waker, woken) = bell();
            assert!(log.wake_at(log.append(&[1; 50], Urgency::Now).position, &waker));
            woken
        })
        .collect();
    for (done, woken) in bells.iter().enumerate() {
        assert!(woken.try_recv().is_err());
        assert!(log.commit().unwrap());
        woken.try_recv().unwrap();
        assert_eq!(log.committed(), Position(done as u64 + 1));
    }
}

/// Appends past the buffer wait for the committer, and all of them come through.
#[test]
fn a_full_buffer_makes_appends_wait() {
    let disk = MemoryDisk::default();
    let options = Options {
        buffer_bytes: 1000,
        ..options()
    };
    let (log, _) = open(disk.clone(), options.clone()).unwrap();
    let append = |byte| {
        for _ in 0..500 {
            log.append(&[byte; 300], Urgency::Later);
            assert!(log.buffered_bytes() < 1000 + 4 * 400);
        }
    };
    let ended = beside_committer(&log, || {
        thread::scope(|scope| {
            for byte in 0..4 {
                scope.spawn(move || append(byte));
            }
        });
    });
    ended.unwrap();
    assert_eq!(open(disk, options).unwrap().1.len(), 2001);
}

#[test]
fn a_failed_sync_lets_no_append_wait_for_ever() {
    let disk = FaultyDisk::new(1);
    let options = Options {
        buffer_bytes: 1000,
        ..options()
    };
    let (log, _) = open(disk.clone(), options).unwrap();
    let ended = beside_committer(&log, || {
        disk.fail_sync(disk.syncs());
        for _ in 0..100 {
            log.append(&[1; 300], Urgency::Now);
        }
    });
    assert!(ended.unwrap_err().to_string().contains("the sync failed"));
    assert!(log.committed() < log.appended());
}

#[test]
fn the_thread_goes_on_by_itself_once_there_is_room() {
    let disk = FaultyDisk::new(1);
    let (log, _) = open(disk.clone(), options()).unwrap();
    let ended = beside_committer(&log, || {
        disk.set_capacity(100);
        let (waker, woken) = bell();
        let position = log.append(&vec![1; 2 << 20], Urgency::Now).position;
        assert!(log.wake_at(position, &waker));
        let begin = Instant::now();
        while log.full().is_none() {
            assert!(begin.elapsed() < BOUND);
            thread::yield_now();
        }
        assert!(log.committed() < position);
        disk.set_capacity(u64::MAX);
        woken.recv_timeout(BOUND).unwrap();
        assert_eq!(log.full(), None);
    });
    ended.unwrap();
}

#[test]
fn closing_on_a_full_disk_says_what_is_not_written() {
    let disk = FaultyDisk::new(1);
    let (log, _) = open(disk.clone(), options()).unwrap();
    disk.set_capacity(100);
    log.append(&[1; 5000], Urgency::Now);
    log.close();
    let error = log.run().unwrap_err().to_string();
    assert!(
        error.starts_with("closing with 5052 bytes unwritten"),
        "{error}"
    );
}

#[test]
fn segments_are_dropped_beside_commits() {
    let disk = MemoryDisk::default();
    let options = Options {
        segment_bytes: 1000,
        ..options()
    };
    let (log, _) = open(disk.clone(), options.clone()).unwrap();
    let append = || {
        for byte in 0..200u8 {
            wait(&log, log.append(&[byte; 100], Urgency::Now).position);
        }
    };
    let ended = beside_committer(&log, || {
        thread::scope(|scope| {
            let appender = scope.spawn(append);
            while !appender.is_finished() {
                let (_, newest) = log.segments();
                log.drop_before(newest).unwrap();
            }
        });
    });
    ended.unwrap();
    let (log, found) = open(disk.clone(), options).unwrap();
    assert_eq!(found.last().unwrap().1[0], 199);
    assert_eq!(
        disk.files().len() as u64,
        log.segments().1 - log.segments().0 + 1
    );
}
