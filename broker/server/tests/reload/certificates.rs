//! Certificates that change while connections stay.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use dunlin_codec::{Connect, Packet, Version, encode};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::daemon::{Daemon, dial};

/// A certificate that signs itself, and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
    root: CertificateDer<'static>,
}

impl Identity {
    fn new() -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".into()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            root: certificate.der().clone(),
        }
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts one certificate, and its CONNACK.
fn connect(daemon: &Daemon, trusted: &Identity) -> std::io::Result<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.root.clone()).expect("a certificate");
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    let mut stream = StreamOwned::new(client, dial(daemon.listener(0)));
    let connect = Connect {
        version: Version::Mqtt311,
        client_id: "",
        clean_start: true,
        ..Connect::default()
    };
    let mut bytes = Vec::new();
    encode(&Packet::Connect(connect), Version::Mqtt311, &mut bytes).expect("it has an encoding");
    stream.write_all(&bytes)?;
    let mut connack = [0; 4];
    stream.read_exact(&mut connack)?;
    assert_eq!(connack, [0x20, 2, 0, 0]);
    Ok(stream)
}

fn ping(stream: &mut Tls) {
    stream.write_all(&[0xC0, 0]).expect("it reads");
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).expect("it answers");
    assert_eq!(answer, [0xD0, 0]);
}

#[test]
fn a_new_certificate_is_for_new_connections() {
    let (first, second) = (Identity::new(), Identity::new());
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).expect("a file");
    };
    write("certificate.pem", &first.certificate);
    write("key.pem", &first.key);
    let toml = "[[listeners]]\naddress = \"127.0.0.1:0\"\n\
                tls = { certificate = \"{dir}/certificate.pem\", key = \"{dir}/key.pem\" }\n";
    let mut daemon = Daemon::prepared(directory, toml);
    let mut stays = connect(&daemon, &first).expect("the first certificate");

    // A certificate without its key is refused, and the first stays.
    daemon.write("certificate.pem", &second.certificate);
    daemon.signal(Signal::HUP);
    daemon.expect_log("reload refused");
    connect(&daemon, &first).expect("the first certificate");

    daemon.write("key.pem", &second.key);
    daemon.signal(Signal::HUP);
    daemon.expect_log("configuration reloaded");
    connect(&daemon, &second).expect("the second certificate");
    assert!(connect(&daemon, &first).is_err());
    ping(&mut stays);
}
