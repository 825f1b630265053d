//! A run of messages: warm-up, measured section, and whether all arrived.

use crate::crowd::Crowd;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::fleet::{Fleet, SessionKind, Target};
use crate::ledger::Ledger;
use crate::process::{Process, allow_open_files};
use crate::report::{Latency, TrafficReport};
use dunlin_codec::Qos;
use serde::Serialize;
use std::time::{Duration, Instant};

/// When publishers send.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Closed loop: each has so many unfinished messages, and sends the next when
    /// one is delivered to all its receivers and acknowledged.
    Window(u32),
    /// Closed loop: so many unfinished messages of all publishers together, who
    /// send in turn.
    Together(u32),
    /// Open loop: so many messages a second from all of them in turn, whatever
    /// the broker does. Latency counts from the moment at which a message was
    /// meant to be sent, so that a stall is not hidden.
    PerSecond(f64),
}

impl Pace {
    /// The most messages that a publisher leaves unfinished by intent.
    fn of_one_publisher(self) -> u32 {
        match self {
            Pace::Window(window) | Pace::Together(window) => window,
            Pace::PerSecond(_) => 1,
        }
    }
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The broker.
    pub target: Target,
    /// Its process, if its CPU time and its writes are to be read.
    pub process: Option<Process>,
    /// Who publishes to whom.
    pub crowd: Crowd,
    /// Of messages and subscriptions.
    pub qos: Qos,
    /// Whether the subscribers' sessions outlive their connections.
    pub persistent: bool,
    /// Length of a payload, at least [`Stamp::BYTES`](crate::stamp::Stamp::BYTES).
    pub payload_bytes: usize,
    /// When publishers send.
    pub pace: Pace,
    /// Traffic before the measured section.
    pub warm_up: Duration,
    /// Length of the measured section.
    pub duration: Duration,
    /// Ends the measured section early, after so many deliveries.
    pub deliveries: Option<u64>,
}

/// Runs `plan` and reports its measured section; counts are of the whole run.
pub fn run(plan: &Plan) -> Result<TrafficReport, Error> {
    let clients = plan.crowd.clients();
    allow_open_files(clients as u64 + 32)?;
    let mut fleet = Fleet::new(plan.target.clone())?;
    let publishers = plan.crowd.publishers() as usize;
    let receive_maximum = fleet.connect(publishers, SessionKind::OfConnection)?;
    let subscribers = match plan.persistent {
        true => SessionKind::Persistent,
        false => SessionKind::OfConnection,
    };
    fleet.connect(clients - publishers, subscribers)?;
    if plan.qos > Qos::AtMostOnce && plan.pace.of_one_publisher() > receive_maximum.into() {
        let why = format!("the broker allows a window of {receive_maximum} messages");
        return Err(Error::Refused(why));
    }
    let subscribers = 0..plan.crowd.subscribers();
    let wanted = subscribers.map(|s| (plan.crowd.client_of(s), plan.crowd.filter(s)));
    fleet.subscribe(wanted, plan.qos)?;

    let mut exchange = Exchange::new(plan);
    exchange.fill_windows(&mut fleet)?;
    exchange.run(&mut fleet, plan.warm_up, None)?;
    exchange.forget_latencies();
    let before = Mark::now(plan.process, &exchange.ledger)?;
    exchange.run(&mut fleet, plan.duration, plan.deliveries)?;
    let after = Mark::now(plan.process, &exchange.ledger)?;
    let latencies = [&exchange.latencies, &exchange.acknowledgements].map(Latency::of);
    exchange.drain(&mut fleet)?;
    Ok(report(plan, &exchange.ledger, &before, &after, latencies))
}

/// The start or end of the measured section.
struct Mark {
    at: Instant,
    delivered: u64,
    acknowledged: u64,
    broker_cpu: Option<Duration>,
    broker_written: Option<u64>,
    our_cpu: Duration,
}

impl Mark {
    fn now(process: Option<Process>, ledger: &Ledger) -> Result<Mark, Error> {
        let totals = ledger.totals();
        Ok(Mark {
            at: Instant::now(),
            delivered: totals.delivered,
            acknowledged: totals.acknowledged,
            broker_written: process.map(Process::written).transpose()?,
            broker_cpu: process.map(Process::cpu_time).transpose()?,
            our_cpu: Process::current().cpu_time()?,
        })
    }
}

fn report(
    plan: &Plan,
    ledger: &Ledger,
    before: &Mark,
    after: &Mark,
    [latency, acknowledgement]: [Option<Latency>; 2],
) -> TrafficReport {
    let deliveries = after.delivered - before.delivered;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / deliveries as f64;
    let acknowledged = after.acknowledged - before.acknowledged;
    let written = after.broker_written.zip(before.broker_written);
    let broker_cpu = after.broker_cpu.zip(before.broker_cpu);
    let totals = ledger.totals();
    TrafficReport {
        pattern: plan.crowd.pattern(),
        publishers: plan.crowd.publishers(),
        subscribers: plan.crowd.subscribers(),
        qos: plan.qos as u8,
        protocol_level: plan.target.version().protocol_level(),
        persistent: plan.persistent,
        payload_bytes: plan.payload_bytes,
        pace: plan.pace,
        seconds: (after.at - before.at).as_secs_f64(),
        deliveries,
        acknowledged,
        broker_written_bytes: written
            .filter(|_| acknowledged > 0)
            .map(|(after, before)| (after - before) as f64 / acknowledged as f64),
        broker_cpu_us: broker_cpu.map(|(after, before)| each(after - before)),
        our_cpu_us: each(after.our_cpu - before.our_cpu),
        latency,
        acknowledgement,
        sent: totals.sent,
        delivered: totals.delivered,
        lost: totals.lost,
        repeated: totals.repeated,
    }
}
