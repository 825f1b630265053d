//! From a new byte stream to a client that its broker has accepted.

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Buf;
use dunlin_codec::{
    Connack, Decoded, MAX_PACKET_SIZE, Packet, Property, Qos, ReasonCode, Version, decode, encode,
};
use dunlin_session::client::{Connected, Connecting, Greeting, Options};
use dunlin_session::{Client, Failure, SessionState};
use dunlin_time::Clock;
use tokio::time::timeout;

use crate::client::{Side, broke};
use crate::subscribing::Subscribing;
use crate::wire::{Stream, Wire};

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
    options: Options,
    /// Set the bit of the protocol level that says that this is a bridge.
    pub private: bool,
    /// Free packet ids that an earlier process may have left: see [`Side::sweep`].
    pub sweep: bool,
    /// How long the broker may take to answer.
    patience: Duration,
}

impl Introduction {
    /// `window` is how many messages above QoS 0 the broker may have open towards us.
    ///
    /// It is announced, but not insisted on: Mosquitto 2.0 sends some more at QoS 2, and would be
    /// cut off again and again. What it may send is bounded by what is read.
    pub fn new(mut options: Options, window: u16, patience: Duration) -> Self {
        options.receive_maximum = NonZeroU16::MAX;
        let announced = NonZeroU16::new(window).unwrap_or(NonZeroU16::MIN);
        // A number of two bytes has an encoding.
        let _ = options.properties.push(Property::ReceiveMaximum(announced));
        Introduction {
            options,
            private: false,
            sweep: false,
            patience,
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
            let refuses = matches!(&packet, Packet::Connack(connack) if connack.reason.is_error());
            let greeting = connecting.receive(clock.now(), packet, &mut wire.output);
            let connected = match greeting.map_err(|failure| refusal(&failure, refuses))? {
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
            subscribing: Subscribing::default(),
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

fn refused(why: String, state: Option<SessionState>) -> Refused {
    Refused::unreached(why, state.unwrap_or_default())
}

/// Why there is no session: the broker `refuses`, or has broken the protocol.
fn refusal(failure: &Failure, refuses: bool) -> (String, Doubt) {
    if !refuses {
        return (broke(failure), Doubt::None);
    }
    let doubt = match failure.reason {
        ReasonCode::UnsupportedProtocolVersion => Doubt::Version,
        _ => Doubt::None,
    };
    (format!("the broker refused us: {failure}"), doubt)
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
    use dunlin_time::Now;

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
