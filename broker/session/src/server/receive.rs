//! What a client sends, and what that asks of the world beyond its session.

use std::iter::repeat_n;

use dunlin_codec::{
    Ack, AckKind, Auth, Disconnect, Packet, PacketId, Properties, Publish, Qos, ReasonCode,
    ReasonCodesBuf, Sender, Suback, Subscribe, Unsubscribe, encoded_len,
};
use dunlin_time::Now;
use dunlin_topic::TopicName;

use super::{AuthTurn, Session};
use crate::handshake::write;
use crate::incoming::{Opened, Rules};
use crate::{Delivery, Failure, Incoming};

/// What a packet asks of the world beyond this session.
#[derive(Debug)]
pub enum Request<'p> {
    /// Nothing: the session has answered.
    Nothing,
    /// Deliver it; answer with [`Session::acknowledge`] or [`Session::postpone`].
    Publish(Incoming<'p>),
    /// An acknowledgement came.
    Progress(Progress),
    /// Answer with [`Session::subscribed`].
    Subscribe(Subscribe<'p>),
    /// Answer with [`Session::unsubscribed`].
    Unsubscribe(Unsubscribe<'p>),
    /// Answer with [`Session::reauthenticated`] or [`Session::challenge`].
    Reauthenticate(&'p [u8]),
    /// The client leaves.
    Disconnect(Farewell),
}

/// What an acknowledgement has moved on.
#[derive(Debug)]
pub enum Progress {
    /// Nothing that a queue knows of.
    Nothing,
    /// The client took or refused this message; its queue may forget it.
    Finished(Finished),
    /// PUBCOMP: the id of a QoS 2 message is free again.
    Completed(PacketId),
    /// PUBREL: the id of a QoS 2 message from the client is free again.
    Released(PacketId),
}

/// A message that its queue may forget.
#[derive(Debug)]
pub struct Finished {
    /// The message.
    pub delivery: Delivery,
    /// What it was sent as.
    pub packet_id: PacketId,
    /// It was answered by PUBREL: the id stays in use until PUBCOMP.
    pub released: bool,
}

/// How a client left by DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Its reason; normal for version 3.
    pub reason: ReasonCode,
    /// Whether the will is published all the same (0x04, or an error).
    pub publish_will: bool,
}

impl Session {
    /// One packet from the client. Acknowledgements and answers are appended to `out`.
    ///
    /// # Errors
    /// The client broke the protocol or the terms.
    pub fn receive<'p>(
        &mut self,
        now: Now,
        packet: Packet<'p>,
        out: &mut Vec<u8>,
    ) -> Result<Request<'p>, Failure> {
        self.last_packet = now.monotonic;
        match packet {
            Packet::Publish(publish) => {
                let incoming = self.receive_publish(now, publish, None, out)?;
                Ok(incoming.map_or(Request::Nothing, Request::Publish))
            }
            Packet::Puback(ack) => self.progress(now, AckKind::Puback, ack, out),
            Packet::Pubrec(ack) => self.progress(now, AckKind::Pubrec, ack, out),
            Packet::Pubrel(ack) => self.progress(now, AckKind::Pubrel, ack, out),
            Packet::Pubcomp(ack) => self.progress(now, AckKind::Pubcomp, ack, out),
            Packet::Subscribe(subscribe) => {
                self.check_answer(subscribe.filters.iter().count())?;
                Ok(Request::Subscribe(subscribe))
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.check_answer(unsubscribe.filters.iter().count())?;
                Ok(Request::Unsubscribe(unsubscribe))
            }
            Packet::Pingreq => {
                write(&Packet::Pingresp, self.version, out);
                Ok(Request::Nothing)
            }
            Packet::Disconnect(disconnect) => self.farewell(disconnect),
            Packet::Auth(auth) => self.auth(auth),
            Packet::Connect(_) => Err(Failure::protocol("a second CONNECT [MQTT-3.1.0-2]")),
            Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                Err(Failure::protocol("a packet that only a server may send"))
            }
        }
    }

    /// A PUBLISH, as [`Session::receive`] takes it; `None` if the session has answered it. If its
    /// topic is `known` itself, which this session took before, it is not checked again. Inlined,
    /// so that the packet stays where it is.
    ///
    /// # Errors
    /// As [`Session::receive`].
    #[inline(always)]
    pub fn receive_publish<'p>(
        &mut self,
        now: Now,
        publish: Publish<'p>,
        known: Option<TopicName<'p>>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Incoming<'p>>, Failure> {
        self.last_packet = now.monotonic;
        self.check_terms(&publish)?;
        let rules = Rules {
            version: self.version,
            receive_maximum: self.receive_maximum(),
            topic_alias_maximum: self.terms.topic_alias_maximum,
            maximum_topic_levels: self.terms.maximum_topic_levels,
        };
        let topic = rules.resolve(&publish, known, &mut self.incoming_aliases)?;
        Ok(match rules.open(&publish, &mut self.inbound, out)? {
            Opened::Duplicate => None,
            Opened::New(acknowledgement) => Some(Incoming {
                topic,
                publish,
                acknowledgement,
            }),
        })
    }

    /// An acknowledgement, as [`Session::receive`] takes it.
    ///
    /// # Errors
    /// As [`Session::receive`].
    pub fn receive_ack(
        &mut self,
        now: Now,
        kind: AckKind,
        packet_id: PacketId,
        reason: ReasonCode,
        out: &mut Vec<u8>,
    ) -> Result<Progress, Failure> {
        self.last_packet = now.monotonic;
        let version = self.version;
        let finished = match kind {
            AckKind::Puback => self.outbound.puback(packet_id)?,
            AckKind::Pubrec => self.outbound.pubrec(packet_id, reason, version, out)?,
            AckKind::Pubcomp => {
                self.outbound.pubcomp(packet_id)?;
                self.resend(now.wall, out);
                return Ok(Progress::Completed(packet_id));
            }
            AckKind::Pubrel => {
                return Ok(match self.inbound.release(packet_id, version, out) {
                    true => Progress::Released(packet_id),
                    false => Progress::Nothing,
                });
            }
        };
        // It made room: what waits for that is sent again.
        self.resend(now.wall, out);
        Ok(finished.map_or(Progress::Nothing, |delivery| {
            Progress::Finished(Finished {
                released: delivery.qos == Qos::ExactlyOnce && !reason.is_error(),
                delivery,
                packet_id,
            })
        }))
    }

    fn progress<'p>(
        &mut self,
        now: Now,
        kind: AckKind,
        ack: Ack<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Request<'p>, Failure> {
        let progress = self.receive_ack(now, kind, ack.packet_id, ack.reason, out)?;
        Ok(Request::Progress(progress))
    }

    fn check_terms(&self, publish: &Publish<'_>) -> Result<(), Failure> {
        if publish.qos > self.terms.maximum_qos {
            return Err(Failure::new(
                ReasonCode::QosNotSupported,
                "QoS above Maximum QoS [MQTT-3.2.2-11]",
            ));
        }
        if publish.retain && !self.terms.retain_available {
            return Err(Failure::new(
                ReasonCode::RetainNotSupported,
                "RETAIN is not available here [MQTT-3.2.2-14]",
            ));
        }
        self.terms.check_topic_bytes(publish.topic)?;
        if publish.properties.is_empty() {
            return Ok(());
        }
        if publish
            .properties
            .subscription_identifiers()
            .next()
            .is_some()
        {
            return Err(Failure::protocol(
                "a client's PUBLISH with a subscription identifier [MQTT-3.3.4-6]",
            ));
        }
        if let Some(topic) = publish.properties.response_topic() {
            TopicName::new_bounded(topic, self.terms.maximum_topic_levels).map_err(|_| {
                Failure::protocol("a response topic with wildcards [MQTT-3.3.2-14]")
            })?;
        }
        Ok(())
    }

    /// Version 3 cannot be told a limit: its packet ids are one.
    fn receive_maximum(&self) -> u16 {
        match self.version.has_properties() {
            true => self.terms.receive_maximum,
            false => u16::MAX,
        }
    }

    /// Refuses a request, before it has any effect, whose answer would exceed the client's Maximum
    /// Packet Size [MQTT-3.1.2-24]: it has a reason code for each filter.
    fn check_answer(&self, filters: usize) -> Result<(), Failure> {
        /// More than an answer has beside reason codes.
        const REST: usize = 16;
        if filters + REST <= self.maximum_packet_size as usize {
            return Ok(());
        }
        let reasons: ReasonCodesBuf = repeat_n(ReasonCode::Success, filters).collect();
        let answer = Packet::Suback(Suback {
            packet_id: PacketId::MIN,
            properties: Properties::EMPTY,
            reasons: reasons.as_reason_codes(),
        });
        if encoded_len(&answer, self.version) <= self.maximum_packet_size as usize {
            return Ok(());
        }
        Err(Failure::new(
            ReasonCode::PacketTooLarge,
            "the answer to so many filters exceeds the client's Maximum Packet Size [MQTT-3.1.2-24]",
        ))
    }

    fn farewell<'p>(&mut self, disconnect: Disconnect<'_>) -> Result<Request<'p>, Failure> {
        Packet::Disconnect(disconnect).check_sender(Sender::Client, self.version)?;
        if let Some(expiry) = disconnect.properties.session_expiry_interval() {
            if !self.asked_to_persist && expiry != 0 {
                return Err(Failure::protocol(
                    "a session expiry at DISCONNECT after none at CONNECT (3.14.2.2.2)",
                ));
            }
            self.session_expiry = expiry.min(self.terms.maximum_session_expiry);
        }
        Ok(Request::Disconnect(Farewell {
            reason: disconnect.reason,
            publish_will: disconnect.reason != ReasonCode::Success,
        }))
    }

    fn auth<'p>(&mut self, auth: Auth<'p>) -> Result<Request<'p>, Failure> {
        let method = auth.properties.authentication_method();
        if self.authentication_method.is_none() || method != self.method() {
            return Err(Failure::protocol(
                "AUTH with another method than CONNECT [MQTT-4.12.1-1]",
            ));
        }
        match (auth.reason, self.turn) {
            (ReasonCode::ReAuthenticate, AuthTurn::Nobody)
            | (ReasonCode::ContinueAuthentication, AuthTurn::Client) => {
                self.turn = AuthTurn::Server;
                let data = auth.properties.authentication_data();
                Ok(Request::Reauthenticate(data.unwrap_or_default()))
            }
            _ => Err(Failure::protocol("AUTH out of order [MQTT-4.12.0-3]")),
        }
    }
}
