//! What an operator reads when it does not work, and TLS when it does.

use std::path::Path;

use dunlin_bridge::{Bridge, BridgeSettings, Direction, Identity, Qos, TlsSettings, Version};
use dunlin_session::client::Options;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use crate::peer::Peer;
use crate::world::{Far, Near, Running, bridge, free_port, rule};

fn out() -> Vec<dunlin_bridge::TopicRule> {
    vec![rule("t", Direction::Out, Qos::AtLeastOnce, "", "")]
}

#[test]
fn a_wrong_password_is_said() {
    let near = Near::start();
    let far = Far::with(
        "allow_anonymous false\npassword_file {dir}/passwords\n",
        |directory| {
            let file = directory.join("passwords");
            let made = std::process::Command::new("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(&file)
                .args(["bridge", "right"])
                .status();
            assert!(made.expect("mosquitto_passwd").success());
        },
    );
    for version in [Version::Mqtt311, Version::Mqtt5] {
        let with = |password: &str| BridgeSettings {
            version,
            remote_username: Some("bridge".into()),
            remote_password: Some(password.into()),
            ..bridge("password", far.port, out())
        };
        let running = Running::start(with("wrong"), near.socket());
        let error = running.error();
        assert!(error.contains("refused us"), "{error}");
        assert!(error.contains("(0x87)"), "{error}");
        running.stop().expect("no error");
        let running = Running::connected(with("right"), near.socket());
        running.stop().expect("no error");
    }
}

#[test]
fn nobody_there_and_no_such_host_are_said() {
    let near = Near::start();
    let running = Running::start(bridge("nobody", free_port(), out()), near.socket());
    let error = running.error();
    assert!(error.contains("Connection refused"), "{error}");
    let settings = BridgeSettings {
        addresses: vec!["no.such.host.invalid".into()],
        ..bridge("nowhere", 1, out())
    };
    let running = Running::start(settings, near.socket());
    let error = running.error();
    assert!(
        error.contains("cannot resolve no.such.host.invalid"),
        "{error}"
    );
}

/// An authority, a server's certificate for `name`, and a client's.
struct Papers {
    authority: String,
    server: (String, String),
    client: (String, String),
}

fn papers(name: &str) -> Papers {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let sign = |name: &str, purpose| {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = key();
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    };
    Papers {
        server: sign(name, ExtendedKeyUsagePurpose::ServerAuth),
        client: sign("bridge", ExtendedKeyUsagePurpose::ClientAuth),
        authority: issuer.pem(),
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

const TLS: &str = "allow_anonymous true\ncafile {dir}/ca.pem\ncertfile {dir}/server.pem\n\
                   keyfile {dir}/server.key\nrequire_certificate true\n";

fn write(directory: &Path, papers: &Papers) {
    for (name, text) in [
        ("ca.pem", &papers.authority),
        ("server.pem", &papers.server.0),
        ("server.key", &papers.server.1),
        ("client.pem", &papers.client.0),
        ("client.key", &papers.client.1),
    ] {
        std::fs::write(directory.join(name), text).expect("a file");
    }
}

#[test]
fn tls_with_a_client_certificate_and_what_goes_wrong_with_it() {
    let near = Near::start();
    let ours = tempfile::TempDir::new().expect("a directory");
    let good = papers("localhost");
    write(ours.path(), &good);
    let far = Far::with(TLS, |directory| write(directory, &good));
    let tls = TlsSettings {
        authorities: vec![ours.path().join("ca.pem")],
        certificate: Some(ours.path().join("client.pem")),
        key: Some(ours.path().join("client.key")),
        ..TlsSettings::default()
    };
    let with = |host: &str, tls: TlsSettings| BridgeSettings {
        addresses: vec![format!("{host}:{}", far.port)],
        tls: Some(tls),
        ..bridge("tls", far.port, out())
    };
    let running = Running::connected(with("localhost", tls.clone()), near.socket());
    let mut here = Peer::near(&near.socket(), Options::default());
    here.publish("t", b"1", Qos::AtLeastOnce, false);
    crate::world::until("it crosses", || {
        running
            .status
            .egress
            .messages
            .load(std::sync::atomic::Ordering::Relaxed)
            == 1
    });
    running.stop().expect("no error");

    let error = |settings| Running::start(settings, near.socket()).error();
    let name = error(with("127.0.0.1", tls.clone()));
    assert!(name.contains("not valid for name"), "{name}");
    let insecure = TlsSettings {
        insecure: true,
        ..tls.clone()
    };
    let running = Running::connected(with("127.0.0.1", insecure.clone()), near.socket());
    running.stop().expect("no error");

    // Insecure is about the name, not about the chain.
    let others = tempfile::TempDir::new().expect("a directory");
    write(others.path(), &papers("localhost"));
    let stranger = TlsSettings {
        authorities: vec![others.path().join("ca.pem")],
        ..insecure
    };
    let unknown = error(with("localhost", stranger));
    assert!(unknown.contains("invalid peer certificate"), "{unknown}");
    let anonymous = TlsSettings {
        certificate: None,
        key: None,
        ..tls.clone()
    };
    let missing = error(with("localhost", anonymous));
    assert!(
        missing.contains("certificate required")
            || missing.contains("CertificateRequired")
            || missing.contains("HandshakeFailure"),
        "{missing}"
    );
    let foreign = TlsSettings {
        certificate: Some(others.path().join("client.pem")),
        key: Some(others.path().join("client.key")),
        ..tls.clone()
    };
    let refused = error(with("localhost", foreign));
    assert!(refused.contains("alert"), "{refused}");

    let absent = TlsSettings {
        key: Some(ours.path().join("absent.key")),
        ..tls
    };
    let settings = with("localhost", absent);
    let wrong = Bridge::new(settings, std::sync::Arc::new(Identity))
        .err()
        .expect("no file");
    assert!(wrong.starts_with("bridge tls: tls key"), "{wrong}");
    assert!(wrong.contains("absent.key"), "{wrong}");
}
