//! One side of the bridge: an MQTT client on its byte stream.

use bytes::Buf;
use dunlin_codec::{
    AckKind, Decoded, Packet, PacketId, PropertiesBuf, Qos, ReasonCode, RetainHandling,
    SubscribeFiltersBuf, SubscriptionOptions, UnsubscribeFiltersBuf, Version, decode, encode_ack,
};
use dunlin_session::client::Event;
use dunlin_session::{Client, Failure};
use dunlin_time::Now;

use crate::subscribing::Subscribing;
use crate::topics::{Place, Topics};
use crate::wire::Wire;

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
    pub maximum_packet_size: u32,
    /// The subscriptions of this connection.
    pub subscribing: Subscribing,
    /// PUBCOMP packets to come before anything above QoS 0 may be published: see [`Side::sweep`].
    pub sweeping: u32,
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
                Event::Subscribed(answer) => self.subscribing.answered(&answer),
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
    pub fn sweep(&mut self) {
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
            match sent {
                Ok(packet_id) => self.subscribing.asked(packet_id, chunk),
                Err(error) => {
                    tracing::warn!(?error, "a subscription of the bridge could not be sent");
                }
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

pub(crate) fn broke(failure: &Failure) -> String {
    format!("the broker broke the protocol: {failure}")
}
