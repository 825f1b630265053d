//! Where keys come from: a secret, a file, or a URL.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use std::{io, os::unix::fs::MetadataExt};

use parking_lot::Mutex;

use super::fetch::Fetched;
use super::jwk::{self, MAX_SET_BYTES};
use super::key::Key;
use super::pem;

/// Keys as they were at some time.
pub(super) struct Snapshot {
    /// Another one for other keys.
    pub generation: u64,
    pub keys: Vec<Key>,
}

/// Something that has keys, and maybe others later.
pub(super) enum Source {
    Fixed(Arc<Snapshot>),
    File(WatchedFile),
    Url(Fetched),
}

impl Source {
    /// The keys as they are now; an error says why there are none.
    pub(super) fn keys(&self) -> Result<Arc<Snapshot>, String> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::File(file) => Ok(file.keys()),
            Self::Url(fetched) => fetched.keys(),
        }
    }

    /// Whether a key that is not there may come yet. Sees to it, if it can.
    pub(super) fn may_come(&self) -> bool {
        match self {
            Self::Fixed(_) | Self::File(_) => false,
            Self::Url(fetched) => fetched.demand(),
        }
    }
}

/// A file of keys that is read again when it has changed.
pub(super) struct WatchedFile {
    path: PathBuf,
    /// A lock so that one thread reads it anew; held for a `stat`, seldom for reading.
    state: Mutex<LastRead>,
}

struct LastRead {
    /// Of the file that was read last, whether or not there were keys in it.
    stamp: Option<Stamp>,
    keys: Arc<Snapshot>,
}

/// What differs between a file and the one that has taken its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl WatchedFile {
    /// Reads a file of keys; an error if there are none in it.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let stamp = stamp(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let state = LastRead {
            stamp: Some(stamp),
            keys: Arc::new(Snapshot {
                generation: 0,
                keys: read(path)?,
            }),
        };
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(state),
        })
    }

    /// The keys of the file as it is. If it is gone or damaged, those that it had before.
    fn keys(&self) -> Arc<Snapshot> {
        let stamp = stamp(&self.path).ok();
        let mut state = self.state.lock();
        if state.stamp != stamp {
            state.stamp = stamp;
            match read(&self.path) {
                Ok(keys) => {
                    let generation = state.keys.generation + 1;
                    state.keys = Arc::new(Snapshot { generation, keys });
                    tracing::info!(file = %self.path.display(), "the keys were read again");
                }
                Err(error) => tracing::warn!(error, "the keys from before stay in use"),
            }
        }
        Arc::clone(&state.keys)
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let file = fs::metadata(path)?;
    Ok(Stamp {
        modified: file.modified().ok(),
        length: file.len(),
        inode: file.ino(),
    })
}

/// The keys in a JWK Set or a PEM file.
fn read(path: &Path) -> Result<Vec<Key>, String> {
    let named = |error: String| format!("{}: {error}", path.display());
    let bytes = contents(path).map_err(|error| named(error.to_string()))?;
    let keys = match bytes.trim_ascii_start().first() {
        Some(b'{') => jwk::parse_set(&bytes),
        _ => pem::parse(&bytes),
    };
    keys.map_err(named)
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    let limit = MAX_SET_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_SET_BYTES {
        return Err(io::Error::other("more than 1 MiB"));
    }
    Ok(bytes)
}
