//! Recorded cases: JSON lines that say what a plugin is asked and what it has to answer.
//!
//! `dunlin plugin test` replays the same lines in the broker's own host.
//!
//! ```json
//! {"name": "alice", "authenticate": {"client_id": "c", "username": "alice", "password": "x"},
//!  "http": [{"status": 200, "body": "{}"}], "expect": {"granted": {"username": "alice"}}}
//! {"authorize": {"client": {"client_id": "c"}, "questions": [{"action": "publish", "topic": "a"}]},
//!  "expect": [{"effect": "allow"}]}
//! {"publish": {"client": {"client_id": "c"}, "message": {"topic": "a", "payload": "x"}},
//!  "expect": "pass"}
//! {"egress": {"bridge": "plant", "batch": [{"topic": "a", "payload": "x"}]},
//!  "expect": [{"replace": {"origin": 0, "message": {"topic": "b"}}}]}
//! ```
//!
//! Each stands on one line; lines that begin with `//` say nothing. Fields are those of the contract
//! in snake case, and may be absent; words of enums are those of the contract. Bytes are a string or
//! `{"base64": "..."}`, QoS is a number, properties are lists of two strings.
//!
//! Each case has an instance of its own. `http` answers its requests, one after the other; `then`
//! lists what the client answers when it is asked back. `expect` compares the fields that it names:
//! `{"granted": {..}}`, `{"denied": "bad-credentials"}`, `{"denied": "unavailable", "what": ".."}`,
//! `{"next": true}`, `{"continue": {"data": ".."}}`; a list of answers; `"pass"`, `{"drop": ".."}`,
//! `{"replace": {..}}`; for a bridge (`egress`, `ingress`) a list of `{"pass": 0}`,
//! `{"replace": {"origin": 0, "message": {..}}}` and `{"add": {..}}`, or `{"error": ".."}`.

use std::collections::VecDeque;

use serde_json::Value;

use crate::{Acl, Auth, Bridge, Filter, Outcome, Plugin, http, mock};

mod read;
mod write;

/// Replays the cases of an [`Auth`] plugin with this configuration (a JSON object).
///
/// # Panics
/// If an answer is not what its case expects, or something is not what it should be.
pub fn auth<P: Auth>(config: &str, cases: &str) {
    for case in all(cases) {
        let mut plugin = configured::<P>(config);
        case.prepare_http();
        let request = case.read(read::request(&case.json["authenticate"]));
        let mut outcome = plugin.authenticate(&request);
        for data in case.then() {
            let Outcome::Continue(step) = outcome else {
                panic!("{}: it was not asked back, but answers", case.name);
            };
            outcome = plugin.resume(&request, &step.state, &data);
        }
        case.compare(&write::outcome(&outcome));
    }
}

/// Replays the cases of an [`Acl`] plugin with this configuration (a JSON object).
///
/// # Panics
/// If an answer is not what its case expects, or something is not what it should be.
pub fn acl<P: Acl>(config: &str, cases: &str) {
    for case in all(cases) {
        let mut plugin = configured::<P>(config);
        let asked = &case.json["authorize"];
        let client = case.read(read::client(&asked["client"]));
        let questions = case.read(read::questions(&asked["questions"]));
        let answers = plugin.authorize_all(&client, &questions);
        assert_eq!(
            answers.len(),
            questions.len(),
            "{}: one answer each",
            case.name
        );
        case.compare(&answers.iter().map(write::answer).collect());
    }
}

/// Replays the cases of a [`Filter`] plugin with this configuration (a JSON object).
///
/// # Panics
/// If an answer is not what its case expects, or something is not what it should be.
pub fn filter<P: Filter>(config: &str, cases: &str) {
    for case in all(cases) {
        let mut plugin = configured::<P>(config);
        let published = &case.json["publish"];
        let client = case.read(read::client(&published["client"]));
        let message = case.read(read::message(&published["message"]));
        case.compare(&write::verdict(&plugin.on_publish(&client, &message)));
    }
}

/// Replays the cases of a [`Bridge`] plugin with this configuration (a JSON object).
///
/// # Panics
/// If an answer is not what its case expects, or something is not what it should be.
pub fn bridge<P: Bridge>(config: &str, cases: &str) {
    for case in all(cases) {
        let mut plugin = configured::<P>(config);
        let out = !case.json["egress"].is_null();
        let asked = &case.json[if out { "egress" } else { "ingress" }];
        let (bridge, batch) = case.read(read::batch(asked));
        let places = batch.len();
        let mapped = match out {
            true => plugin.egress_all(&bridge, batch),
            false => plugin.ingress_all(&bridge, batch),
        };
        if let Ok(mapped) = &mapped {
            case.read(write::check_places(mapped, places));
        }
        case.compare(&write::mapped(&mapped));
    }
}

/// Makes an instance as the broker does.
///
/// # Errors
/// What the broker would refuse the plugin with: the configuration is not right.
pub fn configure<P: Plugin>(config: &str) -> Result<P, String> {
    let read: P = serde_json::from_str(config).map_err(|error| error.to_string())?;
    read.configure()
}

fn configured<P: Plugin>(config: &str) -> P {
    let _ = P::describe().to_json();
    match configure(config) {
        Ok(plugin) => plugin,
        Err(error) => panic!("configuration: {error}"),
    }
}

/// A case, and what to call it.
struct Case {
    name: String,
    json: Value,
}

fn all(cases: &str) -> impl Iterator<Item = Case> {
    let lines = cases.lines().enumerate();
    let lines = lines.map(|(at, line)| (at, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("//"));
    lines.map(|(at, line)| {
        let line_number = at + 1;
        let json: Value = match serde_json::from_str(line) {
            Ok(json) => json,
            Err(error) => panic!("case in line {line_number}: {error}"),
        };
        let name = match json["name"].as_str() {
            Some(name) => format!("case {name:?} in line {line_number}"),
            None => format!("case in line {line_number}"),
        };
        Case { name, json }
    })
}

impl Case {
    fn prepare_http(&self) {
        let Some(answers) = self.json["http"].as_array() else {
            mock::http(|request| {
                Err(http::Error::Failed(format!(
                    "no answer for {}",
                    request.url
                )))
            });
            return;
        };
        let answers: Result<VecDeque<_>, _> = answers.iter().map(read::response).collect();
        let mut answers = self.read(answers);
        mock::http(move |request| {
            let none = || http::Error::Failed(format!("no answer for {}", request.url));
            answers.pop_front().ok_or_else(none)
        });
    }

    /// What the client answers when it is asked back.
    fn then(&self) -> Vec<Vec<u8>> {
        let answers = self.json["then"].as_array().into_iter().flatten();
        answers
            .map(|answer| self.read(read::bytes(answer).ok_or_else(|| "not bytes".into())))
            .collect()
    }

    fn read<T>(&self, read: Result<T, String>) -> T {
        match read {
            Ok(value) => value,
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    fn compare(&self, found: &Value) {
        let expected = &self.json["expect"];
        assert!(!expected.is_null(), "{}: it expects nothing", self.name);
        assert!(
            write::agrees(expected, found),
            "{}\n  expected {expected}\n  found    {found}",
            self.name
        );
    }
}

#[cfg(test)]
mod tests;
