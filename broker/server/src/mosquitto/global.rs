//! Directives of the whole broker that are more than one key.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::arguments::{count, switch};
use super::lines::Line;
use super::translate::Translation;
use crate::config::Config;
use crate::config::node::{Node, Value};

/// The longest packet of MQTT, with its header.
const PACKET_MAX: i64 = 268_435_460;
/// The longest keep alive of MQTT, which is then no limit.
const KEEPALIVE_MAX: i64 = 65_535;

/// `max_inflight_messages count`: both ways, as in Mosquitto; 0 for no limit.
pub fn inflight(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let count = match count(line.word())? {
        ..=0 => 65_535,
        count @ 1..=65_535 => count,
        count => return Err(format!("needs a number up to 65535, not {count}")),
    };
    translation.set("limits.inflight_messages", Value::Integer(count), line);
    translation.set("limits.receive_maximum", Value::Integer(count), line);
    Ok(())
}

/// `max_packet_size bytes`: more than a packet can have is no limit.
pub fn packet_size(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let size = count(line.word())?.min(PACKET_MAX);
    translation.set("limits.packet_size", Value::Integer(size), line);
    Ok(())
}

/// `max_keepalive seconds`: 0 for no limit, in 2.1.
pub fn keepalive(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let seconds = match count(line.word())? {
        0 => KEEPALIVE_MAX,
        seconds => seconds,
    };
    translation.set_text("limits.keepalive", &format!("{seconds}s"), line);
    Ok(())
}

/// `persistence true | false`
pub fn persistence(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let store = match switch(line.word())? {
        true => "disk",
        false => "memory",
    };
    translation.set_text("store", store, line);
    Ok(())
}

/// `persistence_location path`: the store is a directory in it, beside whatever file Mosquitto has
/// there.
pub fn persistence_location(translation: &mut Translation, line: &Line) -> Result<(), String> {
    if line.argument.is_empty() {
        return Err("needs a directory behind it".into());
    }
    translation.only_once(line, usize::MAX)?;
    let location = Path::new(&line.argument);
    let data_dir = location.join(Config::default().data_dir);
    translation.set_text("data_dir", &data_dir.to_string_lossy(), line);
    Ok(())
}

/// Without `persistence true` nothing is kept; with it, not what Mosquitto kept.
pub fn finish_persistence(translation: &mut Translation, line: Option<&Line>) {
    match line {
        Some(line) if translation.text("store").as_deref() == Some("disk") => {
            let data_dir = translation.text("data_dir");
            let data_dir = data_dir.map_or(Config::default().data_dir, PathBuf::from);
            let text = format!(
                "sessions and retained messages are kept in {}; nothing is imported from \
                 Mosquitto's own file, whose format is another",
                data_dir.display()
            );
            translation.warn(line, text);
        }
        _ => translation.default("store", Value::Text("memory".into())),
    }
}

/// `persistent_client_expiration 14d`
pub fn expiration(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let text = line.word();
    let wrong = || format!("needs a number and s, h, d, w, m or y, as 14d, not {text:?}");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'm' => 30 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).ok_or_else(wrong)?;
    let number = number.parse::<NonZeroU32>().map_err(|_| wrong())?;
    let text = format!("{}s", u64::from(number.get()) * seconds);
    translation.set_text("sessions.session_expiry_max", &text, line);
    Ok(())
}

/// `retain_available true | false`, of all listeners.
pub fn retain_available(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let value = Value::Bool(switch(line.word())?);
    translation.retain_available = Some(Node {
        value,
        origin: line.origin(),
    });
    Ok(())
}

/// `set_tcp_nodelay true | false`
pub fn nodelay(translation: &mut Translation, line: &Line) -> Result<(), String> {
    if !switch(line.word())? {
        translation.warn(line, "is ignored: small packets are always sent at once");
    }
    Ok(())
}

/// `global_max_connections count`: without a limit of its own the file leaves ours.
pub fn connections(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let count = count(line.word())?;
    if count > 0 {
        translation.set("limits.connections", Value::Integer(count), line);
    }
    Ok(())
}
