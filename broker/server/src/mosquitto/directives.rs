//! Every directive of Mosquitto 2.0 and 2.1 and what Dunlin makes of it.

use Argument::{Bytes, Count, Id, Limit, Path, Seconds, Switch, Text};
use Scope::{Bridge, Global, Listener, Security};
use Treatment::{Ignored, Key, Off, Refused, Special};

use super::bridge;
use super::global;
use super::lines::Line;
use super::listener;
use super::logging;
use super::translate::{self, Translation};

/// One directive.
pub struct Directive {
    /// Its name; one that ends in `*` stands for all that begin like it.
    pub name: &'static str,
    /// What it is about.
    pub scope: Scope,
    /// What is made of it.
    pub treatment: Treatment,
}

/// What a directive is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole broker, wherever it stands.
    Global,
    /// The listener above it, or the default listener.
    Listener,
    /// All listeners, or with `per_listener_settings` the one above it.
    Security,
    /// A bridge.
    Bridge,
}

/// What is made of a directive.
pub enum Treatment {
    /// It is this key: of the whole configuration, of a listener, or for
    /// [`Scope::Security`] of `access`.
    Key(&'static str, Argument),
    /// It is supported, and does more than set one key.
    Special(fn(&mut Translation, &Line) -> Result<(), String>),
    /// It changes nothing that Dunlin does: a warning with the reason.
    Ignored(&'static str),
    /// It asks for what Dunlin does not do: an error with the alternative.
    Refused(&'static str),
    /// The same of a switch, where it is on.
    Off(&'static str),
}

/// How an argument is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `true` or `false`.
    Switch,
    /// The rest of the line; only once in its scope.
    Text,
    /// The same, for a file or directory.
    Path,
    /// The same, for what goes before client ids.
    Id,
    /// A whole number.
    Count,
    /// A whole number, of which 0 or less means no limit.
    Limit,
    /// Bytes, of which 0 means no limit, and less is wrong.
    Bytes,
    /// Whole seconds.
    Seconds,
}

/// The directive of that name.
pub fn find(name: &str) -> Option<&'static Directive> {
    let matches = |directive: &&Directive| match directive.name.strip_suffix('*') {
        Some(start) => name.starts_with(start) && name.len() > start.len(),
        None => directive.name == name,
    };
    DIRECTIVES.iter().find(matches)
}

const fn row(name: &'static str, scope: Scope, treatment: Treatment) -> Directive {
    Directive {
        name,
        scope,
        treatment,
    }
}

const PLUGIN: &str =
    "Mosquitto's plugins cannot be loaded; remove it, and use password_file and acl_file";
const PSK: &str = "TLS with pre-shared keys is not offered; use certfile and keyfile, and \
                   require_certificate to tell clients apart";
const ENGINE: &str = "keys in an OpenSSL engine are not offered; use a keyfile";
const SUITES: &str = "only modern cipher suites are built in, and all of them are offered";
const AUTOSAVE: &str = "every change is written at once";
const HTTP_LIBRARY: &str = "it is about libwebsockets, which is not used here";
const LOCAL: &str = "this broker knows its own bridges, and asks them for no password";
const BRIDGE_PSK: &str = "TLS with pre-shared keys is not offered; use bridge_cafile, and \
                          bridge_certfile with bridge_keyfile to be told from others";
const OCSP: &str = "stapled answers of the authority (OCSP) are not looked at; remove it, and \
                    trust an authority whose certificates do not last long";
const SUBSCRIPTION: &str = "a bridge stays when a subscription is refused, and its log says so; \
                            remove it";
const EXPIRED: &str = "a certificate that has ended is not taken; remove it, and renew those that \
                       have";
const PROXY_TLS: &str = "what a proxy says of its clients' TLS is not looked at; remove it, and \
                         let the proxy take nothing else";
const RETAINED: &str = "retained messages do not end by themselves; have them published with a \
                        message expiry (MQTT 5), or set DUNLIN__LIMITS__RETAINED_MESSAGES in the \
                        environment";
const KEEPALIVE: &str = "keepalive_interval finds out what is broken";
const OLD: &str = "it has had no effect since Mosquitto 1.5";

/// All directives of mosquitto.conf(5) of 2.0, in its order, then those that
/// only Mosquitto's source knows, then those that came with 2.1.
pub static DIRECTIVES: &[Directive] = &[
    row("acl_file", Security, Key("acl_file", Path)),
    row("allow_anonymous", Security, Key("allow_anonymous", Switch)),
    row(
        "allow_duplicate_messages",
        Global,
        Ignored(
            "overlapping subscriptions get a message once each in MQTT 5 and once in all before it",
        ),
    ),
    row(
        "allow_zero_length_clientid",
        Security,
        Key("allow_zero_length_clientid", Switch),
    ),
    row("auth_opt_*", Security, Refused(PLUGIN)),
    row("auth_plugin", Security, Refused(PLUGIN)),
    row("auth_plugin_deny_special_chars", Security, Refused(PLUGIN)),
    row("auto_id_prefix", Security, Key("auto_id_prefix", Id)),
    row("autosave_interval", Global, Ignored(AUTOSAVE)),
    row("autosave_on_changes", Global, Ignored(AUTOSAVE)),
    row(
        "check_retain_source",
        Global,
        Ignored(
            "a retained message is checked when it is published, and read rights when it is delivered",
        ),
    ),
    row(
        "clientid_prefixes",
        Global,
        Refused(
            "client ids are not filtered by prefix; use pattern rules with %c in the acl_file, or \
         use_username_as_clientid",
        ),
    ),
    row(
        "connection_messages",
        Global,
        Key("logging.connections", Switch),
    ),
    row(
        "include_dir",
        Global,
        Refused("only the main file may include; move this line there"),
    ),
    row("log_dest", Global, Special(logging::destination)),
    row(
        "log_facility",
        Global,
        Ignored("there is no syslog; systemd's journal takes stderr"),
    ),
    row("log_timestamp", Global, Key("logging.timestamps", Switch)),
    row(
        "log_timestamp_format",
        Global,
        Ignored("times are always written as in RFC 3339"),
    ),
    row("log_type", Global, Special(logging::level)),
    row(
        "max_inflight_bytes",
        Global,
        Ignored(
            "what is sent to a client is bounded by max_inflight_messages and max_queued_bytes",
        ),
    ),
    row("max_inflight_messages", Global, Special(global::inflight)),
    row("max_keepalive", Global, Special(global::keepalive)),
    row("max_packet_size", Global, Special(global::packet_size)),
    row(
        "max_queued_bytes",
        Global,
        Key("limits.queued_bytes", Limit),
    ),
    row(
        "max_queued_messages",
        Global,
        Key("limits.queued_messages", Limit),
    ),
    row("memory_limit", Global, Key("limits.memory", Bytes)),
    row(
        "message_size_limit",
        Global,
        Key("limits.payload_size", Bytes),
    ),
    row("password_file", Security, Key("password_file", Path)),
    row(
        "per_listener_settings",
        Global,
        Special(translate::per_listener_settings),
    ),
    row("persistence", Global, Special(global::persistence)),
    row(
        "persistence_file",
        Global,
        Ignored("the store is a directory with names of its own"),
    ),
    row(
        "persistence_location",
        Global,
        Special(global::persistence_location),
    ),
    row(
        "persistent_client_expiration",
        Global,
        Special(global::expiration),
    ),
    row("pid_file", Global, Key("pid_file", Path)),
    row("psk_file", Security, Refused(PSK)),
    row(
        "queue_qos0_messages",
        Global,
        Key("sessions.queue_qos0", Switch),
    ),
    row(
        "retain_available",
        Global,
        Special(global::retain_available),
    ),
    row("set_tcp_nodelay", Global, Special(global::nodelay)),
    row("sys_interval", Global, Key("sys.interval", Seconds)),
    row(
        "upgrade_outgoing_qos",
        Global,
        Key("sessions.upgrade_outgoing_qos", Switch),
    ),
    row(
        "user",
        Global,
        Ignored("dunlin stays the user that starts it; start it as the one it should be"),
    ),
    row("bind_address", Listener, Special(listener::bind_address)),
    row(
        "bind_interface",
        Listener,
        Refused(
            "a listener cannot follow an interface; write the interface's address behind the port",
        ),
    ),
    row(
        "http_dir",
        Listener,
        Ignored("files are not served; let a web server do it"),
    ),
    row("listener", Listener, Special(listener::listener)),
    row("max_connections", Listener, Key("max_connections", Limit)),
    row("max_qos", Listener, Key("max_qos", Count)),
    row("max_topic_alias", Listener, Key("max_topic_alias", Count)),
    row("mount_point", Listener, Key("mount_point", Text)),
    row("port", Listener, Special(listener::port)),
    row("protocol", Listener, Special(listener::protocol)),
    row("socket_domain", Listener, Special(listener::socket_domain)),
    row(
        "use_username_as_clientid",
        Listener,
        Key("access.use_username_as_clientid", Switch),
    ),
    row("websockets_log_level", Global, Ignored(HTTP_LIBRARY)),
    row("websockets_headers_size", Global, Ignored(HTTP_LIBRARY)),
    row("cafile", Listener, Special(listener::authority)),
    row("capath", Listener, Special(listener::authority)),
    row("certfile", Listener, Key("tls.certificate", Path)),
    row("ciphers", Listener, Ignored(SUITES)),
    row("ciphers_tls1.3", Listener, Ignored(SUITES)),
    row("crlfile", Listener, Special(listener::revoked)),
    row(
        "dhparamfile",
        Listener,
        Ignored("keys are exchanged on elliptic curves"),
    ),
    row("keyfile", Listener, Key("tls.key", Path)),
    row(
        "require_certificate",
        Listener,
        Special(listener::require_certificate),
    ),
    row("tls_engine", Listener, Refused(ENGINE)),
    row("tls_engine_kpass_sha1", Listener, Refused(ENGINE)),
    row("tls_keyform", Listener, Special(listener::keyform)),
    row("tls_version", Listener, Special(listener::tls_version)),
    row(
        "use_identity_as_username",
        Listener,
        Key("access.use_identity_as_username", Switch),
    ),
    row(
        "use_subject_as_username",
        Listener,
        Key("access.use_subject_as_username", Switch),
    ),
    row("psk_hint", Listener, Refused(PSK)),
    row("address", Bridge, Special(bridge::addresses)),
    row("addresses", Bridge, Special(bridge::addresses)),
    row(
        "bridge_attempt_unsubscribe",
        Bridge,
        Key("attempt_unsubscribe", Switch),
    ),
    row("bridge_bind_address", Bridge, Key("bind_address", Text)),
    row("bridge_max_packet_size", Bridge, Key("packet_size", Limit)),
    row(
        "bridge_outgoing_retain",
        Bridge,
        Key("outgoing_retain", Switch),
    ),
    row("bridge_protocol_version", Bridge, Special(bridge::version)),
    row("cleansession", Bridge, Special(bridge::clean_session)),
    row(
        "local_cleansession",
        Bridge,
        Key("local_clean_session", Switch),
    ),
    row("connection", Global, Special(bridge::connection)),
    row("keepalive_interval", Bridge, Special(bridge::keepalive)),
    row("idle_timeout", Bridge, Special(bridge::idle_timeout)),
    row("local_clientid", Bridge, Ignored(LOCAL)),
    row("local_password", Bridge, Ignored(LOCAL)),
    row("local_username", Bridge, Key("local_username", Text)),
    row("notifications", Bridge, Key("notifications", Switch)),
    row(
        "notifications_local_only",
        Bridge,
        Key("notifications_local_only", Switch),
    ),
    row(
        "notification_topic",
        Bridge,
        Key("notification_topic", Text),
    ),
    row("remote_clientid", Bridge, Key("remote_clientid", Text)),
    row("remote_password", Bridge, Key("remote_password", Text)),
    row("remote_username", Bridge, Key("remote_username", Text)),
    row("restart_timeout", Bridge, Special(bridge::restart)),
    row("round_robin", Bridge, Key("round_robin", Switch)),
    row("start_type", Bridge, Special(bridge::start)),
    row("threshold", Bridge, Special(bridge::threshold)),
    row("topic", Bridge, Special(bridge::topic)),
    row("try_private", Bridge, Key("try_private", Switch)),
    row("bridge_alpn", Bridge, Special(bridge::alpn)),
    row("bridge_cafile", Bridge, Special(bridge::authority)),
    row("bridge_capath", Bridge, Special(bridge::authority)),
    row("bridge_certfile", Bridge, Key("tls.certificate", Path)),
    row("bridge_identity", Bridge, Refused(BRIDGE_PSK)),
    row("bridge_insecure", Bridge, Key("tls.insecure", Switch)),
    row("bridge_keyfile", Bridge, Key("tls.key", Path)),
    row("bridge_psk", Bridge, Refused(BRIDGE_PSK)),
    row("bridge_require_ocsp", Bridge, Off(OCSP)),
    row("bridge_tls_version", Bridge, Special(bridge::tls_version)),
    // Not in the manual page of 2.0.11.
    row("clientid", Bridge, Key("remote_clientid", Text)),
    row("username", Bridge, Key("remote_username", Text)),
    row("password", Bridge, Key("remote_password", Text)),
    row(
        "bridge_max_topic_alias",
        Bridge,
        Key("topic_aliases", Count),
    ),
    row(
        "bridge_reload_type",
        Bridge,
        Ignored("a bridge whose settings change begins anew, and loses no message by it"),
    ),
    row("bridge_tcp_keepalive", Bridge, Ignored(KEEPALIVE)),
    row("bridge_tcp_user_timeout", Bridge, Ignored(KEEPALIVE)),
    row(
        "bridge_tls_use_os_certs",
        Bridge,
        Special(bridge::system_authorities),
    ),
    row("plugin", Security, Refused(PLUGIN)),
    row("plugin_opt_*", Security, Refused(PLUGIN)),
    row(
        "websockets_origin",
        Listener,
        Special(listener::websockets_origin),
    ),
    row("retry_interval", Global, Ignored(OLD)),
    row("store_clean_interval", Global, Ignored(OLD)),
    row("maximum_qos", Listener, Key("max_qos", Count)),
    row("retained_persistence", Global, Special(global::persistence)),
    // Since 2.1.
    row(
        "accept_protocol_versions",
        Listener,
        Special(listener::versions),
    ),
    row("bridge_ciphers", Bridge, Ignored(SUITES)),
    row("bridge_ciphers_tls1.3", Bridge, Ignored(SUITES)),
    row("bridge_fatal_sub_errors", Bridge, Off(SUBSCRIPTION)),
    row(
        "bridge_receive_maximum",
        Bridge,
        Key("receive_maximum", Count),
    ),
    row(
        "bridge_session_expiry_interval",
        Bridge,
        Ignored("the other broker is asked to keep what waits; cleansession true asks it not to"),
    ),
    row("disable_client_cert_date_checks", Listener, Off(EXPIRED)),
    row(
        "enable_control_api",
        Global,
        Ignored("there is no $CONTROL; admin.address has an API over HTTP"),
    ),
    row(
        "enable_proxy_protocol",
        Listener,
        Special(listener::proxy_protocol),
    ),
    row("global_max_clients", Global, Key("limits.sessions", Limit)),
    row(
        "global_max_connections",
        Global,
        Special(global::connections),
    ),
    row("global_plugin", Global, Refused(PLUGIN)),
    row(
        "listener_allow_anonymous",
        Listener,
        Key("access.allow_anonymous", Switch),
    ),
    row(
        "listener_auto_id_prefix",
        Listener,
        Key("access.auto_id_prefix", Id),
    ),
    row(
        "max_topic_alias_broker",
        Listener,
        Ignored("a client is sent as many aliases as it takes, 64 at most"),
    ),
    row(
        "packet_buffer_size",
        Global,
        Ignored("buffers are as large as what is in them"),
    ),
    row("plugin_load", Global, Refused(PLUGIN)),
    row("plugin_use", Listener, Refused(PLUGIN)),
    row("proxy_protocol_v2_require_tls", Listener, Off(PROXY_TLS)),
    row("retain_expiry_interval", Global, Refused(RETAINED)),
];
