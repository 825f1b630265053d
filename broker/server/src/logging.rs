//! Where log lines go.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogDestination, LogFormat, LogLevel, Logging};

/// Changes the log of a running broker.
pub struct LogHandle {
    level: reload::Handle<LevelFilter, Registry>,
    file: Option<LogFile>,
}

impl LogHandle {
    /// From here on only lines of this level and above are written.
    pub fn set_level(&self, level: LogLevel) {
        // It fails only once the subscriber is gone, at the end of the process.
        let _ = self.level.reload(filter(level));
    }

    /// Opens the log file anew: something may have moved it away to begin another.
    pub fn reopen(&self) {
        let Some(log) = &self.file else { return };
        match open(&log.path) {
            Ok(file) => *log.file() = file,
            Err(error) => tracing::error!("the log goes on in the old file: {error}"),
        }
    }
}

/// Sets up logging for the process.
///
/// # Errors
/// The log file cannot be opened.
pub fn start(logging: &Logging) -> Result<LogHandle, String> {
    let (level, handle) = reload::Layer::new(filter(logging.level));
    let (writer, file) = writer(&logging.destination)?;
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
    Ok(LogHandle {
        level: handle,
        file,
    })
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

fn writer(destination: &LogDestination) -> Result<(BoxMakeWriter, Option<LogFile>), String> {
    Ok(match destination {
        LogDestination::Stderr => (BoxMakeWriter::new(io::stderr), None),
        LogDestination::Stdout => (BoxMakeWriter::new(io::stdout), None),
        LogDestination::Off => (BoxMakeWriter::new(io::sink), None),
        LogDestination::File(path) => {
            let log = LogFile {
                file: Arc::new(Mutex::new(open(path)?)),
                path: path.clone(),
            };
            let lines = log.clone();
            (BoxMakeWriter::new(move || lines.clone()), Some(log))
        }
    })
}

fn open(path: &Path) -> Result<File, String> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|error| {
        format!(
            "logging.destination: cannot open {}: {error}",
            path.display()
        )
    })
}

/// A log file that can be opened anew.
#[derive(Clone)]
struct LogFile {
    path: PathBuf,
    // Locked for a line.
    file: Arc<Mutex<File>>,
}

impl LogFile {
    fn file(&self) -> std::sync::MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}
