//! Compiled code, kept from one start to the next.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{Hash, Hasher},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest, Sha256};
use tracing::warn;
use wasmtime::{Engine, component::Component};

use crate::{
    compiled::{self, Vouched},
    fault::chain,
};

/// Begins each file; the number changes with the format.
const MAGIC: &[u8; 8] = b"dunlin\x00\x01";
const CHECKSUM_BYTES: usize = 32;

/// Larger files are not ours.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Files that are kept; beyond, the oldest go.
const MAX_FILES: usize = 64;

/// A folder of compiled code that belongs to us alone (mode 0700).
///
/// A file is named after the SHA-256 of the component and a hash of all that the compiler depends
/// on, and begins with a checksum. What is damaged, or somebody else's, is compiled again.
#[derive(Debug)]
pub(crate) struct CodeCache {
    folder: PathBuf,
}

/// Whether code was compiled just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Compiled,
    Cache,
}

impl CodeCache {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or others may read or write it.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{shown}: cannot make the folder: {error}")),
        }
        // Of the name itself: a link is no folder.
        let found = fs::symlink_metadata(folder).map_err(|error| format!("{shown}: {error}"))?;
        if !found.is_dir() {
            return Err(format!(
                "{shown}: compiled plugins are kept here, but it is no folder; move it away"
            ));
        }
        is_ours(&found).map_err(|what| {
            format!("{shown}: compiled plugins are kept here, but {what}; chown it and chmod 700")
        })?;
        Ok(CodeCache {
            folder: folder.into(),
        })
    }

    /// The code of a component with this SHA-256, compiled if it is not here.
    ///
    /// # Errors
    /// If it does not compile. That it cannot be stored is logged, no more.
    pub(crate) fn code(
        &self,
        engine: &Engine,
        sha256: &[u8; 32],
        component: &[u8],
    ) -> wasmtime::Result<(Component, Origin)> {
        let path = self.folder.join(file_name(engine, sha256));
        match read(&path) {
            Ok(Some(code)) => match compiled::load(engine, &code) {
                Ok(component) => return Ok((component, Origin::Cache)),
                Err(error) => {
                    warn!(path = %path.display(), error = chain(&error), "compiled again")
                }
            },
            Ok(None) => {}
            Err(error) => warn!(path = %path.display(), %error, "compiled again"),
        }
        let component = Component::from_binary(engine, component)?;
        if let Err(error) = self.store(&path, &component.serialize()?) {
            warn!(path = %path.display(), %error, "compiled code is not kept");
        }
        Ok((component, Origin::Compiled))
    }

    /// Under a temporary name first: nobody sees half a file.
    fn store(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).map_err(io::Error::other)?;
        let temporary = self.folder.join(format!("{}.tmp", hex(&unique)));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(MAGIC)?;
            file.write_all(&Sha256::digest(code))?;
            file.write_all(code)?;
            fs::rename(&temporary, path)
        })();
        if written.is_err() {
            // It may never have been made.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        self.prune(path)
    }

    /// Removes the oldest files but `keep`, those that a crash left under a temporary name among
    /// them.
    fn prune(&self, keep: &Path) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path() != keep {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        for (_, path) in files.iter().rev().skip(MAX_FILES - 1) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// The code in a file; `None` if there is no such file.
///
/// # Errors
/// If it is not ours or damaged.
fn read(path: &Path) -> io::Result<Option<Vouched>> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("no file"));
    }
    is_ours(&found).map_err(io::Error::other)?;
    if found.len() > MAX_FILE_BYTES {
        return Err(io::Error::other("too large"));
    }
    checked(&mut file).map(Some)
}

/// What follows the checksum.
fn checked(file: &mut File) -> io::Result<Vouched> {
    let mut head = [0; MAGIC.len() + CHECKSUM_BYTES];
    file.read_exact(&mut head)?;
    let mut code = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut code)?;
    let (magic, checksum) = head.split_at(MAGIC.len());
    match magic == MAGIC && checksum == Sha256::digest(&code).as_slice() {
        true => Ok(Vouched(code)),
        false => Err(io::Error::other("damaged")),
    }
}

fn is_ours(found: &fs::Metadata) -> Result<(), String> {
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("it belongs to user {}", found.uid()));
    }
    let mode = found.mode() & 0o7777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(format!("others may use it (mode {mode:03o})")),
    }
}

fn file_name(engine: &Engine, sha256: &[u8; 32]) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{}-{}", hex(sha256), hex(&hasher.0.finalize()[..16]))
}

/// Stays the same from one build to the next, unlike the standard library's hashers.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
