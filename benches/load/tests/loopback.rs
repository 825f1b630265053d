//! The load generator against the bare router: every message of every pattern
//! arrives once, in order, at the QoS that was asked for.

use dunlin_codec::{Qos, Version};
use dunlin_load::crowd::{Crowd, Pattern};
use dunlin_load::error::Error;
use dunlin_load::fleet::Target;
use dunlin_load::process::Process;
use dunlin_load::report::{Report, TrafficReport};
use dunlin_load::router::BareRouter;
use dunlin_load::traffic::{self, Pace, Plan};
use dunlin_load::{idle, subscribing};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Runs `load` beside a router and passes on what it returns.
fn beside_a_router<T>(load: impl FnOnce(Target) -> Result<T, Error>) -> Result<T, Error> {
    let (tell, address) = mpsc::channel();
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        let router = scope.spawn(move || -> io::Result<()> {
            let mut router = BareRouter::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            tell.send(router.address()?).map_err(io::Error::other)?;
            while !done.load(Ordering::Relaxed) {
                router.turn(Some(Duration::from_millis(5)))?;
            }
            Ok(())
        });
        let address = address.recv().expect("the router listens");
        let result = Target::new(address, Version::Mqtt311).and_then(load);
        done.store(true, Ordering::Relaxed);
        assert!(router.join().is_ok_and(|outcome| outcome.is_ok()));
        result
    })
}

fn plan(target: Target, crowd: Crowd, qos: Qos, pace: Pace) -> Plan {
    Plan {
        target,
        process: Some(Process::current()),
        crowd,
        qos,
        persistent: true,
        payload_bytes: 100,
        pace,
        warm_up: Duration::from_millis(1),
        duration: Duration::from_secs(10),
        deliveries: Some(2_000),
    }
}

/// The counts of a run that ended because enough was delivered.
fn assert_complete(report: &TrafficReport, receivers: u64) {
    assert!(report.is_complete(), "{report:?}");
    assert!(report.deliveries >= 2_000, "{report:?}");
    assert_eq!(report.delivered, report.sent * receivers, "{report:?}");
    assert_eq!((report.lost, report.repeated), (0, 0), "{report:?}");
    let latency = report.latency.expect("something was delivered");
    assert!(latency.p50_us > 0.0 && latency.p50_us <= latency.max_us);
}

#[test]
fn every_pattern_at_every_qos() -> Result<(), Error> {
    let crowds = [
        (Crowd::new(Pattern::Pairs, 3, 3)?, 1),
        (Crowd::new(Pattern::Fan, 2, 5)?, 5),
        (Crowd::new(Pattern::Shared, 3, 2)?, 1),
        (Crowd::new(Pattern::Wildcard, 3, 4)?, 4),
    ];
    for (crowd, receivers) in crowds {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            for pace in [Pace::Window(7), Pace::Together(5)] {
                let report =
                    beside_a_router(|target| traffic::run(&plan(target, crowd, qos, pace)))?;
                assert_complete(&report, receivers);
            }
        }
    }
    Ok(())
}

#[test]
fn an_open_loop_sends_no_more_than_it_should() -> Result<(), Error> {
    let crowd = Crowd::new(Pattern::Pairs, 10, 10)?;
    let pace = Pace::PerSecond(20_000.0);
    let report =
        beside_a_router(|target| traffic::run(&plan(target, crowd, Qos::AtLeastOnce, pace)))?;
    assert_complete(&report, 1);
    let rate = report.deliveries as f64 / report.seconds;
    assert!(rate < 40_000.0, "{rate} deliveries a second");
    Ok(())
}

#[test]
fn large_payloads_arrive_whole() -> Result<(), Error> {
    let crowd = Crowd::new(Pattern::Fan, 1, 3)?;
    let report = beside_a_router(|target| {
        let small = plan(target, crowd, Qos::AtLeastOnce, Pace::Window(4));
        traffic::run(&Plan {
            payload_bytes: 100_000,
            ..small
        })
    })?;
    assert_complete(&report, 3);
    Ok(())
}

#[test]
fn idle_connections_are_opened_and_measured() -> Result<(), Error> {
    let report = beside_a_router(|target| idle::run(target, Process::current(), 300))?;
    assert_eq!(report.connections, 300);
    assert!(report.connects_per_second > 0.0);
    Ok(())
}

#[test]
fn a_subscribe_is_answered() -> Result<(), Error> {
    let report = beside_a_router(|target| subscribing::run(target, None, 50))?;
    assert!(report.latency.is_some_and(|latency| latency.p99_us > 0.0));
    Ok(())
}

#[test]
fn other_machines_are_not_attacked() {
    for address in ["192.0.2.1:1883", "[2001:db8::1]:1883", "0.0.0.0:1883"] {
        let address = address.parse().expect("an address");
        let target = Target::new(address, Version::Mqtt5);
        assert!(matches!(target, Err(Error::Refused(_))), "{address}");
    }
}

#[test]
fn what_a_broker_swallows_is_lost_at_qos_0() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::machine("bind"))?;
    let address = listener.local_addr().map_err(Error::machine("bind"))?;
    // One thread for each client, which ends when that leaves.
    thread::spawn(move || {
        for client in listener.incoming().take(2) {
            thread::spawn(move || client.and_then(swallow));
        }
    });
    let target = Target::new(address, Version::Mqtt311)?;
    let crowd = Crowd::new(Pattern::Pairs, 1, 1)?;
    let report = traffic::run(&Plan {
        duration: Duration::from_millis(10),
        ..plan(target, crowd, Qos::AtMostOnce, Pace::Window(3))
    })?;
    assert_eq!((report.sent, report.delivered, report.lost), (3, 0, 3));
    assert!(report.latency.is_none() && report.is_complete());
    Ok(())
}

/// Accepts a client and its subscription, and nothing else.
fn swallow(mut client: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 1024];
    while client.read(&mut bytes)? > 0 {
        match bytes[0] >> 4 {
            1 => client.write_all(&[0x20, 2, 0, 0])?,
            8 => client.write_all(&[0x90, 3, bytes[2], bytes[3], 0])?,
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn a_broker_that_closes_is_blamed() -> Result<(), Error> {
    // A listener that hangs up stands in for any broker that gives up.
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::machine("bind"))?;
    let address = listener.local_addr().map_err(Error::machine("bind"))?;
    let hangs_up = thread::spawn(move || listener.accept().map(drop));
    let target = Target::new(address, Version::Mqtt311)?;
    let outcome = subscribing::run(target, None, 1);
    assert!(matches!(outcome, Err(Error::Broker(_))));
    assert!(hangs_up.join().is_ok_and(|accepted| accepted.is_ok()));
    Ok(())
}
