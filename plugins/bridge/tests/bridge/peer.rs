//! A client of either broker, for tests: it blocks, and answers by itself.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use dunlin_codec::{
    Decoded, PropertiesBuf, Property, Qos, ReasonCode, SubscribeFiltersBuf, SubscriptionOptions,
    Version, decode,
};
use dunlin_session::client::{Connecting, Event, Greeting, Options};
use dunlin_session::{Client, Message, MessageParts, SessionState};
use dunlin_time::Clock;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: Qos,
    pub retain: bool,
    pub content_type: Option<String>,
}

trait Socket: Read + Write + Send {}
impl<T: Read + Write + Send> Socket for T {}

pub struct Peer {
    socket: Box<dyn Socket>,
    client: Client,
    version: Version,
    clock: Clock,
    input: Vec<u8>,
    output: Vec<u8>,
    inbox: VecDeque<Received>,
    subscribed: usize,
}

impl Peer {
    /// To the broker behind a unix socket.
    pub fn near(path: &Path, options: Options) -> Peer {
        let socket = UnixStream::connect(path).expect("our broker accepts");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a socket");
        Peer::over(Box::new(socket), options)
    }

    /// To a broker on the loopback.
    pub fn far(port: u16, options: Options) -> Peer {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the other broker accepts");
        socket.set_nodelay(true).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a socket");
        Peer::over(Box::new(socket), options)
    }

    fn over(mut socket: Box<dyn Socket>, options: Options) -> Peer {
        let clock = Clock::start();
        let (mut input, mut output) = (Vec::new(), Vec::new());
        let state = (!options.clean_start).then(SessionState::default);
        let mut connecting = options
            .connect(clock.now(), state, &mut output)
            .expect("CONNECT");
        let start = Instant::now();
        let client = loop {
            socket.write_all(&output).expect("a connection");
            output.clear();
            read(&mut *socket, &mut input).expect("a connection");
            if let Some(client) =
                greeting(&mut connecting, clock, &options, &mut input, &mut output)
            {
                break client;
            }
            assert!(start.elapsed() < PATIENCE, "no CONNACK");
        };
        Peer {
            socket,
            client,
            version: options.version,
            clock,
            input,
            output,
            inbox: VecDeque::new(),
            subscribed: 0,
        }
    }

    /// Subscribes, and waits for the answer.
    pub fn subscribe(&mut self, filter: &str, qos: Qos) {
        let mut filters = SubscribeFiltersBuf::new();
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        filters.push(filter, options).expect("a filter");
        let now = self.clock.now();
        let none = PropertiesBuf::new();
        self.client
            .subscribe(now, &filters, &none, &mut self.output)
            .expect("room");
        let wanted = self.subscribed + 1;
        self.until("a SUBACK", |peer| peer.subscribed == wanted);
    }

    /// Publishes, as soon as there is room.
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: Qos, retain: bool) {
        if qos != Qos::AtMostOnce {
            self.until("room", |peer| peer.client.room() > 0);
        }
        let mut properties = PropertiesBuf::new();
        properties
            .push(Property::ContentType("text/x"))
            .expect("short");
        let parts = MessageParts {
            publisher: 0,
            qos,
            retain,
            expires: None,
            topic,
            forwarded: properties.as_properties().as_bytes(),
            payload,
        };
        let message = Message::new(parts, &mut Vec::new());
        let now = self.clock.now();
        self.client
            .publish(now, message, &mut self.output)
            .expect("it is sent");
        // Answers are read when there is no more room.
        self.flush().expect("a connection");
    }

    /// Until all that was published is confirmed.
    pub fn confirmed(&mut self) {
        self.until("acknowledgements", |peer| peer.client.unacknowledged() == 0);
    }

    /// The next message.
    pub fn next(&mut self) -> Received {
        self.until("a message", |peer| !peer.inbox.is_empty());
        self.inbox.pop_front().expect("it is there")
    }

    /// All messages up to one with this payload, which is not among them.
    pub fn up_to(&mut self, payload: &[u8]) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            let next = self.next();
            if next.payload == payload {
                return all;
            }
            all.push(next);
        }
    }

    fn until(&mut self, what: &str, done: impl Fn(&Peer) -> bool) {
        let start = Instant::now();
        loop {
            if done(self) {
                return self.flush().expect("a connection");
            }
            self.turn()
                .unwrap_or_else(|error| panic!("waiting for {what}: {error}"));
            assert!(start.elapsed() < PATIENCE, "{what} did not come");
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }

    fn turn(&mut self) -> std::io::Result<()> {
        self.flush()?;
        read(&mut *self.socket, &mut self.input)?;
        let mut at = 0;
        while let Ok(Decoded::Packet { packet, length }) =
            decode(&self.input[at..], self.version, u32::MAX)
        {
            at += length;
            let event = self
                .client
                .receive(self.clock.now(), packet, &mut self.output);
            match event.expect("our brokers keep to the protocol") {
                Event::Message(incoming) => {
                    let properties = incoming.publish.properties;
                    self.inbox.push_back(Received {
                        topic: incoming.topic.as_str().into(),
                        payload: incoming.publish.payload.into(),
                        qos: incoming.publish.qos,
                        retain: incoming.publish.retain,
                        content_type: properties.content_type().map(Into::into),
                    });
                    if let Some(acknowledgement) = incoming.acknowledgement {
                        let success = ReasonCode::Success;
                        self.client
                            .acknowledge(acknowledgement, success, &mut self.output);
                    }
                }
                Event::Subscribed(answer) => {
                    assert!(answer.reasons.iter().all(|reason| !reason.is_error()));
                    self.subscribed += 1;
                }
                Event::Published { reason, .. } => {
                    assert!(!reason.is_error(), "{reason:?}");
                }
                _ => {}
            }
        }
        self.input.drain(..at);
        self.flush()
    }
}

/// Reads what is there, waiting a little.
fn read(socket: &mut dyn Socket, input: &mut Vec<u8>) -> std::io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    match socket.read(&mut buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            input.extend_from_slice(&buffer[..count]);
            Ok(())
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(error),
    }
}

fn greeting(
    connecting: &mut Connecting,
    clock: Clock,
    options: &Options,
    input: &mut Vec<u8>,
    output: &mut Vec<u8>,
) -> Option<Client> {
    let Ok(Decoded::Packet { packet, length }) = decode(input, options.version, u32::MAX) else {
        return None;
    };
    let greeting = connecting
        .receive(clock.now(), packet, output)
        .expect("we are accepted");
    let Greeting::Connected(connected) = greeting else {
        panic!("a challenge");
    };
    let client = connected.client;
    input.drain(..length);
    Some(client)
}

/// A client whose session stays.
pub fn lasting(client_id: &str) -> Options {
    Options {
        client_id: client_id.into(),
        clean_start: false,
        session_expiry: 3600,
        ..Options::default()
    }
}
