//! `log_dest` and `log_type`.

use super::lines::Line;
use super::translate::Translation;
use crate::config::LogLevel;

/// One destination is kept, as one is enough where systemd or Kubernetes
/// gather what is written: a file before a console.
pub fn destination(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let (word, rest) = line
        .argument
        .split_once([' ', '\t'])
        .unwrap_or((&line.argument, ""));
    let chosen = match (word, rest.trim()) {
        ("none", _) => "off".to_owned(),
        ("stdout" | "stderr", _) => word.to_owned(),
        ("file", "") => return Err("needs a file, as log_dest file /var/log/dunlin.log".into()),
        ("file", path) => format!("file:{path}"),
        ("syslog" | "topic" | "dlt", _) => {
            let text =
                format!("{word} is ignored; lines go to stderr, which systemd's journal takes");
            translation.warn(line, text);
            return Ok(());
        }
        _ => {
            return Err(unknown(
                word,
                "stdout, stderr, file, syslog, topic, dlt or none",
            ));
        }
    };
    match translation.text("logging.destination") {
        Some(earlier) if earlier.starts_with("file:") || chosen == "off" => {
            let text = format!("is ignored; there is one destination, and that is {earlier}");
            translation.warn(line, text);
        }
        Some(earlier) if earlier != chosen => {
            let text = format!("replaces {earlier}; there is one destination");
            translation.warn(line, text);
            translation.set_text("logging.destination", &chosen, line);
        }
        _ => translation.set_text("logging.destination", &chosen, line),
    }
    Ok(())
}

/// Types become one level: the most talkative that is asked for.
pub fn level(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let level = match line.word() {
        "none" => LogLevel::Off,
        "error" => LogLevel::Error,
        "warning" => LogLevel::Warn,
        "notice" | "information" => LogLevel::Info,
        "debug" | "all" | "subscribe" | "unsubscribe" | "websockets" | "internal" => {
            LogLevel::Debug
        }
        other => {
            let types = "debug, error, warning, notice, information, subscribe, unsubscribe, \
                         websockets, none or all";
            return Err(unknown(other, types));
        }
    };
    if translation.log_level.is_none_or(|earlier| level > earlier) {
        translation.log_level = Some(level);
        translation.set_text("logging.level", level.word(), line);
    }
    Ok(())
}

fn unknown(argument: &str, known: &str) -> String {
    format!("needs {known}, not {argument:?}")
}
