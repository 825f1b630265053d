use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use dunlin_codec::{
    Ack, Connect, Disconnect, Packet, PacketId, Properties, Property, Publish, Qos, ReasonCode,
    Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf,
    Version, encode,
};

use super::{Broker, Frame, id, properties};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds that a session outlives its connection, where a test asks for one that does.
const SESSION_EXPIRY: u32 = 300;

/// A client that does what the test says and nothing by itself.
pub struct Client {
    version: Version,
    stream: TcpStream,
    received: Vec<u8>,
    /// Messages that came before an acknowledgement that a test waited for.
    set_aside: VecDeque<Frame>,
    /// What the client said it takes: nothing larger may come [MQTT-3.1.2-24].
    maximum_packet_size: u32,
    last_packet_id: u16,
}

/// To begin.
impl Client {
    /// A connection without CONNECT.
    pub fn open(broker: &Broker, version: Version) -> Client {
        Client::over(broker.dial(), version)
    }

    /// The same on any socket.
    pub fn over(stream: TcpStream, version: Version) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Client {
            version,
            stream,
            received: Vec::new(),
            set_aside: VecDeque::new(),
            maximum_packet_size: u32::MAX,
            last_packet_id: 0,
        }
    }

    /// Waits for what must come as long as this, not the usual time.
    pub fn patience(&mut self, patience: Duration) {
        let socket = self.stream.set_read_timeout(Some(patience));
        socket.expect("a socket");
    }

    /// Sends a CONNECT; the answer with it.
    pub fn request(broker: &Broker, connect: &Connect<'_>) -> (Client, Frame) {
        Client::request_over(broker.dial(), connect)
    }

    /// The same on any socket.
    pub fn request_over(stream: TcpStream, connect: &Connect<'_>) -> (Client, Frame) {
        let mut client = Client::over(stream, connect.version);
        if let Some(maximum) = connect.properties.maximum_packet_size() {
            client.maximum_packet_size = maximum.get();
        }
        client.send(&Packet::Connect(*connect));
        let connack = client.receive();
        connack.connack();
        (client, connack)
    }

    /// A connection that stands: the CONNECT was accepted.
    pub fn accepted(broker: &Broker, connect: &Connect<'_>) -> Client {
        let (client, connack) = Client::request(broker, connect);
        assert_eq!(connack.connack().reason, ReasonCode::Success);
        client
    }

    /// A client with a clean session that ends with its connection.
    pub fn clean(broker: &Broker, version: Version, client_id: &str) -> Client {
        let connect = Connect {
            version,
            client_id,
            clean_start: true,
            ..Connect::default()
        };
        Client::accepted(broker, &connect)
    }

    /// A client whose session goes on, and whether it had one.
    pub fn resuming(broker: &Broker, version: Version, client_id: &str) -> (Client, bool) {
        let properties = properties(&[Property::SessionExpiryInterval(SESSION_EXPIRY)]);
        let connect = Connect {
            version,
            client_id,
            properties: match version.has_properties() {
                true => properties.as_properties(),
                false => Properties::EMPTY,
            },
            ..Connect::default()
        };
        let (client, connack) = Client::request(broker, &connect);
        assert_eq!(connack.connack().reason, ReasonCode::Success);
        (client, connack.connack().session_present)
    }
}

/// Single packets.
impl Client {
    /// Sends a packet.
    pub fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, self.version, &mut bytes).expect("it has an encoding");
        self.send_bytes(&bytes);
    }

    /// Sends any bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    /// The next packet.
    pub fn receive(&mut self) -> Frame {
        self.next().expect("a packet, not the end")
    }

    /// The next packet that is no message; messages before it are set aside for later.
    fn receive_answer(&mut self) -> Frame {
        loop {
            let frame = self.read().expect("an answer, not the end");
            match frame.packet() {
                Packet::Publish(_) => self.set_aside.push_back(frame),
                _ => return frame,
            }
        }
    }

    /// The next packet, or the end of the connection.
    pub fn next(&mut self) -> Option<Frame> {
        let set_aside = self.set_aside.pop_front();
        set_aside.or_else(|| self.read())
    }

    fn read(&mut self) -> Option<Frame> {
        let frame = self.read_until_gone();
        if frame.is_none() {
            assert!(self.received.is_empty(), "cut: {:02x?}", self.received);
        }
        frame
    }

    /// The next packet, or the end of a connection whose broker may have died at any byte.
    pub fn read_until_gone(&mut self) -> Option<Frame> {
        loop {
            let maximum = self.maximum_packet_size;
            let frame = Frame::take(&mut self.received, self.version, maximum);
            if frame.is_some() {
                return frame;
            }
            let mut some = [0; 4096];
            match self.stream.read(&mut some) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&some[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// Sends a packet to a broker that may have died; whether anybody took it, reading tells.
    pub fn send_if_there(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, self.version, &mut bytes).expect("it has an encoding");
        // What was not sent is as good as lost on its way.
        let _ = self.stream.write_all(&bytes);
    }

    /// Nothing more comes: the connection is closed.
    pub fn expect_close(&mut self) {
        let frame = self.next();
        let packet = frame.as_ref().map(Frame::packet);
        assert!(packet.is_none(), "instead of the end: {packet:?}");
    }

    /// The broker ends the connection, in version 5 with a DISCONNECT of this reason.
    pub fn expect_end(&mut self, reason: ReasonCode) {
        if self.version.has_server_disconnect() {
            let frame = self.receive();
            assert_eq!(frame.disconnect().reason, reason, "{:?}", frame.packet());
        }
        self.expect_close();
    }

    /// The next packet answers a PINGREQ: nothing was on its way before.
    pub fn ping(&mut self) {
        self.send(&Packet::Pingreq);
        let frame = self.receive();
        assert_eq!(frame.packet(), Packet::Pingresp);
    }

    /// Sends PUBACK.
    pub fn puback(&mut self, packet_id: PacketId) {
        self.send(&Packet::Puback(Ack::success(packet_id)));
    }

    /// Sends PUBREC.
    pub fn pubrec(&mut self, packet_id: PacketId) {
        self.send(&Packet::Pubrec(Ack::success(packet_id)));
    }

    /// Sends PUBREL.
    pub fn pubrel(&mut self, packet_id: PacketId) {
        self.send(&Packet::Pubrel(Ack::success(packet_id)));
    }

    /// Sends PUBCOMP.
    pub fn pubcomp(&mut self, packet_id: PacketId) {
        self.send(&Packet::Pubcomp(Ack::success(packet_id)));
    }

    fn packet_id(&mut self) -> PacketId {
        self.last_packet_id += 1;
        id(self.last_packet_id)
    }
}

/// Whole exchanges.
impl Client {
    /// Publishes, to the last acknowledgement.
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: Qos) {
        self.publish_packet(&Publish {
            topic,
            payload,
            qos,
            ..Publish::default()
        });
    }

    /// Publishes retained, to the last acknowledgement.
    pub fn publish_retained(&mut self, topic: &str, payload: &[u8], qos: Qos) {
        self.publish_packet(&Publish {
            topic,
            payload,
            qos,
            retain: true,
            ..Publish::default()
        });
    }

    /// Publishes with a new packet id, to the last acknowledgement. At QoS 0 to a PINGRESP, so
    /// that the broker has routed it too.
    pub fn publish_packet(&mut self, publish: &Publish<'_>) {
        let packet_id = self.packet_id();
        let acknowledged = publish.qos != Qos::AtMostOnce;
        self.send(&Packet::Publish(Publish {
            packet_id: acknowledged.then_some(packet_id),
            ..*publish
        }));
        match publish.qos {
            Qos::AtMostOnce => {
                self.send(&Packet::Pingreq);
                assert_eq!(self.receive_answer().packet(), Packet::Pingresp);
            }
            Qos::AtLeastOnce => assert_eq!(self.receive_answer().puback().0, packet_id.get()),
            Qos::ExactlyOnce => {
                assert_eq!(self.receive_answer().pubrec().0, packet_id.get());
                self.pubrel(packet_id);
                let pubcomp = (packet_id.get(), ReasonCode::Success);
                assert_eq!(self.receive_answer().pubcomp(), pubcomp);
            }
        }
    }

    /// Subscribes to one filter, which is granted.
    pub fn subscribe(&mut self, filter: &str, qos: Qos) {
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        let reasons = self.subscribe_all(&[(filter, options)], Properties::EMPTY);
        assert_eq!(reasons, [ReasonCode::granted(qos)]);
    }

    /// Subscribes; the answers in the order of the filters.
    pub fn subscribe_all(
        &mut self,
        list: &[(&str, SubscriptionOptions)],
        properties: Properties<'_>,
    ) -> Vec<ReasonCode> {
        let mut filters = SubscribeFiltersBuf::new();
        for (filter, options) in list {
            filters.push(filter, *options).expect("it has an encoding");
        }
        let packet_id = self.packet_id();
        self.send(&Packet::Subscribe(Subscribe {
            packet_id,
            properties,
            filters: filters.as_filters(),
        }));
        let frame = self.receive();
        assert_eq!(frame.suback().packet_id, packet_id);
        frame.suback().reasons.iter().collect()
    }

    /// Unsubscribes; the answers in the order of the filters, none before version 5.
    pub fn unsubscribe(&mut self, list: &[&str]) -> Vec<ReasonCode> {
        let mut filters = UnsubscribeFiltersBuf::new();
        for filter in list {
            filters.push(filter).expect("it has an encoding");
        }
        let packet_id = self.packet_id();
        self.send(&Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        }));
        let frame = self.receive();
        assert_eq!(frame.unsuback().packet_id, packet_id);
        frame.unsuback().reasons.iter().collect()
    }

    /// The next packet is this message; it is acknowledged to the end.
    pub fn expect_message(&mut self, topic: &str, payload: &[u8]) -> Frame {
        let frame = self.receive();
        let publish = frame.publish();
        let text = String::from_utf8_lossy;
        assert_eq!(
            (publish.topic, text(publish.payload)),
            (topic, text(payload))
        );
        match (publish.qos, publish.packet_id) {
            (Qos::AtLeastOnce, Some(packet_id)) => self.puback(packet_id),
            (Qos::ExactlyOnce, Some(packet_id)) => {
                self.pubrec(packet_id);
                let pubrel = (packet_id.get(), ReasonCode::Success);
                assert_eq!(self.receive_answer().pubrel(), pubrel);
                self.pubcomp(packet_id);
            }
            _ => {}
        }
        frame
    }

    /// The connection breaks without DISCONNECT; the broker has noticed on return.
    pub fn lose(mut self) {
        // It may be broken already.
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.read().is_some() {}
    }

    /// Leaves with DISCONNECT; what the broker does about it is done on return.
    pub fn disconnect(self) {
        self.disconnect_with(Disconnect::default());
    }

    /// Leaves with this DISCONNECT.
    pub fn disconnect_with(mut self, disconnect: Disconnect<'_>) {
        self.send(&Packet::Disconnect(disconnect));
        while self.read().is_some() {}
    }
}
