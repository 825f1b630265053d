//! The process' limit of open files, which is also one of connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside connections: listeners, logs, the store, requests of operators.
const BESIDE: u64 = 256;

/// Raises the limit as far as the process may by itself, and warns if that is less than the
/// connections that it may have.
pub fn raise(connections: u32) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return;
    };
    if files < u64::from(connections) + BESIDE {
        tracing::warn!(
            "limits.connections is {connections}, but the process may open {files} files: raise \
             that (LimitNOFILE, ulimit -n), or lower limits.connections"
        );
    }
}
