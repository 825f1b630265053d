use dunlin_sdk::{cases, mock};

use super::*;

#[test]
fn recorded_cases_hold() {
    let config = include_str!("../config.json");
    cases::bridge::<BridgeMap>(config, include_str!("../cases.jsonl"));
}

#[test]
fn a_topic_that_is_impossible_is_counted() {
    let rules = r#"{"ingress": [{"filter": "a/+", "topic": "{1}"}]}"#;
    let mut plugin: BridgeMap = cases::configure(rules).unwrap();
    assert_eq!(plugin.ingress("b", Message::new("a/", "x")), Fate::Drop);
    assert_eq!(mock::counter("topics_impossible"), 1);
    assert_eq!(plugin.egress("b", Message::new("a/", "x")), Fate::Pass);
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (rule, expected) in [
        (r#"{"filter": "a/#/b"}"#, "not a topic filter"),
        (r#"{"filter": "a", "topic": "{1}"}"#, "no + for {1}"),
        (
            r#"{"filter": "a", "drop": true, "qos": 1}"#,
            "either drop or",
        ),
        (r#"{"filter": "a", "qos": 3}"#, "qos is 0, 1 or 2"),
        (
            r#"{"filter": "a", "user_properties": {"k": "\u0000"}}"#,
            "null",
        ),
        (r#"{"filter": "a", "topics": "b"}"#, "unknown field"),
        (r#"{"topic": "b"}"#, "missing field"),
    ] {
        for way in ["egress", "ingress"] {
            let config = format!(r#"{{"{way}": [{rule}]}}"#);
            let Err(error) = cases::configure::<BridgeMap>(&config) else {
                panic!("{rule} is accepted");
            };
            assert!(error.contains(expected), "{error}");
        }
    }
}
