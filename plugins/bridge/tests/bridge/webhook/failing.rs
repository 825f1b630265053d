//! Servers that refuse, are busy, hang, or send elsewhere; settings that cannot be.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dunlin_bridge::{Identity, Qos, Webhook, WebhookSettings};
use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::{hook, numbers, publish, start, subscribe};
use crate::world::{Near, Running, until};

fn dropped(running: &Running) -> u64 {
    running.status.egress.dropped.load(Ordering::Relaxed)
}

#[test]
fn a_busy_server_loses_and_doubles_nothing() {
    let near = Near::start();
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let statuses = [503, 429, 408, 425, 500];
        let server = Server::start(move |number, _| match statuses.get(number) {
            Some(status) => Answer::Status(*status),
            None => Answer::Status(200),
        });
        let settings = WebhookSettings {
            name: format!("busy{qos:?}"),
            ..hook(server.url(), qos)
        };
        subscribe(&settings, &near);
        publish(&near, qos, numbers(300));
        let running = start(&settings, &near);
        assert_eq!(server.takes(300), numbers(300));
        let requests = server.requests();
        let (first, rest) = requests.split_first().expect("one");
        assert!(!first.is_taken());
        for again in &rest[..statuses.len()] {
            assert_eq!(again.key(), first.key());
            assert_eq!(again.body, first.body);
        }
        assert!(rest[statuses.len() - 1].is_taken());
        until("the counters", || {
            running.status.egress.messages.load(Ordering::Relaxed) == 300
        });
        assert_eq!(dropped(&running), 0);
        running.stop().expect("no error");
        // Each was acknowledged: nothing is left but what comes now.
        let running = start(&settings, &near);
        publish(&near, qos, ["end"]);
        assert_eq!(server.takes(301)[300], "end");
        running.stop().expect("no error");
    }
}

#[test]
fn a_server_may_be_away() {
    let near = Near::start();
    let server = Server::willing();
    let (port, url) = (server.port, server.url());
    let settings = hook(url, Qos::AtLeastOnce);
    subscribe(&settings, &near);
    let running = start(&settings, &near);
    let connected = || running.status.connected.load(Ordering::Relaxed);
    publish(&near, Qos::AtLeastOnce, ["before"]);
    until("it delivers", connected);
    drop(server);
    publish(&near, Qos::AtLeastOnce, numbers(1000));
    until("it does not", || !connected());
    let error = running.error();
    assert!(
        error.contains(&format!("http://localhost:{port}")),
        "{error}"
    );
    assert!(!error.contains("/in"), "{error}");
    // One that takes a request and closes has perhaps understood it: it comes again.
    let server = Server::at(port, None, |number, _| match number {
        0 => Answer::Close,
        _ => Answer::Status(200),
    });
    assert_eq!(server.takes(1000), numbers(1000));
    let requests = server.requests();
    assert_eq!(requests[0].key(), requests[1].key());
    until("it delivers again", connected);
    assert_eq!(running.status.reconnects.load(Ordering::Relaxed), 1);
    assert_eq!(dropped(&running), 0);
    running.stop().expect("no error");
}

#[test]
fn a_bad_message_does_not_cost_its_neighbours() {
    let near = Near::start();
    for status in [400, 413, 422] {
        let bad = |body: &Value| {
            let mut all = body.as_array().expect("an array").iter();
            all.any(|element| element["payload"] == json!("13"))
        };
        let server = Server::start(move |_, body| match bad(body) {
            true => Answer::Status(status),
            false => Answer::Status(200),
        });
        let settings = WebhookSettings {
            name: format!("bad{status}"),
            ..hook(server.url(), Qos::AtLeastOnce)
        };
        subscribe(&settings, &near);
        publish(&near, Qos::AtLeastOnce, numbers(20));
        let running = start(&settings, &near);
        let expected: Vec<_> = numbers(20).into_iter().filter(|one| one != "13").collect();
        assert_eq!(server.takes(19), expected);
        until("its end", || dropped(&running) == 1);
        assert!(running.error().ends_with(&format!("answered {status}")));
        running.stop().expect("no error");
    }
}

#[test]
fn what_is_refused_for_good_is_dropped() {
    let near = Near::start();
    for status in [401, 404, 410] {
        let server = Server::start(move |number, _| match number {
            0 => Answer::Status(status),
            _ => Answer::Status(200),
        });
        let settings = WebhookSettings {
            name: format!("refused{status}"),
            ..hook(server.url(), Qos::AtLeastOnce)
        };
        subscribe(&settings, &near);
        publish(&near, Qos::AtLeastOnce, numbers(20));
        let running = start(&settings, &near);
        until("its end", || dropped(&running) == 20);
        publish(&near, Qos::AtLeastOnce, ["end"]);
        assert_eq!(server.takes(1), ["end"]);
        running.stop().expect("no error");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let (near, elsewhere) = (Near::start(), Server::willing());
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}", elsewhere.url());
        let server = Server::start(move |_, _| Answer::With(status, location.clone()));
        let settings = WebhookSettings {
            name: format!("redirect{status}"),
            ..hook(server.url(), Qos::AtLeastOnce)
        };
        subscribe(&settings, &near);
        publish(&near, Qos::AtLeastOnce, ["1"]);
        let running = start(&settings, &near);
        until("its end", || dropped(&running) == 1);
        running.stop().expect("no error");
        assert_eq!(server.requests().len(), 1);
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_server_says_when_to_come_again() {
    let near = Near::start();
    let server = Server::start(|number, _| match number {
        0 => Answer::With(503, "Retry-After: 1".into()),
        // Nobody is to be asked again and again without a pause.
        1 => Answer::With(429, "Retry-After: 0".into()),
        _ => Answer::Status(200),
    });
    let settings = hook(server.url(), Qos::AtLeastOnce);
    subscribe(&settings, &near);
    publish(&near, Qos::AtLeastOnce, ["1"]);
    let running = start(&settings, &near);
    assert_eq!(server.takes(1), ["1"]);
    let at: Vec<_> = server.requests().iter().map(|request| request.at).collect();
    assert!(at[1] - at[0] >= Duration::from_millis(990));
    assert!(at[2] - at[1] >= Duration::from_millis(45));
    running.stop().expect("no error");
}

#[test]
fn a_server_that_hangs_is_left_after_the_timeout() {
    let near = Near::start();
    let server = Server::start(|number, _| match number {
        0 => Answer::Stall,
        _ => Answer::Status(200),
    });
    let settings = WebhookSettings {
        timeout: Duration::from_millis(300),
        ..hook(server.url(), Qos::AtLeastOnce)
    };
    subscribe(&settings, &near);
    publish(&near, Qos::AtLeastOnce, ["1"]);
    let running = start(&settings, &near);
    assert_eq!(server.takes(1), ["1"]);
    let requests = server.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(290));
    assert_eq!(requests[0].key(), requests[1].key());
    let error = running.error();
    assert!(error.contains("timeout"), "{error}");
    running.stop().expect("no error");
}

#[test]
fn a_server_that_hangs_does_not_hold_what_stops_or_is_dropped() {
    let near = Near::start();
    let server = Server::start(|number, _| match number {
        0 | 1 => Answer::Stall,
        _ => Answer::Status(200),
    });
    let settings = WebhookSettings {
        timeout: Duration::from_secs(60),
        ..hook(server.url(), Qos::AtLeastOnce)
    };
    subscribe(&settings, &near);
    publish(&near, Qos::AtLeastOnce, ["1"]);
    // Its runtime waits for threads that block.
    for (request, most) in [(1, 2), (2, 8)] {
        let running = start(&settings, &near);
        server.gets(request);
        let began = Instant::now();
        match request {
            1 => running.crash(),
            _ => running.stop().expect("no error"),
        }
        assert!(began.elapsed() < Duration::from_secs(most), "{request}");
    }
    let running = start(&settings, &near);
    assert_eq!(server.takes(1), ["1"]);
    running.stop().expect("no error");
}

#[test]
fn qos_0_is_kept_within_a_bound_while_the_server_is_busy() {
    let near = Near::start();
    let server = Server::start(|number, _| match number {
        0 => Answer::With(503, "Retry-After: 2".into()),
        _ => Answer::Status(200),
    });
    let settings = WebhookSettings {
        pending_bytes: 100_000,
        ..hook(server.url(), Qos::AtMostOnce)
    };
    subscribe(&settings, &near);
    let running = start(&settings, &near);
    publish(&near, Qos::AtMostOnce, ["first"]);
    server.gets(1);
    // Also what is published at QoS 1 has the QoS of the subscription.
    publish(&near, Qos::AtLeastOnce, vec!["x".repeat(1000); 300]);
    until("all of them", || {
        let kept = running.status.egress.messages.load(Ordering::Relaxed);
        kept + dropped(&running) == 301
    });
    let kept = 301 - dropped(&running);
    // The first, and as many as fit: each takes some more than its payload.
    assert!((50..=101).contains(&kept), "{kept}");
    assert_eq!(server.taken().len() as u64, kept);
    running.stop().expect("no error");
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let good = hook("http://127.0.0.1:1/".into(), Qos::AtLeastOnce);
    let header = |name: &str, value: &str| vec![(name.into(), value.into())];
    let refused = |settings: WebhookSettings| {
        let webhook = Webhook::new(settings, Arc::new(Identity));
        let why = webhook.err().expect("it is refused");
        assert!(why.starts_with("webhook hook: "), "{why}");
        assert!(!why.contains("secret"), "{why}");
        why
    };
    assert!(Webhook::new(good.clone(), Arc::new(Identity)).is_ok());
    let why = refused(WebhookSettings {
        headers: header("Authorization", "secret\r\nx: y"),
        ..good.clone()
    });
    assert!(why.contains("authorization"), "{why}");
    refused(WebhookSettings {
        headers: header("Host", "secret"),
        ..good.clone()
    });
    refused(WebhookSettings {
        url: "ftp://a/".into(),
        ..good.clone()
    });
    refused(WebhookSettings {
        topics: vec![("a/#/b".into(), Qos::AtLeastOnce)],
        ..good.clone()
    });
    let why = refused(WebhookSettings {
        url: "https://localhost/".into(),
        authorities: vec!["/nowhere.pem".into()],
        ..good
    });
    assert!(why.contains("/nowhere.pem"), "{why}");
}
