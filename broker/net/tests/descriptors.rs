//! What a listener does when the process has no descriptor left. Alone in its program, because it
//! lowers the limit of the whole process.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use dunlin_net::{ListenAddress, Listener, ListenerSettings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

#[tokio::test]
async fn connections_wait_for_a_descriptor_and_are_accepted_then() {
    let limit = Rlimit {
        current: Some(64),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let address = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut listener = Listener::bind(&ListenerSettings::new(address)).unwrap();
    let ListenAddress::Tcp(address) = *listener.local_address() else {
        unreachable!()
    };
    let client = TcpStream::connect(address).await.unwrap();
    let mut opened = Vec::new();
    let error = loop {
        match File::open("/dev/null") {
            Ok(file) => opened.push(file),
            Err(error) => break error,
        }
    };
    assert_ne!(error.kind(), ErrorKind::NotFound);

    let refused = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(refused.is_err(), "there is no descriptor to accept with");
    drop(opened);
    let accepted = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await;
    let accepted = accepted.expect("accepting goes on").unwrap();
    assert_eq!(accepted.address(), Some(client.local_addr().unwrap()));
}
