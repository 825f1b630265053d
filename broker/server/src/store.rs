//! `dunlin store`: what a data directory holds, read while no broker uses it, and not changed.

mod check;
mod dump;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use dunlin_log::{Directory, Progress};
use dunlin_store::{Contents, inspect};
use dunlin_time::Clock;

use crate::cli::Look;

/// Between two lines about how far reading has come.
const PROGRESS_TICK: Duration = Duration::from_secs(1);

/// `dunlin store`.
///
/// # Errors
/// The directory is none, in use, or damaged: where, and what to do.
pub fn store(look: &Look) -> Result<(), String> {
    let path = match look {
        Look::Check { directory } | Look::Dump { directory, .. } => directory,
    };
    let contents = read(path)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match look {
        Look::Check { .. } => check::write(&mut out, path, &contents, Clock::start().now().wall),
        Look::Dump { payloads, .. } => dump::write(&mut out, &contents, *payloads),
    };
    match written.and_then(|()| out.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| format!("cannot write the output: {error}")),
    }
}

fn read(path: &Path) -> Result<Contents, String> {
    expect_a_store(path)?;
    let directory = Directory::open(path).map_err(|error| error.to_string())?;
    let mut told = Instant::now();
    let contents = inspect(&directory, &mut |progress| {
        if told.elapsed() >= PROGRESS_TICK {
            told = Instant::now();
            say(progress);
        }
    });
    contents.map_err(|error| format!("{}: {error}", path.display()))
}

/// Opening would make a directory, and a lock in it.
fn expect_a_store(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let entries = fs::read_dir(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{shown}: there is no such directory; name a data_dir"),
        ErrorKind::NotADirectory => format!("{shown} is not a directory; name a data_dir"),
        _ => format!("{shown}: cannot read the directory: {error}"),
    })?;
    let is_ours = |name: &Path| name == "lock" || name.extension().is_some_and(|end| end == "log");
    let mut names = entries.flatten().map(|entry| entry.file_name());
    match names.any(|name| is_ours(Path::new(&name))) {
        true => Ok(()),
        false => Err(format!(
            "{shown} is not a data directory: no broker has written to it; name a data_dir"
        )),
    }
}

fn say(progress: Progress) {
    let percent = progress.bytes * 100 / progress.total.max(1);
    eprintln!("reading: {percent} %, {} records", progress.records);
}
