//! What is sent, with what the client said in it.

use std::collections::BTreeMap;

use dunlin_sdk::Request;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The body of a request, with placeholders `%{...}` in its strings.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A JSON value. A string that is one placeholder becomes null if the client did not say it.
    Json(Value),
    /// The fields of a form (`application/x-www-form-urlencoded`).
    Form(BTreeMap<String, String>),
}

impl Body {
    /// Whether all placeholders have a meaning.
    ///
    /// # Errors
    /// In words: one that has none.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Body::Json(json) => check_json(json),
            Body::Form(fields) => fields.values().try_for_each(|template| check(template)),
        }
    }

    /// Content-Type and body; `None` if something that belongs into it is not text.
    pub fn fill(&self, request: &Request) -> Option<(&'static str, Vec<u8>)> {
        match self {
            Body::Json(json) => {
                let body = fill_json(json, request)?.to_string();
                Some(("application/json", body.into_bytes()))
            }
            Body::Form(fields) => {
                let mut body = String::new();
                for (name, template) in fields {
                    if !body.is_empty() {
                        body.push('&');
                    }
                    encode(&mut body, name);
                    body.push('=');
                    encode(&mut body, &fill(template, request)?);
                }
                Some(("application/x-www-form-urlencoded", body.into_bytes()))
            }
        }
    }
}

fn check_json(json: &Value) -> Result<(), String> {
    match json {
        Value::String(template) => check(template),
        Value::Array(values) => values.iter().try_for_each(check_json),
        Value::Object(fields) => fields.values().try_for_each(check_json),
        _ => Ok(()),
    }
}

fn check(template: &str) -> Result<(), String> {
    let nobody = Request::default();
    for part in parts(template) {
        if let Part::Placeholder(name) = part
            && value(name, &nobody).is_none()
        {
            return Err(format!("%{{{name}}} has no meaning"));
        }
    }
    Ok(())
}

fn fill_json(json: &Value, request: &Request) -> Option<Value> {
    Some(match json {
        Value::String(template) => {
            let mut found = parts(template);
            match (found.next(), found.next()) {
                (Some(Part::Placeholder(name)), None) => match value(name, request)? {
                    Said::Text(text) => Value::String(text.to_owned()),
                    Said::Nothing => Value::Null,
                    Said::Bytes => return None,
                },
                _ => Value::String(fill(template, request)?),
            }
        }
        Value::Array(values) => {
            let values = values.iter().map(|value| fill_json(value, request));
            Value::Array(values.collect::<Option<_>>()?)
        }
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (name, value) in fields {
                filled.insert(name.clone(), fill_json(value, request)?);
            }
            Value::Object(filled)
        }
        other => other.clone(),
    })
}

fn fill(template: &str, request: &Request) -> Option<String> {
    let mut filled = String::new();
    for part in parts(template) {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Placeholder(name) => match value(name, request)? {
                Said::Text(text) => filled.push_str(text),
                Said::Nothing => {}
                Said::Bytes => return None,
            },
        }
    }
    Some(filled)
}

enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// A template, piece by piece.
fn parts(template: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, after)) = rest
            .strip_prefix("%{")
            .and_then(|rest| rest.split_once('}'))
        {
            rest = after;
            return Some(Part::Placeholder(name));
        }
        // A `%{` here is one without an end: text.
        let from = if rest.starts_with("%{") { 2 } else { 0 };
        let end = rest[from..].find("%{").map_or(rest.len(), |end| from + end);
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Part::Text(text))
    })
}

enum Said<'a> {
    Text(&'a str),
    Bytes,
    Nothing,
}

/// What a placeholder stands for; `None` if it has no meaning.
fn value<'a>(name: &str, request: &'a Request) -> Option<Said<'a>> {
    let certificate = request.certificate.as_ref();
    let text = match name {
        "client_id" => Some(request.client_id.as_str()),
        "username" => request.username.as_deref(),
        "password" => match request.password.as_deref().map(str::from_utf8) {
            Some(Ok(password)) => Some(password),
            Some(Err(_)) => return Some(Said::Bytes),
            None => None,
        },
        "address" => request.address.as_deref(),
        "listener" => Some(request.listener.as_str()),
        "common_name" => certificate.and_then(|names| names.common_name.as_deref()),
        "subject" => certificate.map(|names| names.subject.as_str()),
        _ => request.user_property(name.strip_prefix("property.")?),
    };
    Some(text.map_or(Said::Nothing, Said::Text))
}

/// Percent-encoding of a form.
fn encode(body: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                body.push(char::from(byte));
            }
            b' ' => body.push('+'),
            _ => body.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(body: Value, request: &Request) -> Option<String> {
        let body: Body = serde_json::from_value(body).unwrap();
        body.check().unwrap();
        body.fill(request)
            .map(|(_, body)| String::from_utf8(body).unwrap())
    }

    #[test]
    fn json_holds_what_the_client_said() {
        let request = Request::new("c1").login("a\"b", "p").property("x", "y");
        let body = json!({"json": {
            "user": "%{username}", "who": ["%{client_id}@%{listener}"], "x": "%{property.x}",
            "address": "%{address}", "at": "%{address}!", "n": 1, "open": "50%{",
        }});
        assert_eq!(
            filled(body, &request).unwrap(),
            concat!(
                r#"{"address":null,"at":"!","n":1,"open":"50%{","user":"a\"b","#,
                r#""who":["c1@"],"x":"y"}"#
            )
        );
    }

    #[test]
    fn a_form_is_encoded() {
        let request = Request::new("c").login("a&b=c d", "é%");
        let body = json!({"form": {"u": "%{username}", "p": "%{password}"}});
        let expected = "p=%C3%A9%25&u=a%26b%3Dc+d";
        assert_eq!(filled(body, &request).unwrap(), expected);
    }

    #[test]
    fn what_is_said_is_not_a_template() {
        let request = Request::new("c").login("%{password}", "secret");
        let body = json!({"json": ["%{username}", "x%{username}"]});
        assert_eq!(
            filled(body, &request).unwrap(),
            r#"["%{password}","x%{password}"]"#
        );
    }

    #[test]
    fn a_password_that_is_not_text_does_not_fit() {
        let request = Request::new("c").login("a", [0xff]);
        assert_eq!(filled(json!({"json": ["%{password}"]}), &request), None);
        assert_eq!(
            filled(json!({"form": {"p": "x%{password}"}}), &request),
            None
        );
        assert!(filled(json!({"json": ["%{username}"]}), &request).is_some());
    }

    #[test]
    fn a_placeholder_without_meaning_is_refused() {
        for body in [
            json!({"json": {"a": ["%{user}"]}}),
            json!({"form": {"a": "%{pass}"}}),
        ] {
            let body: Body = serde_json::from_value(body).unwrap();
            assert!(body.check().unwrap_err().contains("has no meaning"));
        }
    }
}
