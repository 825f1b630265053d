//! Every directive of Mosquitto 2.0 and what Dunlin makes of it.

use Argument::{Bytes, Count, Id, Limit, Path, Seconds, Switch, Text};
use Scope::{Bridge, Global, Listener, Security};
use Treatment::{Ignored, Key, Refused, Special};

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
    /// Bytes, of which 0 means no limit.
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
const BRIDGE: &str = "bridges are not offered yet; let the other broker connect to this one, or \
                      keep Mosquitto between the two";
const OLD: &str = "it has had no effect since Mosquitto 1.5";

/// All directives of mosquitto.conf(5), in its order, then those that only
/// Mosquitto's source knows.
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
    row("max_keepalive", Global, Key("limits.keepalive", Seconds)),
    row("max_packet_size", Global, Key("limits.packet_size", Count)),
    row(
        "max_queued_bytes",
        Global,
        Key("limits.queued_bytes", Bytes),
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
    row("address", Bridge, Refused(BRIDGE)),
    row("addresses", Bridge, Refused(BRIDGE)),
    row("bridge_attempt_unsubscribe", Bridge, Refused(BRIDGE)),
    row("bridge_bind_address", Bridge, Refused(BRIDGE)),
    row("bridge_max_packet_size", Bridge, Refused(BRIDGE)),
    row("bridge_outgoing_retain", Bridge, Refused(BRIDGE)),
    row("bridge_protocol_version", Bridge, Refused(BRIDGE)),
    row("cleansession", Bridge, Refused(BRIDGE)),
    row("local_cleansession", Bridge, Refused(BRIDGE)),
    row("connection", Bridge, Refused(BRIDGE)),
    row("keepalive_interval", Bridge, Refused(BRIDGE)),
    row("idle_timeout", Bridge, Refused(BRIDGE)),
    row("local_clientid", Bridge, Refused(BRIDGE)),
    row("local_password", Bridge, Refused(BRIDGE)),
    row("local_username", Bridge, Refused(BRIDGE)),
    row("notifications", Bridge, Refused(BRIDGE)),
    row("notifications_local_only", Bridge, Refused(BRIDGE)),
    row("notification_topic", Bridge, Refused(BRIDGE)),
    row("remote_clientid", Bridge, Refused(BRIDGE)),
    row("remote_password", Bridge, Refused(BRIDGE)),
    row("remote_username", Bridge, Refused(BRIDGE)),
    row("restart_timeout", Bridge, Refused(BRIDGE)),
    row("round_robin", Bridge, Refused(BRIDGE)),
    row("start_type", Bridge, Refused(BRIDGE)),
    row("threshold", Bridge, Refused(BRIDGE)),
    row("topic", Bridge, Refused(BRIDGE)),
    row("try_private", Bridge, Refused(BRIDGE)),
    row("bridge_alpn", Bridge, Refused(BRIDGE)),
    row("bridge_cafile", Bridge, Refused(BRIDGE)),
    row("bridge_capath", Bridge, Refused(BRIDGE)),
    row("bridge_certfile", Bridge, Refused(BRIDGE)),
    row("bridge_identity", Bridge, Refused(BRIDGE)),
    row("bridge_insecure", Bridge, Refused(BRIDGE)),
    row("bridge_keyfile", Bridge, Refused(BRIDGE)),
    row("bridge_psk", Bridge, Refused(BRIDGE)),
    row("bridge_require_ocsp", Bridge, Refused(BRIDGE)),
    row("bridge_tls_version", Bridge, Refused(BRIDGE)),
    // Not in the manual page of 2.0.11.
    row("clientid", Bridge, Refused(BRIDGE)),
    row("username", Bridge, Refused(BRIDGE)),
    row("password", Bridge, Refused(BRIDGE)),
    row("bridge_max_topic_alias", Bridge, Refused(BRIDGE)),
    row("bridge_reload_type", Bridge, Refused(BRIDGE)),
    row("bridge_tcp_keepalive", Bridge, Refused(BRIDGE)),
    row("bridge_tcp_user_timeout", Bridge, Refused(BRIDGE)),
    row("plugin", Security, Refused(PLUGIN)),
    row("plugin_opt_*", Security, Refused(PLUGIN)),
    row(
        "websockets_origin",
        Listener,
        Special(listener::websockets_origin),
    ),
    row("retry_interval", Global, Ignored(OLD)),
    row("store_clean_interval", Global, Ignored(OLD)),
];
