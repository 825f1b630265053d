//! Each property: its bytes, its name, and what its absence means (2.2.2.2).

use core::num::{NonZeroU16, NonZeroU32};

use dunlin_codec::{Properties, PropertiesBuf, Property, PublishSummary, Qos};

const TWO: NonZeroU16 = NonZeroU16::new(2).expect("not zero");
const FOUR: NonZeroU32 = NonZeroU32::new(4).expect("not zero");

/// Table 2-4.
const ALL: [(Property<'_>, &[u8]); 27] = [
    (Property::PayloadFormatIndicator(true), b"\x01\x01"),
    (Property::MessageExpiryInterval(4), b"\x02\x00\x00\x00\x04"),
    (Property::ContentType("t"), b"\x03\x00\x01t"),
    (Property::ResponseTopic("r"), b"\x08\x00\x01r"),
    (Property::CorrelationData(b"\xFF"), b"\x09\x00\x01\xFF"),
    (Property::SubscriptionIdentifier(128), b"\x0B\x80\x01"),
    (Property::SessionExpiryInterval(5), b"\x11\x00\x00\x00\x05"),
    (Property::AssignedClientIdentifier("c"), b"\x12\x00\x01c"),
    (Property::ServerKeepAlive(3), b"\x13\x00\x03"),
    (Property::AuthenticationMethod("m"), b"\x15\x00\x01m"),
    (Property::AuthenticationData(b"\xFE"), b"\x16\x00\x01\xFE"),
    (Property::RequestProblemInformation(false), b"\x17\x00"),
    (Property::WillDelayInterval(6), b"\x18\x00\x00\x00\x06"),
    (Property::RequestResponseInformation(true), b"\x19\x01"),
    (Property::ResponseInformation("i"), b"\x1A\x00\x01i"),
    (Property::ServerReference("s"), b"\x1C\x00\x01s"),
    (Property::ReasonString("w"), b"\x1F\x00\x01w"),
    (Property::ReceiveMaximum(TWO), b"\x21\x00\x02"),
    (Property::TopicAliasMaximum(7), b"\x22\x00\x07"),
    (Property::TopicAlias(TWO), b"\x23\x00\x02"),
    (Property::MaximumQos(Qos::AtLeastOnce), b"\x24\x01"),
    (Property::RetainAvailable(false), b"\x25\x00"),
    (Property::UserProperty("k", "v"), b"\x26\x00\x01k\x00\x01v"),
    (Property::MaximumPacketSize(FOUR), b"\x27\x00\x00\x00\x04"),
    (Property::WildcardSubscriptionAvailable(false), b"\x28\x00"),
    (
        Property::SubscriptionIdentifierAvailable(false),
        b"\x29\x00",
    ),
    (Property::SharedSubscriptionAvailable(false), b"\x2A\x00"),
];

fn all() -> PropertiesBuf {
    let mut all = PropertiesBuf::new();
    for (property, _) in ALL {
        all.push(property).expect("short");
    }
    all
}

#[test]
fn mqtt5_2_2_2_2_every_property_has_its_bytes_and_comes_back() {
    let mut one = PropertiesBuf::new();
    for (property, bytes) in ALL {
        one.clear();
        one.push(property).expect("short");
        let properties = one.as_properties();
        assert_eq!(properties.as_bytes(), bytes, "{property:?}");
        assert_eq!(properties.iter().collect::<Vec<_>>(), [property]);
    }
    one.clear();
    let least = Property::MaximumQos(Qos::AtMostOnce);
    one.push(least).expect("short");
    assert!(one.as_properties().iter().eq([least]));
    assert!(
        all()
            .as_properties()
            .iter()
            .eq(ALL.map(|(property, _)| property))
    );
}

#[test]
fn mqtt5_2_2_2_2_every_property_is_found_by_its_name() {
    let all = all();
    let all = all.as_properties();
    assert_eq!(all.payload_format_indicator(), Some(true));
    assert_eq!(all.message_expiry_interval(), Some(4));
    assert_eq!(all.content_type(), Some("t"));
    assert_eq!(all.response_topic(), Some("r"));
    assert_eq!(all.correlation_data(), Some(&b"\xFF"[..]));
    assert_eq!(all.subscription_identifier(), Some(128));
    assert_eq!(all.session_expiry_interval(), Some(5));
    assert_eq!(all.assigned_client_identifier(), Some("c"));
    assert_eq!(all.server_keep_alive(), Some(3));
    assert_eq!(all.authentication_method(), Some("m"));
    assert_eq!(all.authentication_data(), Some(&b"\xFE"[..]));
    assert!(!all.request_problem_information());
    assert_eq!(all.will_delay_interval(), Some(6));
    assert!(all.request_response_information());
    assert_eq!(all.response_information(), Some("i"));
    assert_eq!(all.server_reference(), Some("s"));
    assert_eq!(all.reason_string(), Some("w"));
    assert_eq!(all.receive_maximum(), Some(TWO));
    assert_eq!(all.topic_alias_maximum(), Some(7));
    assert_eq!(all.topic_alias(), Some(TWO));
    assert_eq!(all.maximum_qos(), Some(Qos::AtLeastOnce));
    assert!(!all.retain_available());
    assert!(all.user_properties().eq([("k", "v")]));
    assert_eq!(all.maximum_packet_size(), Some(FOUR));
    assert!(!all.wildcard_subscription_available());
    assert!(!all.subscription_identifier_available());
    assert!(!all.shared_subscription_available());
}

#[test]
fn properties_are_shown_by_their_names() {
    let shown = format!("{:?}", all().as_properties());
    for part in [
        "ContentType(\"t\")",
        "UserProperty(\"k\", \"v\")",
        "ReceiveMaximum(2)",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn mqtt5_2_2_2_2_what_is_absent_has_its_default() {
    let none = Properties::EMPTY;
    assert_eq!(none.payload_format_indicator(), None);
    assert_eq!(none.receive_maximum(), None);
    assert_eq!(none.maximum_qos(), None);
    assert_eq!(none.reason_string(), None);
    assert!(none.request_problem_information());
    assert!(!none.request_response_information());
    assert!(none.retain_available());
    assert!(none.wildcard_subscription_available());
    assert!(none.subscription_identifier_available());
    assert!(none.shared_subscription_available());
}

#[test]
fn mqtt5_3_3_2_17_what_belongs_to_one_hop_is_not_forwarded() {
    let (mut publish, mut forwarded) = (PropertiesBuf::new(), Vec::new());
    for property in [Property::ContentType("t"), Property::UserProperty("k", "v")] {
        publish.push(property).expect("short");
    }
    let summary = publish.as_properties().publish_summary();
    let plain = PublishSummary {
        all_forwardable: true,
        ..PublishSummary::default()
    };
    assert_eq!(summary, plain);
    let kept = publish.clone();
    for property in [
        Property::TopicAlias(TWO),
        Property::MessageExpiryInterval(4),
        Property::SubscriptionIdentifier(1),
    ] {
        publish.push(property).expect("short");
    }
    let summary = publish.as_properties().publish_summary();
    let with_its_own = PublishSummary {
        topic_alias: Some(TWO),
        message_expiry_interval: Some(4),
        all_forwardable: false,
    };
    assert_eq!(summary, with_its_own);
    publish.as_properties().copy_forwarded(&mut forwarded);
    assert_eq!(forwarded, kept.as_properties().as_bytes());
}
