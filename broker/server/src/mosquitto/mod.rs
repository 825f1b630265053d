//! Mosquitto's configuration file, read as it is.
//!
//! [`lines`] turns a mosquitto.conf and what it includes into directives with
//! their lines; [`directives`] is the table of all that Mosquitto 2.0 and 2.1 know,
//! each supported, ignored with a warning, or refused with the alternative;
//! [`translate`] writes the supported ones into the same tree of nodes that a
//! TOML file becomes, so that all later checks name the line of the directive.

mod arguments;
mod bridge;
pub mod directives;
mod global;
pub mod lines;
mod listener;
mod logging;
pub mod translate;

use std::path::Path;

use crate::config::load::Draft;

/// Reads a mosquitto.conf and its `include_dir`s. What is wrong is in the
/// draft's problems. `ports` are those of `-p`.
pub fn read(path: &Path, ports: &[u16]) -> Draft {
    let (lines, problems, files) = lines::read(path);
    let mut draft = translate::translate(&lines, ports);
    draft.problems.splice(..0, problems);
    draft.files = files;
    draft
}
