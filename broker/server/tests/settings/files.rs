//! Files that a configuration names, as `dunlin check` and the start of the broker read them.

use std::path::Path;
use std::process::Command;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use crate::daemon::{BINARY, Daemon};

/// Wrong files of a listener, each as a mosquitto.conf and as a dunlin.toml name them, and what is
/// said of them. `{dir}` is where they are.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "certfile {dir}/text\nkeyfile {dir}/key",
        "tls = { certificate = \"{dir}/text\", key = \"{dir}/key\" }",
        "tls.certificate: {dir}/text: holds no certificate in PEM format",
    ),
    (
        "certfile {dir}/certificate\nkeyfile {dir}/another",
        "tls = { certificate = \"{dir}/certificate\", key = \"{dir}/another\" }",
        "tls.key: {dir}/another: is not the key of {dir}/certificate",
    ),
    (
        "password_file {dir}/text",
        "access.password_file = \"{dir}/text\"",
        "{dir}/text:1: ",
    ),
    (
        "acl_file {dir}/text",
        "access.acl_file = \"{dir}/text\"",
        "{dir}/text:1: ",
    ),
];

/// What `dunlin check` prints where it says that something is wrong.
fn refused(option: &str, file: &Path) -> String {
    let mut check = Command::new(BINARY);
    let output = check.args(["check", option]).arg(file).output();
    let output = output.expect("a process");
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn check_says_of_files_what_the_start_says() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().to_str().expect("a path in UTF-8");
    let make = || generate_simple_self_signed(vec!["localhost".into()]).expect("a key");
    let CertifiedKey { cert, signing_key } = make();
    for (name, text) in [
        ("text", "nothing of the kind".to_owned()),
        ("certificate", cert.pem()),
        ("key", signing_key.serialize_pem()),
        ("another", make().signing_key.serialize_pem()),
    ] {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    for (lines, keys, expected) in WRONG {
        let [lines, keys, expected] = [lines, keys, expected].map(|t| t.replace("{dir}", path));
        let file = directory.path().join("file");
        let conf = format!("listener 0 {path}/socket\n{lines}\n");
        std::fs::write(&file, conf).expect("a file");
        let said = refused("--mosquitto-conf", &file);
        assert!(said.contains(&expected), "{said}");

        let toml = format!(
            "store = \"memory\"\n[[listeners]]\naddress = \"unix:{path}/socket\"\n{keys}\n"
        );
        std::fs::write(&file, &toml).expect("a file");
        assert_eq!(refused("--config", &file), said);

        let serve = Command::new(BINARY);
        let (code, log) = Daemon::refused(serve, TempDir::new().expect("a directory"), &toml);
        assert_ne!(code, Some(0));
        assert!(log.trim_end().ends_with(said.trim_end()), "{log}\n{said}");
    }
}
