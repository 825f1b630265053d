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
//! ```
//!
//! Each stands on one line. Fields are those of the contract in snake case, and may be absent; words
//! of enums are those of the contract. Bytes are a string or `{"base64": "..."}`, QoS is a number,
//! properties are lists of two strings. `expect` compares the fields that it names: `{"granted":
//! {..}}`, `{"denied": "bad-credentials"}`, `{"denied": {"unavailable": "..."}}`, `{"next": true}`,
//! `{"continue": {"data": "..."}}`; a list of answers; `"pass"`, `{"drop": "..."}`, `{"replace":
//! {..}}`. `http` answers the plugin's requests, one after the other. A case that resumes
//! follows the one that continued: `{"resume": {"data": "..."}, "expect": ..}`.

use std::collections::VecDeque;

use serde_json::Value;

use crate::{Acl, Auth, Filter, Outcome, Plugin, http, mock};

mod read;
mod write;

/// Replays the cases of an [`Auth`] plugin with this configuration (a JSON object).
///
/// # Panics
/// If an answer is not what its case expects, or something is not what it should be.
pub fn auth<P: Auth>(config: &str, cases: &str) {
    let mut plugin = configured::<P>(config);
    let mut exchange: Option<(crate::Request, Vec<u8>)> = None;
    for case in all(cases) {
        case.prepare_http();
        let outcome = match (&case.json["authenticate"], &case.json["resume"]) {
            (Value::Null, resume) if resume.is_object() => {
                let Some((request, state)) = exchange.take() else {
                    panic!("{}: the case before did not continue", case.name);
                };
                let data = read::bytes(&resume["data"]).unwrap_or_default();
                let outcome = plugin.resume(&request, &state, &data);
                keep(&mut exchange, request, &outcome);
                outcome
            }
            (request, _) => {
                let request = case.read(read::request(request));
                let outcome = plugin.authenticate(&request);
                keep(&mut exchange, request, &outcome);
                outcome
            }
        };
        case.compare(&write::outcome(&outcome));
    }
}

/// Replays the cases of an [`Acl`] plugin with this configuration (a JSON object).
///
/// # Panics
/// If an answer is not what its case expects, or something is not what it should be.
pub fn acl<P: Acl>(config: &str, cases: &str) {
    let mut plugin = configured::<P>(config);
    for case in all(cases) {
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
    let mut plugin = configured::<P>(config);
    for case in all(cases) {
        let published = &case.json["publish"];
        let client = case.read(read::client(&published["client"]));
        let message = case.read(read::message(&published["message"]));
        case.compare(&write::verdict(&plugin.on_publish(&client, &message)));
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
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
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

fn keep(
    exchange: &mut Option<(crate::Request, Vec<u8>)>,
    request: crate::Request,
    outcome: &Outcome,
) {
    *exchange = match outcome {
        Outcome::Continue(step) => Some((request, step.state.clone())),
        _ => None,
    };
}

#[cfg(test)]
mod tests;
