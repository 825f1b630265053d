use dunlin_sdk::cases;

use super::*;

#[test]
fn recorded_cases_hold() {
    let config = include_str!("../config.json");
    cases::acl::<AclPattern>(config, include_str!("../cases.jsonl"));
}

#[test]
fn the_manifest_is_json() {
    assert!(AclPattern::describe().to_json().contains("acl-pattern"));
}

/// An answer that holds for a scope is the answer to everything in the scope.
#[test]
fn a_scope_says_the_same_of_all_its_topics() {
    let mut plugin: AclPattern = cases::configure(include_str!("../config.json")).unwrap();
    let client = Client::new("pump")
        .username("alice")
        .attribute("room", "a")
        .attribute("channel", "1")
        .attribute("key", "K1");
    let words = [
        "devices", "pump", "secret", "news", "home", "alice", "a", "channels", "1", "publish",
        "K1", "$SYS", "",
    ];
    let mut topics: Vec<String> = words.map(str::to_owned).to_vec();
    for depth in 1..4 {
        let longer: Vec<String> = topics
            .iter()
            .filter(|topic| topic.matches('/').count() == depth - 1)
            .flat_map(|topic| words.iter().map(move |word| format!("{topic}/{word}")))
            .collect();
        topics.extend(longer);
    }
    topics.retain(|topic| topic.len() % 3 != 1); // a third fewer, of all kinds
    for action in [Action::Publish, Action::Receive] {
        let mut scopes: BTreeMap<String, Effect> = BTreeMap::new();
        let answers: Vec<(&String, Answer)> = topics
            .iter()
            .map(|topic| {
                (
                    topic,
                    plugin.authorize(&client, &Question::new(action, topic)),
                )
            })
            .collect();
        for (topic, answer) in &answers {
            if let Some(scope) = &answer.scope {
                assert!(dunlin_sdk::topic::matches(scope, topic), "{scope} {topic}");
                scopes.insert(scope.clone(), answer.effect);
            }
        }
        assert!(scopes.len() > 1, "{scopes:?}");
        for (scope, effect) in scopes {
            for (topic, answer) in &answers {
                if dunlin_sdk::topic::matches(&scope, topic) {
                    assert_eq!(answer.effect, effect, "{action:?} {topic} in {scope}");
                }
            }
        }
    }
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (config, expected) in [
        (
            r#"{"rules": [{"topic": "a/#/b"}]}"#,
            "topic \"a/#/b\": not a topic filter",
        ),
        (
            r#"{"rules": [{"topic": "a", "effekt": "deny"}]}"#,
            "unknown field `effekt`",
        ),
        (r#"{}"#, "missing field `rules`"),
    ] {
        let Err(error) = cases::configure::<AclPattern>(config) else {
            panic!("{config} is accepted");
        };
        assert!(error.contains(expected), "{config}: {error}");
    }
}
