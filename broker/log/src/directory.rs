//! The real disk: one directory, held by one process at a time.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::disk::{Disk, DiskFile, SyncPoint};

/// The file whose lock says that a process works here.
const LOCK: &str = "lock";

/// A directory of the file system, locked for as long as this value lives.
pub struct Directory {
    path: PathBuf,
    /// For syncing the names.
    names: File,
    /// Holds the lock, which the system lets go of with the process, however it ends.
    _lock: File,
}

impl Directory {
    /// Opens a directory for this process alone; creates it (mode 0700) if it is not there.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        let path = path.into();
        match Directory::open_locked(&path) {
            Ok((names, lock)) => Ok(Directory {
                path,
                names,
                _lock: lock,
            }),
            Err(cause) => Err(DirectoryError { path, cause }),
        }
    }

    fn open_locked(path: &Path) -> Result<(File, File), Cause> {
        create_durably(path).map_err(Cause::Create)?;
        let names = File::open(path).map_err(Cause::Open)?;
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let lock = options.open(path.join(LOCK)).map_err(Cause::Open)?;
        match lock.try_lock() {
            Ok(()) => Ok((names, lock)),
            Err(TryLockError::WouldBlock) => Err(Cause::InUse),
            Err(TryLockError::Error(error)) => Err(Cause::Lock(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create_new(create)
            .mode(0o600);
        Ok(Box::new(RealFile(options.open(self.path.join(name))?)))
    }
}

/// Creates a directory with all above it, unless it is there, so that a power loss leaves it there.
fn create_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|path| !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for created in missing.into_iter().filter(|path| *path != Path::new("")) {
        let parent = created.parent().filter(|parent| *parent != Path::new(""));
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        // A name that is not UTF-8 is not one of ours.
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().into_string().ok())
        };
        fs::read_dir(&self.path)?
            .filter_map(|entry| name(entry).transpose())
            .collect()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.file(name, true)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.file(name, false)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self, _: SyncPoint) -> io::Result<()> {
        self.names.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.names)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        loop {
            // The file becomes as long as that: a sync after each write is then cheaper by half, for
            // most of them change nothing but bytes.
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
                Err(Errno::INTR) => {}
                // A file system that cannot: it says when there is no room as late as it likes.
                Err(Errno::OPNOTSUPP) => return Ok(()),
                result => return Ok(result?),
            }
        }
    }

    fn sync(&self, _: SyncPoint) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Why a directory cannot be used.
#[derive(Debug)]
pub struct DirectoryError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Create(io::Error),
    Open(io::Error),
    Lock(io::Error),
    InUse,
}

impl DirectoryError {
    /// Whether another process holds the directory.
    pub fn is_in_use(&self) -> bool {
        matches!(self.cause, Cause::InUse)
    }

    fn io(&self) -> Option<&io::Error> {
        match &self.cause {
            Cause::Create(error) | Cause::Open(error) | Cause::Lock(error) => Some(error),
            Cause::InUse => None,
        }
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::InUse => {
                return write!(
                    f,
                    "the data directory {path} is in use by another process: stop that one, or choose another directory"
                );
            }
            Cause::Create(error) => write!(f, "cannot create the data directory {path}: {error}")?,
            Cause::Open(error) => write!(f, "cannot use the data directory {path}: {error}")?,
            Cause::Lock(error) => write!(f, "cannot lock {path}/{LOCK}: {error}")?,
        }
        match self.io().map(io::Error::kind) {
            Some(io::ErrorKind::PermissionDenied) => {
                write!(
                    f,
                    ": let this process' user own the directory (mode 0700), or choose another"
                )
            }
            Some(io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory) => {
                write!(
                    f,
                    ": it has to be a directory; move away what is there, or choose another"
                )
            }
            Some(io::ErrorKind::ReadOnlyFilesystem) => {
                write!(f, ": mount it for writing, or choose another directory")
            }
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                write!(f, ": free some space there, or choose another directory")
            }
            Some(io::ErrorKind::Unsupported) => {
                write!(
                    f,
                    ": this file system knows no locks; choose a directory on a local one"
                )
            }
            _ => write!(f, ": check the disk, or choose another directory"),
        }
    }
}

impl std::error::Error for DirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.io().map(|error| error as _)
    }
}
