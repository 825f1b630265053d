//! A bare router: what a broker for MQTT 3.1.1 costs when it has no sessions,
//! no access rules, no limits and no timers. It is the practical limit that
//! figures are held against, on one thread and with one write for each
//! connection and turn.
//!
//! It forwards QoS 0, 1 and 2 to exact, wildcard and shared subscriptions. It
//! trusts its peers: packet ids may be in use when they come round again, and a
//! receiver that is slow is disconnected once its bytes pile up.

mod routes;
mod wire;

use crate::poller::Poller;
use crate::stream::{SCRATCH_BYTES, Stream};
use routes::{Routes, Target};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use wire::{Frame, Malformed, Publish};

/// Connections accepted in one turn; the others wait for the next.
const ACCEPTED_AT_ONCE: usize = 64;

const LISTENER: usize = usize::MAX;

/// The router, its listener and its connections.
pub struct BareRouter {
    listener: TcpListener,
    poller: Poller,
    scratch: Vec<u8>,
    free: Vec<usize>,
    state: State,
}

/// What packets act on.
#[derive(Debug, Default)]
struct State {
    connections: Vec<Option<Connection>>,
    routes: Routes,
    /// Connections with something to write.
    unflushed: Vec<usize>,
    /// A PUBLISH without its packet id.
    lowered: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    /// The packet id that was given last.
    packet_id: u16,
    filters: Vec<Box<[u8]>>,
}

impl BareRouter {
    /// Listens at `address`.
    pub fn bind(address: SocketAddr) -> io::Result<BareRouter> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER)?;
        Ok(BareRouter {
            listener,
            poller,
            scratch: vec![0; SCRATCH_BYTES],
            free: Vec::new(),
            state: State::default(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for bytes, for as long as `timeout`, and serves all that came.
    pub fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        for index in 0..self.poller.wait(timeout)? {
            let ready = self.poller.ready(index);
            if ready.token == LISTENER {
                self.accept()?;
                continue;
            }
            if ready.readable && self.read(ready.token).is_err() {
                self.close(ready.token);
            }
            if ready.writable {
                self.flush(ready.token);
            }
        }
        self.flush_all();
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTED_AT_ONCE {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            let connections = &mut self.state.connections;
            let index = self.free.pop().unwrap_or(connections.len());
            if index == connections.len() {
                connections.push(None);
            }
            self.poller.add(&socket, index)?;
            connections[index] = Some(Connection {
                stream: Stream::new(socket)?,
                packet_id: 0,
                filters: Vec::new(),
            });
        }
        Ok(())
    }

    fn read(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = &mut self.state.connections[index] else {
            return Ok(());
        };
        let mut bytes = connection.stream.receive(&mut self.scratch)?;
        while let Some((frame, length)) = wire::next(bytes)? {
            self.state.handle(index, frame)?;
            bytes = &bytes[length..];
        }
        if let Some(connection) = &mut self.state.connections[index] {
            connection.stream.keep(bytes);
        }
        Ok(())
    }

    fn flush_all(&mut self) {
        while let Some(index) = self.state.unflushed.pop() {
            self.flush(index);
        }
    }

    fn flush(&mut self, index: usize) {
        if let Some(connection) = &mut self.state.connections[index]
            && connection.stream.flush(&self.poller, index).is_err()
        {
            self.close(index);
        }
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.state.connections[index].take() {
            for filter in &connection.filters {
                self.state.routes.remove(filter, index as u32);
            }
            self.free.push(index);
        }
    }
}

impl State {
    #[inline]
    fn handle(&mut self, from: usize, frame: Frame<'_>) -> io::Result<()> {
        match frame {
            Frame::Publish(publish) => self.publish(from, publish),
            Frame::Ack { kind, packet_id } => self.acknowledge(from, kind, packet_id),
            Frame::Connect => self.say(from, &[0x20, 2, 0, 0]),
            Frame::Ping => self.say(from, &[0xd0, 0]),
            Frame::Disconnect => return Err(io::ErrorKind::ConnectionAborted.into()),
            Frame::Subscribe { packet_id, filters } => self.subscribe(from, packet_id, filters)?,
        }
        Ok(())
    }

    #[inline]
    fn publish(&mut self, from: usize, publish: Publish<'_>) {
        let State {
            connections,
            routes,
            unflushed,
            lowered,
        } = self;
        lowered.clear();
        routes.matching(publish.topic, |Target { connection, qos }| {
            let index = connection as usize;
            let Some(connection) = &mut connections[index] else {
                return;
            };
            if qos == 0 && publish.qos > 0 && lowered.is_empty() {
                wire::without_packet_id(&publish, lowered);
            }
            connection.deliver(&publish, qos.min(publish.qos), lowered);
            if connection.stream.queue_to_flush() {
                unflushed.push(index);
            }
        });
        if publish.qos > 0 {
            let kind = if publish.qos == 1 { 0x40 } else { 0x50 };
            let id = &publish.bytes[publish.after_topic..];
            self.say(from, &[kind, 2, id[0], id[1]]);
        }
    }

    /// PUBREC is answered by PUBREL and PUBREL by PUBCOMP; the others end a
    /// message.
    fn acknowledge(&mut self, from: usize, kind: u8, [high, low]: [u8; 2]) {
        match kind {
            5 => self.say(from, &[0x62, 2, high, low]),
            6 => self.say(from, &[0x70, 2, high, low]),
            _ => {}
        }
    }

    fn subscribe(&mut self, from: usize, packet_id: [u8; 2], filters: &[u8]) -> io::Result<()> {
        let mut granted = Vec::new();
        for filter in wire::filters(filters) {
            let (filter, qos) = filter?;
            let connection = from as u32;
            self.routes.insert(filter, Target { connection, qos });
            if let Some(connection) = &mut self.connections[from] {
                connection.filters.push(filter.into());
            }
            granted.push(qos);
        }
        let remaining = u8::try_from(granted.len() + 2).ok().filter(|n| *n < 128);
        let remaining = remaining.ok_or(Malformed)?;
        self.say(from, &[0x90, remaining, packet_id[0], packet_id[1]]);
        self.say(from, &granted);
        Ok(())
    }

    #[inline]
    fn say(&mut self, to: usize, bytes: &[u8]) {
        if let Some(connection) = &mut self.connections[to] {
            connection.stream.outgoing().extend_from_slice(bytes);
            if connection.stream.queue_to_flush() {
                self.unflushed.push(to);
            }
        }
    }
}

impl Connection {
    /// Appends the packet as it came, with flags and packet id of its own, or
    /// `lowered` for a receiver that wants QoS 0 of a higher one.
    #[inline]
    fn deliver(&mut self, publish: &Publish<'_>, qos: u8, lowered: &[u8]) {
        let out = self.stream.outgoing();
        if qos == 0 && publish.qos > 0 {
            out.extend_from_slice(lowered);
            return;
        }
        let start = out.len();
        out.extend_from_slice(publish.bytes);
        out[start] = 0x30 | qos << 1;
        if qos > 0 {
            self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
            let id_at = start + publish.after_topic;
            out[id_at..id_at + 2].copy_from_slice(&self.packet_id.to_be_bytes());
        }
    }
}

impl From<Malformed> for io::Error {
    fn from(_: Malformed) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, "not a packet from a client")
    }
}
