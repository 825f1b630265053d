//! What a faulty disk holds, and what of it survives.

use std::collections::BTreeMap;
use std::io;

use super::Crashed;
use crate::disk::SyncPoint;
use crate::format::mix;
use crate::memory::{MemoryDisk, write_into};

/// The unit in which a disk writes, and in which a write can be torn.
const SECTOR_BYTES: u64 = 512;

pub(super) struct State {
    pub chance: Chance,
    pub operations: u64,
    pub crash_at: Option<u64>,
    pub syncs: u64,
    pub fail_sync: Option<u64>,
    pub ignored: Option<SyncPoint>,
    pub capacity: u64,
    pub files: Vec<File>,
    /// What a process sees, and what a power loss leaves for sure.
    pub names: BTreeMap<String, usize>,
    pub synced_names: BTreeMap<String, usize>,
    /// What happened to names since they were synced, in order: (name, the file or none).
    pub name_changes: Vec<(String, Option<usize>)>,
}

#[derive(Clone, Default)]
pub(super) struct File {
    /// What a process sees, and what a power loss leaves for sure.
    pub content: Vec<u8>,
    pub synced: Vec<u8>,
    /// What was written since, in order.
    pub changes: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

impl State {
    /// The state of a disk on which all of this is synced.
    pub fn over(content: &MemoryDisk, seed: u64) -> Self {
        let mut files = Vec::new();
        let mut names = BTreeMap::new();
        for (name, bytes) in content.files() {
            names.insert(name, files.len());
            files.push(File {
                content: bytes.clone(),
                synced: bytes,
                ..File::default()
            });
        }
        State {
            chance: Chance(seed),
            operations: 0,
            crash_at: None,
            syncs: 0,
            fail_sync: None,
            ignored: None,
            capacity: u64::MAX,
            files,
            synced_names: names.clone(),
            names,
            name_changes: Vec::new(),
        }
    }

    /// Counts an operation; an error once the crash has come.
    pub fn step(&mut self) -> io::Result<()> {
        let operation = self.operations;
        self.operations += 1;
        match self.crash_at {
            Some(crash_at) if operation >= crash_at => Err(io::Error::other(Crashed)),
            _ => Ok(()),
        }
    }

    /// Whether an operation has an effect: always without a crash, and perhaps at its moment.
    pub fn happens(&mut self, step: &io::Result<()>) -> bool {
        step.is_ok() || (self.crash_at == Some(self.operations - 1) && self.chance.below(2) == 0)
    }

    /// Whether a sync is to be done.
    pub fn sync(&mut self, point: SyncPoint) -> io::Result<bool> {
        let sync = self.syncs;
        self.syncs += 1;
        if self.fail_sync == Some(sync) {
            return Err(io::Error::other("the sync failed, as ordered"));
        }
        Ok(self.ignored != Some(point))
    }

    pub fn name(&mut self, name: &str, file: Option<usize>) {
        apply_name(&mut self.names, name, file);
        self.name_changes.push((name.to_owned(), file));
    }

    pub fn used(&self) -> u64 {
        self.names
            .values()
            .map(|&file| self.files[file].len())
            .sum()
    }

    /// How long a file can become.
    pub fn room_for(&self, file: usize) -> u64 {
        let free = self.capacity.saturating_sub(self.used());
        self.files[file].len().saturating_add(free)
    }

    pub fn survivors(&mut self) -> MemoryDisk {
        let mut names = self.synced_names.clone();
        for (name, file) in &self.name_changes {
            if self.chance.below(2) == 0 {
                apply_name(&mut names, name, *file);
            }
        }
        let disk = MemoryDisk::default();
        for (name, file) in names {
            disk.put(&name, self.files[file].survivor(&mut self.chance));
        }
        disk
    }
}

fn apply_name(names: &mut BTreeMap<String, usize>, name: &str, file: Option<usize>) {
    match file {
        Some(file) => names.insert(name.to_owned(), file),
        None => names.remove(name),
    };
}

impl File {
    pub fn len(&self) -> u64 {
        self.content.len() as u64
    }

    pub fn set_len(&mut self, bytes: u64) {
        if bytes != self.len() {
            self.change(Change::Length(bytes));
        }
    }

    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.content);
        self.changes.push(change);
    }

    pub fn sync(&mut self) {
        for change in self.changes.drain(..) {
            change.apply(&mut self.synced);
        }
    }

    /// The content after a power loss.
    pub fn survivor(&self, chance: &mut Chance) -> Vec<u8> {
        let mut content = self.synced.clone();
        let mut lengths = vec![content.len()];
        // How much chance leaves of it differs from crash to crash: nothing, little, most, all.
        let eighths = chance.below(9);
        for change in &self.changes {
            match change {
                Change::Write { offset, bytes } => {
                    for (offset, sector) in sectors(*offset, bytes) {
                        if chance.below(8) < eighths {
                            let part = if chance.below(4) == 0 {
                                chance.below(sector.len() as u64 + 1)
                            } else {
                                sector.len() as u64
                            };
                            write_into(&mut content, offset, &sector[..part as usize]);
                        }
                    }
                }
                // A cut that came through takes the bytes with it, else the length alone counts.
                Change::Length(_) if chance.below(8) < eighths => change.apply(&mut content),
                Change::Length(_) => {}
            }
            lengths.push(content.len());
        }
        if chance.below(2) == 0 {
            content.resize(lengths[chance.below(lengths.len() as u64) as usize], 0);
        }
        content
    }
}

impl Change {
    pub fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => write_into(content, *offset, bytes),
            Change::Length(bytes) => content.resize(*bytes as usize, 0),
        }
    }
}

/// A write cut into the sectors of the disk that it touches.
fn sectors(mut offset: u64, mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut sectors = Vec::new();
    while !bytes.is_empty() {
        let left = (SECTOR_BYTES - offset % SECTOR_BYTES) as usize;
        let (sector, rest) = bytes.split_at(left.min(bytes.len()));
        sectors.push((offset, sector));
        offset += sector.len() as u64;
        bytes = rest;
    }
    sectors
}

/// Numbers that follow from a seed (SplitMix64).
pub(super) struct Chance(u64);

impl Chance {
    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % bound
    }
}
