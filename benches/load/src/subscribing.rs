//! How long a SUBSCRIBE waits for its SUBACK.

use crate::error::Error;
use crate::fleet::{Fleet, Inbox, SessionKind, Target};
use crate::histogram::Histogram;
use crate::outbox::{Outbox, unexpected};
use crate::process::Process;
use crate::report::{Latency, SubscribeReport};
use dunlin_codec::{Packet, PacketId, Qos};
use std::time::{Duration, Instant};

/// Subscribes one client to `count` filters, one after the other.
pub fn run(target: Target, process: Option<Process>, count: u32) -> Result<SubscribeReport, Error> {
    let mut fleet = Fleet::new(target)?;
    fleet.connect(1, SessionKind::OfConnection)?;
    let mut subacks = Subacks::default();
    let before = process.map(Process::cpu_time).transpose()?;
    for index in 0..count {
        let filter = format!("load/subscribe/{index}");
        let asked = Instant::now();
        subacks.answered = None;
        fleet
            .outbox()
            .subscribe(0, PacketId::MIN, &filter, Qos::AtLeastOnce)?;
        while subacks.answered.is_none() {
            fleet.await_packets(&mut subacks)?;
        }
        let waited = subacks.answered.map_or(Duration::ZERO, |at| at - asked);
        subacks.latencies.record(waited.as_nanos() as u64);
    }
    let after = process.map(Process::cpu_time).transpose()?;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / f64::from(count);
    Ok(SubscribeReport {
        subscriptions: count,
        broker_cpu_us: after
            .zip(before)
            .map(|(after, before)| each(after - before)),
        latency: Latency::of(&subacks.latencies),
    })
}

#[derive(Default)]
struct Subacks {
    answered: Option<Instant>,
    latencies: Histogram,
}

impl Inbox for Subacks {
    fn receive(
        &mut self,
        _: usize,
        packet: Packet<'_>,
        now: Instant,
        _: &mut Outbox<'_>,
    ) -> Result<(), Error> {
        match packet {
            Packet::Suback(suback) if !suback.reasons.iter().any(|r| r.is_error()) => {
                self.answered = Some(now);
                Ok(())
            }
            Packet::Suback(_) => Err(Error::Broker("refused a subscription".into())),
            _ => Err(unexpected(&packet)),
        }
    }
}
