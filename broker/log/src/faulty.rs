//! A disk that breaks as disks do: it forgets what was not synced, fails, and fills up.
//!
//! Every operation has a number, and all that is left to chance follows from a seed: the same calls
//! break in the same way.

mod state;

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile, SyncPoint};
use crate::memory::{MemoryDisk, read_from};
use state::{Change, File, State};

/// A disk with faults, for tests. Its clones are one and the same disk.
#[derive(Clone)]
pub struct FaultyDisk {
    // One lock for everything: an operation is one step.
    state: Arc<Mutex<State>>,
}

/// The error of every operation after the crash that [`FaultyDisk::crash_at`] ordered.
#[derive(Debug)]
pub struct Crashed;

impl FaultyDisk {
    /// An empty disk without faults, until some are ordered.
    pub fn new(seed: u64) -> Self {
        FaultyDisk::over(&MemoryDisk::default(), seed)
    }

    /// A disk with this content, all of it synced; the original stays as it is.
    pub fn over(content: &MemoryDisk, seed: u64) -> Self {
        FaultyDisk {
            state: Arc::new(Mutex::new(State::over(content, seed))),
        }
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// From operation number `operation` (the first is 0) on, everything fails with [`Crashed`]. The
    /// operation itself may have been done, partly if it is a write.
    pub fn crash_at(&self, operation: u64) {
        self.state.lock().crash_at = Some(operation);
    }

    /// The process was started again on a machine that went on: nothing is lost, and a crash that
    /// was ordered is over.
    pub fn restart(&self) {
        self.state.lock().crash_at = None;
    }

    /// What a power loss at this moment leaves: all that was synced, and of the rest whatever
    /// sectors, lengths and names chance decides. The next call may decide otherwise.
    pub fn survivors(&self) -> MemoryDisk {
        self.state.lock().survivors()
    }

    /// Lets the sync number `sync` (the first is 0) fail, counted over files and names.
    pub fn fail_sync(&self, sync: u64) {
        self.state.lock().fail_sync = Some(sync);
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Bytes that all files together may have; what is beyond is [`io::ErrorKind::StorageFull`].
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// From now on the syncs of this point report success and do nothing.
    pub fn ignore_sync(&self, point: SyncPoint) {
        self.state.lock().ignored = Some(point);
    }
}

impl Disk for FaultyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.step()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        let step = state.step();
        if !state.happens(&step) {
            return Err(io::Error::other(Crashed));
        }
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.files.len();
        state.files.push(File::default());
        state.name(name, Some(file));
        step?;
        Ok(self.handle(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.step()?;
        match state.names.get(name) {
            Some(&file) => Ok(self.handle(file)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let step = state.step();
        if !state.happens(&step) {
            return Err(io::Error::other(Crashed));
        }
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.name(name, None);
        step
    }

    fn sync_names(&self, point: SyncPoint) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        if state.sync(point)? {
            state.synced_names = state.names.clone();
            state.name_changes.clear();
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.step()?;
        Ok(state.capacity.saturating_sub(state.used()))
    }
}

impl FaultyDisk {
    fn handle(&self, file: usize) -> Box<dyn DiskFile> {
        let disk = self.clone();
        Box::new(Handle { disk, file })
    }
}

struct Handle {
    disk: FaultyDisk,
    file: usize,
}

impl DiskFile for Handle {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state.lock();
        state.step()?;
        Ok(state.files[self.file].len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        state.step()?;
        Ok(read_from(&state.files[self.file].content, offset, into))
    }

    /// A write that crashes, or for which there is no room, may have been done in part.
    fn write_at(&self, offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let mut result = state.step();
        if !state.happens(&result) {
            return result;
        }
        if result.is_err() {
            let part = state.chance.below(bytes.len() as u64 + 1);
            bytes = &bytes[..part as usize];
        }
        let room = state.room_for(self.file);
        if offset + bytes.len() as u64 > room {
            bytes = &bytes[..room.saturating_sub(offset) as usize];
            result = result.and(Err(io::ErrorKind::StorageFull.into()));
        }
        let bytes = bytes.to_vec();
        state.files[self.file].change(Change::Write { offset, bytes });
        result
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let step = state.step();
        if state.happens(&step) {
            state.files[self.file].set_len(bytes);
        }
        step
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.step()?;
        if bytes > state.room_for(self.file) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = &mut state.files[self.file];
        file.set_len(bytes.max(file.len()));
        Ok(())
    }

    fn sync(&self, point: SyncPoint) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.step()?;
        if state.sync(point)? {
            state.files[self.file].sync();
        }
        Ok(())
    }
}

impl fmt::Display for Crashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk crashed, as ordered")
    }
}

impl std::error::Error for Crashed {}
