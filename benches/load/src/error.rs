//! Why a run ended without a result, by who is to blame.

use std::{fmt, io};

/// Why a run ended without a result.
#[derive(Debug)]
pub enum Error {
    /// What was asked for is not something that this program does.
    Refused(String),
    /// The broker closed a connection, refused a client, broke the protocol or
    /// stopped answering.
    Broker(String),
    /// This machine refused a system call or a file.
    Machine {
        /// What was being done, to stand after "could not".
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: the system refused to let us do `doing`.
    pub fn machine(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::Machine { doing, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(why) => write!(f, "refused: {why}"),
            Error::Broker(what) => write!(f, "the broker {what}"),
            Error::Machine { doing, source } => write!(f, "could not {doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Machine { source, .. } => Some(source),
            Error::Refused(_) | Error::Broker(_) => None,
        }
    }
}
