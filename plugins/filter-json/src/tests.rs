use dunlin_sdk::cases;

use super::*;

#[test]
fn recorded_cases_hold() {
    let config = include_str!("../config.json");
    cases::filter::<FilterJson>(config, include_str!("../cases.jsonl"));
}

#[test]
fn numbers_are_written_as_they_were_read() {
    let mut plugin: FilterJson =
        cases::configure(r##"{"rules": [{"topics": ["#"], "redact": [{"at": "/x"}]}]}"##).unwrap();
    for number in [
        "0.1",
        "1.7976931348623157e308",
        "18446744073709551615",
        "-5",
        "6.02e23",
    ] {
        let payload = format!(r#"{{"n":{number},"x":1}}"#);
        let verdict = plugin.on_publish(&Client::new("c"), &Message::new("t", payload));
        let Verdict::Replace(replacement) = verdict else {
            panic!("{number}: {verdict:?}");
        };
        let payload = String::from_utf8(replacement.payload.unwrap()).unwrap();
        let read: Value = serde_json::from_str(&payload).unwrap();
        let expected: f64 = number.parse().unwrap();
        assert_eq!(
            read["n"].as_f64().unwrap().to_bits(),
            expected.to_bits(),
            "{payload}"
        );
    }
}

#[test]
fn a_payload_that_is_nested_too_deep_is_not_json() {
    let mut plugin: FilterJson = cases::configure(r##"{"rules": [{"topics": ["#"]}]}"##).unwrap();
    let payload = "[".repeat(100_000);
    let verdict = plugin.on_publish(&Client::new("c"), &Message::new("t", payload));
    assert_eq!(verdict, Verdict::Drop("not JSON".into()));
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (rule, expected) in [
        (r#"{"topics": ["a/#/b"]}"#, "not a topic filter"),
        (
            r#"{"topics": ["a"], "keep": ["x"]}"#,
            "does not begin with a slash",
        ),
        (
            r#"{"topics": ["a"], "drop": [{"at": "/x", "is": "="}]}"#,
            "a value is missing",
        ),
    ] {
        let Err(error) = cases::configure::<FilterJson>(&format!(r#"{{"rules": [{rule}]}}"#))
        else {
            panic!("{rule} is accepted");
        };
        assert!(error.contains(expected), "{error}");
    }
}
