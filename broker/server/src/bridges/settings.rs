//! From the configuration of a bridge to what it is told.

use dunlin_bridge::{
    BridgeSettings, Direction, Qos, Restart, Start, TlsSettings, TopicRule, Version,
};

use crate::config::plugin::secret_file;
use crate::config::{
    Bridge, BridgeDirection, BridgeStart, BridgeTls, BridgeTopic, BridgeVersion, TlsVersion,
};

/// # Errors
/// The file of the password cannot be read.
pub fn settings(wanted: &Bridge) -> Result<BridgeSettings, String> {
    let seconds = |duration: std::time::Duration| duration.as_secs();
    let bytes = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
    Ok(BridgeSettings {
        name: wanted.name.clone(),
        addresses: wanted.addresses.clone(),
        round_robin: wanted.round_robin,
        bind_address: wanted.bind_address,
        connect_timeout: wanted.connect_timeout,
        start: start(wanted),
        restart: Restart {
            base: wanted.restart_pause,
            cap: Some(wanted.restart_pause_max),
        },
        topics: wanted.topics.iter().map(rule).collect(),
        version: match wanted.protocol_version {
            BridgeVersion::Mqtt5 => Version::Mqtt5,
            BridgeVersion::Mqtt311 => Version::Mqtt311,
            BridgeVersion::Mqtt31 => Version::Mqtt31,
        },
        try_private: wanted.try_private,
        remote_client_id: wanted.remote_clientid.clone(),
        remote_username: wanted.remote_username.clone(),
        remote_password: password(wanted)?,
        clean_session: wanted.clean_session,
        local_client_id: Some(local_client_id(&wanted.name)),
        local_username: wanted.local_username.clone(),
        local_password: None,
        local_clean_session: Some(wanted.local_clean_session),
        session_expiry: wanted.session_expiry.map_or(u32::MAX, |expiry| {
            u32::try_from(seconds(expiry)).unwrap_or(u32::MAX)
        }),
        keep_alive: u16::try_from(seconds(wanted.keepalive)).unwrap_or(u16::MAX),
        notifications: wanted.notifications,
        notifications_local_only: wanted.notifications_local_only,
        notification_topic: wanted.notification_topic.clone(),
        outgoing_retain: wanted.outgoing_retain,
        attempt_unsubscribe: wanted.attempt_unsubscribe,
        max_outgoing_packet_bytes: wanted.packet_size.map(|size| bytes(size.0)),
        receive_maximum: wanted.receive_maximum,
        maximum_inflight: *wanted.inflight_messages,
        topic_alias_maximum: wanted.topic_aliases,
        pending_bytes: usize::try_from(wanted.pending_bytes.0).unwrap_or(usize::MAX),
        loop_detection: wanted.loop_detection,
        tls: wanted.tls.as_ref().map(tls),
        ..BridgeSettings::default()
    })
}

/// The session here. No client that comes over a listener may have such an id.
pub fn local_client_id(name: &str) -> String {
    format!("{}{name}", dunlin_connection::BRIDGE_CLIENT_ID_PREFIX)
}

fn start(wanted: &Bridge) -> Start {
    match wanted.start {
        BridgeStart::Automatic => Start::Automatic,
        BridgeStart::Once => Start::Once,
        BridgeStart::Lazy => Start::Lazy {
            threshold: wanted.lazy_messages,
            idle_timeout: wanted.idle_timeout,
        },
    }
}

fn rule(topic: &BridgeTopic) -> TopicRule {
    TopicRule {
        pattern: topic.filter.clone(),
        direction: match topic.direction {
            BridgeDirection::Out => Direction::Out,
            BridgeDirection::In => Direction::In,
            BridgeDirection::Both => Direction::Both,
        },
        qos: Qos::from_u8(topic.qos).unwrap_or(Qos::ExactlyOnce),
        local_prefix: topic.local_prefix.clone(),
        remote_prefix: topic.remote_prefix.clone(),
    }
}

fn password(wanted: &Bridge) -> Result<Option<Vec<u8>>, String> {
    if let Some(file) = &wanted.remote_password_file {
        return secret_file(file).map(|text| Some(text.into_bytes()));
    }
    let given = wanted.remote_password.as_ref();
    Ok(given.map(|password| password.reveal().as_bytes().to_vec()))
}

fn tls(tls: &BridgeTls) -> TlsSettings {
    TlsSettings {
        authorities: tls.authorities.clone(),
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        alpn: tls.alpn.clone(),
        insecure: tls.insecure,
        only_tls13: tls.min_version == TlsVersion::Tls13,
    }
}
