//! Where sessions and retained messages are kept, and the threads that keep them there.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use dunlin_log::{Directory, Durability, Options};
use dunlin_metrics::Cells;
use dunlin_router::Router;
use dunlin_router::ports::Store;
use dunlin_store::{Disk, Memory};

use crate::config::{self, Config};
use crate::restore::Progress;

/// Bytes of one file: space comes back by whole ones.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Between two looks whether space can come back.
const COMPACT_TICK: Duration = Duration::from_millis(100);
/// Between two lines about how far reading has come.
const PROGRESS_TICK: Duration = Duration::from_secs(1);
/// What the process ends with when the disk failed (EX_IOERR).
const DISK_FAILED: i32 = 74;

/// The store that the configuration asks for; a clone is the same one.
#[derive(Clone)]
pub enum Storage {
    /// It ends with the process.
    Memory(Arc<Memory>),
    /// In files.
    Disk(Arc<Disk>),
}

impl Storage {
    /// Opens the store and reads it, which may take a while.
    ///
    /// # Errors
    /// What is wrong with the directory, and what to do.
    pub fn open(config: &Config, progress: &Progress) -> Result<Self, String> {
        if config.store == config::Store::Memory {
            return Ok(Storage::Memory(Arc::default()));
        }
        let path = &config.data_dir;
        let directory = Directory::open(path).map_err(|error| {
            format!("{error}. Or set data_dir, or store = \"memory\" to keep nothing")
        })?;
        let options = Options {
            durability: match config.durability {
                config::Durability::Fsync => Durability::Fsync,
                config::Durability::Os => Durability::Os,
            },
            segment_bytes: SEGMENT_BYTES,
            low_space_bytes: config.limits.disk_reserve.0,
            ..Options::default()
        };
        let mut told = Instant::now();
        let disk = Disk::open(Arc::new(directory), options, &mut |read| {
            let percent = read.bytes * 100 / read.total.max(1);
            progress.set(percent);
            if told.elapsed() >= PROGRESS_TICK {
                told = Instant::now();
                tracing::info!(percent, records = read.records, "reading data_dir");
            }
        });
        let disk = disk.map_err(|error| format!("data_dir {}: {error}", path.display()))?;
        if let Some(torn) = &disk.found().torn {
            tracing::warn!(
                file = torn.file,
                offset = torn.offset,
                bytes = torn.bytes,
                "removed a write that a crash had cut short; nobody was told of it"
            );
        }
        Ok(Storage::Disk(Arc::new(disk)))
    }

    /// For the router.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Storage::Memory(memory) => memory.clone(),
            Storage::Disk(disk) => disk.clone(),
        }
    }

    /// Puts what is stored into the router, before its first connection.
    pub fn restore(&self, router: &Router, cells: &Cells) {
        if let Storage::Disk(disk) = self {
            let restored = disk.restore(router, router.now(), cells);
            tracing::info!(
                sessions = restored.sessions,
                queued = restored.queued,
                retained = restored.retained,
                "restored"
            );
        }
    }

    /// Starts to write what is recorded.
    ///
    /// # Errors
    /// The system gave no thread.
    pub fn start(&self) -> std::io::Result<Threads> {
        let Storage::Disk(disk) = self else {
            return Ok(Threads::default());
        };
        let (writer, compactor) = (disk.clone(), disk.clone());
        let (compacting, going_on) = channel();
        let write = Builder::new()
            .name("log".into())
            .spawn(move || write(&writer))?;
        let compact = Builder::new()
            .name("compact".into())
            .spawn(move || compact(&compactor, &going_on))?;
        Ok(Threads {
            disk: Some(disk.clone()),
            compacting: Some(compacting),
            threads: vec![compact, write],
        })
    }

    /// Why there is no room for more.
    pub fn full(&self) -> Option<String> {
        match self {
            Storage::Memory(_) => None,
            Storage::Disk(disk) => disk.full(),
        }
    }
}

/// The threads of a store on disk; dropped, they end when all is written.
#[derive(Default)]
pub struct Threads {
    disk: Option<Arc<Disk>>,
    /// While it is there, space is reclaimed.
    compacting: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.compacting = None;
        if let Some(disk) = &self.disk {
            disk.close();
        }
        for thread in self.threads.drain(..) {
            // It has said what was wrong.
            let _ = thread.join();
        }
    }
}

fn write(disk: &Disk) {
    if let Err(error) = disk.run() {
        tracing::error!(%error, "the disk failed: stopping");
        std::process::exit(DISK_FAILED);
    }
}

fn compact(disk: &Disk, going_on: &Receiver<()>) {
    let mut pause = Duration::ZERO;
    while going_on.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let more = disk.compact().unwrap_or_else(|error| {
            tracing::warn!(%error, "an old file of the store was not removed");
            false
        });
        pause = match more {
            true => Duration::ZERO,
            false => COMPACT_TICK,
        };
    }
}
