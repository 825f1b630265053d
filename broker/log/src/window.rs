//! Reading a file piece by piece.

use std::io;

use crate::disk::{DiskFile, read_exact_at};

/// Bytes read ahead.
const AHEAD_BYTES: u64 = 1 << 20;

/// A part of a file in memory: 1 MiB, or as much as was asked for at once.
pub(crate) struct Window<'a> {
    file: &'a dyn DiskFile,
    file_bytes: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub fn new(file: &'a dyn DiskFile) -> io::Result<Self> {
        Ok(Window {
            file,
            file_bytes: file.len()?,
            start: 0,
            bytes: Vec::new(),
        })
    }

    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The bytes from `offset`, at least one and as many as are in memory then; none at the end.
    pub fn from(&mut self, offset: u64, wanted: u64) -> io::Result<&[u8]> {
        let wanted = wanted.min(self.file_bytes.saturating_sub(offset));
        let held = self.start..self.start + self.bytes.len() as u64;
        if offset < held.start || offset + wanted > held.end {
            self.load(offset, wanted)?;
        }
        Ok(&self.bytes[(offset - self.start) as usize..])
    }

    /// Exactly the bytes asked for; none if the file ends before.
    pub fn exactly(&mut self, offset: u64, bytes: u64) -> io::Result<Option<&[u8]>> {
        if bytes > self.file_bytes.saturating_sub(offset) {
            return Ok(None);
        }
        Ok(Some(&self.from(offset, bytes)?[..bytes as usize]))
    }

    fn load(&mut self, offset: u64, wanted: u64) -> io::Result<()> {
        let bytes = wanted.max(AHEAD_BYTES).min(self.file_bytes - offset);
        self.start = offset;
        self.bytes.resize(bytes as usize, 0);
        read_exact_at(self.file, offset, &mut self.bytes)
    }
}
