//! What becomes of messages on their way through a bridge: what leaves is put below the name of this
//! site, unless it is private, and what comes back for it is taken out again.

use dunlin_sdk::{Bridge, Fate, Manifest, Plugin, bridge::Message};
use serde::Deserialize;

/// What `config` in dunlin.toml says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {
    /// One level of a topic.
    site: String,
}

impl Plugin for Site {
    fn describe() -> Manifest {
        dunlin_sdk::manifest!().schema(
            r#"{
                "type": "object",
                "required": ["site"],
                "properties": { "site": { "type": "string", "pattern": "^[^/+#]+$" } },
                "additionalProperties": false
            }"#,
        )
    }
}

impl Bridge for Site {
    fn egress(&mut self, _: &str, message: Message) -> Fate {
        if message.topic.starts_with("private/") {
            return Fate::Drop;
        }
        Fate::Replace(Message {
            topic: format!("{}/{}", self.site, message.topic),
            ..message
        })
    }

    fn ingress(&mut self, _: &str, message: Message) -> Fate {
        let own = message.topic.split_once('/');
        let own = own.filter(|(site, topic)| *site == self.site && !topic.is_empty());
        let Some((_, topic)) = own else {
            return Fate::Pass;
        };
        Fate::Replace(Message {
            topic: topic.to_owned(),
            ..message
        })
    }
}

dunlin_sdk::bridge!(Site);

#[cfg(test)]
mod tests {
    use super::*;

    /// `dunlin plugin test` replays the same cases in the broker's own host.
    #[test]
    fn recorded_cases_hold() {
        let config = include_str!("../config.json");
        dunlin_sdk::cases::bridge::<Site>(config, include_str!("../cases.jsonl"));
    }
}
