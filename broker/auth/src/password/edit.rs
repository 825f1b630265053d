//! Changing a password file: what `dunlin passwd` does.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use super::{MAX_FILE_BYTES, hash_password};
use crate::{FileError, file::read_text};

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The user was not listed and is now.
    Added,
    /// The user was listed and has the new password.
    Replaced,
    /// The user was listed and is not any more.
    Deleted,
    /// There was nothing to delete.
    Absent,
}

/// Gives `user` a password, hashed with argon2id, in a file that is made if it does not exist.
///
/// Every other line stays as it is, comments and Mosquitto's hashes included. The file is
/// replaced as a whole, so that a reader or a crash finds the old or the new one; it keeps
/// its owner and has mode 0600. Two changes at the same time may lose one.
///
/// # Errors
/// If the name cannot stand in the file, or the file cannot be read or written.
pub fn set_password(file: &Path, user: &str, password: &[u8]) -> Result<Edit, FileError> {
    check_user(user).map_err(|problem| FileError::whole(file, problem))?;
    let hash =
        hash_password(password).map_err(|error| FileError::whole(file, error.to_string()))?;
    let old = match file.try_exists() {
        Ok(false) => String::new(),
        Ok(true) => read_text(file, MAX_FILE_BYTES)?,
        Err(error) => return Err(FileError::io(file, "read it", &error)),
    };
    let (mut new, found) = rewrite(&old, user, Some(&hash));
    if !found {
        new.push_str(&format!("{user}:{hash}\n"));
    }
    replace(file, &new)?;
    Ok(if found { Edit::Replaced } else { Edit::Added })
}

/// Takes `user` out of the file; see [`set_password`] for the rest.
///
/// # Errors
/// If the file cannot be read or written.
pub fn delete_user(file: &Path, user: &str) -> Result<Edit, FileError> {
    let (new, found) = rewrite(&read_text(file, MAX_FILE_BYTES)?, user, None);
    if !found {
        return Ok(Edit::Absent);
    }
    replace(file, &new)?;
    Ok(Edit::Deleted)
}

fn check_user(user: &str) -> Result<(), &'static str> {
    if user.is_empty() || user.len() > usize::from(u16::MAX) {
        return Err("a user name has 1 to 65535 bytes; choose another");
    }
    if user.contains(':') || user.contains(char::is_control) {
        return Err("a user name has no colon and no control characters; choose another");
    }
    if user.starts_with('#') || user.trim() != user {
        return Err(
            "a user name does not begin with # nor begin or end with a blank; choose another",
        );
    }
    Ok(())
}

/// The text with the first line of `user` changed to `hash` and any other left out,
/// and whether there was one. The last line ends with a line break.
fn rewrite(text: &str, user: &str, mut hash: Option<&str>) -> (String, bool) {
    let mut new = String::with_capacity(text.len() + 200);
    let mut found = false;
    for line in text.lines() {
        if user_of(line) != Some(user) {
            new.push_str(line);
            new.push('\n');
            continue;
        }
        found = true;
        if let Some(hash) = hash.take() {
            new.push_str(&format!("{user}:{hash}\n"));
        }
    }
    (new, found)
}

fn user_of(line: &str) -> Option<&str> {
    let line = line.trim();
    let (user, _) = line.split_once(':')?;
    (!line.starts_with('#')).then_some(user)
}

/// Writes a new file beside the old one and moves it there.
fn replace(file: &Path, text: &str) -> Result<(), FileError> {
    // What a symbolic link points to is replaced, not the link.
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let new = sibling(&target)?;
    write_and_rename(&new, &target, text).map_err(|error| {
        // Nobody knows the random name; what cannot be removed is harmless.
        let _ = fs::remove_file(&new);
        FileError::io(file, "write it", &error)
    })
}

fn write_and_rename(new: &Path, target: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)?;
    file.write_all(text.as_bytes())?;
    keep_owner(&file, target)?;
    file.sync_all()?;
    fs::rename(new, target)?;
    File::open(folder_of(target))?.sync_all()
}

/// An administrator's change must not take the file from the user that the broker runs as.
fn keep_owner(new: &File, old: &Path) -> io::Result<()> {
    let old = match fs::metadata(old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    let ours = new.metadata()?;
    if (ours.uid(), ours.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(new, Some(old.uid()), Some(old.gid()))
}

fn sibling(target: &Path) -> Result<PathBuf, FileError> {
    let number = getrandom::u64().map_err(|_| {
        FileError::whole(
            target,
            "cannot write it: the operating system gave no random bytes",
        )
    })?;
    Ok(folder_of(target).join(format!(".dunlin-passwd-{number:016x}")))
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
