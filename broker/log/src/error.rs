//! What can go wrong, said so that whoever runs the broker knows what to do.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a log cannot be opened. Nothing on disk was changed, except where the disk itself failed.
#[derive(Debug)]
pub enum OpenError {
    /// The disk failed.
    Disk {
        /// What was being done, and to which file.
        doing: String,
        /// What the disk answered.
        error: io::Error,
    },
    /// Bytes that were once synced are not what was written.
    Damaged {
        /// The file.
        file: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// A segment is not there.
    Missing {
        /// The file.
        file: String,
    },
    /// A segment was written by a newer version.
    Newer {
        /// The file.
        file: String,
        /// Its format version.
        version: u32,
    },
    /// The caller refused a record.
    Refused {
        /// The file.
        file: String,
        /// Where the record's batch begins, in bytes.
        offset: u64,
        /// What the caller said.
        why: String,
    },
    /// [`Options::segment_bytes`](crate::Options) is above [`MAX_SEGMENT_BYTES`](crate::MAX_SEGMENT_BYTES).
    SegmentBytes(u64),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Disk { doing, error } => {
                let advice = match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "free some space there"
                    }
                    io::ErrorKind::PermissionDenied => {
                        "let this process' user own the files of the directory"
                    }
                    _ => "check the disk",
                };
                write!(f, "{doing}: {error}: {advice}, then start again")
            }
            OpenError::Damaged { file, offset, why } => write!(
                f,
                "{file} is damaged at byte {offset}: {why}; what was stored there and later may be lost. \
                 Restore the directory from a backup, or move it away to start with an empty one"
            ),
            OpenError::Missing { file } => write!(
                f,
                "{file} is missing: put it back, restore the directory from a backup, or move the \
                 directory away to start with an empty one"
            ),
            OpenError::Newer { file, version } => write!(
                f,
                "{file} has format version {version}, and this program knows versions up to 1: \
                 start the newer program that wrote it"
            ),
            OpenError::Refused { file, offset, why } => write!(
                f,
                "{file}, the batch at byte {offset}: {why}. Its checksums are right: start the \
                 version of the program that wrote it, or restore the directory from a backup"
            ),
            OpenError::SegmentBytes(bytes) => write!(
                f,
                "segments of {bytes} bytes are too large: choose at most {}",
                crate::MAX_SEGMENT_BYTES
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Disk { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why a log can commit nothing more. After a failed sync nobody knows what the disk holds, so the
/// process has to end; what is on disk is read again at the next start.
#[derive(Clone, Debug)]
pub struct CommitError {
    pub(crate) doing: String,
    pub(crate) error: Arc<io::Error>,
}

impl CommitError {
    pub(crate) fn new(doing: impl Into<String>, error: io::Error) -> Self {
        CommitError {
            doing: doing.into(),
            error: Arc::new(error),
        }
    }

    /// What the disk answered.
    pub fn io(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}; nothing after it is acknowledged. Check the disk, then start again",
            self.doing, self.error
        )
    }
}

impl std::error::Error for CommitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.error)
    }
}
