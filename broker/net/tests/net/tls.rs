//! TLS: versions, client certificates, revocation, reload.

use std::path::{Path, PathBuf};

use dunlin_net::{Protocol, TlsSettings, TlsVersion, Transport};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::{Authority, Identity};
use crate::server::{Server, bounded, exchange, read_unheard, settings};

fn start(tls: &TlsSettings) -> Server {
    let mut settings = settings();
    settings.tls = Some(tls.clone());
    Server::start(&settings)
}

async fn connect(
    connector: TlsConnector,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut stream = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await?;
    // In TLS 1.3 a client is finished before the server has seen its certificate.
    stream.flush().await?;
    Ok(stream)
}

/// A server that asks for certificates of `authority`'s clients.
fn mutual(authority: &Authority, required: bool, crl: Option<PathBuf>) -> Server {
    let mut tls = authority.issue_server();
    tls.client_ca = vec![authority.file("ca.pem")];
    tls.require_client_certificate = required;
    tls.crl = crl;
    start(&tls)
}

/// How a server takes a client: the subject it read, or its log line.
async fn attempt(
    server: &mut Server,
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    identity: Option<&Identity>,
) -> Result<Option<String>, String> {
    let client = connect(
        authority.connector(version, identity),
        server.connect().await,
    );
    match server.meet(client).await {
        (Ok((_, peer)), _) => Ok(peer.certificate.map(|certificate| certificate.subject)),
        (Err(error), _) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn both_versions_carry_bytes() {
    let authority = Authority::new("Test authority");
    let mut server = start(&authority.issue_server());
    for version in [&TLS12, &TLS13] {
        let client = connect(authority.connector(version, None), server.connect().await);
        let (mut stream, peer, client) = server.welcome(client).await;
        assert_eq!(peer.protocol, Protocol::Tls);
        assert_eq!(peer.certificate, None);
        let mut client = client.unwrap();
        exchange(&mut stream, &mut client).await;
        read_unheard(&mut stream, &mut client, b"late", b"late").await;
        bounded(stream.shutdown()).await.unwrap();
        assert_eq!(
            bounded(client.read(&mut [0])).await.unwrap(),
            0,
            "a clean end"
        );
    }
}

#[tokio::test]
async fn a_minimum_version_refuses_older_clients() {
    let authority = Authority::new("Test authority");
    let mut tls = authority.issue_server();
    tls.minimum_version = TlsVersion::Tls13;
    let mut server = start(&tls);
    let refused = attempt(&mut server, &authority, &TLS12, None)
        .await
        .unwrap_err();
    assert!(
        refused.starts_with("TLS: ") && !refused.contains('\n'),
        "{refused}"
    );
    attempt(&mut server, &authority, &TLS13, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn application_protocols_are_agreed_on() {
    let authority = Authority::new("Test authority");
    let mut tls = authority.issue_server();
    tls.alpn = vec!["mqtt".into()];
    let mut server = start(&tls);
    let offering = |protocol: &str| {
        let connector = authority.connector(&TLS13, None);
        let mut config = rustls::ClientConfig::clone(connector.config());
        config.alpn_protocols = vec![protocol.into()];
        TlsConnector::from(std::sync::Arc::new(config))
    };
    let client = connect(offering("mqtt"), server.connect().await);
    let (_, _, client) = server.welcome(client).await;
    assert_eq!(
        client.unwrap().get_ref().1.alpn_protocol(),
        Some(&b"mqtt"[..])
    );
    let client = connect(offering("h2"), server.connect().await);
    let (error, _) = server.refuse(client).await;
    assert!(error.contains("support any known protocol"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_tells_its_subject() {
    let authority = Authority::new("Test authority");
    let client = authority.issue_client("sensor 7", 7);
    let mut server = mutual(&authority, true, None);
    for version in [&TLS12, &TLS13] {
        let connector = authority.connector(version, Some(&client));
        let (_, peer, _) = server
            .welcome(connect(connector, server.connect().await))
            .await;
        let certificate = peer.certificate.unwrap();
        assert_eq!(certificate.common_name.as_deref(), Some("sensor 7"));
        assert_eq!(certificate.subject, r"CN=sensor 7,O=Example\, Inc.");
    }
}

#[tokio::test]
async fn a_certificate_is_demanded_or_left_to_the_client() {
    let authority = Authority::new("Test authority");
    for version in [&TLS12, &TLS13] {
        let mut optional = mutual(&authority, false, None);
        assert_eq!(
            attempt(&mut optional, &authority, version, None).await,
            Ok(None)
        );
        let mut required = mutual(&authority, true, None);
        let refused = attempt(&mut required, &authority, version, None)
            .await
            .unwrap_err();
        assert!(refused.contains("no certificate"), "{refused}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_even_where_none_is_demanded() {
    let authority = Authority::new("Test authority");
    let stranger = Authority::new("Another authority").issue_client("sensor 7", 7);
    let mut server = mutual(&authority, false, None);
    for version in [&TLS12, &TLS13] {
        let refused = attempt(&mut server, &authority, version, Some(&stranger)).await;
        assert!(refused.unwrap_err().contains("UnknownIssuer"));
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let authority = Authority::new("Test authority");
    let (good, bad) = (
        authority.issue_client("good", 1),
        authority.issue_client("bad", 2),
    );
    let mut server = mutual(&authority, true, Some(authority.revoke(&[2], 4000)));
    for version in [&TLS12, &TLS13] {
        attempt(&mut server, &authority, version, Some(&good))
            .await
            .unwrap();
        let refused = attempt(&mut server, &authority, version, Some(&bad))
            .await
            .unwrap_err();
        assert!(refused.contains("Revoked"), "{refused}");
    }
}

#[tokio::test]
async fn a_revocation_list_must_be_current_and_of_the_same_authority() {
    let authority = Authority::new("Test authority");
    let client = authority.issue_client("sensor", 1);
    let mut expired = mutual(&authority, true, Some(authority.revoke(&[], 2021)));
    attempt(&mut expired, &authority, &TLS13, Some(&client))
        .await
        .unwrap_err();
    let other = Authority::new("Another authority");
    let mut foreign = mutual(&authority, true, Some(other.revoke(&[], 4000)));
    attempt(&mut foreign, &authority, &TLS13, Some(&client))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_reload_serves_new_handshakes_and_drops_no_connection() {
    let authority = Authority::new("Test authority");
    let tls = authority.issue_server();
    let mut server = start(&tls);
    let connector = authority.connector(&TLS13, None);
    let served =
        |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let client = connect(connector.clone(), server.connect().await);
    let (mut before, _, before_client) = server.welcome(client).await;
    let mut before_client = before_client.unwrap();

    authority.issue_server();
    server.transport.tls().unwrap().reload(&tls).unwrap();
    let client = connect(connector, server.connect().await);
    let (_, _, after_client) = server.welcome(client).await;
    assert_ne!(served(&before_client), served(&after_client.unwrap()));
    exchange(&mut before, &mut before_client).await;
}

#[tokio::test]
async fn a_client_revoked_by_a_reload_cannot_resume() {
    let authority = Authority::new("Test authority");
    let client = authority.issue_client("sensor", 1);
    for version in [&TLS12, &TLS13] {
        let mut tls = authority.issue_server();
        tls.client_ca = vec![authority.file("ca.pem")];
        tls.require_client_certificate = true;
        tls.crl = Some(authority.revoke(&[], 4000));
        let mut server = start(&tls);
        let connector = authority.connector(version, Some(&client));
        for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
            let connecting = connect(connector.clone(), server.connect().await);
            let (mut stream, peer, connected) = server.welcome(connecting).await;
            assert!(peer.certificate.is_some());
            let mut connected = connected.unwrap();
            assert_eq!(connected.get_ref().1.handshake_kind(), Some(expected));
            // A ticket of TLS 1.3 is read with the first bytes.
            bounded(stream.write_all(b"x")).await.unwrap();
            bounded(connected.read_exact(&mut [0])).await.unwrap();
        }
        authority.revoke(&[1], 4000);
        server.transport.tls().unwrap().reload(&tls).unwrap();
        let connecting = connect(connector, server.connect().await);
        let (refused, _) = server.refuse(connecting).await;
        assert!(refused.contains("Revoked"), "{refused}");
    }
}

#[tokio::test]
async fn a_failed_reload_keeps_what_was_loaded() {
    let authority = Authority::new("Test authority");
    let tls = authority.issue_server();
    let mut server = start(&tls);
    authority.write("server.pem", "-----BEGIN CERTIFICATE-----\ncut short");
    let error = server.transport.tls().unwrap().reload(&tls).unwrap_err();
    assert_eq!(error.file.as_deref(), Some(tls.certificate.as_path()));
    attempt(&mut server, &authority, &TLS13, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn intermediates_that_the_certificate_lacks_are_sent() {
    let root = Authority::new("Test root");
    let (middle, first) = root.issue_authority("Test authority 1");
    let (issuer, second) = middle.issue_authority("Test authority 2");
    let settings = |intermediates: &[PathBuf]| {
        let mut tls = issuer.issue_server();
        tls.intermediates = intermediates.to_vec();
        tls
    };
    let ca = root.file("ca.pem");
    let directory = root.write("key.pem", "none").with_file_name("");
    let cases = [
        (settings(&[]), false),
        (settings(std::slice::from_ref(&first)), false),
        (settings(&[ca, first.clone(), second.clone()]), true),
        // A directory stands for the certificates in it, whatever else is there.
        (settings(&[directory, second]), true),
    ];
    for (tls, complete) in cases {
        let mut server = start(&tls);
        let outcome = attempt(&mut server, &root, &TLS13, None).await;
        assert_eq!(outcome.is_ok(), complete, "{tls:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn certificates_of_version_1_are_said_to_be_so() {
    let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/net/version_1.pem");
    let expected = "the certificate is not of X.509 version 3; make one that is";
    let mut own = settings();
    own.tls = Some(TlsSettings::new(&pem, &pem));
    let error = Transport::load(&own).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");

    let authority = Authority::new("Test authority");
    let mut server = mutual(&authority, true, None);
    let identity = Identity::read(&pem);
    let outcome = attempt(&mut server, &authority, &TLS13, Some(&identity)).await;
    let error = outcome.unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn errors_of_files_name_key_file_and_problem() {
    let authority = Authority::new("Test authority");
    let refused = |change: &dyn Fn(&mut TlsSettings)| {
        let mut settings = settings();
        let mut tls = authority.issue_server();
        change(&mut tls);
        settings.tls = Some(tls);
        Transport::load(&settings).unwrap_err().to_string()
    };
    let ca = authority.file("ca.pem");
    let other_key = authority.write(
        "other.key",
        &rcgen::KeyPair::generate().unwrap().serialize_pem(),
    );
    let none = authority.write("empty.pem", "");
    type Change<'a> = &'a dyn Fn(&mut TlsSettings);
    let table: &[(Change<'_>, &[&str])] = &[
        (
            &|tls| tls.certificate = "/no/such.pem".into(),
            &["tls.certificate", "cannot be read"],
        ),
        (
            &|tls| tls.certificate = none.clone(),
            &["tls.certificate", "holds no certificate"],
        ),
        (
            &|tls| tls.key = ca.clone(),
            &["tls.key", "ca.pem", "holds no unencrypted private key"],
        ),
        (
            &|tls| tls.key = other_key.clone(),
            &["tls.key", "other.key", "is not the key of"],
        ),
        (
            &|tls| tls.client_ca = vec![none.clone()],
            &["tls.client_ca", "empty.pem"],
        ),
        (
            &|tls| tls.intermediates = vec![none.clone()],
            &["tls.intermediates", "empty.pem"],
        ),
        (
            &|tls| tls.require_client_certificate = true,
            &["needs tls.client_ca"],
        ),
        (
            &|tls| tls.crl = Some(ca.clone()),
            &["tls.crl", "needs tls.client_ca"],
        ),
        (
            &|tls| (tls.client_ca, tls.crl) = (vec![ca.clone()], Some(ca.clone())),
            &["tls.crl", "holds no revocation list"],
        ),
    ];
    for (change, parts) in table {
        let error = refused(change);
        assert!(
            parts.iter().all(|part| error.contains(part)),
            "{error}: {parts:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_tls_is_said_to_be_so() {
    let authority = Authority::new("Test authority");
    let mut server = start(&authority.issue_server());
    let mut client = server.connect().await;
    let (error, _) = server
        .refuse(client.write_all(b"\x10\x0C\0\x04MQTT\x04\x02\0\x3C\0\0"))
        .await;
    assert_eq!(error, "TLS: the client does not speak TLS");
    let client = server.connect().await;
    let (error, ()) = server.refuse(async { drop(client) }).await;
    assert_eq!(
        error,
        "TLS: the client closed the connection during the handshake"
    );
}
