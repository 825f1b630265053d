//! Whether the process lives, and whether clients should come.

use hyper::StatusCode;

use super::reply::{self, Reply};
use super::{Admin, Door};

/// The answer to a probe; `None` for another path. Anybody may ask: a line of text is all there is.
pub fn answer(door: &Door, path: &str) -> Option<Reply> {
    let why_not = match path {
        "/livez" => None,
        "/startupz" => door.admin().err(),
        "/readyz" => match door.admin() {
            Ok(admin) => unready(admin).map(str::to_owned),
            Err(starting) => Some(starting),
        },
        _ => return None,
    };
    Some(match why_not {
        None => reply::text(StatusCode::OK, &well(door)),
        Some(why) => reply::text(StatusCode::SERVICE_UNAVAILABLE, &why),
    })
}

/// That all is well, but for plugins that fail: every node has the same, so clients need not go
/// elsewhere.
fn well(door: &Door) -> String {
    let mut text = "ok".to_owned();
    let plugins = door
        .admin()
        .map(|admin| admin.listeners.borrow().plugins().figures());
    for plugin in plugins.unwrap_or_default() {
        if plugin.breaker != "closed" {
            text.push_str(&format!("; plugin {} fails and is left alone", plugin.name));
        }
    }
    text
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
