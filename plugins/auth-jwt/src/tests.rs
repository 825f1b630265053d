use std::time::Duration;

use dunlin_sdk::{cases, mock};

use super::*;

/// What the tokens of the recorded cases are signed with.
const SECRET: &str = "only for tests, and 32 bytes long";

fn plugin(more: &str) -> AuthJwt {
    mock::keys("main", SECRET);
    let config = format!(r#"{{"key_set": "main" {more}}}"#);
    cases::configure(&config).unwrap()
}

fn granted(outcome: Outcome) -> Grant {
    match outcome {
        Outcome::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}

#[test]
fn recorded_cases_hold() {
    mock::keys("main", SECRET);
    let config = include_str!("../config.json");
    cases::auth::<AuthJwt>(config, include_str!("../cases.jsonl"));
}

#[test]
fn a_grant_ends_with_its_token() {
    let mut plugin = plugin("");
    mock::time(Duration::from_secs(1000));
    let token = mock::sign("main", r#"{"sub": "pump", "exp": 1060}"#);
    let request = Request::new("c").login("x", token);
    assert_eq!(granted(plugin.authenticate(&request)).expires_in, Some(60));
    mock::pass(Duration::from_secs(60));
    let denied = Outcome::Denied(Denial::BadCredentials);
    assert_eq!(plugin.authenticate(&request), denied);
}

#[test]
fn a_grant_is_as_long_as_the_configuration_allows() {
    let mut plugin = plugin(r#", "longest": 10"#);
    mock::time(Duration::from_secs(1000));
    for (claims, expected) in [
        (r#"{"sub": "pump"}"#, 10),
        (r#"{"sub": "pump", "exp": 1060}"#, 10),
        (r#"{"sub": "pump", "exp": 1005.5}"#, 5),
    ] {
        let request = Request::new("c").login("x", mock::sign("main", claims));
        let grant = granted(plugin.authenticate(&request));
        assert_eq!(grant.expires_in, Some(expected), "{claims}");
    }
}

#[test]
fn what_a_client_says_of_itself_must_be_true() {
    let mut plugin = plugin(r#", "same": {"client_id": "device", "username": "sub"}"#);
    let token = mock::sign("main", r#"{"sub": "alice", "device": "d1"}"#);
    for (client_id, username, expected) in [
        ("d1", "alice", true),
        ("d2", "alice", false),
        ("d1", "bob", false),
    ] {
        let request = Request::new(client_id).login(username, token.clone());
        let outcome = plugin.authenticate(&request);
        assert_eq!(
            matches!(outcome, Outcome::Granted(_)),
            expected,
            "{client_id} {username}"
        );
    }
    let request = Request::new("d1").property("token", token);
    assert_eq!(
        plugin.authenticate(&request),
        Outcome::Next,
        "not in the password"
    );
}

#[test]
fn a_token_without_user_name_is_refused() {
    let mut plugin = plugin("");
    for claims in [
        "{}",
        r#"{"sub": ""}"#,
        r#"{"sub": 7}"#,
        r#"{"sub": "a\u0000"}"#,
    ] {
        let request = Request::new("c").login("x", mock::sign("main", claims));
        let outcome = plugin.authenticate(&request);
        assert_eq!(outcome, Outcome::Denied(Denial::BadCredentials), "{claims}");
    }
}

#[test]
fn keys_that_lack_are_not_the_clients_fault() {
    mock::tokens(|_, _| Err(TokenError::Unavailable("no keys".into())));
    let mut plugin: AuthJwt = cases::configure(r#"{"key_set": "main"}"#).unwrap();
    let outcome = plugin.authenticate(&Request::new("c").login("x", "eyJ.e.s"));
    assert_eq!(outcome, unavailable("no keys"));
}

#[test]
fn a_refused_token_may_be_for_the_next() {
    let mut plugin = plugin(r#", "refused": "next""#);
    let outcome = plugin.authenticate(&Request::new("c").login("x", "eyJ.e.s"));
    assert_eq!(outcome, Outcome::Next);
}

#[test]
fn a_rule_that_cannot_be_read_is_not_left_out() {
    let mut plugin = plugin(r#", "rules": {"claim": "acl"}"#);
    let token = mock::sign(
        "main",
        r##"{"sub": "a", "acl": {"all": ["#"], "denied": ["a"]}}"##,
    );
    let outcome = plugin.authenticate(&Request::new("c").login("x", token));
    assert!(
        matches!(outcome, Outcome::Denied(Denial::Unavailable(_))),
        "{outcome:?}"
    );
}
