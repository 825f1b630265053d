//! What an operator asks a broker over HTTP.

use std::io::{Read, Write};
use std::thread;
use std::time::Instant;

use super::{Daemon, LOOK, PATIENCE, dial};

impl Daemon {
    /// A request; the answer's status and body.
    pub fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let head = "Content-Type: application/json\r\n";
        let (status, _, body) = self.http_with(method, path, head, body);
        (status, body)
    }

    /// A request with these headers; the answer's status, headers and body.
    pub fn http_with(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (u16, String, String) {
        let host = match headers.to_ascii_lowercase().contains("host:") {
            true => String::new(),
            false => format!("Host: {}\r\n", self.admin()),
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = dial(self.admin());
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.expect("a status"), head.to_owned(), body.to_owned())
    }

    /// What a metric says now.
    pub fn metric(&self, name: &str) -> u64 {
        let (status, text) = self.http("GET", "/metrics", "");
        assert_eq!(status, 200, "{text}");
        let start = format!("dunlin_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.parse::<f64>().expect("a number") as u64
    }

    /// Waits until a metric is at least so much: what it counts may be on its way.
    pub fn expect_metric(&self, name: &str, least: u64) {
        let start = Instant::now();
        while self.metric(name) < least {
            let waited = start.elapsed();
            assert!(waited < PATIENCE, "{name} is {}", self.metric(name));
            thread::sleep(LOOK);
        }
    }

    /// Waits until a probe answers with this status.
    pub fn expect_status(&self, path: &str, status: u16) {
        let start = Instant::now();
        while self.http("GET", path, "").0 != status {
            assert!(start.elapsed() < PATIENCE, "{path} is never {status}");
            thread::sleep(LOOK);
        }
    }
}
