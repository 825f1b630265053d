//! A disk in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile, SyncPoint};

/// A disk that is gone with the process, for tests. Its clones are one and the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    // Locked before a file, never after.
    files: Arc<Mutex<BTreeMap<String, MemoryFile>>>,
}

#[derive(Clone, Default)]
struct MemoryFile(Arc<Mutex<Vec<u8>>>);

impl MemoryDisk {
    /// The content of a file, if there is one.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.files.lock().get(name).cloned()?;
        let bytes = file.0.lock().clone();
        Some(bytes)
    }

    /// Puts a file there, in place of what was.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let file = MemoryFile(Arc::new(Mutex::new(bytes)));
        self.files.lock().insert(name.to_owned(), file);
    }

    /// All files: name and content.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.files.lock();
        files
            .iter()
            .map(|(name, file)| (name.clone(), file.0.lock().clone()))
            .collect()
    }

    /// Another disk with the same content.
    pub fn copy(&self) -> MemoryDisk {
        let disk = MemoryDisk::default();
        for (name, bytes) in self.files() {
            disk.put(&name, bytes);
        }
        disk
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut files = self.files.lock();
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = files.entry(name.to_owned()).or_default().clone();
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        match self.files.lock().get(name) {
            Some(file) => Ok(Box::new(file.clone())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.files.lock().remove(name) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_names(&self, _: SyncPoint) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        Ok(read_from(&self.0.lock(), offset, into))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        write_into(&mut self.0.lock(), offset, bytes);
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.lock().resize(bytes as usize, 0);
        Ok(())
    }

    fn reserve(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self, _: SyncPoint) -> io::Result<()> {
        Ok(())
    }
}

/// What reading a file with this content gives.
pub(crate) fn read_from(content: &[u8], offset: u64, into: &mut [u8]) -> usize {
    let rest = content.get(offset as usize..).unwrap_or_default();
    let read = rest.len().min(into.len());
    into[..read].copy_from_slice(&rest[..read]);
    read
}

/// What writing to a file with this content makes of it: a gap reads as zeros.
pub(crate) fn write_into(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let start = offset as usize;
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}
