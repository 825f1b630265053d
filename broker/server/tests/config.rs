//! Configurations, good and bad, with the exact text of what is wrong.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use dunlin::cli;
use dunlin::config::load::from_toml;
use dunlin::config::{
    AllowAnonymous, ByteSize, Config, ListenAddress, LogDestination, LogLevel, MemoryBudget,
    Request, Secret, Source, Workers, load, print, reference,
};
use tempfile::TempDir;

/// A TOML file with the given text, and the request to load it.
fn request(text: &str) -> (TempDir, Request) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("dunlin.toml");
    fs::write(&path, text).expect("the file is written");
    (
        directory,
        Request {
            source: Source::Toml(path),
            ..Request::default()
        },
    )
}

fn good(text: &str) -> Config {
    let (_directory, request) = request(text);
    load(&request)
        .unwrap_or_else(|invalid| panic!("{text}\n{invalid}"))
        .config
}

/// What is wrong, with the directory's name cut off.
fn wrong(text: &str) -> String {
    let (directory, request) = request(text);
    match load(&request) {
        Ok(loaded) => panic!("{text}\nshould be refused: {loaded:?}"),
        Err(invalid) => cut(&invalid.to_string(), directory.path()),
    }
}

fn cut(text: &str, directory: &Path) -> String {
    text.replace(&format!("{}/", directory.display()), "")
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

#[test]
fn nothing_at_all_is_one_listener_on_1883() {
    let config = load(&Request::default()).expect("defaults are good").config;
    assert_eq!(config, Config::default());
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].address.to_string(), "[::]:1883");
    assert_eq!(config.access.allow_anonymous, AllowAnonymous::Loopback);
    assert_eq!(good(""), Config::default());
}

#[test]
fn every_kind_of_value() {
    let config = good(
        r#"
        workers = 4
        drain_timeout = "1m30s"
        [limits]
        packet_size = "256 KiB"
        queued_bytes = 1048576
        retained_bytes = "unlimited"
        memory = "100MB"
        connect_timeout = "500ms"
        [logging]
        level = "warn"
        destination = "file:dunlin.log"
        [access]
        allow_anonymous = true
        [admin]
        address = "off"
        [[listeners]]
        address = "0.0.0.0:1884"
        max_qos = 1
        [[listeners]]
        address = "unix:/run/dunlin.sock"
        [[listeners]]
        address = "localhost:8080"
        protocol = "websockets"
        websocket = { paths = ["/x"], origins = ["https://example.org"] }
        access = { allow_anonymous = false, use_username_as_clientid = true }
        "#,
    );
    assert_eq!(config.workers, Workers::Count(4));
    assert_eq!(config.drain_timeout, Duration::from_secs(90));
    assert_eq!(config.limits.packet_size, ByteSize::kib(256));
    assert_eq!(config.limits.queued_bytes, Some(ByteSize::mib(1)));
    assert_eq!(config.limits.retained_bytes, None);
    assert_eq!(
        config.limits.memory,
        MemoryBudget::Size(ByteSize(100_000_000))
    );
    assert_eq!(config.limits.connect_timeout, Duration::from_millis(500));
    assert_eq!(config.logging.level, LogLevel::Warn);
    assert_eq!(
        config.logging.destination,
        LogDestination::File("dunlin.log".into())
    );
    assert_eq!(config.access.allow_anonymous, AllowAnonymous::Yes);
    assert_eq!(config.admin.address, None);
    assert_eq!(config.listeners.len(), 3);
    assert_eq!(config.listeners[0].max_qos, 1);
    assert_eq!(
        config.listeners[1].address,
        ListenAddress::Unix("/run/dunlin.sock".into())
    );
    assert_eq!(config.listeners[2].websocket.paths, ["/x"]);
    assert_eq!(
        *config.listeners[2].access.allow_anonymous,
        Some(AllowAnonymous::No)
    );
}

/// Each file and all that is to be said of it.
const BAD: &[(&str, &str)] = &[
    (
        "[[listeners]]\nadress = \"[::]:1883\"",
        "dunlin.toml:2: listeners[0].adress: unknown key; did you mean \"address\"?",
    ),
    (
        "[sys]\nbanana = 1",
        "dunlin.toml:2: sys.banana: unknown key; the keys here are interval",
    ),
    (
        "[loging]",
        "dunlin.toml:1: loging: unknown key; did you mean \"logging\"?",
    ),
    (
        "\n[[listeners]]\nmax_qos = \"two\"",
        "dunlin.toml:3: listeners[0].max_qos: needs a number, from 0 to 2, not \"two\"",
    ),
    (
        "[[listeners]]\nmax_qos = 3",
        "dunlin.toml:2: listeners[0].max_qos: needs a number, from 0 to 2, not 3",
    ),
    (
        "[limits]\nconnect_timeout = 10",
        "dunlin.toml:2: limits.connect_timeout: needs a duration, as \"500ms\", \"10s\", \"5m\", \
         \"12h\" or \"7d\", from 100ms to 10m, not 10",
    ),
    (
        "[limits]\nconnect_timeout = \"1h\"",
        "dunlin.toml:2: limits.connect_timeout: needs a duration, as \"500ms\", \"10s\", \"5m\", \
         \"12h\" or \"7d\", from 100ms to 10m, not \"1h\"",
    ),
    (
        "[[listeners]]\nmax_topic_alias = \"unlimited\"",
        "dunlin.toml:2: listeners[0].max_topic_alias: needs a number, from 0 to 65535, not \
         \"unlimited\"",
    ),
    (
        "limits.packet_size = \"1 MiBi\"",
        "dunlin.toml:1: limits.packet_size: needs a size, as 65536 or \"64 KiB\", from 20 B to \
         268435460 B, not \"1 MiBi\"",
    ),
    (
        "limits.memory = \"1 MiB\"",
        "dunlin.toml:1: limits.memory: needs a size, as \"256 MiB\", or \"auto\" or \"unlimited\", \
         of at least 16 MiB, not \"1 MiB\"",
    ),
    (
        "[access]\nallow_anonymous = \"yes\"",
        "dunlin.toml:2: access.allow_anonymous: needs true, false or \"loopback\", not \"yes\"",
    ),
    (
        "logging.level = \"loud\"",
        "dunlin.toml:1: logging.level: needs \"off\" or \"error\" or \"warn\" or \"info\" or \
         \"debug\" or \"trace\", not \"loud\"",
    ),
    (
        "listeners = 1",
        "dunlin.toml:1: listeners: needs a list, each a table of keys, not 1",
    ),
    (
        "logging = true",
        "dunlin.toml:1: logging: needs a table of keys, not true",
    ),
    (
        "workers = 1.5",
        "dunlin.toml:1: workers: needs a number or \"auto\", not 1.5",
    ),
    (
        "workers = 0",
        "dunlin.toml:1: workers: needs a number or \"auto\", not 0",
    ),
    (
        "listeners = []",
        "dunlin.toml:1: listeners: is empty, so nobody could connect; remove it for the default",
    ),
    (
        "workers = \n",
        "dunlin.toml:1: string values must be quoted, expected literal string",
    ),
    ("a = 1\na = 2", "dunlin.toml:2: duplicate key"),
    (
        "[[listeners]]\n[[listeners]]\nname = \"b\"",
        "dunlin.toml:2: listeners[1].address: another listener has [::]:1883 already; choose \
         another port",
    ),
    (
        "[[listeners]]\nname = \"a\"\n[[listeners]]\naddress = \"[::]:1\"\nname = \"a\"",
        "dunlin.toml:5: listeners[1].name: another listener is called \"a\" already",
    ),
    (
        "[[listeners]]\naddress = \"[::]:9883\"",
        "dunlin.toml:2: listeners[0].address: [::]:9883 is taken by admin.address; choose another \
         port for either",
    ),
    (
        "[[listeners]]\naddress = \"0.0.0.0:1883\"\nipv6_only = true",
        "dunlin.toml:3: listeners[0].ipv6_only: is for IPv6 addresses, as \"[::]:1883\"; remove \
         it or change the address",
    ),
    (
        "[[listeners]]\nmount_point = \"a/+/\"",
        "dunlin.toml:2: listeners[0].mount_point: goes before topic names, so it has no \"+\" or \
         \"#\"; remove them",
    ),
    (
        "[[listeners]]\n[listeners.tls]\nkey = \"key.pem\"",
        "dunlin.toml:2: listeners[0].tls.certificate: is missing; TLS needs a certificate and its \
         key, in PEM files\n\
         dunlin.toml:3: listeners[0].tls.key: key.pem: there is no such file; correct the path, \
         which starts where dunlin was started",
    ),
    (
        "[[listeners]]\naccess.use_identity_as_username = true",
        "dunlin.toml:2: listeners[0].access.use_identity_as_username: needs certificates from all \
         clients; set tls.require_client_certificate",
    ),
    (
        "[[listeners]]\naccess.use_identity_as_username = true\n\
         access.use_subject_as_username = true",
        "dunlin.toml:2: listeners[0].access.use_identity_as_username: needs certificates from all \
         clients; set tls.require_client_certificate\n\
         dunlin.toml:3: listeners[0].access.use_subject_as_username: needs certificates from all \
         clients; set tls.require_client_certificate\n\
         dunlin.toml:3: listeners[0].access.use_subject_as_username: cannot stand beside \
         use_identity_as_username; remove one of them",
    ),
    (
        // As numbers these would be hexadecimal.
        "[[plugins]]\nname = \"one\"\npath = \"/\"\n\
         sha256 = \"+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1\"",
        "dunlin.toml:4: plugins[0].sha256: needs a SHA-256: 64 hexadecimal digits, not \
         \"+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1\"\n\
         dunlin.toml:3: plugins[0].path: /: is a directory; name a file in it",
    ),
    (
        "[[plugins]]\nconfig = 1",
        "dunlin.toml:2: plugins[0].config: needs a table, not 1\n\
         dunlin.toml:1: plugins[0].name: needs 1 to 64 small letters, digits and \"-\", as \
         \"my-acl\"\n\
         dunlin.toml:1: plugins[0].path: is missing; it names the plugin's .wasm file",
    ),
    (
        "[[listeners]]\nwebsocket.paths = [\"mqtt\"]\nwebsocket.origins = [\"example.org\"]",
        "dunlin.toml:2: listeners[0].websocket.paths: \"mqtt\" does not begin with \"/\"\n\
         dunlin.toml:3: listeners[0].websocket.origins: \"example.org\" is not scheme and host, \
         as \"https://example.org\"",
    ),
    (
        "limits.keepalive = \"10s500ms\"",
        "dunlin.toml:1: limits.keepalive: is told to clients in whole seconds; round it",
    ),
    (
        "[access]\npassword_file = \"nowhere\"\nacl_file = \"/\"\n[limts]\n",
        "dunlin.toml:4: limts: unknown key; did you mean \"limits\"?\n\
         dunlin.toml:2: access.password_file: nowhere: there is no such file; correct the path, \
         which starts where dunlin was started\n\
         dunlin.toml:3: access.acl_file: /: is a directory; name a file in it",
    ),
    (
        "[[listeners]]\nprotocol = \"websockets\"\nwebsocket.paths = []",
        "dunlin.toml:3: listeners[0].websocket.paths: is empty, so nobody could connect; \"*\" \
         answers every path",
    ),
    (
        "[limits]\ntopic_length = 4\n[[listeners]]\nmount_point = \"abcd\"",
        "dunlin.toml:4: listeners[0].mount_point: is as long as limits.topic_length; shorten it \
         or raise that",
    ),
    (
        "[logging]\ndestination = \"file:/nowhere/dunlin.log\"",
        "dunlin.toml:2: logging.destination: /nowhere/dunlin.log: its directory does not exist; \
         create it",
    ),
];

#[test]
fn what_is_wrong_is_named_with_line_key_and_advice() {
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
fn a_missing_file_is_named() {
    let request = Request {
        source: Source::Toml("no/such.toml".into()),
        ..Request::default()
    };
    let invalid = load(&request).expect_err("the file is missing");
    assert_eq!(
        invalid.to_string(),
        "no/such.toml: there is no such file; correct the path, which starts where dunlin was \
         started"
    );
}

#[test]
fn a_file_that_is_no_configuration_is_named() {
    for (bytes, said) in [
        (
            &b"# \xFF"[..],
            "is not UTF-8 text; is it a configuration file?",
        ),
        (
            &[b'\n'; 1024 * 1024 + 1],
            "is longer than 1048576 bytes; is it a configuration file?",
        ),
    ] {
        let (directory, request) = request("");
        fs::write(directory.path().join("dunlin.toml"), bytes).expect("the file is written");
        let invalid = load(&request).expect_err("no configuration");
        assert_eq!(
            cut(&invalid.to_string(), directory.path()),
            format!("dunlin.toml: {said}")
        );
    }
}

#[test]
fn the_environment_replaces_the_file() {
    let (_directory, mut request) = request("[[listeners]]\naddress = \"[::]:1\"\nmax_qos = 1");
    request.variables = variables(&[
        ("PATH", "/bin"),
        ("DUNLIN__LISTENERS__1__ADDRESS", "127.0.0.1:2"),
        ("DUNLIN__LISTENERS__0__ADDRESS", "127.0.0.1:1"),
        ("DUNLIN__LISTENERS__1__WEBSOCKET__PATHS", "/a, /b"),
        ("DUNLIN__LOGGING__LEVEL", "debug"),
        ("DUNLIN__WORKERS", "3"),
        ("DUNLIN__SESSIONS__QUEUE_QOS0", "true"),
        ("DUNLIN__LIMITS__RETAINED_BYTES", "10 MiB"),
    ]);
    let config = load(&request).expect("all of it is good").config;
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:1");
    assert_eq!(config.listeners[0].max_qos, 1);
    assert_eq!(config.listeners[1].websocket.paths, ["/a", "/b"]);
    assert_eq!(config.logging.level, LogLevel::Debug);
    assert_eq!(config.workers, Workers::Count(3));
    assert!(config.sessions.queue_qos0);
    assert_eq!(config.limits.retained_bytes, Some(ByteSize::mib(10)));
}

#[test]
fn variables_that_are_wrong_are_named() {
    let cases = [
        (
            "DUNLIN__LISTENERS__0__ADRESS",
            "x",
            "environment variable DUNLIN__LISTENERS__0__ADRESS: unknown key; did you mean \
             DUNLIN__LISTENERS__0__ADDRESS?",
        ),
        (
            "DUNLIN__LOGGING__LEVEL",
            "loud",
            "environment variable DUNLIN__LOGGING__LEVEL: needs \"off\" or \"error\" or \"warn\" \
             or \"info\" or \"debug\" or \"trace\", not \"loud\"",
        ),
        (
            "DUNLIN__LISTENERS__2__NAME",
            "x",
            "environment variable DUNLIN__LISTENERS__2__NAME: skips list entries; the first is 0",
        ),
        (
            "DUNLIN__LISTENERS__NAME",
            "x",
            "environment variable DUNLIN__LISTENERS__NAME: needs a list, each a table of keys, \
             not a table",
        ),
        (
            "DUNLIN__WORKERS__",
            "1",
            "environment variable DUNLIN__WORKERS__: has an empty key; write two underscores \
             between two keys",
        ),
    ];
    for (name, value, expected) in cases {
        let request = Request {
            variables: variables(&[(name, value)]),
            ..Request::default()
        };
        let said = load(&request).expect_err(name).to_string();
        assert_eq!(said, expected);
    }
}

#[test]
fn variables_that_do_not_fit_the_file_are_named() {
    for (name, expected) in [
        (
            "DUNLIN__LISTENERS__2__NAME",
            "skips list entries; there are 1, so the next is 1",
        ),
        (
            "DUNLIN__LISTENERS__NAME",
            "has a key where no table is; a list needs a number first, as LISTENERS__0__NAME",
        ),
        (
            "DUNLIN__WORKERS__0",
            "has a number where no list is; remove the number",
        ),
    ] {
        let (_directory, mut request) = request("workers = 2\n[[listeners]]\nname = \"a\"");
        request.variables = variables(&[(name, "x")]);
        let said = load(&request).expect_err(name).to_string();
        assert_eq!(said, format!("environment variable {name}: {expected}"));
    }
}

#[test]
fn ports_and_verbosity_come_from_the_command_line() {
    let request = Request {
        ports: vec![1884, 1885],
        verbose: true,
        ..Request::default()
    };
    let loaded = load(&request).expect("ports are good");
    let addresses: Vec<_> = loaded
        .config
        .listeners
        .iter()
        .map(|listener| listener.address.to_string())
        .collect();
    assert_eq!(addresses, ["[::]:1884", "[::]:1885"]);
    assert_eq!(loaded.config.logging.level, LogLevel::Debug);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn ports_are_ignored_beside_listeners_and_that_is_said() {
    let (_directory, mut request) = request("[[listeners]]\naddress = \"[::]:1\"");
    request.ports = vec![1884];
    let loaded = load(&request).expect("the file is good");
    assert_eq!(loaded.config.listeners[0].address.to_string(), "[::]:1");
    assert_eq!(
        loaded.warnings[0].to_string(),
        "command line option -p: is ignored, as the configuration file names its own listeners"
    );
}

#[test]
fn a_listener_that_nobody_can_use_is_a_warning() {
    let (directory, request) = request("access.allow_anonymous = false");
    let loaded = load(&request).expect("the file is good");
    assert_eq!(
        cut(&loaded.warnings[0].to_string(), directory.path()),
        "listeners[0].access: nobody can connect to listener [::]:1883: anonymous clients are \
         refused and there are no users; set password_file or allow_anonymous"
    );
}

#[test]
fn a_printed_configuration_reads_as_the_same() {
    let config = good(
        r#"
        workers = 2
        pid_file = "a \"quoted\" \u0007 name"
        limits.queued_bytes = "unlimited"
        sys.interval = "0s"
        [[listeners]]
        [[listeners]]
        address = "localhost:9"
        protocol = "websockets"
        websocket.paths = []
        websocket.origins = ["http://a", "http://b"]
        access.allow_anonymous = "loopback"
        [[listeners]]
        address = "unix:/x"
        "#
        .replace("websocket.paths = []", "websocket.paths = [\"/only\"]")
        .as_str(),
    );
    let text = print::toml(&config);
    assert_eq!(good(&text), config, "{text}");
    assert_eq!(print::toml(&Config::default()), "");
}

#[test]
fn what_a_plugin_is_told_is_printed_so_that_it_reads_as_the_same() {
    let text = r#"
        logging.destination = "stdout"
        limits.memory = "unlimited"
        [[plugins]]
        name = "one"
        path = "one.wasm"
        sha256 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
        [plugins.config]
        a_table.before = "the others"
        limit = 1.5
        since = 1979-05-27
        large = 0xffffffffffffffffff
        "two words" = true
        "" = []
        mixed = [{ a = 1 }, 2]
        lists = [[{ "a.b" = "c" }]]
        [plugins.config."home/+/door"]
        open = false
        [[plugins.config.rows]]
        n = 1
        [[plugins.config.rows]]
        n = 2
    "#;
    let config = from_toml(text).expect("the text is good").config;
    let printed = print::toml(&config);
    let again = from_toml(&printed).unwrap_or_else(|invalid| panic!("{printed}\n{invalid}"));
    assert_eq!(again.config, config, "{printed}");
    let moved = from_toml(&text.replace("limit =", "\nlimit ="));
    assert_eq!(moved.expect("the text is good").config, config);
}

#[test]
fn check_says_what_would_run() {
    let (_directory, request) = request(
        "sys.interval = \"1s\"\n[[listeners]]\nprotocol = \"websockets\"\naddress = \"[::]:8080\"",
    );
    let loaded = load(&request).expect("the file is good");
    assert_eq!(
        cli::report(&loaded, &[]),
        "The configuration is good. These would listen:\n  \
         [::]:8080: MQTT over WebSocket; anonymous clients from this machine only, no users\n\
         Sessions and retained messages would be kept in dunlin-data.\n\
         These keys are not at their default:\n\n\
         [[listeners]]\naddress = \"[::]:8080\"\nprotocol = \"websockets\"\n\n\
         [sys]\ninterval = \"1s\"\n"
    );
}

#[test]
fn check_says_where_state_is_kept() {
    for (settings, expected) in [
        (
            "store = \"memory\"",
            "A restart would forget sessions and retained messages.",
        ),
        (
            "data_dir = \"state\"\ndurability = \"os\"",
            "Sessions and retained messages would be kept in state, where power loss may take the \
             last ones.",
        ),
    ] {
        let (_directory, request) = request(settings);
        let report = cli::report(&load(&request).expect("the file is good"), &[]);
        assert!(report.lines().any(|line| line == expected), "{report}");
    }
}

#[test]
fn a_data_dir_that_cannot_be_one_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    let file = file.display();
    for data_dir in [file.to_string(), format!("{file}/below/it")] {
        let text = wrong(&format!("workers = 1\ndata_dir = \"{data_dir}\"\n"));
        let expected = format!(
            "dunlin.toml:2: data_dir: {file} is not a directory; move it away, or choose another \
             data_dir"
        );
        assert_eq!(text, expected);
        // Nobody asks where nothing is kept.
        good(&format!("store = \"memory\"\ndata_dir = \"{data_dir}\"\n"));
    }
    let new = directory.path().join("new/below");
    good(&format!("data_dir = \"{}\"\n", new.display()));
    assert!(!new.exists(), "asking makes nothing");
}

/// A file in which every key of the reference is written with its default.
fn every_key() -> String {
    let rows = reference::rows();
    let mut text = String::new();
    for row in rows
        .iter()
        .filter(|row| !row.key.contains("[]") && !row.default.is_empty())
    {
        text.push_str(&format!("{} = {}\n", row.key, row.default));
    }
    text.push_str("[[listeners]]\n");
    for row in &rows {
        if let Some(key) = row.key.strip_prefix("listeners[].")
            && !row.default.is_empty()
            && !key.starts_with("tls.")
        {
            text.push_str(&format!("{key} = {}\n", row.default));
        }
    }
    text
}

#[test]
fn an_admin_address_that_others_reach_needs_a_token() {
    for address in ["0.0.0.0:9883", "[::]:9883", "192.0.2.1:9883"] {
        let text = format!("[admin]\naddress = \"{address}\"");
        let expected = "dunlin.toml:2: admin.address: is reached from other machines, so it needs \
                        an admin.token; set one, or listen on 127.0.0.1";
        assert_eq!(wrong(&text).trim(), expected);
        let token = "\ntoken = \"0123456789abcdef\"";
        let config = good(&(text + token));
        let token = config.admin.token.as_ref().map(Secret::reveal);
        assert_eq!(token, Some("0123456789abcdef"));
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
        assert!(!print::toml(&config).contains("0123456789abcdef"));
    }
    let short = wrong("[admin]\ntoken = \"hunter2\"");
    let expected = "dunlin.toml:2: admin.token: is too short to be secret; 16 characters at least";
    assert_eq!(short.trim(), expected);
}

#[test]
fn the_reference_names_every_key_and_its_defaults_are_the_defaults() {
    let text = every_key();
    let config = good(&text);
    assert_eq!(config, Config::default(), "{text}");

    // The keys that the reader knows are those that it names when it knows none.
    let rows = reference::rows();
    for table in [
        "", "access", "limits", "sessions", "logging", "sys", "admin",
    ] {
        let header = if table.is_empty() {
            String::new()
        } else {
            format!("[{table}]\n")
        };
        let said = wrong(&format!("{header}zzzzzzzzzzzzzzzz = 1"));
        let (_, keys) = said
            .split_once("the keys here are ")
            .expect("it lists the keys");
        for key in keys.split(", ") {
            let path = if table.is_empty() {
                key.to_owned()
            } else {
                format!("{table}.{key}")
            };
            let inside = [format!("{path}."), format!("{path}[]")];
            let named = |row: &reference::Row| {
                row.key == path || inside.iter().any(|start| row.key.starts_with(start))
            };
            assert!(rows.iter().any(named), "{path} is not in the reference");
        }
    }
}

#[test]
fn the_reference_says_for_every_key_what_it_means() {
    for row in reference::rows() {
        assert!(
            row.meaning.len() > 20 || row.meaning.starts_with("As `"),
            "{}",
            row.key
        );
        assert!(
            row.meaning.ends_with('.'),
            "{} has half a sentence",
            row.key
        );
    }
    let lines = reference::markdown();
    let expected = "| `limits.topic_levels` | a number, from 1 to 65535 | `128` | live | ";
    assert!(lines.contains(expected), "{lines}");
}
