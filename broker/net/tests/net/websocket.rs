//! WebSocket: the upgrade, and MQTT bytes in frames.

use dunlin_net::{Protocol, Stream, WebSocketSettings};
use futures_util::{SinkExt, StreamExt};
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::authority::Authority;
use crate::server::{Server, bounded, exchange, read_unheard, settings};

fn start(websocket: WebSocketSettings) -> Server {
    let mut settings = settings();
    settings.websocket = Some(websocket);
    Server::start(&settings)
}

fn request(path: &str, headers: &[(&'static str, &'static str)]) -> Request {
    let mut request = format!("ws://localhost{path}")
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// What a browser's page sends.
const REQUEST: &str = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// A connection upgraded by `REQUEST`, with the client's end raw.
async fn upgraded(server: &mut Server) -> (Stream, TcpStream) {
    let mut client = server.connect().await;
    let connecting = async {
        client.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            response.push(client.read_u8().await.unwrap());
        }
        String::from_utf8(response).unwrap()
    };
    let (stream, _, response) = server.welcome(connecting).await;
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    // The key and its answer are those of RFC 6455, 1.3.
    assert!(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    (stream, client)
}

#[tokio::test]
async fn a_frame_is_read_before_the_runtime_has_heard_of_it() {
    let mut server = start(WebSocketSettings::default());
    let (mut stream, mut client) = upgraded(&mut server).await;
    read_unheard(&mut stream, &mut client, &frame(0x82, b"late"), b"late").await;
}

/// What a server answers to a whole request, and its log line.
async fn refusal(server: &mut Server, request: &[u8]) -> (String, String) {
    let mut client = server.connect().await;
    let asking = async {
        client.write_all(request).await.unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        response
    };
    let (error, response) = server.refuse(asking).await;
    (response, error)
}

/// A frame as a client sends it, masked.
fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![first_byte];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

async fn expect_bytes(reader: &mut (impl AsyncRead + Unpin), expected: &[u8]) {
    let mut received = vec![0; expected.len()];
    bounded(reader.read_exact(&mut received)).await.unwrap();
    assert_eq!(received, expected);
}

/// The bytes in the frames of another implementation, which has done its upgrade.
async fn client_bytes<S>(stream: S) -> DuplexStream
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 * 1024);
    let websocket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    let (mut sink, mut source) = websocket.split();
    let (mut reader, mut writer) = tokio::io::split(far);
    tokio::spawn(async move {
        let mut bytes = vec![0; 10_007];
        while let Ok(length @ 1..) = reader.read(&mut bytes).await {
            sink.send(Message::binary(bytes[..length].to_vec()))
                .await
                .unwrap();
        }
    });
    tokio::spawn(async move {
        while let Some(Ok(message)) = source.next().await {
            writer.write_all(&message.into_data()).await.unwrap();
        }
    });
    near
}

#[tokio::test]
async fn the_subprotocol_is_the_first_offered_that_we_speak() {
    let mut server = start(WebSocketSettings::default());
    let table: &[(&[&'static str], Option<&str>)] = &[
        (&["mqtt"], Some("mqtt")),
        (&["mqttv3.1"], Some("mqttv3.1")),
        (&["chat, mqttv3.1", "mqtt"], Some("mqttv3.1")),
        (&[], None),
    ];
    for (offered, chosen) in table {
        let headers: Vec<_> = offered
            .iter()
            .map(|o| ("Sec-WebSocket-Protocol", *o))
            .collect();
        let mut client = server.connect().await;
        let connecting = async {
            client
                .write_all(raw_request("/mqtt", &headers).as_bytes())
                .await
                .unwrap();
            let mut response = Vec::new();
            while !response.ends_with(b"\r\n\r\n") {
                response.push(client.read_u8().await.unwrap());
            }
            String::from_utf8(response).unwrap()
        };
        let (_, peer, response) = server.welcome(connecting).await;
        assert_eq!(peer.protocol, Protocol::Ws);
        let line = chosen.map(|chosen| format!("Sec-WebSocket-Protocol: {chosen}\r\n"));
        assert_eq!(
            response.contains("Sec-WebSocket-Protocol"),
            line.is_some(),
            "{response}"
        );
        assert!(response.contains(&line.unwrap_or_default()), "{response}");
    }
}

/// A valid request without subprotocols, and more headers.
fn raw_request(path: &str, headers: &[(&str, &str)]) -> String {
    let base = REQUEST
        .replace("Sec-WebSocket-Protocol: mqtt\r\n", "")
        .replace("/mqtt", path);
    let more: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "{}{more}\r\n",
        base.trim_end_matches("\r\n").to_owned() + "\r\n"
    )
}

#[tokio::test]
async fn requests_that_cannot_be_granted_are_answered() {
    let origins = Some(vec!["https://example.org".to_owned()]);
    let mut server = start(WebSocketSettings {
        allowed_origins: origins,
        ..WebSocketSettings::default()
    });
    let many = "X-Padding: x\r\n".repeat(65);
    let table: &[(String, &str)] = &[
        (raw_request("/other", &[]), "404"),
        (
            raw_request("/mqtt", &[("Origin", "https://example.com")]),
            "403",
        ),
        (
            raw_request("/mqtt", &[("Sec-WebSocket-Protocol", "chat")]),
            "400",
        ),
        (REQUEST.replace("Version: 13", "Version: 8"), "426"),
        (REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), "400"),
        (REQUEST.replace("GET", "POST"), "405"),
        (REQUEST.replace("HTTP/1.1", "HTTP/1.0"), "426"),
        (
            "GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            "426",
        ),
        (
            "GET / HTTP/1.1\r\nHost: \r\nbad header\r\n\r\n".into(),
            "400",
        ),
        (REQUEST.replace("Host", &format!("{many}Host")), "431"),
    ];
    for (request, status) in table {
        let (response, error) = refusal(&mut server, request.as_bytes()).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}{response}"
        );
        assert!(
            error.starts_with("WebSocket: ") && !error.contains('\n'),
            "{error}"
        );
    }
}

#[tokio::test]
async fn mqtt_without_websocket_is_answered_at_once() {
    let mut server = start(WebSocketSettings::default());
    let connect = b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01c";
    let (response, error) = refusal(&mut server, connect).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert_eq!(error, "WebSocket: not an HTTP request");
}

#[tokio::test]
async fn a_head_without_end_is_refused_at_its_bound() {
    let mut server = start(WebSocketSettings::default());
    let mut client = server.connect().await;
    let asking = async {
        client
            .write_all(b"GET /mqtt HTTP/1.1\r\nX-Padding: ")
            .await
            .unwrap();
        // The server may close before all of it is written.
        let _ = client.write_all(&[b'x'; 16 * 1024]).await;
    };
    let (error, ()) = server.refuse(asking).await;
    assert_eq!(
        error,
        "WebSocket: more than 8 KiB of request, or more than 64 headers"
    );
}

#[tokio::test]
async fn every_default_path_and_allowed_origin_connects() {
    let origins = Some(vec!["https://Example.org".to_owned()]);
    let mut server = start(WebSocketSettings {
        allowed_origins: origins,
        ..WebSocketSettings::default()
    });
    for path in ["/", "/mqtt", "/ws", "/mqtt?token=1"] {
        for headers in [&[][..], &[("Origin", "https://example.org")]] {
            let client = server.connect().await;
            let connecting = tokio_tungstenite::client_async(request(path, headers), client);
            let (_, _, connected) = server.welcome(connecting).await;
            connected.unwrap();
        }
    }
}

#[tokio::test]
async fn packets_may_be_split_and_joined_over_frames() {
    let mut server = start(WebSocketSettings::default());
    let (mut stream, mut client) = upgraded(&mut server).await;
    let long = vec![0x5A; 1000];
    let sent = [
        frame(0x82, b"one"),
        frame(0x82, b"two three"),
        frame(0x02, b" fo"),
        frame(0x89, b"ping between"),
        frame(0x00, b""),
        frame(0x80, b"ur"),
        frame(0x82, &long),
    ]
    .concat();
    client.write_all(&sent).await.unwrap();
    expect_bytes(&mut stream, &[b"onetwo three four", &long[..]].concat()).await;
    bounded(stream.write_all(b"\x20\x02\0\0")).await.unwrap();
    bounded(stream.flush()).await.unwrap();
    expect_bytes(&mut client, b"\x8A\x0Cping between\x82\x04\x20\x02\0\0").await;
}

#[tokio::test]
async fn frames_may_come_byte_by_byte_and_be_read_byte_by_byte() {
    let mut server = start(WebSocketSettings::default());
    let (mut stream, mut client) = upgraded(&mut server).await;
    client.set_nodelay(true).unwrap();
    let long = vec![0x5A; 300];
    let sent = [frame(0x02, b"a"), frame(0x89, b""), frame(0x80, &long)].concat();
    let writing = async {
        for byte in sent {
            client.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        let mut received = Vec::new();
        while received.len() < 301 {
            received.push(stream.read_u8().await.unwrap());
        }
        received
    };
    let ((), received) = bounded(async { tokio::join!(writing, reading) }).await;
    assert_eq!(received, [b"a", &long[..]].concat());
}

#[tokio::test]
async fn what_is_sent_with_the_request_is_not_lost() {
    let mut server = start(WebSocketSettings::default());
    let mut client = server.connect().await;
    let eager = [REQUEST.as_bytes(), &frame(0x82, b"eager")].concat();
    let (mut stream, _, ()) = server
        .welcome(async { client.write_all(&eager).await.unwrap() })
        .await;
    expect_bytes(&mut stream, b"eager").await;
}

#[tokio::test]
async fn a_write_of_several_slices_is_one_frame() {
    let mut server = start(WebSocketSettings::default());
    let (mut stream, mut client) = upgraded(&mut server).await;
    let slices = [
        std::io::IoSlice::new(b"head"),
        std::io::IoSlice::new(b"payload"),
    ];
    assert_eq!(bounded(stream.write_vectored(&slices)).await.unwrap(), 11);
    expect_bytes(&mut client, b"\x82\x0Bheadpayload").await;
}

#[tokio::test]
async fn offences_are_closed_with_the_code_that_names_them() {
    let maximum_frame_bytes = 1024;
    let mut server = start(WebSocketSettings {
        maximum_frame_bytes,
        ..WebSocketSettings::default()
    });
    let mut unmasked = frame(0x82, b"");
    unmasked[1] = 0;
    unmasked.truncate(2);
    let table: &[(Vec<u8>, u16)] = &[
        (frame(0x81, b"text"), 1003),
        (unmasked, 1002),
        (frame(0x83, b""), 1002),
        (frame(0x80, b"continues nothing"), 1002),
        ([frame(0x02, b"a"), frame(0x82, b"b")].concat(), 1002),
        (frame(0xC2, b"compressed"), 1002),
        (frame(0x09, b"fragmented ping"), 1002),
        (frame(0x89, &[0; 126]), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x88, b"\x03\xED"), 1002),
        (frame(0x88, b"\x03\xE8\xFF"), 1007),
        (frame(0x82, &[0; 1025]), 1009),
    ];
    for (offence, code) in table {
        let (mut stream, mut client) = upgraded(&mut server).await;
        client
            .write_all(&[&frame(0x82, b"before"), &offence[..]].concat())
            .await
            .unwrap();
        let mut received = Vec::new();
        let error = bounded(stream.read_to_end(&mut received))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(received.starts_with(b"before"), "{offence:02X?}");
        expect_bytes(&mut client, &[&[0x88, 2][..], &code.to_be_bytes()].concat()).await;
    }
}

#[tokio::test]
async fn a_close_is_answered_and_ends_the_stream() {
    let mut server = start(WebSocketSettings::default());
    for (close, answer) in [
        (frame(0x88, b"\x03\xE9bye"), &b"\x88\x02\x03\xE9"[..]),
        (frame(0x88, b""), b"\x88\x00"),
    ] {
        let (mut stream, mut client) = upgraded(&mut server).await;
        let sent = [frame(0x82, b"last"), close, frame(0x82, b"too late")].concat();
        client.write_all(&sent).await.unwrap();
        let mut received = Vec::new();
        bounded(stream.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, b"last");
        expect_bytes(&mut client, answer).await;
        bounded(stream.write_all(b"too late")).await.unwrap_err();
        bounded(stream.shutdown()).await.unwrap();
        assert_eq!(
            bounded(client.read(&mut [0])).await.unwrap(),
            0,
            "no second close"
        );
    }
}

#[tokio::test]
async fn shutting_down_sends_a_close() {
    let mut server = start(WebSocketSettings::default());
    let (mut stream, mut client) = upgraded(&mut server).await;
    bounded(stream.shutdown()).await.unwrap();
    expect_bytes(&mut client, b"\x88\x02\x03\xE8").await;
    assert_eq!(bounded(client.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte() {
    let mut server = start(WebSocketSettings::default());
    let (mut stream, client) = upgraded(&mut server).await;
    exchange(&mut stream, &mut client_bytes(client).await).await;
}

#[tokio::test]
async fn websocket_runs_over_tls() {
    let authority = Authority::new("Test authority");
    let mut settings = settings();
    settings.tls = Some(authority.issue_server());
    settings.websocket = Some(WebSocketSettings::default());
    let mut server = Server::start(&settings);
    let client = server.connect().await;
    let connecting = async {
        let connector = authority.connector(&TLS13, None);
        let stream = connector
            .connect("localhost".try_into().unwrap(), client)
            .await
            .unwrap();
        let headers = [("Sec-WebSocket-Protocol", "mqtt")];
        tokio_tungstenite::client_async(request("/mqtt", &headers), stream)
            .await
            .unwrap()
            .0
    };
    let (mut stream, peer, client) = server.welcome(connecting).await;
    assert_eq!(peer.protocol, Protocol::Wss);
    exchange(&mut stream, &mut client_bytes(client.into_inner()).await).await;
}
