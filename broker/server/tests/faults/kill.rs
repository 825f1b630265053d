//! The process is killed again and again, under load.
//!
//! For the figures of 200 cycles:
//! `DUNLIN_TEST_SCALE=50 cargo test --release -p dunlin --test faults killed -- --nocapture`

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use dunlin_codec::{Qos, Version};

use crate::daemon::Daemon;
use crate::publisher::{Publisher, Until};
use crate::random::Random;
use crate::scale::scaled;
use crate::subscriber::{END, Subscriber};

/// Queues hold all of a run, for those who come at its end.
const SETTINGS: &str = "sys.interval = \"0s\"\nlimits.queued_messages = \"unlimited\"\nlimits.queued_bytes = \"unlimited\"\n";
/// Acknowledgements in one life of the broker: fewer than this.
const LIFE: u64 = 600;
/// How long an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Some come in each third life only.
const SOMETIMES: usize = 3;
/// One start of so many is killed while it reads.
const KILLED_EARLY: usize = 4;

/// A small reading of a sensor.
const SMALL: usize = 64;
/// So much that a file of the store is full after some 280 of them.
const LARGE: usize = 60_000;

#[test]
fn a_broker_that_is_killed_has_lost_and_doubled_nothing() {
    let daemon = Daemon::with(SETTINGS);
    let load = Load::new(daemon.listener(0), SMALL);
    kill_again_and_again("", daemon, load);
}

/// Everybody comes now and then, so that what was stored is soon needed no more.
#[test]
fn a_broker_that_is_killed_while_it_compacts_neither() {
    let daemon = Daemon::with(SETTINGS);
    let mut load = Load::new(daemon.listener(0), LARGE);
    load.sometimes.append(&mut load.offline);
    let daemon = kill_again_and_again("compacting, ", daemon, load);
    let first = daemon.file("dunlin-data/0000000000000001.log");
    assert!(!first.exists(), "nothing was compacted");
}

fn kill_again_and_again(name: &str, mut daemon: Daemon, mut load: Load) -> Daemon {
    let cycles = scaled(4);
    let mut random = Random(3);
    let mut recovered = Vec::new();
    for cycle in 0..cycles {
        load.run_until_killed(&mut daemon, cycle, 1 + random.below(LIFE));
        if cycle % KILLED_EARLY == 1 {
            daemon.begin_again();
            daemon.crash();
        }
        let start = Instant::now();
        daemon.start_again();
        daemon.client("first").ping();
        recovered.push(start.elapsed());
    }
    load.finish(&daemon);
    let sum = load.sum();
    recovered.sort();
    println!(
        "{name}{cycles} kill -9 cycles: {} acknowledged, {} delivered, lost {}, doubled at QoS 2 \
         {}, sent again at QoS 1 {}; recovery seconds: median {:.3}, worst {:.3}",
        sum.acknowledged,
        sum.delivered,
        sum.lost,
        sum.doubled,
        sum.repeated,
        recovered[cycles / 2].as_secs_f64(),
        recovered[cycles - 1].as_secs_f64(),
    );
    assert_eq!((sum.lost, sum.doubled), (0, 0));
    load.expect_order();
    load.expect_retained(&daemon);
    daemon
}

/// Publishers of both QoS and subscribers of both versions: connected, now and then, and never.
struct Load {
    publishers: Vec<Publisher>,
    online: Vec<Subscriber>,
    sometimes: Vec<Subscriber>,
    offline: Vec<Subscriber>,
}

/// What became of all messages at all subscribers.
#[derive(Default)]
struct Sum {
    acknowledged: usize,
    delivered: usize,
    /// Acknowledged, and not delivered to one of them.
    lost: usize,
    /// Delivered at QoS 2 more than once.
    doubled: usize,
    /// Delivered at QoS 1 more than once, as it may be.
    repeated: usize,
}

impl Load {
    fn new(address: SocketAddr, payload_bytes: usize) -> Load {
        use Version::{Mqtt5, Mqtt311};
        let publisher =
            |name: &str, version, qos| Publisher::new(name.into(), version, qos, payload_bytes);
        let subscribers = |name: &str| {
            [Mqtt311, Mqtt5].map(|version| {
                let mut one = Subscriber::new(format!("{name} {version:?}"), version);
                one.subscribe(address);
                one
            })
        };
        Load {
            publishers: vec![
                publisher("one", Mqtt311, Qos::AtLeastOnce),
                publisher("two", Mqtt5, Qos::AtLeastOnce),
                publisher("three", Mqtt311, Qos::ExactlyOnce),
                publisher("four", Mqtt5, Qos::ExactlyOnce),
            ],
            online: subscribers("online").into(),
            sometimes: subscribers("sometimes").into(),
            offline: subscribers("offline").into(),
        }
    }

    /// Load on a broker, which is killed after so many acknowledgements.
    fn run_until_killed(&mut self, daemon: &mut Daemon, cycle: usize, acknowledgements: u64) {
        let address = daemon.listener(0);
        let sometimes = match cycle % SOMETIMES {
            0 => self.sometimes.as_mut_slice(),
            _ => &mut [],
        };
        thread::scope(|scope| {
            let (acknowledged, heard) = channel();
            for subscriber in self.online.iter_mut().chain(sometimes) {
                scope.spawn(|| subscriber.run(address));
            }
            for publisher in &mut self.publishers {
                let acknowledged = acknowledged.clone();
                scope.spawn(move || publisher.run(address, Until::Killed, &acknowledged));
            }
            for _ in 0..acknowledgements {
                heard.recv_timeout(PATIENCE).expect("an acknowledgement");
            }
            daemon.crash();
        });
    }

    /// Completes what is open, and has everything delivered.
    fn finish(&mut self, daemon: &Daemon) {
        let address = daemon.listener(0);
        let (acknowledged, _heard) = channel();
        for publisher in &mut self.publishers {
            publisher.run(address, Until::Settled, &acknowledged);
        }
        daemon
            .client("end")
            .publish(END, b"the last", Qos::ExactlyOnce);
        let all = [&mut self.online, &mut self.sometimes, &mut self.offline];
        for subscriber in all.into_iter().flatten() {
            subscriber.run(address);
            let client_id = subscriber.client_id();
            assert!(subscriber.has_ended(), "{client_id}: the broker closed");
        }
    }

    fn subscribers(&self) -> impl Iterator<Item = &Subscriber> {
        self.online
            .iter()
            .chain(&self.sometimes)
            .chain(&self.offline)
    }

    /// Every subscriber with every publisher.
    fn pairs(&self) -> impl Iterator<Item = (&Subscriber, &Publisher)> {
        self.subscribers().flat_map(|subscriber| {
            let pair = move |publisher| (subscriber, publisher);
            self.publishers.iter().map(pair)
        })
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for publisher in &self.publishers {
            let acknowledged = publisher.acknowledged().len();
            // All of them, for each was completed.
            assert_eq!(acknowledged, publisher.published() as usize);
            sum.acknowledged += acknowledged;
        }
        for (subscriber, publisher) in self.pairs() {
            let delivered = subscriber.delivered(publisher.topic());
            let unique: BTreeSet<_> = delivered.iter().collect();
            let again = delivered.len() - unique.len();
            sum.delivered += delivered.len();
            sum.lost += publisher.published() as usize - unique.len();
            match publisher.qos() {
                Qos::ExactlyOnce => sum.doubled += again,
                _ => sum.repeated += again,
            }
        }
        sum
    }

    /// The first delivery of each message stands behind that of those before it.
    fn expect_order(&self) {
        for (subscriber, publisher) in self.pairs() {
            let mut seen = BTreeSet::new();
            let delivered = subscriber.delivered(publisher.topic());
            let first = delivered.iter().filter(|&number| seen.insert(*number));
            let (client_id, topic) = (subscriber.client_id(), publisher.topic());
            assert!(first.is_sorted(), "{client_id}, {topic}: out of order");
        }
    }

    /// The last message of each publisher is retained.
    fn expect_retained(&self, daemon: &Daemon) {
        for publisher in &self.publishers {
            let mut client = daemon.client("late");
            client.subscribe(publisher.topic(), Qos::AtMostOnce);
            let last = publisher.payload(publisher.published() - 1);
            client.expect_message(publisher.topic(), last.as_bytes());
            client.disconnect();
        }
    }
}
