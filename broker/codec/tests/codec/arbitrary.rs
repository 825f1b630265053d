//! Strategies for whole packets, as values that own their text and bytes.

use core::num::{NonZeroU16, NonZeroU32};

use dunlin_codec::{
    Ack, Auth, Connack, Connect, Disconnect, Packet, PacketId, PacketType, Properties,
    PropertiesBuf, Property, PropertyPlace, Publish, Qos, ReasonCode, ReasonCodesBuf,
    RetainHandling, Suback, Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe,
    UnsubscribeFiltersBuf, Version, Will,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub fn version() -> impl Strategy<Value = Version> {
    select(&[Version::Mqtt31, Version::Mqtt311, Version::Mqtt5][..])
}

/// What any packet is made of. Each test builds the packet of one type from it, so that one
/// strategy serves all types and versions.
#[derive(Clone, Debug)]
pub struct Material {
    pub version: Version,
    pub packet_type: u8,
    pub texts: [String; 3],
    pub bytes: [Vec<u8>; 2],
    pub flags: [bool; 5],
    pub qos: Qos,
    pub packet_id: PacketId,
    pub keep_alive: u16,
    pub reason: ReasonCode,
    pub properties: PropertiesBuf,
    pub will_properties: PropertiesBuf,
    pub filters: SubscribeFiltersBuf,
    pub names: UnsubscribeFiltersBuf,
    pub reasons: ReasonCodesBuf,
}

pub fn material() -> impl Strategy<Value = Material> {
    let packet_type = version().prop_flat_map(|version| {
        let last = if version.has_auth() { 15_u8 } else { 14 };
        (Just(version), 1..=last)
    });
    packet_type.prop_flat_map(|(version, packet_type)| {
        let place = PropertyPlace::Packet(PLACES[usize::from(packet_type) - 1]);
        let body = (
            [text(), text(), text()],
            [vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..300)],
            any::<[bool; 5]>(),
            qos(),
            any::<PacketId>(),
            any::<u16>(),
            reason(version, PLACES[usize::from(packet_type) - 1]),
        );
        let lists = (
            properties(version, place),
            properties(version, PropertyPlace::Will),
            vec((text(), options(version)), 1..5),
            vec(text(), 1..5),
            vec(reason(version, PLACES[usize::from(packet_type) - 1]), 1..5),
        );
        (body, lists).prop_map(move |(body, lists)| {
            let (texts, bytes, flags, qos, packet_id, keep_alive, reason) = body;
            let (properties, will_properties, filters, names, reasons) = lists;
            Material {
                version,
                packet_type,
                texts,
                bytes,
                flags,
                qos,
                packet_id,
                keep_alive,
                reason,
                properties,
                will_properties,
                filters: subscribe_filters(&filters),
                names: unsubscribe_filters(&names),
                reasons: reasons.into_iter().collect(),
            }
        })
    })
}

const PLACES: [PacketType; 15] = [
    PacketType::Connect,
    PacketType::Connack,
    PacketType::Publish,
    PacketType::Puback,
    PacketType::Pubrec,
    PacketType::Pubrel,
    PacketType::Pubcomp,
    PacketType::Subscribe,
    PacketType::Suback,
    PacketType::Unsubscribe,
    PacketType::Unsuback,
    PacketType::Pingreq,
    PacketType::Pingresp,
    PacketType::Disconnect,
    PacketType::Auth,
];

impl Material {
    pub fn packet(&self) -> Packet<'_> {
        let ack = Ack {
            packet_id: self.packet_id,
            reason: self.reason,
            properties: self.properties.as_properties(),
        };
        match self.packet_type {
            1 => Packet::Connect(self.connect()),
            2 => Packet::Connack(self.connack()),
            3 => Packet::Publish(self.publish()),
            4 => Packet::Puback(ack),
            5 => Packet::Pubrec(ack),
            6 => Packet::Pubrel(ack),
            7 => Packet::Pubcomp(ack),
            8 => Packet::Subscribe(Subscribe {
                packet_id: self.packet_id,
                properties: self.properties.as_properties(),
                filters: self.filters.as_filters(),
            }),
            9 => Packet::Suback(self.suback()),
            10 => Packet::Unsubscribe(Unsubscribe {
                packet_id: self.packet_id,
                properties: self.properties.as_properties(),
                filters: self.names.as_filters(),
            }),
            11 => Packet::Unsuback(self.suback()),
            12 => Packet::Pingreq,
            13 => Packet::Pingresp,
            14 => Packet::Disconnect(Disconnect {
                reason: self.reason,
                properties: self.properties.as_properties(),
            }),
            _ => Packet::Auth(self.auth()),
        }
    }

    fn connect(&self) -> Connect<'_> {
        let [clean_start, has_will, has_username, has_password, bridge] = self.flags;
        let will = Will {
            qos: self.qos,
            retain: bridge,
            topic: &self.texts[1],
            payload: &self.bytes[0],
            properties: self.will_properties.as_properties(),
        };
        let may_have_password = has_username || self.version.allows_password_alone();
        Connect {
            version: self.version,
            clean_start,
            keep_alive: self.keep_alive,
            client_id: &self.texts[0],
            will: has_will.then_some(will),
            username: has_username.then_some(&*self.texts[2]),
            password: (has_password && may_have_password).then_some(&*self.bytes[1]),
            properties: self.properties.as_properties(),
            bridge: bridge && !self.version.has_properties(),
        }
    }

    fn connack(&self) -> Connack<'_> {
        let may_be_present = self.version.has_session_present() && !self.reason.is_error();
        Connack {
            session_present: self.flags[0] && may_be_present,
            reason: self.reason,
            properties: self.properties.as_properties(),
        }
    }

    fn publish(&self) -> Publish<'_> {
        let acknowledged = self.qos != Qos::AtMostOnce;
        Publish {
            dup: self.flags[0] && acknowledged,
            qos: self.qos,
            retain: self.flags[1],
            topic: &self.texts[0],
            packet_id: acknowledged.then_some(self.packet_id),
            properties: self.properties.as_properties(),
            payload: &self.bytes[1],
        }
    }

    fn suback(&self) -> Suback<'_> {
        let has_reasons = self.packet_type == 9 || self.version.has_reason_codes();
        Suback {
            packet_id: self.packet_id,
            properties: self.properties.as_properties(),
            reasons: if has_reasons {
                self.reasons.as_reason_codes()
            } else {
                Default::default()
            },
        }
    }

    /// Without a method there is only the empty AUTH.
    fn auth(&self) -> Auth<'_> {
        let properties = self.properties.as_properties();
        match properties.authentication_method() {
            Some(_) => Auth {
                reason: self.reason,
                properties,
            },
            None => Auth::default(),
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/+#$ ]{0,30}", "\\PC{0,12}"]
        .prop_map(|text| text.replace('\0', ""))
        .prop_filter("kept for its own test", |text| !text.starts_with("$share/"))
}

fn qos() -> impl Strategy<Value = Qos> {
    select(&[Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][..])
}

fn options(version: Version) -> impl Strategy<Value = SubscriptionOptions> {
    let handling = [
        RetainHandling::SendAtSubscribe,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
    ];
    (
        qos(),
        any::<bool>(),
        any::<bool>(),
        select(handling.to_vec()),
    )
        .prop_map(move |parts| {
            let (qos, no_local, retain_as_published, retain_handling) = parts;
            match version.has_subscription_options() {
                true => SubscriptionOptions {
                    qos,
                    no_local,
                    retain_as_published,
                    retain_handling,
                },
                false => SubscriptionOptions {
                    qos,
                    ..SubscriptionOptions::default()
                },
            }
        })
}

/// A reason code that the packet can carry in this version and that comes back as itself.
fn reason(version: Version, packet_type: PacketType) -> impl Strategy<Value = ReasonCode> {
    let comes_back = move |reason: &ReasonCode| match packet_type {
        _ if version.has_reason_codes() => reason.is_valid_in(packet_type),
        PacketType::Connack => reason
            .connack_return_code()
            .is_some_and(|code| ReasonCode::from_connack_return_code(code) == Some(*reason)),
        PacketType::Suback => (*reason as u8) <= 2 || *reason == ReasonCode::UnspecifiedError,
        _ => *reason == ReasonCode::Success,
    };
    let mut codes: Vec<_> = (0..=255)
        .filter_map(ReasonCode::from_u8)
        .filter(comes_back)
        .collect();
    if codes.is_empty() {
        codes.push(ReasonCode::Success); // packets without reason code
    }
    select(codes)
}

fn property() -> impl Strategy<Value = (u8, u32, String, String, Vec<u8>)> {
    (
        0..27_u8,
        any::<u32>(),
        text(),
        text(),
        vec(any::<u8>(), 0..20),
    )
}

/// Properties that are valid in a place; each candidate stays only if the list stays valid.
fn properties(version: Version, place: PropertyPlace) -> impl Strategy<Value = PropertiesBuf> {
    option::of(vec(property(), 0..12)).prop_map(move |candidates| {
        let mut properties = PropertiesBuf::new();
        for (which, number, text, other, bytes) in candidates.into_iter().flatten() {
            let mut longer = properties.clone();
            let pushed = longer.push(typed(which, number, &text, &other, &bytes));
            let encoded = longer.as_properties().as_bytes();
            if pushed.is_ok() && Properties::parse(encoded, place).is_ok() {
                properties = longer;
            }
        }
        if version.has_properties() {
            properties
        } else {
            PropertiesBuf::new()
        }
    })
}

fn typed<'a>(which: u8, n: u32, text: &'a str, other: &'a str, bytes: &'a [u8]) -> Property<'a> {
    let yes = n % 2 == 1;
    let short = n as u16;
    let positive = NonZeroU16::new(short).unwrap_or(NonZeroU16::MIN);
    match which {
        0 => Property::PayloadFormatIndicator(yes),
        1 => Property::MessageExpiryInterval(n),
        2 => Property::ContentType(text),
        3 => Property::ResponseTopic(text),
        4 => Property::CorrelationData(bytes),
        5 => Property::SubscriptionIdentifier(n >> (4 + n % 28)),
        6 => Property::SessionExpiryInterval(n),
        7 => Property::AssignedClientIdentifier(text),
        8 => Property::ServerKeepAlive(short),
        9 => Property::AuthenticationMethod(text),
        10 => Property::AuthenticationData(bytes),
        11 => Property::RequestProblemInformation(yes),
        12 => Property::WillDelayInterval(n),
        13 => Property::RequestResponseInformation(yes),
        14 => Property::ResponseInformation(text),
        15 => Property::ServerReference(text),
        16 => Property::ReasonString(text),
        17 => Property::ReceiveMaximum(positive),
        18 => Property::TopicAliasMaximum(short),
        19 => Property::TopicAlias(positive),
        20 => Property::MaximumQos(if yes {
            Qos::AtLeastOnce
        } else {
            Qos::AtMostOnce
        }),
        21 => Property::RetainAvailable(yes),
        22 => Property::UserProperty(text, other),
        23 => Property::MaximumPacketSize(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)),
        24 => Property::WildcardSubscriptionAvailable(yes),
        25 => Property::SubscriptionIdentifierAvailable(yes),
        _ => Property::SharedSubscriptionAvailable(yes),
    }
}

fn subscribe_filters(list: &[(String, SubscriptionOptions)]) -> SubscribeFiltersBuf {
    let mut filters = SubscribeFiltersBuf::new();
    for (filter, options) in list {
        filters.push(filter, *options).expect("short");
    }
    filters
}

fn unsubscribe_filters(list: &[String]) -> UnsubscribeFiltersBuf {
    let mut filters = UnsubscribeFiltersBuf::new();
    for filter in list {
        filters.push(filter).expect("short");
    }
    filters
}
