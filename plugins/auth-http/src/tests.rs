use std::time::Duration;

use dunlin_sdk::{cases, mock};

use super::*;

#[test]
fn recorded_cases_hold() {
    let config = include_str!("../config.json");
    cases::auth::<AuthHttp>(config, include_str!("../cases.jsonl"));
}

#[test]
fn the_service_is_asked_as_configured() {
    mock::http(|request| {
        assert_eq!(request.method, "POST");
        assert_eq!(request.url, "https://auth.example/mqtt");
        assert_eq!(request.body, br#"{"id":"c","user":"alice"}"#);
        let headers = [("content-type", "application/json"), ("x-key", "k")];
        assert_eq!(
            request.headers,
            headers.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert_eq!(request.timeout_ms, 100);
        Ok(http::Response::new(200, ""))
    });
    let mut plugin: AuthHttp = cases::configure(
        r#"{"url": "https://auth.example/mqtt", "timeout_ms": 100, "headers": {"x-key": "k"},
            "body": {"json": {"id": "%{client_id}", "user": "%{username}"}}}"#,
    )
    .unwrap();
    let outcome = plugin.authenticate(&Request::new("c").login("alice", "x"));
    assert_eq!(outcome, Outcome::Granted(Grant::to("alice")));
}

#[test]
fn an_answer_is_kept_for_its_time_and_its_credentials() {
    mock::http(|_| Ok(http::Response::new(200, r#"{"ttl": 3600}"#)));
    let mut plugin: AuthHttp = cases::configure(
        r#"{"url": "https://auth.example/", "cache": {"granted": 60},
            "body": {"form": {"u": "%{username}", "p": "%{password}"}}}"#,
    )
    .unwrap();
    let mut ask = |password: &str| {
        plugin.authenticate(&Request::new("c").login("alice", password));
        (mock::counter("requests"), mock::counter("cache_hits"))
    };
    assert_eq!(ask("right"), (1, 0));
    assert_eq!(ask("right"), (1, 1));
    assert_eq!(ask("wrong"), (2, 1));
    mock::pass(Duration::from_secs(60));
    assert_eq!(ask("right"), (3, 1));
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    let config = r#"{"url": "https://auth.example/", "body": {"json": "%{user}"}}"#;
    let Err(error) = cases::configure::<AuthHttp>(config) else {
        panic!("it is accepted");
    };
    assert!(error.contains("%{user} has no meaning"), "{error}");
}
