//! From the configuration to what the other crates take.

use std::num::NonZeroU32;
use std::sync::Arc;

use dunlin_auth::{
    Access, AclFile, AllowAnonymous, CertificateUsername, HashingPool, PasswordFile, Passwords,
};
use dunlin_codec::Qos;
use dunlin_connection::{AdmissionLimits, ConnectionLimits, RateLimit};
use dunlin_net::{
    ListenAddress, ListenerSettings, TlsSettings, TlsVersion, Transport, WebSocketSettings,
};
use dunlin_router::{QueueLimits, RetainedLimits, Settings, Strategy};
use dunlin_session::Terms;

use crate::config::{self, Config, Listener, Protocol, Workers};

/// The MQTT maximum, where the configuration sets none.
const KEEP_ALIVE_MAX: u64 = 65_535;

/// What the router is told.
pub fn router(config: &Config) -> Settings {
    let limits = &config.limits;
    Settings {
        workers: worker_count(config.workers),
        queue: QueueLimits {
            messages: count(limits.queued_messages),
            bytes: bytes(limits.queued_bytes),
            keep_qos_0: config.sessions.queue_qos0,
        },
        retained: RetainedLimits {
            messages: count(limits.retained_messages),
            bytes: bytes(limits.retained_bytes),
        },
        shared: Strategy::RoundRobin,
        upgrade_qos: config.sessions.upgrade_outgoing_qos,
        maximum_subscriptions: limits.subscriptions as usize,
        maximum_sessions: count(limits.sessions),
    }
}

fn worker_count(workers: Workers) -> u16 {
    match workers {
        Workers::Count(count) => count,
        Workers::Auto => std::thread::available_parallelism()
            .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(1)),
    }
}

fn count(limit: Option<u32>) -> usize {
    limit.map_or(usize::MAX, |limit| limit as usize)
}

fn bytes(limit: Option<config::ByteSize>) -> usize {
    limit.map_or(usize::MAX, |size| {
        usize::try_from(size.0).unwrap_or(usize::MAX)
    })
}

/// How many connections there may be.
pub fn admission(config: &Config) -> AdmissionLimits {
    AdmissionLimits {
        connections: config.limits.connections,
        connections_per_address: config.limits.connections_per_address,
    }
}

/// What a listener offers.
pub fn terms(config: &Config, listener: &Listener) -> Terms {
    let limits = &config.limits;
    let keep_alive = listener.max_keepalive.unwrap_or(limits.keepalive).as_secs();
    let access = config.access.on(&listener.access);
    Terms {
        receive_maximum: limits.receive_maximum,
        maximum_inflight: limits.inflight_messages,
        maximum_packet_size: packet_size(config, listener),
        topic_alias_maximum: listener.max_topic_alias.unwrap_or(limits.topic_aliases),
        maximum_qos: Qos::from_u8(listener.max_qos).unwrap_or(Qos::ExactlyOnce),
        retain_available: listener.retain_available,
        maximum_keep_alive: match keep_alive {
            0 | KEEP_ALIVE_MAX.. => 0,
            seconds => seconds as u16,
        },
        maximum_session_expiry: config
            .sessions
            .session_expiry_max
            .map_or(u32::MAX, |expiry| {
                u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX)
            }),
        maximum_topic_levels: limits.topic_levels.into(),
        maximum_topic_bytes: limits.topic_length.into(),
        maximum_payload_bytes: bytes(limits.payload_size),
        assign_client_ids: access.allow_zero_length_clientid,
        mount_point: listener.mount_point.as_str().into(),
    }
}

fn packet_size(config: &Config, listener: &Listener) -> u32 {
    let size = listener
        .max_packet_size
        .unwrap_or(config.limits.packet_size);
    u32::try_from(size.0).unwrap_or(u32::MAX)
}

/// What one connection of a listener may use.
pub fn connection_limits(config: &Config, listener: &Listener) -> ConnectionLimits {
    let limits = &config.limits;
    let rate = |per_second| NonZeroU32::new(per_second).map(|per_second| RateLimit { per_second });
    ConnectionLimits {
        connect_timeout: limits.connect_timeout,
        slow_consumer_timeout: limits.slow_consumer_timeout,
        messages: limits.messages_per_second.and_then(rate),
        bytes: limits
            .bytes_per_second
            .and_then(|size| rate(u32::try_from(size.0).unwrap_or(u32::MAX))),
        log_connections: config.logging.connections,
        client_id_prefix: config.access.on(&listener.access).auto_id_prefix.into(),
        client_id_from_username: listener.access.use_username_as_clientid,
        bridge: false,
    }
}

/// The layers of a listener, once for each address that it listens on.
///
/// # Errors
/// A host name that cannot be looked up.
pub fn sockets(config: &Config, listener: &Listener) -> Result<Vec<ListenerSettings>, String> {
    let addresses = match &listener.address {
        config::ListenAddress::Unix(path) => vec![ListenAddress::Unix {
            path: path.clone(),
            mode: 0o660,
        }],
        address => {
            let found = address.sockets();
            let found = found.map_err(|error| format!("listener {address}: {error}"))?;
            found.into_iter().map(ListenAddress::Tcp).collect()
        }
    };
    let settings = |address| ListenerSettings {
        ipv6_only: listener.ipv6_only,
        tcp_keepalive: config.limits.tcp_keepalive,
        proxy_protocol: listener.proxy_protocol,
        tls: tls(listener),
        websocket: (listener.protocol == Protocol::WebSockets).then(|| WebSocketSettings {
            paths: listener.websocket.paths.clone(),
            allowed_origins: Some(listener.websocket.origins.clone()).filter(|all| !all.is_empty()),
            maximum_frame_bytes: packet_size(config, listener).into(),
        }),
        handshake_timeout: config.limits.connect_timeout,
        ..ListenerSettings::new(address)
    };
    Ok(addresses.into_iter().map(settings).collect())
}

/// Reads all that the listeners read when they start, and opens none of them.
///
/// # Errors
/// What is wrong, a line for each file.
pub fn check_listeners(config: &Config) -> Result<(), String> {
    let pool = Arc::new(HashingPool::default());
    let check = |listener: &Listener| {
        for settings in sockets(config, listener)? {
            transport(listener, &settings)?;
        }
        access(config, listener, &pool, 0).map(drop)
    };
    let mut wrong: Vec<_> = config
        .listeners
        .iter()
        .map(check)
        .filter_map(Result::err)
        .collect();
    // Listeners have the same password and ACL files, mostly.
    wrong.dedup();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

/// The layers of a listener's connections, their files read.
///
/// # Errors
/// A file that cannot be read or is wrong.
pub fn transport(listener: &Listener, settings: &ListenerSettings) -> Result<Transport, String> {
    Transport::load(settings).map_err(|error| format!("listener {}: {error}", listener.label()))
}

/// A listener's TLS.
pub fn tls(listener: &Listener) -> Option<TlsSettings> {
    let tls = listener.tls.as_ref()?;
    Some(TlsSettings {
        intermediates: tls.intermediates.clone(),
        client_ca: tls.client_ca.clone(),
        require_client_certificate: tls.require_client_certificate,
        crl: tls.crl.clone(),
        minimum_version: match tls.min_version {
            config::TlsVersion::Tls12 => TlsVersion::Tls12,
            config::TlsVersion::Tls13 => TlsVersion::Tls13,
        },
        ..TlsSettings::new(tls.certificate.clone(), tls.key.clone())
    })
}

/// Who may do what on a listener. Reads the password and ACL files; `generation` counts reloads.
///
/// # Errors
/// A file that cannot be read or is wrong, with its line.
pub fn access(
    config: &Config,
    listener: &Listener,
    pool: &Arc<HashingPool>,
    generation: u32,
) -> Result<Access, String> {
    let settings = config.access.on(&listener.access);
    let mut access = Access::new(match settings.allow_anonymous {
        config::AllowAnonymous::No => AllowAnonymous::No,
        config::AllowAnonymous::Loopback => AllowAnonymous::LoopbackOnly,
        config::AllowAnonymous::Yes => AllowAnonymous::Yes,
    })
    .with_generation(generation);
    if listener.access.use_subject_as_username {
        access = access.with_certificate_username(CertificateUsername::Subject);
    } else if listener.access.use_identity_as_username {
        access = access.with_certificate_username(CertificateUsername::CommonName);
    }
    if let Some(file) = &settings.password_file {
        let users = PasswordFile::load(file).map_err(|error| error.to_string())?;
        let passwords = Passwords::new(users, pool.clone()).map_err(|error| error.to_string())?;
        access = access.with_authenticator(Arc::new(passwords));
    }
    if let Some(file) = &settings.acl_file {
        let rules = AclFile::load(file).map_err(|error| error.to_string())?;
        access = access.with_authorizer(Arc::new(rules));
    }
    Ok(access)
}
