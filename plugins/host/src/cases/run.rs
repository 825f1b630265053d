//! Asks what a case asks.

use serde_json::Value;

use super::{
    Case, Replayed,
    answer::{authenticated, authorized, faulty, filtered, matches},
    carried,
    question::{Asking, Authenticate, Authorize, Bytes, Publish},
};
use crate::{
    AclPlugin, AuthPlugin, FilterPlugin, Plugin,
    auth_words::{Asked, Judged, outcome},
    bindings::exports::dunlin::plugin::auth,
    client::Described,
    filter::judged,
    plugin_core::{CallError, Rehearsed},
};

pub(super) fn replay(plugin: &Plugin, case: &Case) -> Result<Replayed, String> {
    let http = case.http.iter().map(|answer| answer.response()).collect();
    let rehearsed = match (plugin, &case.asking) {
        (Plugin::Auth(plugin), Asking::Authenticate(request, then)) => {
            authenticate(plugin, http, request, then)
        }
        (Plugin::Acl(plugin), Asking::Authorize(asked)) => authorize(plugin, http, asked),
        (Plugin::Filter(plugin), Asking::Publish(asked)) => publish(plugin, http, asked),
        (Plugin::Bridge(plugin), Asking::Carry(way, batch)) => {
            carried::replay(plugin, http, *way, batch)
        }
        (plugin, _) => {
            return Err(format!(
                "it is not for a plugin of the world {}",
                plugin.class().world()
            ));
        }
    };
    let actual = match &rehearsed.answer {
        Ok(answer) => answer.clone(),
        Err(fault) => faulty(fault),
    };
    Ok(Replayed {
        matches: rehearsed.answer.is_ok() && matches(&case.expect, &actual),
        actual,
        took: rehearsed.took,
        peak_memory_bytes: rehearsed.memory_bytes,
    })
}

pub(super) type Http = Vec<dunlin_plugin_services::Response>;

fn authorize(plugin: &AclPlugin, http: Http, asked: &Authorize) -> Rehearsed<Value> {
    let who = asked.client.principal();
    let described = Described::new(&who);
    plugin.core.rehearse(http, |store, guest| {
        asked.with_questions(|questions| {
            let answers = guest.call_authorize(store, described.client(), questions)?;
            match answers.len() == questions.len() {
                true => Ok(authorized(&answers)),
                false => Err(CallError::Answer(format!(
                    "{} answers to {} questions",
                    answers.len(),
                    questions.len()
                ))),
            }
        })
    })
}

fn publish(plugin: &FilterPlugin, http: Http, asked: &Publish) -> Rehearsed<Value> {
    let who = asked.client.principal();
    let described = Described::new(&who);
    plugin.core.rehearse(http, |store, guest| {
        asked.with_message(|message| {
            let verdict = guest.call_on_publish(store, described.client(), message)?;
            Ok(filtered(&judged(verdict)?))
        })
    })
}

/// The question, and an answer for each time that the client is asked back.
fn authenticate(
    plugin: &AuthPlugin,
    http: Http,
    request: &Authenticate,
    then: &[Bytes],
) -> Rehearsed<Value> {
    let request = request.request();
    let asked = Asked::new(&request);
    let enhanced = request.authentication.is_some();
    plugin.core.rehearse(http, |store, guest| {
        let mut replies = then.iter();
        let mut answer = guest.call_authenticate(&mut *store, asked.request())?;
        loop {
            let rules = granted_rules(&answer);
            let judged = outcome(answer, enhanced).map_err(CallError::Answer)?;
            let (Judged::Continue { state, .. }, Some(Bytes(data))) = (&judged, replies.next())
            else {
                return Ok(authenticated(&judged, rules.as_deref()));
            };
            answer = guest.call_resume(&mut *store, asked.request(), state, data)?;
        }
    })
}

fn granted_rules(answer: &auth::Outcome) -> Option<Vec<auth::Rule>> {
    match answer {
        auth::Outcome::Granted(grant) => grant.rules.clone(),
        _ => None,
    }
}
