//! Between the types of the bindings and those of this crate. Strings and lists are moved.

use crate::{
    Action, Answer, Client, Denial, Effect, Grant, Message, Outcome, Permission, Qos, Question,
    Replacement, Request, Rule, Step, Verdict,
    auth::Certificate,
    guest::bindings::{
        dunlin::plugin::types,
        exports::dunlin::plugin::{acl, auth, filter},
    },
};

impl From<types::Qos> for Qos {
    fn from(qos: types::Qos) -> Self {
        match qos {
            types::Qos::AtMostOnce => Qos::AtMostOnce,
            types::Qos::AtLeastOnce => Qos::AtLeastOnce,
            types::Qos::ExactlyOnce => Qos::ExactlyOnce,
        }
    }
}

impl From<Qos> for types::Qos {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => types::Qos::AtMostOnce,
            Qos::AtLeastOnce => types::Qos::AtLeastOnce,
            Qos::ExactlyOnce => types::Qos::ExactlyOnce,
        }
    }
}

impl From<types::Client> for Client {
    fn from(client: types::Client) -> Self {
        Client {
            client_id: client.client_id,
            username: client.username,
            attributes: client.attributes,
            address: client.address,
            listener: client.listener,
        }
    }
}

impl From<acl::Question> for Question {
    fn from(question: acl::Question) -> Self {
        Question {
            action: match question.action {
                acl::Action::Publish => Action::Publish,
                acl::Action::Receive => Action::Receive,
                acl::Action::Subscribe => Action::Subscribe,
            },
            topic: question.topic,
            qos: question.qos.into(),
            retain: question.retain,
            user_properties: question.user_properties,
        }
    }
}

impl From<Answer> for acl::Answer {
    fn from(answer: Answer) -> Self {
        acl::Answer {
            effect: match answer.effect {
                Effect::Allow => acl::Effect::Allow,
                Effect::Deny => acl::Effect::Deny,
                Effect::Next => acl::Effect::Next,
            },
            ttl_ms: answer.ttl_ms,
            scope: answer.scope,
        }
    }
}

impl From<auth::Request> for Request {
    fn from(request: auth::Request) -> Self {
        Request {
            client_id: request.client_id,
            username: request.username,
            password: request.password,
            address: request.address,
            listener: request.listener,
            certificate: request.certificate.map(|certificate| Certificate {
                common_name: certificate.common_name,
                subject: certificate.subject,
            }),
            user_properties: request.user_properties,
            method: request.method,
            data: request.data,
        }
    }
}

impl From<Outcome> for auth::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Granted(grant) => auth::Outcome::Granted(grant.into()),
            Outcome::Denied(denial) => auth::Outcome::Denied(denial.into()),
            Outcome::Next => auth::Outcome::Next,
            Outcome::Continue(Step { data, state }) => {
                auth::Outcome::Continue(auth::Step { data, state })
            }
        }
    }
}

impl From<Denial> for auth::Denial {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::BadCredentials => auth::Denial::BadCredentials,
            Denial::NotAuthorized => auth::Denial::NotAuthorized,
            Denial::BadMethod => auth::Denial::BadMethod,
            Denial::Unavailable(lacking) => auth::Denial::Unavailable(lacking),
        }
    }
}

impl From<Grant> for auth::Grant {
    fn from(grant: Grant) -> Self {
        auth::Grant {
            username: grant.username,
            attributes: grant.attributes,
            expires_in: grant.expires_in,
            rules: grant
                .rules
                .map(|rules| rules.into_iter().map(auth::Rule::from).collect()),
            data: grant.data,
        }
    }
}

impl From<Rule> for auth::Rule {
    fn from(rule: Rule) -> Self {
        auth::Rule {
            permission: match rule.permission {
                Permission::Deny => auth::Permission::Deny,
                Permission::Read => auth::Permission::Read,
                Permission::Write => auth::Permission::Write,
                Permission::ReadWrite => auth::Permission::ReadWrite,
            },
            filter: rule.filter,
        }
    }
}

impl From<filter::Message> for Message {
    fn from(message: filter::Message) -> Self {
        Message {
            topic: message.topic,
            payload: message.payload,
            qos: message.qos.into(),
            retain: message.retain,
            user_properties: message.user_properties,
            content_type: message.content_type,
        }
    }
}

impl From<Verdict> for filter::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => filter::Verdict::Pass,
            Verdict::Drop(reason) => filter::Verdict::Drop(reason),
            Verdict::Replace(replacement) => filter::Verdict::Replace(replacement.into()),
        }
    }
}

impl From<Replacement> for filter::Replacement {
    fn from(replacement: Replacement) -> Self {
        filter::Replacement {
            topic: replacement.topic,
            payload: replacement.payload,
            user_properties: replacement.user_properties,
            content_type: replacement.content_type,
        }
    }
}
