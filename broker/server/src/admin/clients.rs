//! Sessions, for people.

use std::collections::BinaryHeap;
use std::sync::Arc;

use dunlin_codec::ReasonCode;
use dunlin_router::Subscriber;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::reply::{self, Reply};
use super::{Admin, query};

/// Sessions on a page, where the request does not say, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// A page of sessions in the order of their client ids. `after` is where it begins: the `next` of
/// the page before.
pub fn list(admin: &Admin, search: Option<&str>) -> Reply {
    let limit = query::value(search, "limit").map(|text| text.parse::<usize>());
    let limit = match limit {
        None => PAGE,
        Some(Ok(limit @ 1..=PAGE_MAX)) => limit,
        Some(_) => return reply::bad_request("limit: needs a number from 1 to 1000"),
    };
    let connected = match query::value(search, "connected").as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return reply::bad_request("connected: needs true or false"),
    };
    let after = query::value(search, "after");
    let page = page(admin, limit, connected, after.as_deref());
    let next = match page.len() == limit {
        true => page.last().map(|subscriber| &*subscriber.client_id),
        false => None,
    };
    let clients: Vec<_> = page
        .iter()
        .map(|subscriber| summary(admin, subscriber))
        .collect();
    reply::json(&json!({ "clients": clients, "next": next }))
}

/// One session.
pub fn one(admin: &Admin, method: &Method, client_id: &str) -> Reply {
    let Some(subscriber) = admin.router.session(client_id) else {
        return reply::not_found("no session has this client id");
    };
    match *method {
        Method::GET => {
            let mut client = summary(admin, &subscriber);
            client["subscriptions"] = json!(admin.router.subscriptions_of(&subscriber));
            reply::json(&client)
        }
        Method::DELETE => {
            let what = "disconnected by the operator";
            match subscriber.disconnect(ReasonCode::AdministrativeAction, what) {
                true => reply::no_content(),
                false => reply::error(StatusCode::CONFLICT, "the client is not connected"),
            }
        }
        _ => reply::method_not_allowed("GET, DELETE"),
    }
}

/// The smallest client ids after `after`: one walk over all sessions, with no more than a page
/// kept.
fn page(
    admin: &Admin,
    limit: usize,
    connected: Option<bool>,
    after: Option<&str>,
) -> Vec<Arc<Subscriber>> {
    let mut page = BinaryHeap::with_capacity(limit + 1);
    for subscriber in admin.router.list_sessions(usize::MAX) {
        if after.is_some_and(|after| &*subscriber.client_id <= after)
            || connected.is_some_and(|connected| subscriber.is_attached() != connected)
        {
            continue;
        }
        page.push(ById(subscriber));
        if page.len() > limit {
            page.pop();
        }
    }
    let sorted = page.into_sorted_vec();
    sorted
        .into_iter()
        .map(|ById(subscriber)| subscriber)
        .collect()
}

fn summary(admin: &Admin, subscriber: &Subscriber) -> Value {
    json!({
        "client_id": &*subscriber.client_id,
        "connected": subscriber.is_attached(),
        "persistent": subscriber.is_persistent(),
        "subscription_count": admin.router.subscription_count(subscriber),
        "queued_messages": subscriber.queued(),
        "queued_bytes": subscriber.queued_bytes(),
    })
}

/// A session, ordered by its client id.
struct ById(Arc<Subscriber>);

impl Ord for ById {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.client_id.cmp(&other.0.client_id)
    }
}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.client_id == other.0.client_id
    }
}

impl Eq for ById {}
