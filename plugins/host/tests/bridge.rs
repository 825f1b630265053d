//! Bridge plugins.

mod common;

use std::time::{Duration, Instant};

use common::{Bench, Guest, as_bridge, faults, goes_on, listed};
use dunlin_codec::{PropertiesBuf, Property, Qos};
use dunlin_plugins::{
    BreakerState, BridgeMapped, BridgeMessage, FaultKind, MappedMessage, Plugin, parse_cases,
    replay,
};

/// Which message it was.
fn message(topic: &str) -> BridgeMessage<'_> {
    BridgeMessage::new(topic, b"x")
}

fn copy(message: &BridgeMessage<'_>) -> MappedMessage {
    let mut properties = PropertiesBuf::new();
    for property in message.properties.iter() {
        properties.push(property).expect("it came so");
    }
    MappedMessage {
        topic: message.topic.into(),
        payload: message.payload.into(),
        qos: message.qos,
        retain: message.retain,
        properties,
        expiry: message.expiry,
    }
}

fn passes(places: impl IntoIterator<Item = usize>) -> Result<Vec<BridgeMapped>, String> {
    Ok(places.into_iter().map(BridgeMapped::Pass).collect())
}

#[test]
fn what_it_makes_of_a_batch_is_taken_over() {
    let bench = Bench::new();
    let some = goes_on(&[(0, 0), (2, 3), (1, 2)]);
    let bridge = bench.bridge(&Guest::bridge(&some, &goes_on(&[])));
    let batch = ["a", "b", "c", "d"].map(message);
    let expected = [
        BridgeMapped::Pass(0),
        BridgeMapped::Add(copy(&batch[3])),
        BridgeMapped::Replace(2, copy(&batch[2])),
    ];
    assert_eq!(bridge.egress("b", &batch), Ok(expected.into()));
    assert_eq!(bridge.ingress("b", &batch), Ok(Vec::new()));
    assert_eq!(bridge.egress("b", &[]), Ok(Vec::new()), "it is not asked");
}

#[test]
fn all_of_a_message_is_shown_and_taken_back() {
    let bench = Bench::new();
    let bridge = bench.bridge(&Guest::bridge("unreachable", &goes_on(&[(1, 0)])));
    let mut properties = PropertiesBuf::new();
    for property in [
        Property::PayloadFormatIndicator(true),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("answers/1"),
        Property::CorrelationData(&[0, 255]),
        Property::UserProperty("k", "v"),
        Property::UserProperty("k", ""),
    ] {
        properties.push(property).expect("it fits");
    }
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let message = BridgeMessage {
            qos,
            retain: true,
            properties: properties.as_properties(),
            expiry: Some(3_600),
            ..BridgeMessage::new("plant/a", "20 °C".as_bytes())
        };
        let expected = BridgeMapped::Replace(0, copy(&message));
        assert_eq!(bridge.ingress("b", &[message]), Ok(vec![expected]));
    }
}

#[test]
fn it_is_told_which_bridge_asks() {
    let bench = Bench::new();
    let named = format!(
        "{} (i32.store (i32.const 4100) (local.get $bridge))
         (i32.store (i32.const 4104) (local.get $bridge_length))",
        goes_on(&[(2, 0)])
    );
    let bridge = bench.bridge(&Guest::bridge(&named, "unreachable"));
    let batch = [message("a")];
    let expected = MappedMessage {
        topic: "to the cloud".into(),
        ..copy(&batch[0])
    };
    let expected = vec![BridgeMapped::Add(expected)];
    assert_eq!(bridge.egress("to the cloud", &batch), Ok(expected));
}

#[test]
fn a_long_batch_is_shown_in_parts() {
    let bench = Bench::new();
    // Each call passes the first that it sees.
    let plugin = bench.load(&Guest::bridge(&goes_on(&[(0, 0)]), "unreachable"));
    let payload = vec![0; 100 << 10];
    let batch = [BridgeMessage::new("a", &payload); 5];
    let bridge = as_bridge(&plugin);
    assert_eq!(bridge.egress("b", &batch), passes([0, 2, 4]));
    assert_eq!(plugin.status().calls, 3);
}

#[test]
fn what_is_too_much_at_once_is_shown_in_smaller_parts() {
    let bench = Bench::new();
    let two_at_most = format!(
        "(if (i32.gt_u (local.get $batch_length) (i32.const 2)) (then unreachable)) {}",
        goes_on(&[(0, 0)])
    );
    let plugin = bench.load(&Guest::bridge(&two_at_most, "unreachable"));
    let bridge = as_bridge(&plugin);
    let batch = ["a", "b", "c", "d", "e"].map(message);
    assert!(bridge.egress("b", &batch).is_err(), "five");
    assert_eq!(bridge.egress("b", &batch), passes([0, 2, 4]));
    assert!(bridge.egress("b", &batch).is_err(), "three, for a try");
    assert_eq!(bridge.egress("b", &batch), passes([0, 1, 2, 3, 4]));
    assert_eq!(bridge.egress("b", &batch), passes([0, 2, 4]));
    assert_eq!(faults(&plugin, FaultKind::Trap), 2);
}

#[test]
fn an_error_of_its_own_is_no_fault() {
    let bench = Bench::new();
    let refuse = "(i32.store8 (i32.const 64) (i32.const 1))
                  (i32.store (i32.const 68) (local.get $bridge))
                  (i32.store (i32.const 72) (local.get $bridge_length))
                  (i32.const 64)";
    let plugin = bench.load(&Guest::bridge(refuse, &goes_on(&[(0, 0)])));
    let bridge = as_bridge(&plugin);
    for _ in 0..10 {
        let error = bridge.egress("not before noon", &[message("a")]);
        assert_eq!(error, Err("plugin fixture: not before noon".into()));
    }
    assert_eq!(bridge.ingress("b", &[message("a")]), passes([0]));
    assert_eq!(faults(&plugin, FaultKind::Answer), 0);
}

#[test]
fn what_no_packet_can_hold_is_left_out() {
    let bench = Bench::new();
    // The second has no topic.
    let nameless = format!(
        "{} (i32.store (i32.const 4192) (i32.const 0))",
        goes_on(&[(0, 0), (1, 1), (0, 2)])
    );
    let plugin = bench.load(&Guest::bridge(&nameless, "unreachable"));
    let batch = ["a", "b", "c"].map(message);
    for _ in 0..10 {
        assert_eq!(as_bridge(&plugin).egress("b", &batch), passes([0, 2]));
    }
    assert_eq!(faults(&plugin, FaultKind::Answer), 10);
    assert_eq!(plugin.status().state, BreakerState::Closed);
}

#[test]
fn what_is_too_large_for_its_memory_is_left_out() {
    let bench = Bench::new();
    let plugin = bench.load(&Guest::bridge(&goes_on(&[(0, 0)]), "unreachable"));
    let payload = vec![0; 5 << 20];
    let large = BridgeMessage::new("a", &payload);
    let batch = [message("a"), large, message("b")];
    for _ in 0..10 {
        assert_eq!(as_bridge(&plugin).egress("b", &batch), passes([0, 2]));
    }
    assert_eq!(faults(&plugin, FaultKind::Oversized), 10);
    assert_eq!(plugin.status().state, BreakerState::Closed);
}

#[test]
fn an_answer_may_have_twice_the_batch() {
    let bench = Bench::new();
    let payload = vec![0; 2 << 20];
    let batch = [BridgeMessage::new("a", &payload)];
    let twice = bench.bridge(&Guest::bridge(&goes_on(&[(1, 0), (2, 0)]), "unreachable"));
    let made = twice.egress("b", &batch).map(|made| made.len());
    assert_eq!(made, Ok(2));
    let more = [(1, 0), (2, 0), (2, 0)];
    let plugin = bench.load(&Guest::bridge(&goes_on(&more), "unreachable"));
    let error = as_bridge(&plugin).egress("b", &batch);
    assert!(error.is_err(), "6 MiB of 2");
    assert_eq!(faults(&plugin, FaultKind::Answer), 1);
}

/// Fails with this kind of fault until it is asked no more, and holds the batch each time.
fn misbehaves(egress: &str, kind: FaultKind) {
    let bench = Bench::new();
    let plugin = bench.load(&Guest::bridge(egress, &goes_on(&[(0, 0)])));
    let bridge = as_bridge(&plugin);
    let batch = ["a", "b"].map(message);
    let started = Instant::now();
    for count in 1..=5 {
        let error = bridge.egress("b", &batch).expect_err("a fault");
        assert!(error.starts_with("plugin fixture: "), "{error}");
        assert_eq!(faults(&plugin, kind), count, "{error}");
        assert_eq!(plugin.status().instances, 0, "it is dropped");
    }
    // Five times 50 ms at most, on a machine that does something else besides.
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(plugin.status().state, BreakerState::Open);
    let error = bridge.ingress("b", &batch).expect_err("it is not asked");
    assert!(error.contains("not asked for a while"), "{error}");
    assert_eq!(faults(&plugin, kind), 5);
}

#[test]
fn places_that_are_not_in_order() {
    for mapped in [
        &[(0, 1), (0, 0)][..],
        &[(0, 0), (0, 0)],
        &[(0, 0), (1, 0)],
        &[(1, 1), (2, 0), (1, 1)],
        &[(0, 2)],
        &[(0, u32::MAX)],
    ] {
        misbehaves(&goes_on(mapped), FaultKind::Answer);
    }
}

#[test]
fn what_no_honest_plugin_does() {
    misbehaves("unreachable", FaultKind::Trap);
    misbehaves("(loop $on (br $on)) unreachable", FaultKind::Deadline);
    // 60,000 that all pass, within its memory.
    let many = format!(
        "(drop (memory.grow (i32.const 80))) {}",
        listed(4096, 60_000)
    );
    misbehaves(&many, FaultKind::Answer);
    misbehaves(&listed(usize::from(u16::MAX) << 8, 1), FaultKind::Answer);
}

#[test]
fn cases_are_replayed() {
    let bench = Bench::new();
    let guest = Guest::bridge(&goes_on(&[(1, 0), (0, 1), (2, 2)]), "unreachable");
    let plugin: Plugin = bench.load(&guest);
    let batch = r#""batch": [{"topic": "a", "text": true, "correlation_data": {"base64": "/w=="},
        "user_properties": [["k", "v"]], "expires_in": 7, "qos": 2}, {"topic": "b"},
        {"topic": "c", "payload": "x", "response_topic": "r", "content_type": "t"}]"#
        .replace('\n', "");
    let replayed = |way: &str, expect: &str| {
        let case = format!(r#"{{"{way}": {{"bridge": "b", {batch}}}, "expect": {expect}}}"#);
        let cases = parse_cases(&case).expect("a case");
        replay(&plugin, &cases[0]).expect("for a bridge")
    };
    let made = replayed(
        "egress",
        r#"[{"replace": {"origin": 0, "message": {"topic": "a", "text": true, "qos": 2,
            "correlation_data": {"base64": "/w=="}, "user_properties": [["k", "v"]],
            "expires_in": 7}}}, {"pass": 1}, {"add": {"topic": "c", "payload": "x", "text": false,
            "response_topic": "r", "content_type": "t", "expires_in": null}}]"#
            .replace('\n', "")
            .as_str(),
    );
    assert!(made.matches, "{}", made.actual);
    assert!(!replayed("egress", "[]").matches);
    let fault = replayed("ingress", r#"{"error": "x"}"#);
    assert!(
        !fault.matches && fault.actual["fault"] == "trap",
        "{}",
        fault.actual
    );
}
