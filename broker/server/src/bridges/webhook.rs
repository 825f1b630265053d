//! From the configuration of a webhook to what it is told.

use dunlin_bridge::{Qos, Restart, WebhookSettings};
use serde_json::Value;

use super::settings::local_client_id;
use crate::config::Webhook;

/// # Errors
/// A header that is no text, or whose file or variable is not there.
pub fn settings(wanted: &Webhook) -> Result<WebhookSettings, String> {
    let qos = Qos::from_u8(wanted.qos).unwrap_or(Qos::ExactlyOnce);
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let topics = wanted.topics.iter().map(|filter| (filter.clone(), qos));
    Ok(WebhookSettings {
        name: wanted.name.clone(),
        url: wanted.url.clone(),
        topics: topics.collect(),
        headers: headers(wanted)?,
        batch_messages: wanted.batch_messages,
        batch_bytes: bytes(wanted.batch_bytes.0),
        batch_delay: wanted.batch_delay,
        timeout: wanted.timeout,
        restart: Restart {
            base: wanted.restart_pause,
            cap: Some(wanted.restart_pause_max),
        },
        authorities: wanted.authorities.clone(),
        local_client_id: Some(local_client_id(&wanted.name)),
        local_username: wanted.local_username.clone(),
        pending_bytes: bytes(wanted.pending_bytes.0),
        ..WebhookSettings::default()
    })
}

fn headers(wanted: &Webhook) -> Result<Vec<(String, String)>, String> {
    let Value::Object(headers) = wanted.headers.resolve("headers")? else {
        return Err("headers: is no table of names and values".into());
    };
    let header = |(name, value): (String, Value)| match value {
        Value::String(value) => Ok((name, value)),
        _ => Err(format!(
            "headers.{name}: needs text, or a table with from_file or from_env"
        )),
    };
    headers.into_iter().map(header).collect()
}
