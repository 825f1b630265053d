//! What a request looks like, and how messages share one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dunlin_bridge::{Fault, Map, Mapped, Qos, WebhookSettings};
use dunlin_session::client::Options;
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;

use super::server::{Answer, Server};
use super::{hook, mapped, numbers, publish, start, subscribe};
use crate::peer::Peer;
use crate::world::{Near, until};

#[test]
fn messages_come_in_order_and_share_requests() {
    let (near, server) = (Near::start(), Server::willing());
    let settings = WebhookSettings {
        headers: vec![("Authorization".into(), "Bearer x".into())],
        ..hook(server.url(), Qos::AtLeastOnce)
    };
    subscribe(&settings, &near);
    publish(&near, Qos::AtLeastOnce, numbers(950));
    let running = start(&settings, &near);
    assert_eq!(server.takes(950), numbers(950));
    let requests = server.requests();
    let sizes: Vec<_> = requests.iter().map(|one| one.elements().len()).collect();
    assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
    // The last is what is left; others may find the next messages on their way.
    assert!(sizes.contains(&100) && sizes.len() <= 20, "{sizes:?}");
    let mut keys: Vec<_> = requests.iter().map(|request| request.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), requests.len());
    for request in &requests {
        assert_eq!(request.line, "POST /in?a=b HTTP/1.1");
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("authorization"), Some("Bearer x"));
    }
    let expected = json!({
        "topic": "t/x", "payload": "0", "qos": 1, "retain": false, "content_type": "text/x",
    });
    assert_eq!(requests[0].elements()[0], expected);
    until("the counters", || {
        running.status.egress.messages.load(Ordering::Relaxed) == 950
    });
    assert_eq!(running.status.egress.dropped.load(Ordering::Relaxed), 0);
    assert!(running.status.connected.load(Ordering::Relaxed));
    running.stop().expect("no error");
    // What was acknowledged does not come again.
    let running = start(&settings, &near);
    publish(&near, Qos::AtLeastOnce, ["end"]);
    assert_eq!(server.takes(951).last().map(String::as_str), Some("end"));
    assert_eq!(server.taken().len(), 951);
    running.stop().expect("no error");
}

#[test]
fn a_message_waits_for_company_no_longer_than_it_is_told() {
    let (near, server) = (Near::start(), Server::willing());
    let settings = WebhookSettings {
        batch_messages: 3,
        batch_delay: Duration::from_millis(500),
        ..hook(server.url(), Qos::AtLeastOnce)
    };
    subscribe(&settings, &near);
    let running = start(&settings, &near);
    publish(&near, Qos::AtLeastOnce, numbers(4));
    server.takes(4);
    let requests = server.requests();
    let sizes: Vec<_> = requests.iter().map(|one| one.elements().len()).collect();
    assert_eq!(sizes, [3, 1]);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(300));
    running.stop().expect("no error");
}

#[test]
fn big_and_binary_payloads_arrive_as_they_were() {
    let (near, server) = (Near::start(), Server::willing());
    let settings = hook(server.url(), Qos::AtLeastOnce);
    subscribe(&settings, &near);
    let binary: Vec<u8> = (0..900_000_u32).map(|n| (n % 256) as u8).collect();
    let text = "\u{0}\"\\\n\u{7f}ö€😀".repeat(50_000);
    let payloads: [&[u8]; 4] = [&binary, text.as_bytes(), b"", &[0xc3, 0x28]];
    publish(&near, Qos::AtLeastOnce, payloads);
    let running = start(&settings, &near);
    let elements = || {
        let requests = server.requests();
        let all = requests.iter().flat_map(|request| request.elements());
        all.cloned().collect::<Vec<_>>()
    };
    until("all of them", || elements().len() == 4);
    let elements = elements();
    let base64 = |bytes: &[u8]| json!(BASE64_STANDARD.encode(bytes));
    assert!(elements[0]["payload_base64"] == base64(&binary));
    assert!(elements[1]["payload"] == json!(text));
    assert_eq!(elements[2]["payload"], json!(""));
    assert_eq!(elements[3]["payload_base64"], base64(&[0xc3, 0x28]));
    assert_eq!(elements[3].get("payload"), None);
    // Together the first two exceed the bytes of a batch.
    assert_eq!(server.requests()[0].elements().len(), 1);
    running.stop().expect("no error");
}

#[test]
fn retained_messages_come_once_with_a_new_session() {
    let (near, server) = (Near::start(), Server::willing());
    let mut here = Peer::near(&near.socket(), Options::default());
    here.publish("t/state", b"kept", Qos::AtLeastOnce, true);
    here.confirmed();
    let mut settings = hook(server.url(), Qos::ExactlyOnce);
    let running = start(&settings, &near);
    assert_eq!(server.takes(1), ["kept"]);
    assert_eq!(server.requests()[0].elements()[0]["retain"], json!(true));
    until("its acknowledgement", || {
        running.status.egress.messages.load(Ordering::Relaxed) == 1
    });
    running.stop().expect("no error");
    // A filter that is new has its own.
    here.publish("u/state", b"other", Qos::AtLeastOnce, true);
    here.confirmed();
    settings.topics.push(("u/#".into(), Qos::AtLeastOnce));
    let running = start(&settings, &near);
    assert_eq!(server.takes(2), ["kept", "other"]);
    publish(&near, Qos::ExactlyOnce, ["end"]);
    assert_eq!(server.takes(3), ["kept", "other", "end"]);
    running.stop().expect("no error");
}

/// Fails at first, and then lets even numbers through, with an addition.
#[derive(Default)]
struct Even {
    worked: AtomicBool,
}

impl Map for Even {
    fn egress(&self, batch: &mut Vec<Mapped>) -> Result<(), Fault> {
        if !self.worked.swap(true, Ordering::SeqCst) {
            return Err(Fault("not yet".into()));
        }
        batch.retain_mut(|message| {
            message.topic.insert_str(0, "mapped/");
            message.payload.last().is_some_and(|last| last % 2 == 0)
        });
        batch.push(Mapped::new("sum".into(), batch.len().to_string().into()));
        Ok(())
    }

    fn ingress(&self, _: &mut Vec<Mapped>) -> Result<(), Fault> {
        panic!("nothing comes in");
    }
}

#[test]
fn the_map_sees_each_batch_and_its_faults_pass() {
    let (near, server) = (Near::start(), Server::willing());
    let settings = WebhookSettings {
        batch_messages: 10,
        ..hook(server.url(), Qos::AtLeastOnce)
    };
    subscribe(&settings, &near);
    publish(&near, Qos::AtLeastOnce, numbers(10));
    let running = mapped(&settings, &near, Arc::new(Even::default()));
    let request = server.gets(1).swap_remove(0);
    assert_eq!(request.payloads(), ["0", "2", "4", "6", "8", "5"]);
    assert_eq!(request.elements()[0]["topic"], json!("mapped/t/x"));
    assert_eq!(request.elements()[5]["topic"], json!("sum"));
    let status = running.status.clone();
    running.stop().expect("no error");
    assert_eq!(status.egress.messages.load(Ordering::Relaxed), 6);
    assert_eq!(status.egress.filtered.load(Ordering::Relaxed), 5);
}

#[test]
fn a_server_has_to_prove_who_it_is() {
    let near = Near::start();
    let (directory, tls) = certificates();
    let server = Server::at(0, Some(tls), |_, _| Answer::Status(200));
    let trusting = |file: &str| WebhookSettings {
        authorities: vec![directory.path().join(file)],
        ..hook(server.url(), Qos::AtLeastOnce)
    };
    subscribe(&trusting("other.pem"), &near);
    publish(&near, Qos::AtLeastOnce, ["secret"]);
    let running = start(&trusting("other.pem"), &near);
    let error = running.error();
    assert!(error.contains("certificate"), "{error}");
    running.stop().expect("no error");
    assert_eq!(server.taken(), [""; 0]);
    let running = start(&trusting("authority.pem"), &near);
    assert_eq!(server.takes(1), ["secret"]);
    running.stop().expect("no error");
}

/// Two authorities' certificates in files, and a server of the first.
fn certificates() -> (tempfile::TempDir, Arc<ServerConfig>) {
    let directory = tempfile::TempDir::new().expect("a directory");
    let issuer = |file: &str| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        std::fs::write(directory.path().join(file), issuer.pem()).expect("a file");
        issuer
    };
    let (authority, _) = (issuer("authority.pem"), issuer("other.pem"));
    let mut params = CertificateParams::new(vec!["localhost".into()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        );
    (directory, Arc::new(config.expect("a server")))
}
