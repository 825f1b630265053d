//! mosquitto_pub, mosquitto_sub and mosquitto_rr. Debian's builds of them have no WebSocket.

use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::broker::{Broker, directory};
use crate::program::{Program, input};
use crate::scaled;

/// One of Mosquitto's clients, on a port of the loopback.
pub fn client(name: &str, port: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command
        .args(["-h", "127.0.0.1", "-p", port])
        .args(arguments);
    command.stdin(Stdio::null());
    command
}

/// Publishes, to the last acknowledgement.
pub fn publish(port: &str, arguments: &[&str]) {
    Program::start(&mut client("mosquitto_pub", port, arguments)).succeed();
}

/// A mosquitto_sub whose subscription stands.
pub fn subscribe(port: &str, arguments: &[&str]) -> Program {
    let mut program = listen(port, arguments);
    program.line_with("Subscribed");
    program
}

/// A mosquitto_sub that says what it does, by lines, not once its buffer is full.
pub fn listen(port: &str, arguments: &[&str]) -> Program {
    let mut command = Command::new("stdbuf");
    command.args(["-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", port]);
    command.args(["-d", "-W", "60", "-F", "> %t %q %r %p"]);
    Program::start(command.args(arguments).stdin(Stdio::null()))
}

/// What a [`subscribe`] with a count received: topic, QoS, retain and payload.
pub fn received(subscriber: Program) -> Vec<String> {
    let said = subscriber.succeed();
    let messages = said.iter().filter_map(|line| line.strip_prefix("> "));
    messages.map(str::to_owned).collect()
}

#[test]
fn every_version_and_qos_in_order() {
    let broker = Broker::start();
    let port = &broker.port(0);
    let count = scaled(20);
    let lines: Vec<String> = (0..count).map(|number| format!("line {number}")).collect();
    for version in ["31", "311", "5"] {
        for qos in ["0", "1", "2"] {
            let same = ["-V", version, "-q", qos, "-t", "a/b"];
            let wanted = count.to_string();
            let subscriber = subscribe(port, &[&same[..], &["-C", &wanted]].concat());
            let mut publisher = client("mosquitto_pub", port, &[&same[..], &["-l"]].concat());
            Program::start(publisher.stdin(input(&lines.join("\n")))).succeed();
            let expected: Vec<_> = lines
                .iter()
                .map(|line| format!("a/b {qos} 0 {line}"))
                .collect();
            assert_eq!(received(subscriber), expected, "version {version}");
        }
    }
}

#[test]
fn retained_messages_are_kept_and_cleared() {
    let broker = Broker::start();
    let port = &broker.port(0);
    publish(port, &["-t", "room/1/light", "-m", "on", "-r", "-q", "1"]);
    publish(port, &["-t", "room/2/light", "-m", "off", "-r", "-q", "2"]);
    let subscriber = subscribe(port, &["-t", "room/+/light", "-q", "2", "-C", "2"]);
    let mut messages = received(subscriber);
    messages.sort();
    assert_eq!(messages, ["room/1/light 1 1 on", "room/2/light 2 1 off"]);

    publish(port, &["-t", "room/1/light", "-n", "-r", "-q", "1"]);
    let subscriber = subscribe(port, &["-t", "room/+/light", "-C", "2"]);
    publish(port, &["-t", "room/3/light", "-m", "last"]);
    let messages = received(subscriber);
    assert_eq!(messages, ["room/2/light 0 1 off", "room/3/light 0 0 last"]);
}

#[test]
fn the_will_of_a_client_that_dies() {
    let broker = Broker::start();
    let port = &broker.port(0);
    for version in ["31", "311", "5"] {
        let heir = subscribe(port, &["-t", "will", "-q", "1", "-C", "1"]);
        let will = [
            "--will-topic",
            "will",
            "--will-payload",
            "gone",
            "--will-qos",
            "1",
        ];
        let dying = subscribe(port, &[&["-V", version, "-t", "x"], &will[..]].concat());
        drop(dying);
        assert_eq!(received(heir), ["will 1 0 gone"], "version {version}");
    }
}

#[test]
fn messages_wait_for_a_client_that_is_away() {
    let broker = Broker::start();
    let port = &broker.port(0);
    for (version, session) in [("31", &[][..]), ("311", &[]), ("5", &["-x", "300"])] {
        let id = format!("sleeper{version}");
        let same = ["-V", version, "-c", "-i", &id, "-t", "news", "-q", "1"];
        let same = [&same[..], session].concat();
        Program::start(&mut client(
            "mosquitto_sub",
            port,
            &[&same[..], &["-E"]].concat(),
        ))
        .succeed();
        publish(port, &["-t", "news", "-m", "one", "-q", "2"]);
        publish(port, &["-t", "news", "-m", "two", "-q", "1"]);
        // What waited may come before the SUBACK.
        let awake = listen(port, &[&same[..], &["-C", "2"]].concat());
        assert_eq!(
            received(awake),
            ["news 1 0 one", "news 1 0 two"],
            "version {version}"
        );
    }
}

#[test]
fn a_request_and_its_response() {
    let broker = Broker::start();
    let port = &broker.port(0);
    let mut responder = subscribe(port, &["-V", "5", "-t", "questions", "-F", "> %R %D %p"]);
    let arguments = [
        "-t",
        "questions",
        "-e",
        "answers/1",
        "-m",
        "6 x 7?",
        "-D",
        "publish",
    ];
    let arguments = [&arguments[..], &["correlation-data", "c1", "-W", "60"]].concat();
    let requester = Program::start(&mut client("mosquitto_rr", port, &arguments));
    let question = responder.line_with("> ");
    assert_eq!(question, "> answers/1 c1 6 x 7?");
    let answer = ["-V", "5", "-t", "answers/1", "-m", "42"];
    publish(
        port,
        &[&answer[..], &["-D", "publish", "correlation-data", "c1"]].concat(),
    );
    assert_eq!(requester.succeed(), ["42"]);
}

#[test]
fn properties_of_version_5() {
    let broker = Broker::start();
    let port = &broker.port(0);
    let arguments = ["-V", "5", "-t", "p", "-C", "1", "-F", "> %C|%P|%E|%p"];
    let subscriber = subscribe(port, &arguments);
    let mut arguments = vec!["-V", "5", "-t", "p", "-m", "{}"];
    for property in [
        &["content-type", "application/json"][..],
        &["user-property", "colour", "red"],
        &["message-expiry-interval", "600"],
    ] {
        arguments.extend([&["-D", "publish"], property].concat());
    }
    publish(port, &arguments);
    assert_eq!(received(subscriber), ["application/json|colour:red|600|{}"]);
}

#[test]
fn a_shared_subscription_gives_each_message_once() {
    let broker = Broker::start();
    let port = &broker.port(0);
    let count = scaled(10);
    let half = count.to_string();
    let member = || {
        subscribe(
            port,
            &["-V", "5", "-q", "1", "-t", "$share/crew/job", "-C", &half],
        )
    };
    let members = [member(), member()];
    let lines: Vec<String> = (0..2 * count).map(|number| number.to_string()).collect();
    let mut publisher = client("mosquitto_pub", port, &["-q", "1", "-t", "job", "-l"]);
    Program::start(publisher.stdin(input(&lines.join("\n")))).succeed();
    let mut numbers: Vec<usize> = members
        .into_iter()
        .flat_map(received)
        .map(|message| message["job 1 0 ".len()..].parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, Vec::from_iter(0..2 * count));
}

#[test]
fn tls_with_the_right_authority_only() {
    let directory = directory();
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let ours = authority();
    let key = KeyPair::generate().expect("a key");
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).expect("names");
    let certificate = params.signed_by(&key, &ours).expect("a certificate");
    write("server.pem", certificate.pem());
    write("server.key", key.serialize_pem());
    let trusted = write("ca.pem", ours.pem());
    let other = write("other.pem", authority().pem());
    write(
        "dunlin.toml",
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         tls = { certificate = \"server.pem\", key = \"server.key\" }\n"
            .into(),
    );
    let broker = Broker::serve(directory, &["--config", "dunlin.toml"], 1);
    let port = &broker.port(0);

    let subscriber = subscribe(
        port,
        &["-t", "t", "-q", "2", "-C", "1", "--cafile", &trusted],
    );
    let message = ["-t", "t", "-m", "secret", "-q", "2", "--cafile"];
    publish(port, &[&message[..], &[&trusted]].concat());
    assert_eq!(received(subscriber), ["t 2 0 secret"]);
    Program::start(&mut client(
        "mosquitto_pub",
        port,
        &[&message[..], &[&other]].concat(),
    ))
    .fail();
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}
