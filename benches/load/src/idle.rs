//! What clients cost that connect, subscribe once and then do nothing.

use crate::error::Error;
use crate::fleet::{Fleet, SessionKind, Target};
use crate::process::{Process, allow_open_files};
use crate::report::IdleReport;
use dunlin_codec::Qos;
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Time for the broker to finish what it does behind the last SUBACK.
const SETTLE: Duration = Duration::from_millis(500);

/// Opens `connections`, each with one subscription of its own, and reads what the
/// broker's `process` took for that: CPU time up to CONNACK, CPU time up to
/// SUBACK, and memory.
pub fn run(target: Target, process: Process, connections: usize) -> Result<IdleReport, Error> {
    allow_open_files(connections as u64 + 32)?;
    let memory_before = process.memory()?;
    let cpu_before = process.cpu_time()?;
    let started = Instant::now();

    let mut fleet = Fleet::new(target)?;
    fleet.connect(connections, SessionKind::OfConnection)?;
    let connect_time = started.elapsed();
    let cpu_connected = process.cpu_time()?;

    let filters = (0..connections).map(|client| (client, format!("load/idle/{client}")));
    fleet.subscribe(filters, Qos::AtLeastOnce)?;
    let cpu_subscribed = process.cpu_time()?;
    sleep(SETTLE);
    let memory = process.memory()?.saturating_sub(memory_before);

    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / connections as f64;
    Ok(IdleReport {
        connections,
        connects_per_second: connections as f64 / connect_time.as_secs_f64(),
        connect_cpu_us: each(cpu_connected - cpu_before),
        subscribe_cpu_us: each(cpu_subscribed - cpu_connected),
        connection_bytes: memory as f64 / connections as f64,
    })
}
