//! Where log lines go.

use std::fs::OpenOptions;
use std::io;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogDestination, LogFormat, LogLevel, Logging};

/// Changes the level of a running broker.
pub struct LevelHandle(reload::Handle<LevelFilter, Registry>);

impl LevelHandle {
    /// From here on only lines of this level and above are written.
    pub fn set(&self, level: LogLevel) {
        // It fails only once the subscriber is gone, at the end of the process.
        let _ = self.0.reload(filter(level));
    }
}

/// Sets up logging for the process.
///
/// # Errors
/// The log file cannot be opened.
pub fn start(logging: &Logging) -> Result<LevelHandle, String> {
    let (level, handle) = reload::Layer::new(filter(logging.level));
    let writer = writer(&logging.destination)?;
    let layer = fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .with_target(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match (logging.format, logging.timestamps) {
        (LogFormat::Text, true) => layer.boxed(),
        (LogFormat::Text, false) => layer.without_time().boxed(),
        (LogFormat::Json, true) => layer.json().flatten_event(true).boxed(),
        (LogFormat::Json, false) => layer.json().flatten_event(true).without_time().boxed(),
    };
    // A second broker in one process, as tests have, logs with the first.
    let _ = tracing_subscriber::registry()
        .with(level)
        .with(lines)
        .try_init();
    Ok(LevelHandle(handle))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn writer(destination: &LogDestination) -> Result<BoxMakeWriter, String> {
    Ok(match destination {
        LogDestination::Stderr => BoxMakeWriter::new(io::stderr),
        LogDestination::Stdout => BoxMakeWriter::new(io::stdout),
        LogDestination::Off => BoxMakeWriter::new(io::sink),
        LogDestination::File(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.map_err(|error| {
                format!(
                    "logging.destination: cannot open {}: {error}",
                    path.display()
                )
            })?;
            BoxMakeWriter::new(Mutex::new(file))
        }
    })
}
