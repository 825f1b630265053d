//! What a case asks, as JSON.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use dunlin_auth::{
    Certificate, ConnectRequest, Details, EnhancedAuthentication, PeerIdentity, Principal,
};
use dunlin_plugin_services::Response;
use dunlin_topic::{TopicFilter, TopicName};
use serde::{Deserialize, Deserializer, de::Error};

use super::carried;
use crate::bindings::{
    dunlin::plugin::types::Qos,
    exports::dunlin::plugin::{acl, filter},
};
use crate::bridge::Way;

/// Which plugin is asked, and what.
#[derive(Clone, Debug)]
pub(crate) enum Asking {
    /// And the client's answers when it is asked back.
    Authenticate(Authenticate, Vec<Bytes>),
    Authorize(Authorize),
    Publish(Publish),
    Carry(Way, carried::Batch),
}

/// A string, or `{"base64": "..."}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// The fields of `auth.request`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authenticate {
    client_id: String,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Bytes>,
    #[serde(default)]
    address: Option<SocketAddr>,
    #[serde(default)]
    listener: String,
    #[serde(default)]
    certificate: Option<CertificateNames>,
    #[serde(default)]
    user_properties: Vec<(String, String)>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    data: Bytes,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateNames {
    #[serde(default)]
    common_name: Option<String>,
    subject: String,
}

/// The fields of `types.client`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientFields {
    client_id: String,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    attributes: Vec<(String, String)>,
    #[serde(default)]
    address: Option<SocketAddr>,
    #[serde(default)]
    listener: String,
}

/// Who asks what of an ACL plugin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authorize {
    pub(crate) client: ClientFields,
    questions: Vec<QuestionFields>,
}

/// The fields of `acl.question`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionFields {
    action: ActionName,
    topic: String,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    user_properties: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ActionName {
    Publish,
    Receive,
    Subscribe,
}

/// Who publishes what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    pub(crate) client: ClientFields,
    message: MessageFields,
}

/// The fields of `filter.message`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageFields {
    topic: String,
    #[serde(default)]
    payload: Bytes,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    user_properties: Vec<(String, String)>,
    #[serde(default)]
    content_type: Option<String>,
}

/// What the network answers, without a network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpAnswer {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Bytes,
}

impl Asking {
    /// What the broker would never ask is not asked.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Authenticate(..) => Ok(()),
            Self::Authorize(asked) => asked.questions.iter().try_for_each(QuestionFields::check),
            Self::Publish(Publish { message, .. }) => {
                check_qos(message.qos)?;
                check_name(&message.topic)
            }
            Self::Carry(_, batch) => batch.check(),
        }
    }
}

impl QuestionFields {
    fn check(&self) -> Result<(), String> {
        check_qos(self.qos)?;
        match self.action {
            ActionName::Publish | ActionName::Receive => check_name(&self.topic),
            ActionName::Subscribe => TopicFilter::new(&self.topic)
                .map(drop)
                .map_err(|error| format!("{:?}: {error}", self.topic)),
        }
    }
}

pub(super) fn check_name(topic: &str) -> Result<(), String> {
    TopicName::new(topic)
        .map(drop)
        .map_err(|error| format!("{topic:?}: {error}"))
}

fn check_qos(qos: u8) -> Result<(), String> {
    match qos {
        0..=2 => Ok(()),
        _ => Err(format!("{qos} is no QoS")),
    }
}

/// Of a number that was checked.
fn contract_qos(qos: u8) -> Qos {
    match qos {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    }
}

impl Authenticate {
    pub(super) fn request(&self) -> ConnectRequest {
        let data = || self.data.0.clone().into();
        ConnectRequest {
            client_id: self.client_id.clone(),
            username: self.username.clone(),
            password: self.password.as_ref().map(|bytes| bytes.0.clone().into()),
            peer: PeerIdentity {
                address: self.address,
                loopback: self
                    .address
                    .is_none_or(|address| address.ip().is_loopback()),
                listener: self.listener.as_str().into(),
                certificate: self.certificate.as_ref().map(|names| Certificate {
                    common_name: names.common_name.clone(),
                    subject: names.subject.clone(),
                }),
            },
            authentication: self.method.as_ref().map(|method| EnhancedAuthentication {
                method: method.clone(),
                data: data(),
            }),
            user_properties: self.user_properties.clone(),
        }
    }
}

impl ClientFields {
    pub(super) fn principal(&self) -> Principal {
        let username: Option<Arc<str>> = self.username.as_deref().map(Arc::from);
        Principal::new(self.client_id.as_str(), username).with_details(Details {
            attributes: self.attributes.clone(),
            rules: None,
            address: self.address,
            listener: self.listener.as_str().into(),
        })
    }
}

/// Pairs as the contract takes them.
fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect()
}

impl Authorize {
    /// Calls `ask` with the questions in the words of the contract.
    pub(super) fn with_questions<T>(&self, ask: impl FnOnce(&[acl::Question<'_>]) -> T) -> T {
        let fields = self.questions.iter();
        let properties: Vec<_> = fields
            .map(|asked| borrowed(&asked.user_properties))
            .collect();
        let fields = self.questions.iter().zip(&properties);
        let questions: Vec<_> = fields
            .map(|(asked, properties)| acl::Question {
                action: match asked.action {
                    ActionName::Publish => acl::Action::Publish,
                    ActionName::Receive => acl::Action::Receive,
                    ActionName::Subscribe => acl::Action::Subscribe,
                },
                topic: &asked.topic,
                qos: contract_qos(asked.qos),
                retain: asked.retain,
                user_properties: properties,
            })
            .collect();
        ask(&questions)
    }
}

impl Publish {
    /// Calls `ask` with the message in the words of the contract.
    pub(super) fn with_message<T>(&self, ask: impl FnOnce(filter::Message<'_>) -> T) -> T {
        let message = &self.message;
        ask(filter::Message {
            topic: &message.topic,
            payload: &message.payload.0,
            qos: contract_qos(message.qos),
            retain: message.retain,
            user_properties: &borrowed(&message.user_properties),
            content_type: message.content_type.as_deref(),
        })
    }
}

impl HttpAnswer {
    pub(super) fn response(&self) -> Response {
        Response {
            status: self.status,
            headers: self.headers.clone(),
            body: self.body.0.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a string or {\"base64\": \"...\"}")]
        enum Form {
            Text(String),
            Encoded { base64: String },
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Bytes(text.into_bytes())),
            Form::Encoded { base64 } => match STANDARD.decode(&base64) {
                Ok(bytes) => Ok(Bytes(bytes)),
                Err(error) => Err(D::Error::custom(format!("base64: {error}"))),
            },
        }
    }
}
