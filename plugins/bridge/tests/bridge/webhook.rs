//! Webhooks between a `dunlin` in a process of its own and a web server of the test.

mod delivering;
mod failing;
mod losing;
mod server;
mod speed;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_bridge::{Identity, Local, Map, Qos, Restart, Webhook, WebhookSettings};
use dunlin_session::client::Options;

use crate::peer::Peer;
use crate::world::{Near, Running, until};

/// A webhook for `t/#`, in a hurry.
fn hook(url: String, qos: Qos) -> WebhookSettings {
    WebhookSettings {
        name: "hook".into(),
        url,
        topics: vec![("t/#".into(), qos)],
        batch_delay: Duration::from_millis(20),
        restart: Restart {
            base: Duration::from_millis(50),
            cap: Some(Duration::from_millis(200)),
        },
        ..WebhookSettings::default()
    }
}

fn start(settings: &WebhookSettings, near: &Near) -> Running {
    mapped(settings, near, Arc::new(Identity))
}

fn mapped(settings: &WebhookSettings, near: &Near, map: Arc<dyn Map>) -> Running {
    let webhook = Webhook::new(settings.clone(), map).expect("good settings");
    let near = near.socket();
    let running = Running::spawn(webhook.status(), async move |stopped| {
        let local = Local::new(|| UnixStream::connect(&near));
        webhook.run(local, stopped).await
    });
    until("its own broker", || {
        running.status.local_connected.load(Ordering::Relaxed)
    });
    running
}

/// Leaves a session with its subscriptions, so that from now on nothing is missed.
fn subscribe(settings: &WebhookSettings, near: &Near) {
    start(settings, near).stop().expect("no error");
}

/// Publishes each payload to `t/x`.
fn publish<P: AsRef<[u8]>>(near: &Near, qos: Qos, payloads: impl IntoIterator<Item = P>) {
    let mut here = Peer::near(&near.socket(), Options::default());
    for payload in payloads {
        here.publish("t/x", payload.as_ref(), qos, false);
    }
    here.confirmed();
}

/// `0` to below `count`.
fn numbers(count: u32) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}
