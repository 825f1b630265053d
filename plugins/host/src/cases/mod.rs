//! Recorded cases: questions with the answers that a plugin must give.
//!
//! One JSON object a line; empty lines and those that begin with `//` say nothing. Bytes are
//! strings, or `{"base64": "..."}`.
//!
//! ```json
//! {"name": "bob", "authenticate": {"client_id": "pump", "username": "bob", "password": "pw"},
//!  "http": [{"status": 200, "body": "{}"}], "expect": {"granted": {"username": "bob"}}}
//! {"authorize": {"client": {"client_id": "pump"}, "questions": [{"action": "publish",
//!  "topic": "a/b"}]}, "expect": [{"effect": "allow"}]}
//! {"publish": {"client": {"client_id": "pump"}, "message": {"topic": "a", "payload": "x"}},
//!  "expect": "pass"}
//! {"egress": {"bridge": "plant", "batch": [{"topic": "a", "payload": "x"}]},
//!  "expect": [{"replace": {"origin": 0, "message": {"topic": "b"}}}]}
//! ```
//!
//! `then` of an `authenticate` case lists the client's answers when it is asked back. What
//! `expect` does not name may be anything. A bridge plugin (`egress`, `ingress`) may also be expected to
//! give an `{"error": "..."}`.

mod answer;
mod carried;
mod question;
mod run;

use std::{path::Path, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use self::question::{Asking, HttpAnswer};
use crate::{Plugin, bridge::Way, load::read};

/// The largest file of cases.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// A question, what the network answers meanwhile, and what the plugin must.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its own, or its line.
    pub name: String,
    pub(crate) asking: Asking,
    pub(crate) http: Vec<HttpAnswer>,
    pub(crate) expect: Value,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The answer; `{"fault": kind, "what": text}` if there was none.
    pub actual: Value,
    /// Whether it is as expected.
    pub matches: bool,
    /// How long the plugin took, all steps together.
    pub took: Duration,
    /// Linear memory of the instance when it had answered. It never shrinks, so this is the peak.
    pub peak_memory_bytes: usize,
}

/// A line as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    authenticate: Option<question::Authenticate>,
    #[serde(default)]
    then: Vec<question::Bytes>,
    #[serde(default)]
    authorize: Option<question::Authorize>,
    #[serde(default)]
    publish: Option<question::Publish>,
    #[serde(default)]
    egress: Option<carried::Batch>,
    #[serde(default)]
    ingress: Option<carried::Batch>,
    #[serde(default)]
    http: Vec<HttpAnswer>,
    expect: Value,
}

/// Parses the text of a file of cases.
///
/// # Errors
/// Names the first line that is no case.
pub fn parse_cases(text: &str) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with("//") {
            let number = index + 1;
            cases.push(parse(line, number).map_err(|what| format!("line {number}: {what}"))?);
        }
    }
    Ok(cases)
}

fn parse(line: &str, number: usize) -> Result<Case, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| format!("no case: {error}"))?;
    let then = line.then;
    let asked = [
        line.authenticate
            .map(|request| Asking::Authenticate(request, then)),
        line.authorize.map(Asking::Authorize),
        line.publish.map(Asking::Publish),
        line.egress.map(|batch| Asking::Carry(Way::Egress, batch)),
        line.ingress.map(|batch| Asking::Carry(Way::Ingress, batch)),
    ];
    let mut asked = asked.into_iter().flatten();
    let (Some(asking), None) = (asked.next(), asked.next()) else {
        return Err(
            "a case has one of the keys `authenticate`, `authorize`, `publish`, \
                    `egress` and `ingress`"
                .into(),
        );
    };
    asking.check()?;
    Ok(Case {
        name: line.name.unwrap_or_else(|| format!("line {number}")),
        asking,
        http: line.http,
        expect: line.expect,
    })
}

/// Asks a plugin what a case asks, in an instance of its own. Nothing is counted, and the broker
/// does nothing that the plugin asks of it.
///
/// # Errors
/// If the case is for a plugin of another class.
pub fn replay(plugin: &Plugin, case: &Case) -> Result<Replayed, String> {
    run::replay(plugin, case)
}

/// Replays all cases of a file.
///
/// # Errors
/// If the file cannot be read or is no file of cases, or at the first case whose answer is not
/// as expected.
pub(crate) fn self_test(plugin: &Plugin, path: &Path) -> Result<(), String> {
    let shown = path.display();
    let bytes = read(path, MAX_FILE_BYTES)?;
    let text = str::from_utf8(&bytes).map_err(|error| format!("{shown}: {error}"))?;
    let cases = parse_cases(text).map_err(|what| format!("{shown}: {what}"))?;
    for case in &cases {
        let name = &case.name;
        let replayed =
            replay(plugin, case).map_err(|what| format!("{shown}: case {name}: {what}"))?;
        if !replayed.matches {
            return Err(format!(
                "{shown}: case {name}: expected {}, but the answer is {}; the plugin is not \
                 loaded",
                case.expect, replayed.actual
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cases() {
        let text = r#"
            // the usual
            {"name": "bob", "authenticate": {"client_id": "c", "password": {"base64": "AP8="}}, "then": ["x"], "expect": {"denied": "bad-credentials"}}

            {"authorize": {"client": {"client_id": "c"}, "questions": [{"action": "publish", "topic": "a"}]}, "expect": []}
            {"publish": {"client": {"client_id": "c"}, "message": {"topic": "a", "payload": ""}}, "expect": "pass"}
            {"egress": {"bridge": "b", "batch": [{"topic": "a", "user_properties": [["k", "v"]]}]}, "expect": [{"pass": 0}]}
            {"ingress": {"bridge": "b", "batch": [{"topic": "a"}]}, "expect": {"error": "no"}}"#;
        let cases = parse_cases(text).expect("valid");
        let names: Vec<&str> = cases.iter().map(|case| &*case.name).collect();
        assert_eq!(names, ["bob", "line 5", "line 6", "line 7", "line 8"]);
        assert!(matches!(&cases[0].asking, Asking::Authenticate(_, then) if then.len() == 1));
    }

    #[test]
    fn what_is_no_case_is_named_with_its_line() {
        for (line, expected) in [
            ("[]", "no case"),
            (r#"{"expect": 1}"#, "one of the keys"),
            (r#"{"authenticate": {"client_id": "c"}}"#, "expect"),
            (
                r#"{"authenticate": {"client": "c"}, "expect": 1}"#,
                "client",
            ),
            (
                r#"{"authenticate": {"client_id": "c", "password": {"base64": "?"}}, "expect": 1}"#,
                "base64",
            ),
            (
                r#"{"publish": {"client": {"client_id": "c"}, "message": {"topic": "a/#"}}, "expect": 1}"#,
                "a/#",
            ),
            (
                r#"{"egress": {"bridge": "b", "batch": [{"topic": "a+"}]}, "expect": 1}"#,
                "a+",
            ),
            (
                r#"{"egress": {"bridge": "b", "batch": []}, "expect": 1}"#,
                "a batch has",
            ),
            (
                r#"{"egress": {"bridge": "b", "batch": [{"topic": "a"}]}, "ingress": {"bridge": "b", "batch": [{"topic": "a"}]}, "expect": 1}"#,
                "one of the keys",
            ),
            (
                r#"{"authorize": {"client": {"client_id": "c"}, "questions": [{"action": "read", "topic": "a"}]}, "expect": 1}"#,
                "read",
            ),
        ] {
            let error = parse_cases(&format!("\n{line}")).expect_err(line);
            assert!(error.starts_with("line 2"), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
