//! What clients may do: their own topics, and to read the news.

use std::time::Duration;

use dunlin_sdk::{Acl, Action, Answer, Client, Manifest, Plugin, Question, topic};
use serde::Deserialize;

/// What `config` in dunlin.toml says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnTopics {
    /// Where every client has topics of its own.
    prefix: String,
}

impl Plugin for OwnTopics {
    fn describe() -> Manifest {
        dunlin_sdk::manifest!().schema(
            r#"{
                "type": "object",
                "required": ["prefix"],
                "properties": { "prefix": { "type": "string" } },
                "additionalProperties": false
            }"#,
        )
    }
}

impl Acl for OwnTopics {
    fn authorize(&mut self, client: &Client, question: &Question) -> Answer {
        // A name with wildcards in it would open the topics of others.
        let own = format!("{}/{}/#", self.prefix, client.client_id);
        let is_own = topic::is_level(&client.client_id) && topic::matches(&own, &question.topic);
        let is_news = question.action != Action::Publish && question.topic == "news";
        Answer::allow_if(is_own || is_news).for_time(Duration::from_secs(60))
    }
}

dunlin_sdk::acl!(OwnTopics);

#[cfg(test)]
mod tests {
    use super::*;

    /// `dunlin plugin test` replays the same cases in the broker's own host.
    #[test]
    fn recorded_cases_hold() {
        let config = include_str!("../config.json");
        dunlin_sdk::cases::acl::<OwnTopics>(config, include_str!("../cases.jsonl"));
    }
}
