//! Lines in the broker's log, under the plugin's name.
//!
//! After 4 KiB a line is cut; more than 100 lines a second are counted and dropped.

use crate::host;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Someone must act.
    Error,
    /// Someone should look.
    Warn,
    /// Of interest.
    Info,
    /// For the plugin's author.
    Debug,
}

/// Writes a line.
pub fn write(level: Level, line: impl AsRef<str>) {
    host::log(level, line.as_ref());
}

/// Someone must act.
pub fn error(line: impl AsRef<str>) {
    write(Level::Error, line);
}

/// Someone should look.
pub fn warn(line: impl AsRef<str>) {
    write(Level::Warn, line);
}

/// Of interest.
pub fn info(line: impl AsRef<str>) {
    write(Level::Info, line);
}

/// For the plugin's author.
pub fn debug(line: impl AsRef<str>) {
    write(Level::Debug, line);
}
