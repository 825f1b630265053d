//! Webhooks, as an operator configures them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use dunlin_codec::Qos;

use super::daemon::{Daemon, LISTENER};

/// A request's lines, and its body.
struct Asked {
    head: String,
    body: String,
}

/// Answers one request.
fn answer(server: &TcpListener, status: &str) -> Asked {
    let (stream, _) = server.accept().expect("a request");
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("a line") > 0, "{head}");
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length: ").nth(1).expect("a length");
    let length = length.lines().next().and_then(|length| length.parse().ok());
    let mut body = vec![0; length.expect("a number")];
    reader.read_exact(&mut body).expect("a body");
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader
        .get_mut()
        .write_all(text.as_bytes())
        .expect("it reads");
    Asked {
        head,
        body: String::from_utf8(body).expect("JSON"),
    }
}

#[test]
fn messages_go_to_a_web_server_and_wait_while_it_is_away() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("token"), "Bearer hunter2\n").expect("a file");
    let mut near = Daemon::prepared(
        directory,
        &format!(
            "{LISTENER}[[webhooks]]\nname = \"app\"\nurl = \"http://{}/mqtt\"\n\
             topics = [\"a/#\"]\nbatch_delay = \"0s\"\nrestart_pause = \"50ms\"\n\
             headers = {{ Authorization = {{ from_file = \"{{dir}}/token\" }} }}\n",
            server.local_addr().expect("an address")
        ),
    );
    // Its subscription stands.
    near.expect_metric("subscriptions", 1);
    near.client("here").publish("a/b", b"one", Qos::AtLeastOnce);
    let asked = answer(&server, "503 Service Unavailable");
    assert!(
        asked.head.starts_with("POST /mqtt HTTP/1.1"),
        "{}",
        asked.head
    );
    let authorization = asked.head.to_ascii_lowercase();
    assert!(
        authorization.contains("authorization: bearer hunter2"),
        "{}",
        asked.head
    );
    near.crash();
    near.start_again();
    let again = answer(&server, "204 No Content");
    let expected = r#"[{"topic":"a/b","payload":"one","qos":1,"retain":false}]"#;
    assert_eq!([asked.body, again.body], [expected, expected]);
    near.expect_metric("bridge_messages_total{bridge=\"app\",direction=\"out\"}", 1);
    let (_, report) = near.http("GET", "/api/v1/bridges", "");
    assert!(!report.contains("hunter2"), "{report}");
}

#[test]
fn a_webhook_that_cannot_run_is_refused() {
    for (keys, expected) in [
        ("url = \"ftp://a\"", "webhook app: "),
        (
            "url = \"http://a\"\nheaders = { Host = \"b\" }",
            "webhook app: ",
        ),
        (
            "url = \"http://a\"\nheaders = { X = { from_env = \"NOT_THERE\" } }",
            "headers.X: environment variable NOT_THERE",
        ),
        (
            "url = \"http://a\"\nheaders = { X = 1 }",
            "headers.X: needs text",
        ),
    ] {
        let program = std::process::Command::new(super::daemon::BINARY);
        let directory = tempfile::tempdir().expect("a directory");
        let toml = format!("{LISTENER}[[webhooks]]\nname = \"app\"\ntopics = [\"#\"]\n{keys}\n");
        let (code, text) = Daemon::refused(program, directory, &toml);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}
