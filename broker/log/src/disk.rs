//! What the log asks of a disk.

use std::io;

/// One flat directory of files.
///
/// What was written is durable only after the matching sync: the bytes and length of a file after
/// [`DiskFile::sync`], the names of a directory after [`Disk::sync_names`]. Errors of kind
/// [`io::ErrorKind::StorageFull`] and [`io::ErrorKind::QuotaExceeded`] mean "no room at present";
/// all others are taken for the disk's failure.
pub trait Disk: Send + Sync + 'static {
    /// The names of all files, in any order; others than the log's are ignored by it.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file for reading and writing; [`io::ErrorKind::AlreadyExists`] if there is one.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing; [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable which names exist.
    fn sync_names(&self, point: SyncPoint) -> io::Result<()>;

    /// Bytes that may still be written here.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads at most `into.len()` bytes at `offset`; 0 only at the end of the file.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`; after an error any part of them may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Sets the length: cuts, and gives back what [`DiskFile::reserve`] took beyond it.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Takes room for the first `bytes` of the file, so that writing there cannot fail for want of
    /// space. The file may become as long as that; what was not written reads as zeros.
    fn reserve(&self, bytes: u64) -> io::Result<()>;

    /// Makes bytes and length durable.
    fn sync(&self, point: SyncPoint) -> io::Result<()>;
}

/// The places where the log syncs: all there are. Each keeps something from being lost, which
/// `tests/log/crashes.rs` shows by leaving it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncPoint {
    /// A batch, before it counts as committed ([`Durability::Fsync`](crate::Durability)).
    Batch,
    /// A finished segment, before the next one exists ([`Durability::Os`](crate::Durability); with
    /// `Fsync` its last batch was synced already).
    Finished,
    /// A new segment's header, before a batch follows it.
    Header,
    /// A new segment's name, before a batch in it counts.
    Created,
    /// The note that older segments are dropped, before the first of them is removed.
    Dropping,
    /// What was found in the last segment at opening, which may be in the system's cache alone,
    /// and the cut of a torn tail.
    Recovered,
    /// The names that were found at opening.
    RecoveredNames,
}

impl SyncPoint {
    /// All of them.
    pub const ALL: [SyncPoint; 7] = [
        SyncPoint::Batch,
        SyncPoint::Finished,
        SyncPoint::Header,
        SyncPoint::Created,
        SyncPoint::Dropping,
        SyncPoint::Recovered,
        SyncPoint::RecoveredNames,
    ];
}

/// Fills `into` from `offset`; [`io::ErrorKind::UnexpectedEof`] if the file ends before.
pub(crate) fn read_exact_at(
    file: &dyn DiskFile,
    mut offset: u64,
    mut into: &mut [u8],
) -> io::Result<()> {
    while !into.is_empty() {
        match file.read_at(offset, into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                into = &mut into[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether an error means that there is no room at present.
pub(crate) fn no_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
