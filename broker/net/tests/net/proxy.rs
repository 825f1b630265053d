//! Listeners behind a load balancer.

use dunlin_net::{Protocol, WebSocketSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Server, bounded, settings};

const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
const V2_IPV4: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0C\xC0\x00\x02\x07\x0A\x00\x00\x01\xC0\x01\x07\x5B";

fn behind_proxy() -> Server {
    let mut settings = settings();
    settings.proxy_protocol = true;
    Server::start(&settings)
}

#[tokio::test]
async fn the_header_names_the_client_and_nothing_behind_it_is_lost() {
    let mut server = behind_proxy();
    let v1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 49153 1883\r\n";
    for header in [&v1[..], V2_IPV4] {
        let mut client = server.connect().await;
        let (mut stream, peer, ()) = server
            .welcome(async { client.write_all(&[header, b"MQTT"].concat()).await.unwrap() })
            .await;
        assert_eq!(peer.address, Some("192.0.2.7:49153".parse().unwrap()));
        assert!(
            !peer.is_loopback,
            "the proxy is on loopback, its client is not"
        );
        let mut behind = [0; 4];
        bounded(stream.read_exact(&mut behind)).await.unwrap();
        assert_eq!(&behind, b"MQTT");
    }
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte() {
    let mut server = behind_proxy();
    for header in [b"PROXY TCP6 ::1 ::1 49153 1883\r\n", V2_IPV4] {
        let mut client = server.connect().await;
        client.set_nodelay(true).unwrap();
        let slowly = async {
            for byte in header {
                client.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (_, peer, ()) = server.welcome(slowly).await;
        assert_eq!(peer.address.unwrap().port(), 49153);
    }
}

#[tokio::test]
async fn a_client_without_a_name_is_not_taken_for_the_proxy() {
    let mut server = behind_proxy();
    let mut client = server.connect().await;
    let (_, peer, _) = server.welcome(client.write_all(b"PROXY UNKNOWN\r\n")).await;
    assert_eq!((peer.address, peer.is_loopback), (None, false));
}

#[tokio::test]
async fn the_proxy_itself_is_who_it_is() {
    let mut server = behind_proxy();
    let mut client = server.connect().await;
    let itself = client.local_addr().unwrap();
    let (_, peer, _) = server.welcome(client.write_all(V2_LOCAL)).await;
    assert_eq!((peer.address, peer.is_loopback), (Some(itself), true));
}

#[tokio::test]
async fn a_client_that_comes_past_the_proxy_is_told_apart() {
    let mut server = behind_proxy();
    let mut client = server.connect().await;
    let connect = b"\x10\x0C\0\x04MQTT\x04\x02\0\x3C\0\0";
    let (error, _) = server.refuse(client.write_all(connect)).await;
    assert!(
        error.contains("does not start with a PROXY header"),
        "{error}"
    );
}

#[tokio::test]
async fn a_header_cut_short_is_an_error() {
    let mut server = behind_proxy();
    let client = server.connect().await;
    let (error, ()) = server
        .refuse(async {
            let mut client = client;
            client.write_all(b"PROXY TCP4 192.0").await.unwrap();
        })
        .await;
    assert_eq!(error, "the connection ended within the PROXY header");
}

#[tokio::test]
async fn other_layers_follow_the_header() {
    let mut settings = settings();
    settings.proxy_protocol = true;
    settings.websocket = Some(WebSocketSettings::default());
    let mut server = Server::start(&settings);
    let mut client = server.connect().await;
    let (_, peer, ()) = server
        .welcome(async {
            client.write_all(V2_IPV4).await.unwrap();
            tokio_tungstenite::client_async("ws://localhost/mqtt", client)
                .await
                .unwrap();
        })
        .await;
    assert_eq!(peer.address, Some("192.0.2.7:49153".parse().unwrap()));
    assert_eq!(peer.protocol, Protocol::Ws);
}
