//! One side of the bridge: an MQTT client on its byte stream.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::Buf;
use dunlin_codec::{
    AckKind, Connack, Decoded, MAX_PACKET_SIZE, Packet, PacketId, PropertiesBuf, Property, Qos,
    ReasonCode, RetainHandling, SubscribeFiltersBuf, SubscriptionOptions, UnsubscribeFiltersBuf,
    Version, decode, encode, encode_ack,
};
use dunlin_session::client::{Connected, Connecting, Event, Greeting, Options, Will};
use dunlin_session::{Client, Failure, SessionState};
use dunlin_time::{Clock, Now};
use tokio::time::timeout;

use crate::settings::BridgeSettings;
use crate::topics::{Place, Topics};
use crate::wire::{Stream, Wire};

/// A client that its broker has accepted.
pub(crate) struct Side {
    pub wire: Wire,
    pub client: Client,
    /// The highest QoS that the broker takes.
    pub maximum_qos: Qos,
    /// Whether the broker keeps messages.
    pub retain: bool,
    pub version: Version,
    /// Bytes of the largest packet that we take.
    maximum_packet_size: u32,
    /// PUBCOMP packets to come before anything above QoS 0 may be published: see [`Side::sweep`].
    sweeping: u32,
}

/// What CONNACK brought.
pub(crate) struct Greeted {
    pub side: Side,
    /// The broker goes on with the session; 3.1 cannot say, and is taken to.
    pub resumed: bool,
    /// Numbers of messages in flight that are too large for this connection.
    pub too_large: Vec<u64>,
}

/// Why there is no connection.
pub(crate) struct Refused {
    pub why: String,
    /// To connect with next.
    pub state: SessionState,
    /// Whether it may be the bit that says that we are a bridge.
    pub private: Doubt,
}

/// What a refusal of a CONNECT with the bridge's bit says about that bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Nothing.
    None,
    /// The broker closed without an answer.
    Closed,
    /// The broker does not know this version of the protocol.
    Version,
}

impl Refused {
    /// There was nobody to ask.
    pub fn unreached(why: String, state: SessionState) -> Self {
        Refused {
            why,
            state,
            private: Doubt::None,
        }
    }
}

/// All that a CONNECT needs to know.
pub(crate) struct Introduction {
    pub options: Options,
    /// Set the bit of the protocol level that says that this is a bridge.
    pub private: bool,
    /// Free packet ids that an earlier process may have left: see [`Side::sweep`].
    pub sweep: bool,
    /// How long the broker may take to answer.
    patience: Duration,
}

impl Introduction {
    /// As which client to go there.
    pub fn new(settings: &BridgeSettings, place: Place) -> Self {
        let clean = match place {
            Place::Local => settings.local_clean(),
            Place::Remote => settings.clean_session,
        };
        // What waits for a lazy bridge to connect waits inside this window.
        let window = match (place, settings.start) {
            (Place::Local, crate::Start::Lazy { threshold, .. }) => {
                settings.receive_maximum.max(threshold)
            }
            _ => settings.receive_maximum,
        };
        let mut options = Options {
            version: Version::Mqtt5,
            client_id: settings.local_id(),
            clean_start: clean,
            session_expiry: if clean { 0 } else { settings.session_expiry },
            keep_alive: settings.keep_alive,
            will: None,
            username: settings.local_username.clone(),
            password: settings.local_password.clone(),
            receive_maximum: NonZeroU16::MAX,
            maximum_inflight: settings.receive_maximum,
            maximum_packet_size: NonZeroU32::new(settings.max_incoming_packet_bytes)
                .unwrap_or(NonZeroU32::MAX),
            topic_alias_maximum: 0,
            properties: PropertiesBuf::new(),
        };
        // Announced, but not insisted on: Mosquitto 2.0 sends some more at QoS 2, and would be cut
        // off again and again. What it may send is bounded by what is read.
        let announced = NonZeroU16::new(window).unwrap_or(NonZeroU16::MIN);
        // A number of two bytes has an encoding.
        let _ = options.properties.push(Property::ReceiveMaximum(announced));
        let zero = settings.notifications.then(|| Will {
            qos: Qos::AtLeastOnce,
            retain: true,
            topic: settings.notification_topic(),
            payload: b"0".to_vec(),
            properties: PropertiesBuf::new(),
        });
        match place {
            Place::Local => options.will = zero,
            Place::Remote => {
                options.version = settings.version;
                options.client_id = settings.remote_id();
                options.maximum_inflight = settings.remote_window();
                options.will = zero.filter(|_| !settings.notifications_local_only);
                options.username = settings.remote_username.clone();
                options.password = settings.remote_password.clone();
                options.topic_alias_maximum = settings.topic_alias_maximum;
            }
        }
        Introduction {
            options,
            private: false,
            sweep: false,
            patience: settings.connect_timeout,
        }
    }

    /// CONNECT to CONNACK over a new stream.
    ///
    /// # Errors
    /// The stream broke, or the broker refused us.
    pub async fn greet(
        &self,
        stream: Box<dyn Stream>,
        state: SessionState,
        clock: Clock,
    ) -> Result<Greeted, Refused> {
        let mut wire = Wire::new(stream);
        let begun = self
            .options
            .connect(clock.now(), Some(state), &mut wire.output);
        let mut connecting = match begun {
            Ok(connecting) => connecting,
            Err(error) => return Err(refused(format!("CONNECT has no encoding: {error}"), None)),
        };
        if self.private {
            set_bridge_bit(&mut wire.output, self.options.version);
        }
        let greeting = self.read_greeting(&mut wire, &mut connecting, clock);
        let answer = timeout(self.patience, greeting).await;
        match answer.unwrap_or_else(|_| Err(("no CONNACK came in time".into(), Doubt::None))) {
            Ok(accepted) => Ok(accepted.side(wire, self)),
            Err((why, doubt)) => Err(Refused {
                private: if self.private { doubt } else { Doubt::None },
                ..refused(why, connecting.into_state())
            }),
        }
    }

    async fn read_greeting(
        &self,
        wire: &mut Wire,
        connecting: &mut Connecting,
        clock: Clock,
    ) -> Result<Accepted, (String, Doubt)> {
        let maximum = self.options.maximum_packet_size.get();
        loop {
            let ended = wire.turn(true).await;
            ended.map_err(|error| (format!("{error}, before CONNACK"), Doubt::Closed))?;
            let decoded = decode(&wire.input, self.options.version, maximum);
            let decoded = decoded.map_err(|error| (broke(&error.into()), Doubt::None))?;
            let Decoded::Packet { packet, length } = decoded else {
                continue;
            };
            let greeting = connecting.receive(clock.now(), packet, &mut wire.output);
            let connected = match greeting.map_err(|failure| refusal(&failure))? {
                Greeting::Connected(connected) => connected,
                Greeting::Challenge(_) => {
                    let why = "the broker asks for AUTH, which we did not offer";
                    return Err((why.into(), Doubt::None));
                }
            };
            let accepted = Accepted::new(*connected);
            wire.input.advance(length);
            return Ok(accepted);
        }
    }
}

/// What is kept of a CONNACK.
struct Accepted {
    client: Client,
    session_present: bool,
    maximum_qos: Qos,
    retain: bool,
    discarded: Vec<u64>,
}

impl Accepted {
    fn new(connected: Connected<'_>) -> Self {
        let Connack {
            session_present,
            properties,
            ..
        } = connected.connack;
        let discarded = connected.discarded.iter();
        Accepted {
            client: connected.client,
            session_present,
            maximum_qos: properties.maximum_qos().unwrap_or(Qos::ExactlyOnce),
            retain: properties.retain_available(),
            discarded: discarded.map(|gone| gone.message.publisher()).collect(),
        }
    }

    fn side(self, wire: Wire, introduction: &Introduction) -> Greeted {
        let options = &introduction.options;
        let unsure = !options.version.has_session_present() && !options.clean_start;
        let mut side = Side {
            wire,
            client: self.client,
            maximum_qos: self.maximum_qos,
            retain: self.retain,
            version: options.version,
            maximum_packet_size: options.maximum_packet_size.get(),
            sweeping: 0,
        };
        let resumed = self.session_present || unsure;
        if introduction.sweep && resumed {
            side.sweep();
        }
        Greeted {
            side,
            resumed,
            too_large: self.discarded,
        }
    }
}

impl Side {
    /// Handles all whole packets that were read.
    ///
    /// # Errors
    /// The broker broke the protocol, or ended the connection.
    pub fn receive(
        &mut self,
        now: Now,
        mut on: impl FnMut(Event<'_>, &mut Client, &mut Vec<u8>),
    ) -> Result<(), String> {
        let mut at = 0;
        loop {
            let rest = &self.wire.input[at..];
            let decoded = decode(rest, self.version, self.maximum_packet_size)
                .map_err(|error| broke(&error.into()))?;
            let Decoded::Packet { packet, length } = decoded else {
                break;
            };
            at += length;
            if self.sweeping > 0 && matches!(packet, Packet::Pubcomp(_)) {
                self.sweeping -= 1;
                continue;
            }
            let output = &mut self.wire.output;
            let event = self.client.receive(now, packet, output);
            match event.map_err(|failure| broke(&failure))? {
                Event::Disconnected(disconnect) => {
                    let said = disconnect.properties.reason_string();
                    let what = said.unwrap_or(disconnect.reason.name());
                    let code = disconnect.reason as u8;
                    return Err(format!("the broker disconnected us: {what} (0x{code:02x})"));
                }
                event => on(event, &mut self.client, output),
            }
        }
        self.wire.input.advance(at);
        Ok(())
    }

    /// How many messages above QoS 0 may be published now.
    pub fn room(&self) -> usize {
        match self.sweeping {
            0 => self.client.room(),
            _ => 0,
        }
    }

    /// The answers of [`Side::sweep`] are in.
    pub fn is_swept(&self) -> bool {
        self.sweeping == 0
    }

    /// Frees every packet id. The broker may hold ids of QoS 2 messages of a process that ended
    /// without finishing them, and would take a new message under such an id for the old one: it
    /// would be lost. PUBREL for an id that is not in use is allowed (section 4.3.3). That is half
    /// a megabyte, once in the life of a process, and only where QoS 2 is used.
    fn sweep(&mut self) {
        for id in 1..=u16::MAX {
            let Some(id) = PacketId::new(id) else {
                continue;
            };
            let output = &mut self.wire.output;
            encode_ack(
                AckKind::Pubrel,
                id,
                ReasonCode::Success,
                self.version,
                output,
            );
            self.sweeping += 1;
        }
    }

    /// Subscribes to what this side's messages are to come from. `retained` says whether retained
    /// messages are sent.
    pub fn subscribe(&mut self, now: Now, topics: &Topics, place: Place, retained: RetainHandling) {
        for chunk in topics.subscriptions(place).chunks(FILTERS) {
            let mut filters = SubscribeFiltersBuf::new();
            for (filter, qos) in chunk {
                let v5 = self.version.has_subscription_options();
                let options = SubscriptionOptions {
                    qos: *qos,
                    // A shared subscription cannot have it [MQTT-3.8.3-4].
                    no_local: v5 && !filter.starts_with("$share/"),
                    retain_as_published: v5,
                    retain_handling: if v5 {
                        retained
                    } else {
                        RetainHandling::default()
                    },
                };
                // Rules were checked: no filter is longer than a filter may be.
                let _ = filters.push(filter, options);
            }
            let output = &mut self.wire.output;
            let sent = self
                .client
                .subscribe(now, &filters, &PropertiesBuf::new(), output);
            if let Err(error) = sent {
                tracing::warn!(?error, "a subscription of the bridge could not be sent");
            }
        }
    }

    /// Ends subscriptions that are not wanted here.
    pub fn unsubscribe(&mut self, now: Now, topics: &Topics, place: Place) {
        for chunk in topics.unwanted(place).chunks(FILTERS) {
            let mut filters = UnsubscribeFiltersBuf::new();
            for filter in chunk {
                // As above.
                let _ = filters.push(filter);
            }
            let output = &mut self.wire.output;
            let sent = self
                .client
                .unsubscribe(now, &filters, &PropertiesBuf::new(), output);
            if let Err(error) = sent {
                tracing::warn!(?error, "an UNSUBSCRIBE of the bridge could not be sent");
            }
        }
    }
}

/// Filters in one SUBSCRIBE: AWS IoT takes no more.
const FILTERS: usize = 8;

fn refused(why: String, state: Option<SessionState>) -> Refused {
    Refused::unreached(why, state.unwrap_or_default())
}

fn refusal(failure: &Failure) -> (String, Doubt) {
    let version = failure.reason == ReasonCode::UnsupportedProtocolVersion;
    match failure.peers_fault() && !version {
        true => (broke(failure), Doubt::None),
        false => {
            let doubt = if version { Doubt::Version } else { Doubt::None };
            (format!("the broker refused us: {failure}"), doubt)
        }
    }
}

fn broke(failure: &Failure) -> String {
    format!("the broker broke the protocol: {failure}")
}

/// Writes the CONNECT in `output` again, as a bridge's.
fn set_bridge_bit(output: &mut Vec<u8>, version: Version) {
    let plain = std::mem::take(output);
    if let Ok(Decoded::Packet {
        packet: Packet::Connect(mut connect),
        ..
    }) = decode(&plain, version, MAX_PACKET_SIZE as u32)
    {
        connect.bridge = true;
        if encode(&Packet::Connect(connect), version, output).is_ok() {
            return;
        }
    }
    *output = plain;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_says_so_in_its_protocol_level() {
        let options = Options {
            version: Version::Mqtt311,
            client_id: "b".into(),
            ..Options::default()
        };
        let mut output = Vec::new();
        options.connect(Now::default(), None, &mut output).unwrap();
        let mut expected = output.clone();
        set_bridge_bit(&mut output, Version::Mqtt311);
        expected[8] |= 0x80;
        assert_eq!(output, expected);
        assert_eq!(output[8], 0x84);
    }
}
