//! TCP and unix sockets.

use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use dunlin_net::{
    Accepted, Ask, ListenAddress, Listener, ListenerSettings, Protocol, Stream, Transport,
    WebSocketSettings, handshake,
};
use tokio::io::AsyncWrite;
use tokio::net::{TcpStream, UnixStream};

use crate::server::{Server, bounded, exchange, read_unheard, settings, soon};

#[tokio::test]
async fn a_plain_connection_is_ready_at_once() {
    let mut server = Server::start(&settings());
    let address = server.address();
    let (mut stream, peer, mut client) = server.welcome(TcpStream::connect(address)).await;
    let client = client.as_mut().unwrap();
    assert_eq!(peer.address, Some(client.local_addr().unwrap()));
    assert!(peer.is_loopback);
    assert_eq!(peer.protocol.to_string(), "tcp");
    exchange(&mut stream, client).await;
}

#[tokio::test]
async fn a_socket_is_asked_for_what_the_runtime_has_not_heard_of() {
    let mut server = Server::start(&settings());
    let address = server.address();
    let (mut stream, _, client) = server.welcome(TcpStream::connect(address)).await;
    let mut client = client.unwrap();
    exchange(&mut stream, &mut client).await;
    read_unheard(&mut stream, &mut client, b"late", b"late").await;
}

#[tokio::test]
async fn a_socket_is_asked_for_room() {
    let mut server = Server::start(&settings());
    let address = server.address();
    let (mut stream, _, client) = server.welcome(TcpStream::connect(address)).await;
    let mut client = client.unwrap().into_std().unwrap();
    let mut write = |whom| {
        stream.ask(whom);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut stream).poll_write(&mut context, &[0; 16 * 1024])
    };
    while write(Ask::Runtime).is_ready() {}
    let mut read = [0; 16 * 1024];
    let room = soon(|| {
        // It may have read all that has come.
        let _ = client.read(&mut read);
        assert!(
            write(Ask::Runtime).is_pending(),
            "the runtime has not heard"
        );
        write(Ask::Socket)
    });
    assert!(room.unwrap() > 0);
}

#[tokio::test]
async fn connections_inherit_nodelay_and_keepalive() {
    let mut server = Server::start(&settings());
    let address = server.address();
    let (stream, _, _client) = server.welcome(TcpStream::connect(address)).await;
    let Stream::Tcp(stream, _) = stream else {
        panic!("a plain connection is not boxed")
    };
    assert!(stream.nodelay().unwrap());
    let socket = socket2::SockRef::from(&stream);
    assert!(socket.keepalive().unwrap());
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        Duration::from_secs(120)
    );
}

#[tokio::test]
async fn keepalive_is_as_configured() {
    let mut settings = settings();
    settings.tcp_keepalive = Some(Duration::from_secs(8));
    let mut server = Server::start(&settings);
    let address = server.address();
    let (stream, _, _client) = server.welcome(TcpStream::connect(address)).await;
    let Stream::Tcp(stream, _) = stream else {
        panic!("a plain connection is not boxed")
    };
    let socket = socket2::SockRef::from(&stream);
    let expected = (Duration::from_secs(8), Duration::from_secs(2), 4);
    let found = (
        socket.tcp_keepalive_time().unwrap(),
        socket.tcp_keepalive_interval().unwrap(),
        socket.tcp_keepalive_retries().unwrap(),
    );
    assert_eq!(found, expected);

    settings.tcp_keepalive = None;
    let mut server = Server::start(&settings);
    let address = server.address();
    let (stream, _, _client) = server.welcome(TcpStream::connect(address)).await;
    let Stream::Tcp(stream, _) = stream else {
        panic!("a plain connection is not boxed")
    };
    assert!(!socket2::SockRef::from(&stream).keepalive().unwrap());
}

#[tokio::test]
async fn ipv6_only_leaves_the_port_to_ipv4() {
    let mut settings = ListenerSettings::new(ListenAddress::any(0));
    settings.ipv6_only = true;
    let mut server = Server::start(&settings);
    let port = server.address().port();
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    assert!(refused.is_err());
    let ipv4 = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, port).into());
    let _beside = Server::start(&ListenerSettings::new(ipv4));
    let client = TcpStream::connect((Ipv6Addr::LOCALHOST, port));
    server.welcome(client).await.2.unwrap();
}

#[tokio::test]
async fn ipv6_is_served() {
    let mut settings = settings();
    settings.address = ListenAddress::Tcp(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
    let mut server = Server::start(&settings);
    let address = server.address();
    let (_, peer, client) = server.welcome(TcpStream::connect(address)).await;
    assert_eq!(peer.address, Some(client.unwrap().local_addr().unwrap()));
    assert!(peer.is_loopback);
}

#[tokio::test]
async fn the_wildcard_takes_both_families_and_names_each_as_it_is() {
    let mut server = Server::start(&ListenerSettings::new(ListenAddress::any(0)));
    let port = server.address().port();
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let (_, peer, client) = server
            .welcome(TcpStream::connect(SocketAddr::new(ip, port)))
            .await;
        assert_eq!(peer.address, Some(client.unwrap().local_addr().unwrap()));
        assert!(peer.is_loopback, "{ip}");
    }
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let mut settings = settings();
    settings.address = ListenAddress::Name {
        host: "localhost".into(),
        port: 0,
    };
    let server = Server::start(&settings);
    assert!(server.address().ip().is_loopback());
    assert_ne!(server.address().port(), 0);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_helps() {
    let server = Server::start(&settings());
    let taken = ListenerSettings::new(ListenAddress::Tcp(server.address()));
    let error = Listener::bind(&taken).err().unwrap().to_string();
    assert!(error.contains(&server.address().to_string()), "{error}");
    assert!(error.contains("another program listens there"), "{error}");
}

#[tokio::test]
async fn the_future_of_a_handshake_is_small() {
    let mut server = Server::start(&settings());
    let _client = server.connect().await;
    let accepted = bounded(server.listener.accept()).await.unwrap();
    // It is part of every connection's task, for as long as the task lives.
    assert!(size_of_val(&handshake(accepted, &server.transport)) <= 512);
}

#[tokio::test]
async fn a_peer_that_keeps_silent_is_dropped() {
    let mut settings = settings();
    settings.websocket = Some(WebSocketSettings::default());
    settings.handshake_timeout = Duration::from_millis(50);
    let mut server = Server::start(&settings);
    let address = server.address();
    let (error, _client) = server.refuse(TcpStream::connect(address)).await;
    assert_eq!(error, "the handshake was not finished within 50ms");
}

#[tokio::test]
async fn settings_that_cannot_work_name_their_key() {
    let refused = |change: fn(&mut ListenerSettings)| {
        let mut settings = settings();
        change(&mut settings);
        Transport::load(&settings).unwrap_err().key
    };
    assert_eq!(
        refused(|s| s.handshake_timeout = Duration::ZERO),
        "handshake_timeout"
    );
    assert_eq!(refused(|s| s.backlog = 0), "backlog");
    let without_slash = |s: &mut ListenerSettings| {
        s.websocket = Some(WebSocketSettings {
            paths: vec!["mqtt".into()],
            ..Default::default()
        });
    };
    assert_eq!(refused(without_slash), "websocket.paths");
}

fn unix(path: &std::path::Path) -> ListenerSettings {
    ListenerSettings::new(ListenAddress::Unix {
        path: path.to_owned(),
        mode: 0o660,
    })
}

#[tokio::test]
async fn a_unix_socket_serves_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mqtt.sock");
    let mut server = Server::start(&unix(&path));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);

    let (mut stream, peer, client) = server.welcome(UnixStream::connect(&path)).await;
    assert!(matches!(stream, Stream::Unix(..)));
    assert_eq!((peer.address, peer.is_loopback), (None, true));
    assert_eq!(peer.protocol, Protocol::Unix);
    exchange(&mut stream, &mut client.unwrap()).await;

    drop(server);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_unix_socket_in_use_is_refused_and_a_stale_one_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mqtt.sock");
    // Closed without removing its file, as by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut server = Server::start(&unix(&path));

    let error = Listener::bind(&unix(&path)).err().unwrap().to_string();
    assert!(error.contains("another program listens there"), "{error}");
    server.listener.accept().await.unwrap(); // the probe of the bind that was refused
    let (_, peer, _client) = server.welcome(UnixStream::connect(&path)).await;
    assert!(peer.is_loopback);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    let error = Listener::bind(&unix(&path)).err().unwrap().to_string();
    assert!(error.contains("no socket"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"data");

    let missing = Listener::bind(&unix(&directory.path().join("no/such/directory")));
    assert!(
        missing
            .err()
            .unwrap()
            .to_string()
            .contains("create the directory")
    );
}

#[tokio::test]
async fn a_successor_keeps_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mqtt.sock");
    let first = Listener::bind(&unix(&path)).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _second = Listener::bind(&unix(&path)).unwrap();
    drop(first);
    assert!(path.exists());
}

#[tokio::test]
async fn bytes_of_any_stream_are_a_connection() {
    let (near, mut client) = tokio::io::duplex(64);
    let accepted = Accepted::from_stream(near);
    assert_eq!(accepted.address(), None);
    let transport = Transport::load(&settings()).unwrap();
    let (mut stream, peer) = bounded(handshake(accepted, &transport)).await.unwrap();
    assert!(peer.is_loopback && peer.address.is_none());
    exchange(&mut stream, &mut client).await;
}
