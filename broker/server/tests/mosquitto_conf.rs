//! Files of Mosquitto: what becomes of them, and the exact text of what is
//! wrong with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dunlin::config::load::import;
use dunlin::config::{
    AllowAnonymous, BridgeDirection, BridgeStart, BridgeVersion, ByteSize, Config, Durability,
    ListenAddress, Loaded, LogDestination, LogLevel, MemoryBudget, Protocol, Request, Source,
    Store, TlsVersion, load, print,
};
use dunlin::mosquitto::directives::{self, DIRECTIVES, Scope, Treatment};
use dunlin::mosquitto::lines::INCLUDED_FILES_MAX;
use tempfile::TempDir;

/// A directory with a mosquitto.conf of the given text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("m.conf");
    fs::write(&path, text).expect("the file is written");
    (directory, path)
}

/// The configuration, without asking whether the files that it names exist.
fn good(text: &str) -> Loaded {
    let (_directory, path) = file(text);
    import(path).unwrap_or_else(|invalid| panic!("{text}\n{invalid}"))
}

fn wrong(text: &str) -> String {
    let (directory, path) = file(text);
    match import(path) {
        Ok(loaded) => panic!("{text}\nshould be refused: {loaded:?}"),
        Err(invalid) => cut(invalid, directory.path()),
    }
}

fn warnings(text: &str) -> Vec<String> {
    let (directory, path) = file(text);
    let loaded = import(path).unwrap_or_else(|invalid| panic!("{text}\n{invalid}"));
    loaded
        .warnings
        .iter()
        .map(|warning| cut(warning, directory.path()))
        .collect()
}

fn cut(text: impl ToString, directory: &Path) -> String {
    text.to_string()
        .replace(&format!("{}/", directory.display()), "")
}

fn addresses(config: &Config) -> Vec<String> {
    config
        .listeners
        .iter()
        .map(|listener| listener.address.to_string())
        .collect()
}

#[test]
fn without_a_listener_only_this_machine_may_connect() {
    let config = good("").config;
    assert_eq!(addresses(&config), ["localhost:1883"]);
    assert_eq!(config.access.allow_anonymous, AllowAnonymous::Yes);

    let (_directory, path) = file("retain_available false");
    let source = Source::Mosquitto(path);
    let request = Request {
        source,
        ports: vec![1, 2],
        verbose: true,
        ..Request::default()
    };
    let loaded = load(&request).expect("the file is good");
    assert_eq!(addresses(&loaded.config), ["localhost:1", "localhost:2"]);
    assert!(
        loaded
            .config
            .listeners
            .iter()
            .all(|listener| !listener.retain_available)
    );
    assert_eq!(loaded.config.logging.level, LogLevel::Debug);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn with_a_listener_anonymous_clients_are_refused() {
    for text in [
        "listener 1883",
        "port 1883",
        "bind_address 0.0.0.0",
        "max_connections 5",
    ] {
        let config = good(text).config;
        assert_eq!(config.access.allow_anonymous, AllowAnonymous::No, "{text}");
        assert_eq!(config.listeners.len(), 1, "{text}");
        assert_eq!(config.listeners[0].address.port(), Some(1883), "{text}");
    }
    let (_directory, path) = file("listener 1883");
    let request = Request {
        source: Source::Mosquitto(path),
        ports: vec![5],
        ..Request::default()
    };
    let loaded = load(&request).expect("the file is good");
    assert_eq!(addresses(&loaded.config), ["[::]:1883"]);
    assert!(loaded.warnings[0].text.starts_with("is ignored"));
}

#[test]
fn what_mosquitto_does_by_default_is_kept() {
    let config = good("").config;
    assert_eq!(config.limits.packet_size, ByteSize(268_435_460));
    assert_eq!(
        (
            config.limits.inflight_messages,
            config.limits.receive_maximum
        ),
        (20, 20)
    );
    assert_eq!(config.limits.queued_messages, Some(1000));
    assert_eq!(config.limits.queued_bytes, None);
    assert_eq!(config.limits.topic_aliases, 10);
    assert_eq!(config.limits.topic_levels, 201);
    assert_eq!(config.sessions.session_expiry_max, None);
    assert_eq!(config.sys.interval, Duration::from_secs(10));
    assert_eq!(config.logging.level, LogLevel::Info);
}

#[test]
fn listeners_are_addresses() {
    let cases = [
        ("listener 1883", "[::]:1883", false),
        ("listener 1883 192.0.2.1", "192.0.2.1:1883", false),
        ("listener 1883 ::1", "[::1]:1883", false),
        ("listener 1883 localhost", "localhost:1883", false),
        ("listener 0 /run/m.sock", "unix:/run/m.sock", false),
        ("listener 0 m.sock", "unix:m.sock", false),
        ("listener 1883\nsocket_domain ipv4", "0.0.0.0:1883", false),
        ("listener 1883\nsocket_domain ipv6", "[::]:1883", true),
        ("port 5\nbind_address 127.0.0.1", "127.0.0.1:5", false),
    ];
    for (text, address, ipv6_only) in cases {
        let config = good(text).config;
        assert_eq!(addresses(&config), [address], "{text}");
        assert_eq!(config.listeners[0].ipv6_only, ipv6_only, "{text}");
    }
}

#[test]
fn the_file_of_the_first_hour() {
    let config = good(
        "allow_anonymous false\npassword_file /etc/mosquitto/passwd\n\
         listener 1883\nlistener 1884\nprotocol websockets\n",
    )
    .config;
    assert_eq!(addresses(&config), ["[::]:1883", "[::]:1884"]);
    assert_eq!(config.listeners[0].protocol, Protocol::Mqtt);
    assert_eq!(config.listeners[1].protocol, Protocol::WebSockets);
    assert_eq!(config.listeners[1].websocket.paths, ["*"]);
    assert_eq!(config.access.allow_anonymous, AllowAnonymous::No);
    assert_eq!(
        config.access.password_file,
        Some("/etc/mosquitto/passwd".into())
    );
}

#[test]
fn every_directive_that_is_one_key_sets_it() {
    let config = good(
        "acl_file acl\nallow_zero_length_clientid false\nauto_id_prefix id-\n\
         connection_messages false\nlog_timestamp false\nmax_keepalive 60\n\
         max_packet_size 1024\nmax_queued_bytes 4096\nmax_queued_messages 0\n\
         memory_limit 67108864\nmessage_size_limit 512\nmax_inflight_messages 0\n\
         persistence_location /var/lib/m/\npersistent_client_expiration 2w\npid_file m.pid\n\
         queue_qos0_messages true\nsys_interval 0\nupgrade_outgoing_qos true\n\
         retain_available false\nset_tcp_nodelay true\n\
         listener 1\nmax_connections 7\nmax_qos 1\nmax_topic_alias 3\nmount_point a/\n\
         use_username_as_clientid true\n",
    )
    .config;
    assert_eq!(config.access.acl_file, Some("acl".into()));
    assert!(!config.access.allow_zero_length_clientid);
    assert_eq!(config.access.auto_id_prefix, "id-");
    assert!(!config.logging.connections && !config.logging.timestamps);
    let limits = &config.limits;
    assert_eq!(limits.keepalive, Duration::from_secs(60));
    assert_eq!(limits.packet_size, ByteSize(1024));
    assert_eq!(
        (limits.queued_bytes, limits.queued_messages),
        (Some(ByteSize(4096)), None)
    );
    assert_eq!(limits.memory, MemoryBudget::Size(ByteSize::mib(64)));
    assert_eq!(limits.payload_size, Some(ByteSize(512)));
    assert_eq!(
        (limits.inflight_messages, limits.receive_maximum),
        (65_535, 65_535)
    );
    assert_eq!(
        config.sessions.session_expiry_max,
        Some(Duration::from_secs(14 * 86_400))
    );
    assert_eq!(config.pid_file, Some("m.pid".into()));
    assert!(config.sessions.queue_qos0 && config.sessions.upgrade_outgoing_qos);
    assert_eq!(config.sys.interval, Duration::ZERO);
    let listener = &config.listeners[0];
    assert!(!listener.retain_available);
    assert_eq!(listener.max_connections, Some(7));
    assert_eq!((listener.max_qos, *listener.max_topic_alias), (1, Some(3)));
    assert_eq!(listener.mount_point, "a/");
    assert!(listener.access.use_username_as_clientid);
}

#[test]
fn persistence_is_a_store() {
    let config = good("persistence_location /var/lib/m/").config;
    assert_eq!(
        config.store,
        Store::Memory,
        "Mosquitto keeps nothing unasked"
    );
    let text = "persistence_location /var/lib/m/\npersistence true\npersistence_file m.db\n\
                autosave_interval 300\nautosave_on_changes false\n";
    let loaded = good(text);
    assert_eq!(loaded.config.store, Store::Disk);
    assert_eq!(loaded.config.data_dir, Path::new("/var/lib/m/dunlin-data"));
    assert_eq!(loaded.config.durability, Durability::Fsync);
    assert_eq!(
        warnings(text),
        [
            "m.conf:3: persistence_file: is ignored: the store is a directory with names of its own",
            "m.conf:4: autosave_interval: is ignored: every change is written at once",
            "m.conf:5: autosave_on_changes: is ignored: every change is written at once",
            "m.conf:2: persistence: sessions and retained messages are kept in \
             /var/lib/m/dunlin-data; nothing is imported from Mosquitto's own file, whose format is \
             another",
        ]
    );
    // Without a location they are where the broker is started, and the last word counts.
    let config = good("persistence false\npersistence 1").config;
    assert_eq!(config.store, Store::Disk);
    assert_eq!(config.data_dir, Path::new("dunlin-data"));
    assert_eq!(
        good("persistence 1\npersistence 0").config.store,
        Store::Memory
    );
}

#[test]
fn queues_and_expiry_are_bounded_as_asked() {
    let queue = |text: &str| {
        let config = good(text).config;
        let limits = &config.limits;
        (limits.queued_messages, limits.queued_bytes)
    };
    let some = Some(ByteSize(5000));
    assert_eq!(queue("max_queued_messages 7"), (Some(7), None));
    assert_eq!(queue("max_queued_messages 0"), (None, None));
    assert_eq!(queue("max_queued_bytes 5000"), (Some(1000), some));
    assert_eq!(queue("max_queued_bytes 0"), (Some(1000), None));
    assert!(!good("").config.sessions.queue_qos0);
    for (text, seconds) in [
        ("90s", 90),
        ("5h", 5 * 3_600),
        ("3d", 3 * 86_400),
        ("2w", 14 * 86_400),
        ("2m", 60 * 86_400),
        ("1y", 365 * 86_400),
    ] {
        let config = good(&format!("persistent_client_expiration {text}")).config;
        let expected = Duration::from_secs(seconds);
        assert_eq!(config.sessions.session_expiry_max, Some(expected), "{text}");
    }
}

/// As the command prints it, for a file that names no directory of this machine.
#[test]
fn what_is_persistent_is_printed() {
    let (_directory, path) = file(
        "persistence true\npersistence_location /no/such/place\nautosave_interval 10\n\
         queue_qos0_messages true\nmax_queued_messages 50\nmax_queued_bytes 4096\n\
         persistent_client_expiration 1w\n",
    );
    let output = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .arg("import-mosquitto")
        .arg(&path)
        .output()
        .expect("a process");
    assert!(output.status.success());
    let warnings = String::from_utf8(output.stderr).expect("text");
    assert_eq!(warnings.lines().count(), 2, "{warnings}");
    let printed = String::from_utf8(output.stdout).expect("text");
    for line in [
        "data_dir = \"/no/such/place/dunlin-data\"",
        "queued_messages = 50",
        "queued_bytes = \"4 KiB\"",
        "queue_qos0 = true",
        "session_expiry_max = \"7d\"",
    ] {
        assert!(printed.lines().any(|one| one == line), "{line}: {printed}");
    }
    // The default is not printed; memory would be.
    assert!(!printed.contains("store ="), "{printed}");
    let (_directory, path) = file("");
    let memory = print::toml(&import(path).expect("the file is good").config);
    assert!(memory.contains("store = \"memory\""), "{memory}");
}

/// What only the operator knows, and what only that machine does.
#[test]
fn an_imported_bridge_is_to_be_looked_at() {
    let bridge = "address far\ntopic #\nremote_username u\nremote_password p\n";
    let (_directory, path) = file(&format!(
        "connection a\n{bridge}connection b\n{bridge}remote_clientid id\n"
    ));
    let output = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .arg("import-mosquitto")
        .arg(&path)
        .output()
        .expect("a process");
    let warnings = String::from_utf8(output.stderr).expect("text");
    assert_eq!(
        warnings.lines().collect::<Vec<_>>(),
        [
            "warning: bridge a: its remote_clientid has the name of this machine",
            "warning: bridge a: write its remote_password yourself",
            "warning: bridge b: write its remote_password yourself",
        ]
    );
}

#[test]
fn tls_and_certificates() {
    let text = "listener 8883\ncafile ca.pem\ncapath certs\ncertfile c.pem\nkeyfile k.pem\n\
                crlfile crl.pem\ntls_version tlsv1.3\ntls_keyform pem\n";
    let tls = good(text).config.listeners[0]
        .tls
        .clone()
        .expect("there is a certificate");
    assert_eq!((tls.certificate, tls.key), ("c.pem".into(), "k.pem".into()));
    assert_eq!(tls.min_version, TlsVersion::Tls13);
    assert_eq!(tls.intermediates, [Path::new("ca.pem"), Path::new("certs")]);
    assert!(
        tls.client_ca.is_empty() && tls.crl.is_none(),
        "certificates are not asked for"
    );

    let text = format!("{text}require_certificate true\nuse_identity_as_username true\n");
    let listener = good(&text).config.listeners[0].clone();
    let tls = listener.tls.expect("there is a certificate");
    assert!(tls.require_client_certificate && listener.access.use_identity_as_username);
    assert_eq!(tls.client_ca, [Path::new("ca.pem"), Path::new("certs")]);
    assert_eq!(tls.crl, Some("crl.pem".into()));
}

#[test]
fn bridges_are_as_their_lines_say() {
    let loaded = good(
        "listener 1883\nconnection my/cloud 1\naddress a b:2 [::1]\ntopic # both 2 l/ \"\"\n\
         topic \"\" in 1 here there\ntopic plain\nremote_username u\nremote_password p w\n\
         cleansession true\nkeepalive_interval 30\nstart_type lazy\nthreshold 3\n\
         restart_timeout 2 9\nbridge_cafile ca.pem\nbridge_capath certs\nbridge_alpn mqtt\n\
         bridge_certfile c.pem\nbridge_keyfile k.pem\nbridge_tls_version tlsv1.3\n\
         connection second\naddress c\nremote_clientid id\ntopic #\nbridge_protocol_version mqttv50\n\
         cleansession true\nlocal_cleansession false\nrestart_timeout 7\nnotifications false\n",
    );
    let [first, second] = &loaded.config.bridges[..] else {
        panic!("two bridges: {:?}", loaded.config.bridges);
    };
    assert_eq!(first.name, "my_cloud");
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_string_lossy();
    assert_eq!(first.remote_clientid, Some(format!("{machine}.my/cloud")));
    assert_eq!(first.addresses, ["a:1883", "b:2", "[::1]:1883"]);
    assert_eq!(first.protocol_version, BridgeVersion::Mqtt311);
    let topics = first.topics.iter().map(|topic| {
        let prefixes = (topic.local_prefix.as_str(), topic.remote_prefix.as_str());
        (topic.filter.as_str(), topic.direction, topic.qos, prefixes)
    });
    assert_eq!(
        topics.collect::<Vec<_>>(),
        [
            ("#", BridgeDirection::Both, 2, ("l/", "")),
            ("", BridgeDirection::In, 1, ("here", "there")),
            ("plain", BridgeDirection::Out, 0, ("", "")),
        ]
    );
    let password = first
        .remote_password
        .as_ref()
        .map(|password| password.reveal());
    assert_eq!(password, Some("p w"));
    assert!(first.clean_session && first.local_clean_session);
    assert_eq!(first.start, BridgeStart::Lazy);
    assert_eq!(first.lazy_messages, 3);
    let pauses = [
        first.restart_pause,
        first.restart_pause_max,
        first.keepalive,
    ];
    assert_eq!(pauses, [2, 9, 30].map(Duration::from_secs));
    let tls = first.tls.as_ref().expect("TLS");
    assert_eq!(tls.authorities, ["ca.pem", "certs"].map(PathBuf::from));
    assert_eq!(tls.alpn, ["mqtt"]);
    assert_eq!(tls.min_version, TlsVersion::Tls13);
    assert_eq!(tls.key, Some("k.pem".into()));

    assert_eq!(second.remote_clientid.as_deref(), Some("id"));
    assert_eq!(second.protocol_version, BridgeVersion::Mqtt5);
    assert!(second.clean_session && !second.local_clean_session && !second.notifications);
    assert_eq!(second.tls, None);
    assert_eq!(second.restart_pause, second.restart_pause_max);
}

#[test]
fn numbers_are_corrected_as_mosquitto_does() {
    let text = "max_packet_size 300000000\nmax_keepalive 0\nmax_inflight_messages -1\n\
                max_queued_bytes -1\nconnection c\naddress far\ntopic \"a b/#\" OUT 1 # c\n\
                keepalive_interval 1\nidle_timeout 0\nthreshold 0\nrestart_timeout 0 30 20\n\
                bridge_max_packet_size -1\n";
    let config = good(text).config;
    assert_eq!(config.limits.packet_size, ByteSize(268_435_460));
    assert_eq!(config.limits.keepalive, Duration::from_secs(65_535));
    assert_eq!(config.limits.inflight_messages, 65_535);
    assert_eq!(config.limits.queued_bytes, None);
    let bridge = &config.bridges[0];
    let topic = &bridge.topics[0];
    assert_eq!(
        (topic.filter.as_str(), topic.direction, topic.qos),
        ("a b/#", BridgeDirection::Out, 1)
    );
    let times = [bridge.keepalive, bridge.idle_timeout, bridge.restart_pause];
    assert_eq!(times, [5, 1, 1].map(Duration::from_secs));
    assert_eq!(bridge.restart_pause_max, Duration::from_secs(30));
    assert_eq!((bridge.lazy_messages, bridge.packet_size), (1, None));
    assert_eq!(
        warnings(text),
        [
            "m.conf:8: keepalive_interval: 1 is too low; 5 is used",
            "m.conf:9: idle_timeout: 0 is too low; 1 is used",
            "m.conf:10: threshold: 0 is too low; 1 is used",
            "m.conf:11: restart_timeout: 0 is too low; 1 is used",
            "m.conf:11: restart_timeout: the third number is ignored: once connected, pauses are \
             short again",
        ]
    );
}

#[test]
fn directives_of_2_1_that_are_keys_set_them() {
    let config = good(
        "maximum_qos 1\nretained_persistence true\nglobal_max_connections 100\n\
         global_max_clients 200\nlistener 1\nlistener_allow_anonymous true\n\
         listener_auto_id_prefix id-\nenable_proxy_protocol 2\naccept_protocol_versions 3, 4,5\n\
         proxy_protocol_v2_require_tls false\ndisable_client_cert_date_checks false\n\
         connection c\naddress far\ntopic #\nbridge_receive_maximum 7\n\
         bridge_fatal_sub_errors false\n",
    )
    .config;
    assert_eq!(config.store, Store::Disk);
    assert_eq!(config.limits.connections, 100);
    assert_eq!(config.limits.sessions, Some(200));
    let [listener, default] = &config.listeners[..] else {
        panic!("two listeners: {:?}", config.listeners);
    };
    assert_eq!((default.max_qos, default.proxy_protocol), (1, false));
    assert!(listener.proxy_protocol);
    let access = config.access.on(&listener.access);
    assert_eq!(access.allow_anonymous, AllowAnonymous::Yes);
    assert_eq!(access.auto_id_prefix, "id-");
    let access = config.access.on(&default.access);
    assert_eq!(access.allow_anonymous, AllowAnonymous::No);
    assert_eq!(config.bridges[0].receive_maximum, 7);

    let limits = good("global_max_connections -1\nglobal_max_clients 0")
        .config
        .limits;
    assert_eq!(limits.connections, Config::default().limits.connections);
    assert_eq!(limits.sessions, None);
}

/// As in Mosquitto: words and numbers end before a comment, text and paths do not.
#[test]
fn comments_behind_a_value_are_none_of_it() {
    let plain = "allow_anonymous true\nmax_keepalive 60\nlog_type all\nlog_dest stdout\n\
                 max_inflight_messages 5\npersistent_client_expiration 14d\npersistence false\n\
                 retain_available false\nport 1883\nlistener 0 /run/m.sock\nlistener 1884\n\
                 protocol mqtt\nsocket_domain ipv4\nmax_connections 5\nlistener 1885 ::1\n\
                 connection c\naddress far:1\ntopic # out 1\ntopic t in\ntopic t out 1 l/ r/\n\
                 cleansession true\nkeepalive_interval 30\nstart_type once\nrestart_timeout 5 9\n\
                 bridge_protocol_version mqttv50\n";
    for comment in [" # of old:2 1", "\t#"] {
        let commented = plain.replace('\n', &format!("{comment}\n"));
        assert_eq!(good(&commented).config, good(plain).config, "{commented}");
    }
    let text = "password_file a #b\nconnection c\naddress far\ntopic #\nremote_username u # 1\n";
    let config = good(text).config;
    assert_eq!(config.access.password_file, Some("a #b".into()));
    let username = config.bridges[0].remote_username.as_deref();
    assert_eq!(username, Some("u # 1"));
}

#[test]
fn settings_per_listener_stay_with_their_listener() {
    let text = "per_listener_settings true\n\
                listener 1\nallow_anonymous true\n\
                listener 2\npassword_file two\nacl_file rules\n";
    let config = good(text).config;
    let access: Vec<_> = config
        .listeners
        .iter()
        .map(|l| config.access.on(&l.access))
        .collect();
    assert_eq!(access[0].allow_anonymous, AllowAnonymous::Yes);
    assert_eq!(access[0].password_file, None);
    assert_eq!(access[1].allow_anonymous, AllowAnonymous::No);
    assert_eq!(access[1].password_file, Some("two".into()));
    assert_eq!(access[1].acl_file, Some("rules".into()));

    let text = text.replace("true\nlistener 1", "false\nlistener 1");
    let config = good(&text).config;
    assert_eq!(config.access.allow_anonymous, AllowAnonymous::Yes);
    assert_eq!(config.access.password_file, Some("two".into()));

    let said = warnings("per_listener_settings true\nacl_file x\nlistener 1\nallow_anonymous true");
    let expected = "m.conf:2: acl_file: is about the default listener, which is not opened; move \
                    it below a listener";
    assert_eq!(said, [expected]);
}

#[test]
fn logs_have_one_destination_and_one_level() {
    let log = |text: &str| good(text).config.logging;
    let file = LogDestination::File("/a b".into());
    assert_eq!(log("log_dest stdout").destination, LogDestination::Stdout);
    assert_eq!(log("log_dest none").destination, LogDestination::Off);
    assert_eq!(log("log_dest stderr\nlog_dest file /a b").destination, file);
    assert_eq!(
        log("log_type error\nlog_type warning").level,
        LogLevel::Warn
    );
    assert_eq!(log("log_type all\nlog_type none").level, LogLevel::Debug);
    assert_eq!(
        warnings("log_dest file /x\nlog_dest stdout\nlog_dest syslog"),
        [
            "m.conf:2: log_dest: is ignored; there is one destination, and that is file:/x",
            "m.conf:3: log_dest: syslog is ignored; lines go to stderr, which systemd's journal \
             takes",
        ]
    );
}

/// Each file and all that is to be said of it.
const BAD: &[(&str, &str)] = &[
    (
        "# fine\nallow_anonymus true",
        "m.conf:2: allow_anonymus: is not a directive of Mosquitto; did you mean allow_anonymous?",
    ),
    (
        "zzz 1",
        "m.conf:1: zzz: is not a directive of Mosquitto; see mosquitto.conf(5) for those there are",
    ),
    (
        "allow_anonymous yes",
        "m.conf:1: allow_anonymous: needs true or false, not \"yes\"",
    ),
    (
        "listener",
        "m.conf:1: listener: needs a port from 1 to 65535, not \"\"",
    ),
    (
        "listener 70000",
        "m.conf:1: listener: needs a port from 1 to 65535, not \"70000\"",
    ),
    (
        "listener 0",
        "m.conf:1: listener: needs a port from 1 to 65535, or 0 and the path of a unix socket",
    ),
    (
        "listener 5 /x",
        "m.conf:1: listener: needs port 0 before the path of a unix socket",
    ),
    (
        "listener 1 a/b",
        "m.conf:1: listener: needs an address, as \"0.0.0.0:1883\", \"[::]:1883\", \
         \"localhost:1883\" or \"unix:/run/dunlin.sock\", not \"a/b:1\"",
    ),
    (
        "listener 1\nlistener 1",
        "m.conf:2: listener: another listener has [::]:1 already; choose another port",
    ),
    (
        "listener 1\nmax_qos 3",
        "m.conf:2: max_qos: needs a number, from 0 to 2, not 3",
    ),
    (
        "listener 1\nprotocol http_api",
        "m.conf:2: protocol: the API over HTTP has an address of its own, 127.0.0.1:9883 unless \
         DUNLIN__ADMIN__ADDRESS in the environment is another; remove this listener",
    ),
    (
        "listener 1\nprotocol mqttsn\naccept_protocol_versions 5\nenable_proxy_protocol 3\n\
         proxy_protocol_v2_require_tls true\ndisable_client_cert_date_checks true",
        "m.conf:2: protocol: needs mqtt or websockets, not \"mqttsn\"\n\
         m.conf:3: accept_protocol_versions: clients of every version are let in; remove it\n\
         m.conf:4: enable_proxy_protocol: needs 1 or 2, not \"3\"\n\
         m.conf:5: proxy_protocol_v2_require_tls: what a proxy says of its clients' TLS is not \
         looked at; remove it, and let the proxy take nothing else\n\
         m.conf:6: disable_client_cert_date_checks: a certificate that has ended is not taken; \
         remove it, and renew those that have",
    ),
    (
        "max_inflight_messages 65536",
        "m.conf:1: max_inflight_messages: needs a number up to 65535, not 65536",
    ),
    (
        "memory_limit -1\nmessage_size_limit -1",
        "m.conf:1: memory_limit: needs a number of bytes, or 0 for no limit, not -1\n\
         m.conf:2: message_size_limit: needs a number of bytes, or 0 for no limit, not -1",
    ),
    (
        "autosave_interval\nuser\nplugin_opt 1",
        "m.conf:1: autosave_interval: needs a value behind it\n\
         m.conf:2: user: needs a value behind it\n\
         m.conf:3: plugin_opt: is not a directive of Mosquitto; did you mean plugin_opt_NAME?",
    ),
    (
        "local_clientid a\nbridge_reload_type lazy\nbridge_psk x",
        "m.conf:1: local_clientid: is about a bridge, and no connection line begins one before it\n\
         m.conf:2: bridge_reload_type: is about a bridge, and no connection line begins one before \
         it\n\
         m.conf:3: bridge_psk: is about a bridge, and no connection line begins one before it",
    ),
    (
        "connection a\naddress b\ntopic \"a b",
        "m.conf:3: topic: needs another quotation mark behind the pattern",
    ),
    (
        "max_packet_size 10",
        "m.conf:1: max_packet_size: needs a size, as 65536 or \"64 KiB\", from 20 B to 268435460 B, \
         not 10",
    ),
    (
        "max_keepalive 5",
        "m.conf:1: max_keepalive: needs a duration, as \"500ms\", \"10s\", \"5m\", \"12h\" or \
         \"7d\", from 10s to 65535s, not \"5s\"",
    ),
    (
        "listener 1\nkeyfile k.pem",
        "m.conf:2: keyfile: is missing; TLS needs a certificate and its key, in PEM files",
    ),
    (
        "listener 1\ncertfile c\nkeyfile k\nrequire_certificate true",
        "m.conf:4: require_certificate: needs cafile or capath, the authorities that sign client \
         certificates",
    ),
    (
        "listener 1\nuse_identity_as_username true",
        "m.conf:2: use_identity_as_username: needs certificates from all clients; set \
         require_certificate true",
    ),
    (
        "listener 1\ntls_version tlsv1.1",
        "m.conf:2: tls_version: TLS 1.1 is not offered, as it is broken; use tlsv1.2",
    ),
    (
        "persistence_location /a\npersistence_location /b",
        "m.conf:2: persistence_location: stands already in line 1; remove one of them",
    ),
    (
        "persistence_location",
        "m.conf:1: persistence_location: needs a directory behind it",
    ),
    (
        "persistence maybe",
        "m.conf:1: persistence: needs true or false, not \"maybe\"",
    ),
    (
        "persistent_client_expiration 14dd",
        "m.conf:1: persistent_client_expiration: needs a number and s, h, d, w, m or y, as 14d, \
         not \"14dd\"",
    ),
    (
        "persistent_client_expiration 14",
        "m.conf:1: persistent_client_expiration: needs a number and s, h, d, w, m or y, as 14d, \
         not \"14\"",
    ),
    (
        "persistent_client_expiration 0d",
        "m.conf:1: persistent_client_expiration: needs a number and s, h, d, w, m or y, as 14d, \
         not \"0d\"",
    ),
    (
        "log_dest file",
        "m.conf:1: log_dest: needs a file, as log_dest file /var/log/dunlin.log",
    ),
    (
        "password_file a\nlistener 1\npassword_file b",
        "m.conf:3: password_file: stands already in line 1; remove one of them",
    ),
    (
        "acl_file a\nper_listener_settings true",
        "m.conf:2: per_listener_settings: must stand before acl_file in line 1; move it up",
    ),
    (
        "psk_file keys",
        "m.conf:1: psk_file: TLS with pre-shared keys is not offered; use certfile and keyfile, \
         and require_certificate to tell clients apart",
    ),
    (
        "plugin x.so\nplugin_opt_db y\nauth_opt_z 1",
        "m.conf:1: plugin: Mosquitto's plugins cannot be loaded; remove it, and use password_file \
         and acl_file\n\
         m.conf:2: plugin_opt_db: Mosquitto's plugins cannot be loaded; remove it, and use \
         password_file and acl_file\n\
         m.conf:3: auth_opt_z: Mosquitto's plugins cannot be loaded; remove it, and use \
         password_file and acl_file",
    ),
    (
        "connection a b\naddress\ntopic\ntopic # up\ntopic # out 3\nstart_type manual\n\
         restart_timeout 30 10\nbridge_psk x\nbridge_require_ocsp true\n\
         bridge_protocol_version mqttv4",
        "m.conf:2: address: needs a host, as example.org:1883\n\
         m.conf:3: topic: needs a pattern, then a direction, a QoS and two prefixes, as sensors/# \
         out 1\n\
         m.conf:4: topic: needs out, in or both, not \"up\"\n\
         m.conf:5: topic: needs a QoS from 0 to 2 behind the direction\n\
         m.conf:6: start_type: needs automatic, lazy or once, not \"manual\"\n\
         m.conf:7: restart_timeout: needs one time, or the shortest and the longest, in seconds\n\
         m.conf:8: bridge_psk: TLS with pre-shared keys is not offered; use bridge_cafile, and \
         bridge_certfile with bridge_keyfile to be told from others\n\
         m.conf:9: bridge_require_ocsp: stapled answers of the authority (OCSP) are not looked \
         at; remove it, and trust an authority whose certificates do not last long\n\
         m.conf:10: bridge_protocol_version: needs mqttv31, mqttv311 or mqttv50, not \"mqttv4\"\n\
         m.conf:1: connection: the bridge has no address; say where the other broker is",
    ),
    (
        "connection a\naddress b\ntopic #\nremote_clientid c\nremote_clientid d\n\
         bridge_insecure true",
        "m.conf:5: remote_clientid: stands already in line 4; remove one of them\n\
         m.conf:1: connection: has TLS settings, and no bridge_cafile or bridge_capath that says \
         whom to trust; add one, or remove them",
    ),
    (
        "topic # out\nround_robin true",
        "m.conf:1: topic: is about a bridge, and no connection line begins one before it\n\
         m.conf:2: round_robin: is about a bridge, and no connection line begins one before it",
    ),
    (
        "include_dir nowhere",
        "m.conf:1: include_dir: nowhere: there is no such file; correct the path, which starts \
         where dunlin was started",
    ),
];

#[test]
fn what_is_wrong_is_named_with_line_directive_and_advice() {
    let mut failed = String::new();
    for (text, expected) in BAD {
        let said = wrong(text);
        if said != *expected {
            failed.push_str(&format!(
                "--- {text}\nsays     {said}\nexpected {expected}\n"
            ));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn files_that_are_missing_are_named_by_their_directive() {
    let (directory, path) = file("listener 1883\npassword_file /nowhere/passwd");
    let request = Request {
        source: Source::Mosquitto(path),
        ..Request::default()
    };
    assert_eq!(
        cut(load(&request).expect_err("it is missing"), directory.path()),
        "m.conf:2: password_file: /nowhere/passwd: there is no such file; correct the path, which \
         starts where dunlin was started"
    );
}

#[test]
fn what_is_ignored_is_said() {
    for directive in DIRECTIVES {
        if let Treatment::Ignored(why) = directive.treatment {
            let above = match directive.scope {
                Scope::Bridge => "connection c\naddress far\ntopic #",
                _ => "listener 1\nallow_anonymous true\n",
            };
            let name = directive.name;
            let said = warnings(&format!("{above}\n{name} 1"));
            assert_eq!(said, [format!("m.conf:4: {name}: is ignored: {why}")]);
        }
    }
}

#[test]
fn what_is_refused_is_said() {
    for directive in DIRECTIVES.iter().filter(|d| d.scope != Scope::Bridge) {
        if let Treatment::Refused(why) = directive.treatment
            && directive.name != "include_dir"
        {
            let name = directive.name.replace('*', "x");
            assert_eq!(
                wrong(&format!("{name} 1")),
                format!("m.conf:1: {name}: {why}")
            );
        }
    }
}

#[test]
fn included_files_are_read_in_order_and_include_nothing() {
    let (directory, path) = file("");
    let included = directory.path().join("conf.d");
    fs::create_dir(&included).expect("a directory");
    for (name, text) in [
        ("b.conf", "protocol websockets"),
        ("A.conf", "listener 7"),
        ("c", "x"),
    ] {
        fs::write(included.join(name), text).expect("a file");
    }
    fs::write(
        &path,
        format!("listener 6\ninclude_dir {}", included.display()),
    )
    .expect("a file");
    let loaded = import(path.clone()).expect("all files are good");
    assert_eq!(addresses(&loaded.config), ["[::]:6", "[::]:7"]);
    assert_eq!(loaded.config.listeners[1].protocol, Protocol::WebSockets);
    assert_eq!(
        loaded.files,
        [
            path.clone(),
            included.join("A.conf"),
            included.join("b.conf")
        ]
    );

    fs::write(included.join("A.conf"), "\ninclude_dir /etc").expect("a file");
    assert_eq!(
        cut(import(path).expect_err("it includes"), directory.path()),
        "conf.d/A.conf:2: include_dir: only the main file may include; move this line there"
    );
}

#[test]
fn an_imported_file_means_the_same() {
    let (_directory, path) = file(
        "per_listener_settings true\nmax_inflight_messages 5\npersistent_client_expiration 1d\n\
         log_dest file /tmp/x y.log\nlog_type all\nretain_available false\n\
         listener 1883\nallow_anonymous true\nmount_point \"q\\\"/\n\
         listener 0 /tmp/m.sock\nmax_qos 0\n\
         listener 8080 localhost\nprotocol websockets\nwebsockets_origin https://a.example\n\
         websockets_origin https://b.example\nallow_anonymous false\n\
         connection c\naddress far\ntopic # both 2 l/ r/\nbridge_tls_use_os_certs true\n\
         start_type once\nbridge_bind_address 127.0.0.1\n",
    );
    let source = Source::Mosquitto(path.clone());
    let same = load(&Request {
        source,
        ..Request::default()
    })
    .expect("the file is good")
    .config;
    let imported = import(path).expect("the file is good").config;
    assert_eq!(imported, same);

    let text = print::toml(&imported);
    let (_directory, toml) = file(&text);
    let request = Request {
        source: Source::Toml(toml),
        ..Request::default()
    };
    assert_eq!(
        load(&request).expect("printed TOML is good").config,
        imported,
        "{text}"
    );
    assert_eq!(
        imported.listeners[1].address,
        ListenAddress::Unix("/tmp/m.sock".into())
    );
    assert_eq!(imported.listeners[2].websocket.origins.len(), 2);
    assert!(imported.bridges[0].tls.is_some());
}

/// The directives of mosquitto.conf(5) of Mosquitto 2.0.11, in its order.
const MANUAL_PAGE: &str = "
    acl_file allow_anonymous allow_duplicate_messages allow_zero_length_clientid auth_opt_*
    auth_plugin auth_plugin_deny_special_chars auto_id_prefix autosave_interval
    autosave_on_changes check_retain_source clientid_prefixes connection_messages include_dir
    log_dest log_facility log_timestamp log_timestamp_format log_type max_inflight_bytes
    max_inflight_messages max_keepalive max_packet_size max_queued_bytes max_queued_messages
    memory_limit message_size_limit password_file per_listener_settings persistence
    persistence_file persistence_location persistent_client_expiration pid_file psk_file
    queue_qos0_messages retain_available set_tcp_nodelay sys_interval upgrade_outgoing_qos user
    bind_address bind_interface http_dir listener max_connections max_qos max_topic_alias
    mount_point port protocol socket_domain use_username_as_clientid websockets_log_level
    websockets_headers_size cafile capath certfile ciphers ciphers_tls1.3 crlfile dhparamfile
    keyfile require_certificate tls_engine tls_engine_kpass_sha1 tls_keyform tls_version
    use_identity_as_username use_subject_as_username psk_hint
    address addresses bridge_attempt_unsubscribe bridge_bind_address bridge_max_packet_size
    bridge_outgoing_retain bridge_protocol_version cleansession local_cleansession connection
    keepalive_interval idle_timeout local_clientid local_password local_username notifications
    notifications_local_only notification_topic remote_clientid remote_password remote_username
    restart_timeout round_robin start_type threshold topic try_private bridge_alpn bridge_cafile
    bridge_capath bridge_certfile bridge_identity bridge_insecure bridge_keyfile bridge_psk
    bridge_require_ocsp bridge_tls_version
";

/// What 2.1 has besides, and older spellings that both take.
const SINCE: &str = "
    accept_protocol_versions bridge_ciphers bridge_ciphers_tls1.3 bridge_fatal_sub_errors
    bridge_max_topic_alias bridge_receive_maximum bridge_reload_type
    bridge_session_expiry_interval bridge_tcp_keepalive bridge_tcp_user_timeout
    bridge_tls_use_os_certs disable_client_cert_date_checks enable_control_api
    enable_proxy_protocol global_max_clients global_max_connections global_plugin
    listener_allow_anonymous listener_auto_id_prefix max_topic_alias_broker packet_buffer_size
    plugin plugin_load plugin_opt_* plugin_use proxy_protocol_v2_require_tls
    retain_expiry_interval websockets_origin
    clientid maximum_qos password retained_persistence retry_interval username
";

#[test]
fn every_directive_of_the_manual_page_has_a_row() {
    for name in MANUAL_PAGE
        .split_whitespace()
        .chain(SINCE.split_whitespace())
    {
        let found = directives::find(&name.replace('*', "x"));
        assert_eq!(found.map(|directive| directive.name), Some(name));
    }
}

#[test]
fn no_directive_has_two_rows() {
    let mut names: Vec<_> = DIRECTIVES.iter().map(|directive| directive.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn included_files_that_cannot_be_read_are_named() {
    let (directory, path) = file("");
    let included = directory.path().join("conf.d");
    fs::create_dir(&included).expect("a directory");
    fs::write(&path, format!("\ninclude_dir {}", included.display())).expect("a file");
    fs::write(included.join("a.conf"), b"user \xFF").expect("a file");
    assert_eq!(
        cut(import(path.clone()).expect_err("no text"), directory.path()),
        "m.conf:2: include_dir: conf.d/a.conf: is not UTF-8 text; is it a configuration file?"
    );
    fs::remove_file(included.join("a.conf")).expect("the file");
    for n in 0..INCLUDED_FILES_MAX {
        fs::write(included.join(format!("{n}.conf")), "").expect("a file");
    }
    assert!(import(path.clone()).is_ok());
    fs::write(included.join("more.conf"), "").expect("a file");
    let said = cut(import(path).expect_err("too many"), directory.path());
    assert!(said.ends_with(&format!(
        "has more than {INCLUDED_FILES_MAX} files ending in .conf"
    )));
}

#[test]
fn a_main_file_that_cannot_be_read_is_named() {
    let (directory, path) = file("");
    fs::remove_file(&path).expect("the file");
    let said = cut(import(path).expect_err("no file"), directory.path());
    assert!(said.starts_with("m.conf: there is no such file"), "{said}");
}
