//! The subscription index with a million wildcard filters: its gates, and what else it costs.
//!
//! `cargo bench -p dunlin-micro --bench index [filters]`; the default is 1,000,000 filters
//! `device/{i}/+/{n}/#`. Fails if a gate does. Memory is counted as asked of the allocator.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dunlin_micro::allocated;
use dunlin_topic::{Cache, CacheLimits, Index, NameTree, Target, TopicFilter, TopicName};

#[global_allocator]
static ALLOCATOR: allocated::Counting = allocated::Counting;

/// As large as a broker's: a handle and a word of options.
#[derive(Clone)]
struct Subscriber {
    client: Arc<u64>,
    _options: u32,
}

impl Target for Subscriber {
    type Key = u64;

    fn key(&self) -> u64 {
        *self.client
    }
}

fn main() -> ExitCode {
    let filters = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    let mut report = Report { failed: false };
    let clients: Vec<_> = (0..1_000).map(Arc::new).collect();
    let subscriber = |i: u64| Subscriber {
        client: Arc::clone(&clients[i as usize % clients.len()]),
        _options: 1,
    };

    let texts: Vec<_> = (0..filters)
        .map(|i| format!("device/{i}/+/{}/#", i % 10))
        .collect();
    let empty = allocated::bytes();
    let index = Index::new();
    let start = Instant::now();
    for (i, text) in texts.iter().enumerate() {
        index.insert(filter(text), subscriber(i as u64));
    }
    report.gate(
        "insert all, s",
        start.elapsed().as_secs_f64() * 1e6 / filters as f64,
        3.0,
    );
    report.gate(
        "bytes per filter",
        (allocated::bytes() - empty) as f64 / filters as f64,
        120.0,
    );

    cold(&mut report, &index, filters);
    cached(&mut report, &index, filters);
    cached_beside_subscribes(&mut report, &index, filters, &subscriber);
    one_prefix(&mut report, filters, &subscriber);
    one_filter(&mut report, filters);
    exact(&mut report, filters, &subscriber);
    names(&mut report, filters);
    if report.failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

struct Report {
    failed: bool,
}

impl Report {
    fn line(&self, what: &str, figure: f64) {
        println!("{what:<52} {figure:>10.2}");
    }

    fn gate(&mut self, what: &str, figure: f64, at_most: f64) {
        let verdict = if figure <= at_most { "ok" } else { "FAILED" };
        println!("{what:<52} {figure:>10.2}   gate {at_most:>8.2} {verdict}");
        self.failed |= figure > at_most;
    }
}

/// Topics in an order that no cache of the machine foresees, each asked for once.
fn scattered(filters: u64, count: u64) -> Vec<String> {
    (0..count)
        .map(|i| i * 7_919_993 % filters)
        .map(|i| format!("device/{i}/state/{}/value", i % 10))
        .collect()
}

fn cold(report: &mut Report, index: &Index<Subscriber>, filters: u64) {
    let topics = scattered(filters, 200_000.min(filters));
    let mut cache = Cache::new(CacheLimits::default());
    let start = Instant::now();
    for topic in &topics {
        assert_eq!(index.lookup(name(topic), &mut cache).len(), 1);
    }
    report.gate("match cold, us", micros_each(start, topics.len()), 1.5);
}

fn cached(report: &mut Report, index: &Index<Subscriber>, filters: u64) {
    let topics = scattered(filters, 100);
    let topics: Vec<_> = topics.iter().map(|topic| name(topic)).collect();
    let mut cache = Cache::new(CacheLimits::default());
    const ROUNDS: usize = 100_000;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        for topic in &topics {
            black_box(index.lookup(black_box(*topic), &mut cache));
        }
    }
    report.gate(
        "match cached, ns",
        micros_each(start, ROUNDS * topics.len()) * 1e3,
        100.0,
    );
}

/// 10,000 SUBSCRIBE and as many UNSUBSCRIBE per second under `device/`, evenly, on another thread.
fn cached_beside_subscribes(
    report: &mut Report,
    index: &Index<Subscriber>,
    filters: u64,
    subscriber: &(impl Fn(u64) -> Subscriber + Sync),
) {
    const PER_SECOND: u32 = 10_000;
    let topics = scattered(filters, 1_000);
    let topics: Vec<_> = topics.iter().map(|topic| name(topic)).collect();
    let mut cache = Cache::new(CacheLimits::default());
    let mut nanos = Vec::with_capacity(50_000_000);
    let stop = AtomicBool::new(false);
    let subscribed = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let start = Instant::now();
            let mut done = 0;
            while !stop.load(Ordering::Relaxed) {
                while start.elapsed() * PER_SECOND > Duration::from_secs(done) {
                    let i = done * 104_729 % filters;
                    let text = format!("device/{i}/+/new/#");
                    index.insert(filter(&text), subscriber(i));
                    index.remove(filter(&text), &subscriber(i).key());
                    done += 1;
                }
                thread::sleep(Duration::from_micros(50));
            }
            done as f64 / start.elapsed().as_secs_f64()
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            for topic in &topics {
                let start = Instant::now();
                black_box(index.lookup(*topic, &mut cache));
                nanos.push(start.elapsed().as_nanos() as u32);
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer does not panic")
    });
    nanos.sort_unstable();
    let percentile = |per_mille: usize| f64::from(nanos[nanos.len() * per_mille / 1_000]) / 1e3;
    report.line("  beside it, SUBSCRIBE and UNSUBSCRIBE per s", subscribed);
    report.line(
        "  match cached beside it, p50 us (clock included)",
        percentile(500),
    );
    report.gate("  match cached beside it, p99 us", percentile(990), 2.0);
    report.line("  match cached beside it, p99.9 us", percentile(999));
}

/// All filters below the same two levels, so in one shard and under one node.
fn one_prefix(report: &mut Report, filters: u64, subscriber: &impl Fn(u64) -> Subscriber) {
    let texts: Vec<_> = (0..filters).map(|i| format!("site/hall/{i}/+/#")).collect();
    let empty = allocated::bytes();
    let index = Index::new();
    let start = Instant::now();
    for (i, text) in texts.iter().enumerate() {
        index.insert(filter(text), subscriber(i as u64));
    }
    report.line(
        "one node with all below it: insert, us",
        micros_each(start, texts.len()),
    );
    report.line(
        "  bytes per filter",
        (allocated::bytes() - empty) as f64 / filters as f64,
    );
    let topics: Vec<_> = (0..200_000.min(filters))
        .map(|i| format!("site/hall/{}/state", i * 7_919_993 % filters))
        .collect();
    let mut cache = Cache::new(CacheLimits::default());
    let start = Instant::now();
    for topic in &topics {
        assert_eq!(index.lookup(name(topic), &mut cache).len(), 1);
    }
    report.line("  match cold, us", micros_each(start, topics.len()));
    let start = Instant::now();
    for (i, text) in texts.iter().enumerate() {
        assert!(
            index
                .remove(filter(text), &subscriber(i as u64).key())
                .is_some()
        );
    }
    report.line("  remove, us", micros_each(start, texts.len()));
    drop(cache);
    report.line(
        "  bytes left of an index without filters",
        (allocated::bytes() - empty) as f64,
    );
}

fn one_filter(report: &mut Report, targets: u64) {
    let clients: Vec<_> = (0..targets).map(Arc::new).collect();
    let index = Index::new();
    let start = Instant::now();
    for client in &clients {
        index.insert(
            filter("news/#"),
            Subscriber {
                client: Arc::clone(client),
                _options: 1,
            },
        );
    }
    report.line(
        "one filter with all targets: insert, us",
        micros_each(start, clients.len()),
    );
    let mut cache = Cache::new(CacheLimits::default());
    let topic = name("news/today");
    let start = Instant::now();
    assert_eq!(index.lookup(topic, &mut cache).len(), clients.len());
    report.line(
        "  match after a change, ns per target",
        micros_each(start, clients.len()) * 1e3,
    );
    let start = Instant::now();
    for _ in 0..1_000 {
        black_box(index.lookup(topic, &mut cache));
    }
    report.line("  match after that, us", micros_each(start, 1_000));
}

fn exact(report: &mut Report, filters: u64, subscriber: &impl Fn(u64) -> Subscriber) {
    let texts: Vec<_> = (0..filters)
        .map(|i| format!("device/{i}/state/{}", i % 10))
        .collect();
    let empty = allocated::bytes();
    let index = Index::new();
    let start = Instant::now();
    for (i, text) in texts.iter().enumerate() {
        index.insert(filter(text), subscriber(i as u64));
    }
    report.line("exact filters: insert, us", micros_each(start, texts.len()));
    report.line(
        "  bytes per filter",
        (allocated::bytes() - empty) as f64 / filters as f64,
    );
    let mut cache = Cache::new(CacheLimits::default());
    let topics: Vec<_> = (0..200_000.min(filters))
        .map(|i| texts[(i * 7_919_993 % filters) as usize].as_str())
        .collect();
    let start = Instant::now();
    for topic in &topics {
        assert_eq!(index.lookup(name(topic), &mut cache).len(), 1);
    }
    report.line("  match cold, us", micros_each(start, topics.len()));
}

fn names(report: &mut Report, count: u64) {
    let texts: Vec<_> = (0..count)
        .map(|i| format!("device/{i}/state/{}", i % 10))
        .collect();
    let empty = allocated::bytes();
    let mut tree = NameTree::new();
    let start = Instant::now();
    for text in &texts {
        tree.insert(name(text), 0_u64);
    }
    report.line(
        "retained names: insert, us",
        micros_each(start, texts.len()),
    );
    report.line(
        "  bytes per name",
        (allocated::bytes() - empty) as f64 / count as f64,
    );
    let start = Instant::now();
    for i in 0..count {
        black_box(tree.get(name(&texts[(i * 7_919_993 % count) as usize])));
    }
    report.line("  get, us", micros_each(start, texts.len()));
    let start = Instant::now();
    let found = tree
        .scan(filter("device/77/#"), None, usize::MAX)
        .matches
        .len();
    report.line("  scan device/77/#, us", micros_each(start, found));
    let start = Instant::now();
    let found = tree
        .scan(filter("device/+/state/+"), None, usize::MAX)
        .matches
        .len();
    report.line(
        "  scan device/+/state/+, us per match",
        micros_each(start, found),
    );
    let start = Instant::now();
    black_box(tree.scan(filter("+/+/state/nothing"), None, usize::MAX));
    report.line(
        "  scan +/+/state/nothing, us per name looked at",
        micros_each(start, texts.len()),
    );
}

fn micros_each(start: Instant, count: usize) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / count.max(1) as f64
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("a valid filter")
}

fn name(text: &str) -> TopicName<'_> {
    TopicName::new(text).expect("a valid name")
}
