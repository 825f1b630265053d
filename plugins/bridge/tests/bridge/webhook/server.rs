//! A web server that answers as a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::world::until;

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status without a body.
    Status(u16),
    /// The same, with one more line in the header.
    With(u16, String),
    /// Nothing, until the client gives up.
    Stall,
    /// The connection is closed.
    Close,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first line.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Value,
    pub at: Instant,
    pub answer: Answer,
}

type Script = dyn Fn(usize, &Value) -> Answer + Send + Sync;
type Requests = Arc<Mutex<Vec<Request>>>;
type Sockets = Arc<Mutex<Vec<TcpStream>>>;

pub struct Server {
    pub port: u16,
    scheme: &'static str,
    requests: Requests,
    sockets: Sockets,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `script` gets the number of the request and its body.
    pub fn start(script: impl Fn(usize, &Value) -> Answer + Send + Sync + 'static) -> Server {
        Server::at(0, None, script)
    }

    /// One that takes everything.
    pub fn willing() -> Server {
        Server::start(|_, _| Answer::Status(204))
    }

    /// On a port that was another's, or with TLS.
    pub fn at(
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(usize, &Value) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (requests, sockets) = (Requests::default(), Sockets::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let script: Arc<Script> = Arc::new(script);
        let thread = thread::spawn({
            let (requests, sockets) = (Arc::clone(&requests), Arc::clone(&sockets));
            let stopping = Arc::clone(&stopping);
            move || {
                for socket in listener.incoming().map_while(Result::ok) {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    lock(&sockets).push(socket.try_clone().expect("a socket"));
                    let (requests, script) = (Arc::clone(&requests), Arc::clone(&script));
                    let tls = tls.clone();
                    thread::spawn(move || match tls {
                        None => serve(socket, &requests, &*script),
                        Some(config) => {
                            let tls = ServerConnection::new(config).expect("a config");
                            serve(StreamOwned::new(tls, socket), &requests, &*script);
                        }
                    });
                }
            }
        });
        Server {
            port,
            scheme,
            requests,
            sockets,
            stopping,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("{}://localhost:{}/in?a=b", self.scheme, self.port)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// Payloads that are text, of the requests that were taken, in order.
    pub fn taken(&self) -> Vec<String> {
        let requests = lock(&self.requests);
        let taken = requests.iter().filter(|request| request.is_taken());
        taken.flat_map(Request::payloads).collect()
    }

    /// The same, once there are so many.
    pub fn takes(&self, count: usize) -> Vec<String> {
        until("messages at the server", || self.taken().len() >= count);
        self.taken()
    }

    /// Requests, once there are so many.
    pub fn gets(&self, count: usize) -> Vec<Request> {
        until("requests at the server", || {
            lock(&self.requests).len() >= count
        });
        self.requests()
    }
}

impl Request {
    pub fn is_taken(&self) -> bool {
        matches!(self.answer, Answer::Status(200..=299))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub fn key(&self) -> &str {
        self.header("idempotency-key").expect("a key")
    }

    pub fn elements(&self) -> &[Value] {
        self.body.as_array().expect("an array")
    }

    pub fn payloads(&self) -> Vec<String> {
        let payloads = self.elements().iter().map(|element| &element["payload"]);
        payloads
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Server {
    /// Nobody listens any more, and connections are closed.
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for socket in lock(&self.sockets).drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// A test that panicked has its own message.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection, until either side has enough.
fn serve(stream: impl Read + Write, requests: &Requests, script: &Script) {
    let mut stream = BufReader::new(stream);
    while let Some((line, headers, body)) = read(&mut stream) {
        let body = serde_json::from_slice(&body).expect("JSON");
        let answer = {
            let mut requests = lock(requests);
            let answer = script(requests.len(), &body);
            requests.push(Request {
                line,
                headers,
                body,
                at: Instant::now(),
                answer: answer.clone(),
            });
            answer
        };
        let (status, more) = match answer {
            Answer::Status(status) => (status, String::new()),
            Answer::With(status, line) => (status, format!("{line}\r\n")),
            Answer::Stall => {
                let _ = stream.read(&mut [0]);
                return;
            }
            Answer::Close => return,
        };
        let head = format!("HTTP/1.1 {status} x\r\n{more}content-length: 0\r\n\r\n");
        if stream.get_mut().write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

type Parts = (String, Vec<(String, String)>, Vec<u8>);

fn read(stream: &mut impl BufRead) -> Option<Parts> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let first = lines.next()?;
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a field");
        (name.to_lowercase(), value.trim().to_owned())
    });
    let headers: Vec<_> = fields.collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.expect("a length").1.parse().expect("a number");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, headers, body))
}
