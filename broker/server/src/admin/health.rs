//! Whether the process lives, and whether clients should come.

use hyper::StatusCode;

use super::Admin;
use super::reply::{self, Reply};

/// The answer to a probe; `None` for another path. Anybody may ask: a line of text is all there is.
pub fn answer(admin: &Admin, path: &str) -> Option<Reply> {
    match path {
        // The door opens after the listeners: who gets an answer meets a started broker.
        "/livez" | "/startupz" => Some(reply::text(StatusCode::OK, "ok")),
        "/readyz" => Some(match unready(admin) {
            None => reply::text(StatusCode::OK, "ok"),
            Some(why) => reply::text(StatusCode::SERVICE_UNAVAILABLE, why),
        }),
        _ => None,
    }
}

/// Why clients should go elsewhere.
pub fn unready(admin: &Admin) -> Option<&'static str> {
    if admin.draining.get() {
        Some("stopping")
    } else if admin.router.is_short_of_memory() {
        Some("over limits.memory")
    } else if admin.router.is_short_of_storage() {
        Some("the disk of data_dir is full")
    } else {
        None
    }
}
