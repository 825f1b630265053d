//! From a command line to a checked configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Config;
use super::check::{self, Files};
use super::environment;
use super::file;
use super::node::{Node, Origin, Step, Value};
use super::problem::{Invalid, Problem};
use super::setting::{Reader, Setting};
use crate::mosquitto;

/// What a command line says about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The configuration file.
    pub source: Source,
    /// The environment's variables, all of them: [`std::env::vars_os`].
    pub variables: Vec<(OsString, OsString)>,
    /// `-p`: ports to listen on when no listener is configured.
    pub ports: Vec<u16>,
    /// `-v`: log everything.
    pub verbose: bool,
}

/// The file that a configuration is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// None: defaults, the environment and the command line.
    #[default]
    Defaults,
    /// A file in TOML.
    Toml(PathBuf),
    /// A mosquitto.conf.
    Mosquitto(PathBuf),
}

/// A configuration that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What the operator should know; none of it keeps the broker from running.
    pub warnings: Vec<Problem>,
    /// The configuration files that were read, to be watched for changes.
    pub files: Vec<PathBuf>,
    /// Where each key that was written was written; the others have their defaults.
    pub origins: BTreeMap<String, Origin>,
}

/// Reads and checks the configuration: the file, over it the environment, over
/// it the command line. Asked again on reload, with the same request.
///
/// # Errors
/// Everything that is wrong, at once; nothing is changed anywhere.
pub fn load(request: &Request) -> Result<Loaded, Invalid> {
    read(request, Files::Exist)
}

/// Reads a mosquitto.conf alone, which may be another machine's: the files that
/// it names need not be here.
///
/// # Errors
/// Everything in it that has no counterpart, at once.
pub fn import(mosquitto_conf: PathBuf) -> Result<Loaded, Invalid> {
    let source = Source::Mosquitto(mosquitto_conf);
    read(
        &Request {
            source,
            ..Request::default()
        },
        Files::Elsewhere,
    )
}

/// Reads a configuration from the text of a TOML file alone.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn from_toml(text: &str) -> Result<Loaded, Invalid> {
    let mut draft = Draft::default();
    match file::parse(&Path::new("dunlin.toml").into(), text) {
        Ok(root) => draft.root = root,
        Err(problem) => draft.problems.push(problem),
    }
    complete(draft, &Request::default(), Files::Elsewhere)
}

/// Reads a configuration from the text of a mosquitto.conf alone.
///
/// # Errors
/// Everything that is wrong, at once; `include_dir` is.
pub fn from_mosquitto(text: &str) -> Result<Loaded, Invalid> {
    let lines = mosquitto::lines::parse(&Path::new("mosquitto.conf").into(), text);
    let draft = mosquitto::translate::translate(&lines, &[]);
    complete(draft, &Request::default(), Files::Elsewhere)
}

fn read(request: &Request, exist: Files) -> Result<Loaded, Invalid> {
    complete(draft(request), request, exist)
}

fn complete(draft: Draft, request: &Request, exist: Files) -> Result<Loaded, Invalid> {
    let Draft {
        mut root,
        mut problems,
        mut warnings,
        files,
        implicit,
    } = draft;
    if !implicit && !request.ports.is_empty() {
        warnings.push(Problem {
            origin: Origin::Argument("-p"),
            key: String::new(),
            text: "is ignored, as the configuration file names its own listeners".into(),
        });
    }
    problems.extend(environment::overlay(&mut root, &request.variables));
    if request.verbose {
        set(
            &mut root,
            "logging.level",
            Value::Text("debug".into()),
            Origin::Argument("-v"),
        );
    }

    let mut reader = Reader::default();
    // The root is always a table, so its reader always answers.
    let config = Config::read(&root, &mut reader).unwrap_or_default();
    problems.append(&mut reader.problems);
    check::check(
        &config,
        &reader.origins,
        exist,
        &mut problems,
        &mut warnings,
    );
    if problems.is_empty() {
        Ok(Loaded {
            config,
            warnings,
            files,
            origins: reader.origins,
        })
    } else {
        Err(Invalid(problems))
    }
}

/// A configuration file as a tree.
#[derive(Debug)]
pub struct Draft {
    /// The tree; empty when there is no file.
    pub root: Node,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What the operator should know.
    pub warnings: Vec<Problem>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Whether the file names no listener.
    pub implicit: bool,
}

impl Default for Draft {
    /// What there is without a file.
    fn default() -> Self {
        Draft {
            root: Node::empty(),
            problems: Vec::new(),
            warnings: Vec::new(),
            files: Vec::new(),
            implicit: true,
        }
    }
}

fn draft(request: &Request) -> Draft {
    let mut draft = Draft::default();
    match &request.source {
        Source::Defaults => {}
        Source::Mosquitto(path) => return mosquitto::read(path, &request.ports),
        Source::Toml(path) => {
            match file::read(path) {
                Ok(root) => draft.root = root,
                Err(problem) => draft.problems.push(problem),
            }
            draft.implicit = draft.root.get("listeners").is_none();
            draft.files.push(path.clone());
        }
    }
    if draft.implicit {
        for (index, port) in request.ports.iter().enumerate() {
            let address = Value::Text(format!("[::]:{port}"));
            let path = format!("listeners.{index}.address");
            set(&mut draft.root, &path, address, Origin::Argument("-p"));
        }
    }
    draft
}

/// Puts a value where it belongs. Where a file has something else in its way,
/// the reader names that.
fn set(root: &mut Node, path: &str, value: Value, origin: Origin) {
    root.put(&Step::path(path), Node { value, origin }).ok();
}
