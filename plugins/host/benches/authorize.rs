//! What a question costs: `cargo bench -p dunlin-plugins`.
//!
//! Prints nanoseconds of CPU time, the least and the median of 21 rounds. The guest does next to
//! nothing: this is what the host adds to it.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use common::{Bench, Guest, answers, as_acl, bob, publish};
use dunlin_auth::{Authorizer, Principal, PublishFilter, Publishing};
use dunlin_codec::{Properties, Qos};
use dunlin_topic::TopicName;
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let before = resident_kib();
    let bench = Bench::new();
    println!("  a host: {} KiB resident", resident_kib() - before);
    let plugin = bench.load(&Guest::acl(&answers(0, 0, None)));
    let acl = as_acl(&plugin);
    let (plain, detailed) = (Principal::new("meter-7", Some("user7".into())), bob());
    let question = publish("plant/hall/7/temperature");
    report("authorize", 5_000, || acl.authorize(&plain, &question));
    report("authorize, attributes and address", 5_000, || {
        acl.authorize(&detailed, &question)
    });
    let status = plugin.status();
    println!(
        "  {} instance, {} KiB of linear memory",
        status.instances,
        status.memory_bytes >> 10
    );

    // Grows too large to be kept: each question makes an instance and configures it.
    let grow = "(drop (memory.grow (i32.const 150)))";
    let fresh = bench.acl(&Guest::acl(&format!("{grow} {}", answers(0, 0, None))));
    report("authorize, a new instance each time", 200, || {
        fresh.authorize(&plain, &question)
    });

    let filter = bench.filter(&Guest::filter(
        "(i32.store8 (i32.const 64) (i32.const 0)) (i32.const 64)",
    ));
    let payload = [b'x'; 64];
    let message = Publishing {
        topic: TopicName::new("plant/hall/7/temperature").expect("a valid name"),
        payload: &payload,
        qos: Qos::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
    };
    report("filter, 64 bytes", 5_000, || {
        filter.on_publish(&plain, &message)
    });
    load_time(&bench);
    memory(&bench);
}

/// Loads a plugin many times over.
fn memory(bench: &Bench) {
    const PLUGINS: usize = 64;
    let guest = Guest::acl(&answers(0, 0, None));
    let settings = bench.settings(&guest.component());
    let before = resident_kib();
    let plugins: Vec<_> = (0..PLUGINS)
        .map(|_| bench.host.load("fixture", &settings).expect("it loads"))
        .collect();
    let each = (resident_kib() - before) / PLUGINS;
    println!("  a plugin with one instance: {each} KiB resident, code and all");
    drop(plugins);
}

/// Of this process.
fn resident_kib() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).expect("a second number");
    pages.parse::<usize>().expect("a number") * 4
}

fn load_time(bench: &Bench) {
    let settings = bench.settings(&Guest::acl(&answers(0, 0, None)).component());
    let started = Instant::now();
    let rounds = 5;
    for _ in 0..rounds {
        bench.host.load("fixture", &settings).expect("it loads");
    }
    let each: Duration = started.elapsed() / rounds;
    println!("  loading a component of some 100 lines, compiled: {each:?}");
}

fn report<T>(what: &str, calls: u32, mut ask: impl FnMut() -> T) {
    let mut rounds: Vec<u128> = (0..21)
        .map(|_| {
            let started = cpu_time();
            for _ in 0..calls {
                black_box(ask());
            }
            (cpu_time() - started).as_nanos() / u128::from(calls)
        })
        .collect();
    rounds.sort_unstable();
    let (least, median) = (rounds[0], rounds[rounds.len() / 2]);
    println!("  {what:36} {least:>7} ns, median {median} ns");
}

/// Of this thread: what other processes take is not counted.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
