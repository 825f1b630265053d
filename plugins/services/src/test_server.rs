//! HTTP servers on loopback that tests tell how to answer, well or badly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long tests wait for what must come.
pub const BOUND: Duration = Duration::from_secs(20);

/// What a server does with a request.
pub enum Answer {
    /// Sends this and keeps the connection.
    Send(Vec<u8>),
    /// Sends this and closes, in TLS without a farewell.
    Cut(Vec<u8>),
    /// Sends this and then no more, until the client goes away.
    Stall(Vec<u8>),
    /// Sends the first, and then the second again and again with these pauses.
    Repeat(Vec<u8>, Vec<u8>, Duration),
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Request line and header fields.
    pub head: String,
    pub body: Vec<u8>,
}

impl Received {
    pub fn has_field(&self, name: &str) -> bool {
        let head = self.head.to_ascii_lowercase();
        head.contains(&format!("\r\n{name}:"))
    }
}

type Handler = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

/// A listening server; it ends when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    received: mpsc::Receiver<Received>,
    connections: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    pub fn new(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(answer), None)
    }

    /// A server that answers all with 200 and this body.
    pub fn with_body(body: &str) -> Self {
        let answer = ok(body);
        Self::new(move |_| Answer::Send(answer.clone()))
    }

    pub fn with_tls(
        authority: &Authority,
        answer: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(answer), Some(Arc::clone(&authority.server)))
    }

    fn start(answer: Handler, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (send, received) = mpsc::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let (count, stop) = (Arc::clone(&connections), Arc::clone(&stopped));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let (answer, send, tls) = (Arc::clone(&answer), send.clone(), tls.clone());
                thread::spawn(move || {
                    // A client that goes away is what most of these tests are about.
                    let _ = connection(stream, tls, &answer, &send);
                });
            }
        });
        Self {
            address,
            received,
            connections,
            stopped,
        }
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// The next request; it must come.
    pub fn next(&self) -> Received {
        self.received.recv_timeout(BOUND).unwrap()
    }

    /// Whether there was no request yet.
    pub fn received_nothing(&self) -> bool {
        self.received.try_recv().is_err()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// 200 with a body.
pub fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// A redirect.
pub fn redirect(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn connection(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &Handler,
    received: &mpsc::Sender<Received>,
) -> io::Result<()> {
    let raw = stream.try_clone()?;
    let mut reader: BufReader<Box<dyn ReadWrite>> = BufReader::new(match tls {
        None => Box::new(stream),
        Some(config) => {
            let session = ServerConnection::new(config).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(session, stream))
        }
    });
    loop {
        let request = read_request(&mut reader)?;
        let answer = answer(&request);
        let _ = received.send(request);
        let stream = reader.get_mut();
        match answer {
            Answer::Send(bytes) => {
                stream.write_all(&bytes)?;
                stream.flush()?;
            }
            Answer::Cut(bytes) => {
                stream.write_all(&bytes)?;
                stream.flush()?;
                return raw.shutdown(Shutdown::Write);
            }
            Answer::Stall(bytes) => {
                stream.write_all(&bytes)?;
                stream.flush()?;
                io::copy(&mut reader, &mut io::sink())?;
                return Ok(());
            }
            Answer::Repeat(first, then, pause) => {
                stream.write_all(&first)?;
                loop {
                    stream.write_all(&then)?;
                    stream.flush()?;
                    thread::sleep(pause);
                }
            }
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Received> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Received { head, body })
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

/// An authority that has signed a server's certificate for `localhost` and 127.0.0.1.
pub struct Authority {
    pub root_pem: String,
    server: Arc<ServerConfig>,
}

impl Authority {
    pub fn new(names: &[&str]) -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();

        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        Self {
            root_pem: issuer.pem(),
            server: Arc::new(server),
        }
    }
}
