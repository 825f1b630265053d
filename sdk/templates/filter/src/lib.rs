//! What becomes of messages: those that are too long are dropped, and the others get a content type.

use dunlin_sdk::{Client, Filter, Manifest, Message, Plugin, Replacement, Verdict};
use serde::Deserialize;

/// What `config` in dunlin.toml says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Readings {
    /// Bytes.
    longest: usize,
}

impl Plugin for Readings {
    fn describe() -> Manifest {
        // Only messages of these topics are shown to the plugin.
        dunlin_sdk::manifest!().topics(["sensors/#"]).schema(
            r#"{
                "type": "object",
                "required": ["longest"],
                "properties": { "longest": { "type": "integer", "minimum": 0 } },
                "additionalProperties": false
            }"#,
        )
    }
}

impl Filter for Readings {
    fn on_publish(&mut self, _: &Client, message: &Message) -> Verdict {
        if message.payload.len() > self.longest {
            return Verdict::Drop(format!("over {} bytes", self.longest));
        }
        if message.content_type.is_some() {
            return Verdict::Pass;
        }
        Verdict::Replace(Replacement {
            content_type: Some("text/plain".into()),
            ..Replacement::default()
        })
    }
}

dunlin_sdk::filter!(Readings);

#[cfg(test)]
mod tests {
    use super::*;

    /// `dunlin plugin test` replays the same cases in the broker's own host.
    #[test]
    fn recorded_cases_hold() {
        let config = include_str!("../config.json");
        dunlin_sdk::cases::filter::<Readings>(config, include_str!("../cases.jsonl"));
    }
}
