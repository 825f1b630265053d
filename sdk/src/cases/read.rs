//! From the JSON of a case to what a plugin is asked.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{
    Action, Client, Message, Property, Qos, Question, Request, auth::Certificate, bridge,
    http::Response,
};

type Read<T> = Result<T, String>;

pub(super) fn request(json: &Value) -> Read<Request> {
    let known = [
        "client_id",
        "username",
        "password",
        "address",
        "listener",
        "certificate",
        "user_properties",
        "method",
        "data",
    ];
    fields(json, "authenticate", &known)?;
    let certificate = match &json["certificate"] {
        Value::Null => None,
        certificate => Some(Certificate {
            common_name: text(certificate, "common_name")?,
            subject: text(certificate, "subject")?.unwrap_or_default(),
        }),
    };
    Ok(Request {
        client_id: text(json, "client_id")?.unwrap_or_default(),
        username: text(json, "username")?,
        password: optional_bytes(&json["password"])?,
        address: text(json, "address")?,
        listener: text(json, "listener")?.unwrap_or_default(),
        certificate,
        user_properties: properties(&json["user_properties"])?,
        method: text(json, "method")?,
        data: optional_bytes(&json["data"])?.unwrap_or_default(),
    })
}

pub(super) fn client(json: &Value) -> Read<Client> {
    let known = ["client_id", "username", "attributes", "address", "listener"];
    fields(json, "client", &known)?;
    Ok(Client {
        client_id: text(json, "client_id")?.unwrap_or_default(),
        username: text(json, "username")?,
        attributes: properties(&json["attributes"])?,
        address: text(json, "address")?,
        listener: text(json, "listener")?.unwrap_or_default(),
    })
}

pub(super) fn questions(json: &Value) -> Read<Vec<Question>> {
    let questions = json.as_array().ok_or("questions are a list")?;
    questions.iter().map(question).collect()
}

fn question(json: &Value) -> Read<Question> {
    let known = ["action", "topic", "qos", "retain", "user_properties"];
    fields(json, "question", &known)?;
    Ok(Question {
        action: match json["action"].as_str() {
            Some("publish") => Action::Publish,
            Some("receive") => Action::Receive,
            Some("subscribe") => Action::Subscribe,
            _ => return Err("action is publish, receive or subscribe".into()),
        },
        topic: text(json, "topic")?.ok_or("a question has a topic")?,
        qos: qos(&json["qos"])?,
        retain: json["retain"].as_bool().unwrap_or(false),
        user_properties: properties(&json["user_properties"])?,
    })
}

pub(super) fn message(json: &Value) -> Read<Message> {
    let known = [
        "topic",
        "payload",
        "qos",
        "retain",
        "user_properties",
        "content_type",
    ];
    fields(json, "message", &known)?;
    Ok(Message {
        topic: text(json, "topic")?.ok_or("a message has a topic")?,
        payload: optional_bytes(&json["payload"])?.unwrap_or_default(),
        qos: qos(&json["qos"])?,
        retain: json["retain"].as_bool().unwrap_or(false),
        user_properties: properties(&json["user_properties"])?,
        content_type: text(json, "content_type")?,
    })
}

/// The bridge's name, and the messages that come to it.
pub(super) fn batch(json: &Value) -> Read<(String, Vec<bridge::Message>)> {
    fields(json, "egress or ingress", &["bridge", "batch"])?;
    let batch = json["batch"].as_array().ok_or("a batch is a list")?;
    let batch: Read<Vec<_>> = batch.iter().map(carried).collect();
    Ok((text(json, "bridge")?.unwrap_or_default(), batch?))
}

fn carried(json: &Value) -> Read<bridge::Message> {
    let known = [
        "topic",
        "payload",
        "qos",
        "retain",
        "expires_in",
        "text",
        "content_type",
        "response_topic",
        "correlation_data",
        "user_properties",
    ];
    fields(json, "message", &known)?;
    let expires_in = json["expires_in"].as_u64().map(u32::try_from).transpose();
    Ok(bridge::Message {
        topic: text(json, "topic")?.ok_or("a message has a topic")?,
        payload: optional_bytes(&json["payload"])?.unwrap_or_default(),
        qos: qos(&json["qos"])?,
        retain: json["retain"].as_bool().unwrap_or(false),
        expires_in: expires_in.map_err(|_| "expires_in is too large")?,
        text: json["text"].as_bool().unwrap_or(false),
        content_type: text(json, "content_type")?,
        response_topic: text(json, "response_topic")?,
        correlation_data: optional_bytes(&json["correlation_data"])?,
        user_properties: properties(&json["user_properties"])?,
    })
}

pub(super) fn response(json: &Value) -> Read<Response> {
    fields(json, "http", &["status", "headers", "body"])?;
    let status = json["status"]
        .as_u64()
        .and_then(|status| status.try_into().ok());
    Ok(Response {
        status: status.ok_or("an HTTP answer has a status")?,
        headers: properties(&json["headers"])?,
        body: optional_bytes(&json["body"])?.unwrap_or_default(),
    })
}

/// A string, or `{"base64": "..."}`.
pub(super) fn bytes(json: &Value) -> Option<Vec<u8>> {
    match json.as_str() {
        Some(text) => Some(text.as_bytes().to_vec()),
        None => BASE64_STANDARD.decode(json["base64"].as_str()?).ok(),
    }
}

fn optional_bytes(json: &Value) -> Read<Option<Vec<u8>>> {
    match json {
        Value::Null => Ok(None),
        json => match bytes(json) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(format!("neither a string nor base64: {json}")),
        },
    }
}

fn qos(json: &Value) -> Read<Qos> {
    match json.as_u64() {
        None if json.is_null() => Ok(Qos::AtMostOnce),
        Some(0) => Ok(Qos::AtMostOnce),
        Some(1) => Ok(Qos::AtLeastOnce),
        Some(2) => Ok(Qos::ExactlyOnce),
        _ => Err(format!("not a QoS: {json}")),
    }
}

fn properties(json: &Value) -> Read<Vec<Property>> {
    match json {
        Value::Null => Ok(Vec::new()),
        json => serde_json::from_value(json.clone())
            .map_err(|error| format!("properties are lists of two strings: {error}")),
    }
}

fn text(json: &Value, name: &str) -> Read<Option<String>> {
    match &json[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(format!("{name} is a string, not {other}")),
    }
}

fn fields(json: &Value, what: &str, known: &[&str]) -> Read<()> {
    let object = json.as_object();
    let object = object.ok_or_else(|| format!("{what} is absent or not an object"))?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has no field {key}")),
        None => Ok(()),
    }
}
