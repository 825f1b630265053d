//! The client against servers on loopback.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use super::*;
use crate::test_server::{Answer, Authority, BOUND, Server, ok, redirect};

/// Short enough to wait for, long enough for a server that is not slow on purpose.
const SHORT: Duration = Duration::from_millis(300);

fn http(origins: &[&str]) -> Http {
    let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
    Http::new(&origins).unwrap()
}

fn listing(servers: &[&Server]) -> Http {
    let origins: Vec<String> = servers.iter().map(|server| server.url("")).collect();
    Http::new(&origins).unwrap()
}

fn get(url: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

fn send(http: &Http, request: &Request) -> Result<Response, HttpError> {
    http.send(request, Instant::now() + BOUND)
}

/// Sends with a deadline that must be kept.
fn send_shortly(http: &Http, url: &str) -> Result<Response, HttpError> {
    let began = Instant::now();
    let answer = http.send(&get(url), began + SHORT);
    let took = began.elapsed();
    assert!(took < SHORT + Duration::from_secs(3), "took {took:?}");
    answer
}

fn failed(answer: Result<Response, HttpError>) -> bool {
    matches!(answer, Err(HttpError::Failed(_)))
}

fn refused(answer: Result<Response, HttpError>) -> bool {
    matches!(answer, Err(HttpError::NotGranted(_)))
}

/// Names that lead where the test says, in turn, the last for ever.
fn leading(http: Http, answers: &[&[&str]]) -> (Http, Arc<AtomicUsize>) {
    let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
    let answers: Vec<Vec<IpAddr>> = answers.iter().map(parse).collect();
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    let lookup: Lookup = Arc::new(move |_| {
        let turn = asked.fetch_add(1, Ordering::SeqCst);
        Ok(answers[turn.min(answers.len() - 1)].clone())
    });
    (http.with_lookup(lookup), count)
}

#[test]
fn a_listed_origin_is_asked_and_its_answer_comes_back() {
    let server = Server::new(|_| {
        Answer::Send(b"HTTP/1.1 418 Pot\r\nX-Tea: Green\r\nContent-Length: 2\r\n\r\nhi".to_vec())
    });
    let response = send(&listing(&[&server]), &get(&server.url("/a?b=c"))).unwrap();
    assert_eq!(response.status, 418);
    assert_eq!(response.body, b"hi");
    assert!(
        response
            .headers
            .contains(&("x-tea".to_owned(), "Green".to_owned()))
    );
    let request = server.next();
    assert!(
        request.head.starts_with("GET /a?b=c HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    let host = format!("host: {}\r\n", server.address);
    assert!(
        request.head.to_ascii_lowercase().contains(&host),
        "{}",
        request.head
    );
}

#[test]
fn a_body_and_header_fields_arrive_as_they_were_given() {
    let server = Server::with_body("");
    let http = listing(&[&server]);
    let body: Vec<u8> = (0..1 << 20).map(|index| (index % 251) as u8).collect();
    let mut request = get(&server.url("/"));
    request.method = "POST".to_owned();
    request.headers = vec![
        ("X-Two".to_owned(), "1".to_owned()),
        ("X-Two".to_owned(), "2".to_owned()),
    ];
    request.body = body.clone();
    send(&http, &request).unwrap();
    let received = server.next();
    assert!(received.body == body);
    assert_eq!(
        received.head.matches("x-two: ").count(),
        2,
        "{}",
        received.head
    );

    request.body.clear();
    send(&http, &request).unwrap();
    let received = server.next().head.to_ascii_lowercase();
    assert!(received.contains("content-length: 0\r\n"), "{received}");
}

#[test]
fn connections_are_kept_for_the_next_request() {
    let server = Server::with_body("hello");
    let http = listing(&[&server]);
    for _ in 0..5 {
        assert_eq!(send(&http, &get(&server.url("/"))).unwrap().body, b"hello");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_origin_that_is_not_listed_is_not_connected_to() {
    let listed = Server::with_body("");
    let other = Server::with_body("");
    let http = listing(&[&listed]);
    let port = listed.address.port();
    for url in [
        other.url("/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.2:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
    ] {
        assert!(refused(send(&http, &get(&url))), "{url}");
    }
    assert_eq!(other.connections() + listed.connections(), 0);
}

#[test]
fn the_environment_names_no_proxy() {
    assert!(http(&[]).agent.config().proxy().is_none());
}

#[test]
fn localhost_leads_to_this_machine_without_a_resolver() {
    let server = Server::with_body("here");
    let origin = format!("http://localhost:{}", server.address.port());
    let (http, asked) = leading(http(&[&origin]), &[&["1.1.1.1"]]);
    assert_eq!(send(&http, &get(&origin)).unwrap().body, b"here");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn a_name_that_leads_to_a_private_address_is_refused() {
    let server = Server::with_body("");
    let origin = format!("http://idp.example:{}", server.address.port());
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["169.254.169.254"],
        &["0.0.0.0"],
        &["::"],
        &["fd00::1"],
        &["224.0.0.1"],
        &["1.1.1.1", "127.0.0.1"],
    ] {
        let (http, _) = leading(http(&[&origin]), &[addresses]);
        assert!(refused(send(&http, &get(&origin))), "{addresses:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_private_origin_may_lead_to_a_private_address_but_not_to_metadata() {
    let server = Server::with_body("inside");
    let origin = format!("http://idp.internal:{}", server.address.port());
    let entry = format!("private:{origin}");
    let (client, _) = leading(http(&[&entry]), &[&["127.0.0.1"]]);
    assert_eq!(send(&client, &get(&origin)).unwrap().body, b"inside");
    for address in ["169.254.169.254", "0.0.0.0", "fe80::1"] {
        let (client, _) = leading(http(&[&entry]), &[&[address]]);
        assert!(refused(send(&client, &get(&origin))), "{address}");
    }
}

#[test]
fn a_name_is_resolved_once_for_check_and_connection() {
    let server = Server::with_body("");
    let origin = format!("http://idp.internal:{}", server.address.port());
    let entry = format!("private:{origin}");
    // The second answer is where an attacker would lead a client that asks twice.
    let (http, asked) = leading(http(&[&entry]), &[&["127.0.0.1"], &["169.254.169.254"]]);
    assert!(send(&http, &get(&origin)).is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Now that the name leads elsewhere, even the connection that is still open is not used.
    assert!(refused(send(&http, &get(&origin))));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_redirect_to_a_listed_origin_is_followed_without_credentials() {
    let target = Server::with_body("there");
    let location = target.url("/there");
    let server = Server::new(move |request| {
        Answer::Send(match request.head.starts_with("GET /here") {
            true => redirect(302, &location),
            false => redirect(302, "/here"),
        })
    });
    let mut request = get(&server.url("/"));
    let secret = |name: &str| (name.to_owned(), "secret".to_owned());
    request.headers = vec![secret("Authorization"), secret("Cookie"), secret("X-Other")];
    let response = send(&listing(&[&server, &target]), &request).unwrap();
    assert_eq!(response.body, b"there");
    for _ in 0..2 {
        let same = server.next();
        assert!(
            same.has_field("authorization") && same.has_field("cookie"),
            "{}",
            same.head
        );
    }
    let other = target.next();
    assert!(other.head.starts_with("GET /there "));
    assert!(
        !other.has_field("authorization") && !other.has_field("cookie"),
        "{}",
        other.head
    );
    assert!(other.has_field("x-other"));
}

#[test]
fn a_redirect_to_an_origin_that_is_not_listed_is_refused() {
    let target = Server::with_body("there");
    let location = Mutex::new(String::new());
    let location = Arc::new(location);
    let told = Arc::clone(&location);
    let server = Server::new(move |_| Answer::Send(redirect(302, &told.lock().unwrap())));
    let http = listing(&[&server]);
    let port = target.address.port();
    for to in [
        target.url("/"),
        format!("//127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        location.lock().unwrap().clone_from(&to);
        assert!(refused(send(&http, &get(&server.url("/")))), "{to}");
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn at_most_five_redirects_are_followed() {
    let server = Server::new(|request| {
        let left: usize = request.head[5..6].parse().unwrap();
        Answer::Send(match left {
            0 => ok("end"),
            _ => redirect(307, &format!("/{}", left - 1)),
        })
    });
    let http = listing(&[&server]);
    assert_eq!(send(&http, &get(&server.url("/5"))).unwrap().body, b"end");
    assert!(failed(send(&http, &get(&server.url("/6")))));
}

#[test]
fn the_deadline_covers_every_part_of_an_answer() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n".to_vec();
    let parts = [
        b"".to_vec(),
        b"HTTP/1.1 200 OK\r\nX:".to_vec(),
        head.clone(),
    ];
    for part in parts {
        let server = Server::new(move |_| Answer::Stall(part.clone()));
        assert_eq!(
            send_shortly(&listing(&[&server]), &server.url("/")),
            Err(HttpError::TimedOut)
        );
    }
    // A byte now and then does not extend it.
    let status = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    for part in [status, head] {
        let pause = Duration::from_millis(10);
        let server = Server::new(move |_| Answer::Repeat(part.clone(), b"x".to_vec(), pause));
        assert_eq!(
            send_shortly(&listing(&[&server]), &server.url("/")),
            Err(HttpError::TimedOut)
        );
    }
}

#[test]
fn the_deadline_covers_names_and_handshakes_and_redirects() {
    let (hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let lookup: Lookup = Arc::new(move |_| {
        // Ends when the test does.
        let _ = held.lock().unwrap().recv();
        Ok(Vec::new())
    });
    let slow_name = http(&["http://idp.example"]).with_lookup(lookup);
    assert_eq!(
        send_shortly(&slow_name, "http://idp.example/"),
        Err(HttpError::TimedOut)
    );
    drop(hold);

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("https://{}", silent.local_addr().unwrap());
    let trusting = http(&[&origin])
        .with_root(&Authority::new(&["localhost"]).root_pem)
        .unwrap();
    assert_eq!(send_shortly(&trusting, &origin), Err(HttpError::TimedOut));

    let server = Server::new(|request| match request.head.starts_with("GET /next") {
        true => Answer::Stall(Vec::new()),
        false => Answer::Send(redirect(302, "/next")),
    });
    assert_eq!(
        send_shortly(&listing(&[&server]), &server.url("/")),
        Err(HttpError::TimedOut)
    );
}

#[test]
fn a_deadline_that_is_over_sends_nothing() {
    let server = Server::with_body("");
    let answer = listing(&[&server]).send(&get(&server.url("/")), Instant::now());
    assert_eq!(answer, Err(HttpError::TimedOut));
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_answer_of_more_than_a_mebibyte_is_refused() {
    let heads = [
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec(),
    ];
    for head in heads {
        let mut chunk = b"4000\r\n".to_vec();
        chunk.extend_from_slice(&[b'x'; 0x4000]);
        chunk.extend_from_slice(b"\r\n");
        let server =
            Server::new(move |_| Answer::Repeat(head.clone(), chunk.clone(), Duration::ZERO));
        assert!(failed(send(&listing(&[&server]), &get(&server.url("/")))));
    }
    let server = Server::with_body(&"x".repeat(1 << 20));
    let response = send(&listing(&[&server]), &get(&server.url("/"))).unwrap();
    assert_eq!(response.body.len(), 1 << 20);
}

#[test]
fn an_answer_with_too_much_of_a_header_is_refused() {
    let head = |fields: String| format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
    let table = [
        (head("x: y\r\n".repeat(63)), true),
        (head("x: y\r\n".repeat(64)), false),
        (head("x: y\r\n".repeat(5000)), false),
        (head(format!("x: {}\r\n", "y".repeat(8 << 10))), false),
        (head(format!("x: {}\r\n", "y".repeat(8000))), true),
        (head(format!("x: {}\r\n", "y".repeat(100_000))), false),
    ];
    for (index, (head, fit)) in table.into_iter().enumerate() {
        let server = Server::new(move |_| Answer::Send(head.clone().into_bytes()));
        let answer = send(&listing(&[&server]), &get(&server.url("/")));
        assert_eq!(answer.is_ok(), fit, "{index}");
        assert_eq!(failed(answer), !fit, "{index}");
    }
}

#[test]
fn an_endless_header_ends() {
    let server = Server::new(|_| {
        let field = b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".to_vec();
        Answer::Repeat(b"HTTP/1.1 200 OK\r\n".to_vec(), field, Duration::ZERO)
    });
    assert!(failed(send(&listing(&[&server]), &get(&server.url("/")))));
}

#[test]
fn what_is_not_http_is_a_failure() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    for bytes in [
        b"".as_slice(),
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"HTTP/1.1",
        half,
    ] {
        let server = Server::new(move |_| Answer::Cut(bytes.to_vec()));
        let answer = send(&listing(&[&server]), &get(&server.url("/")));
        assert!(failed(answer), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn nobody_listening_is_a_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert!(failed(send(&http(&[&origin]), &get(&origin))));
}

#[test]
fn a_server_with_a_trusted_certificate_is_spoken_with() {
    let authority = Authority::new(&["localhost", "127.0.0.1"]);
    let server = Server::with_tls(&authority, |_| Answer::Send(ok("sealed")));
    let port = server.address.port();
    for host in ["localhost", "127.0.0.1"] {
        let origin = format!("https://{host}:{port}");
        let http = http(&[&origin]).with_root(&authority.root_pem).unwrap();
        for _ in 0..2 {
            assert_eq!(send(&http, &get(&origin)).unwrap().body, b"sealed");
        }
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_spoken_with() {
    let authority = Authority::new(&["localhost"]);
    let server = Server::with_tls(&authority, |_| Answer::Send(ok("sealed")));
    let port = server.address.port();
    let origin = format!("https://localhost:{port}");
    assert!(failed(send(&http(&[&origin]), &get(&origin))));
    let stranger = Authority::new(&["localhost"]);
    let other_root = http(&[&origin]).with_root(&stranger.root_pem).unwrap();
    assert!(failed(send(&other_root, &get(&origin))));
    let other_name = format!("https://127.0.0.1:{port}");
    let wrong_name = http(&[&other_name]).with_root(&authority.root_pem).unwrap();
    assert!(failed(send(&wrong_name, &get(&other_name))));
    assert!(server.received_nothing());
}

#[test]
fn an_answer_in_tls_that_was_cut_short_is_not_taken_for_whole() {
    let authority = Authority::new(&["localhost"]);
    let server = Server::with_tls(&authority, |_| {
        Answer::Cut(b"HTTP/1.1 200 OK\r\n\r\n{\"allow\":true".to_vec())
    });
    let origin = format!("https://localhost:{}", server.address.port());
    let http = http(&[&origin]).with_root(&authority.root_pem).unwrap();
    assert!(failed(send(&http, &get(&origin))));
}

#[test]
fn a_root_must_be_a_certificate_in_pem() {
    for pem in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(http(&[]).with_root(pem).is_err(), "{pem}");
    }
}
