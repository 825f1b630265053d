//! Debian's Mosquitto at either end.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dunlin_codec::{Connect, Qos, Version};
use tempfile::TempDir;

use super::daemon::{BINARY, Daemon, dial};
use super::support::Client;

/// How long Mosquitto may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running Mosquitto; killed when dropped.
pub struct Mosquitto {
    process: Child,
    directory: TempDir,
    pub port: u16,
}

impl Mosquitto {
    /// With these lines behind its listener.
    pub fn start(lines: &str) -> Mosquitto {
        let directory = TempDir::new().expect("a directory");
        let port = free_port();
        let config = format!(
            "user root\npersistence true\npersistence_location {}/\nmax_queued_messages 0\n\
             autosave_interval 0\nlistener {port} 127.0.0.1\n{lines}",
            directory.path().display()
        );
        std::fs::write(directory.path().join("mosquitto.conf"), config).expect("a file");
        let process = launch(&directory, port);
        Mosquitto {
            process,
            directory,
            port,
        }
    }

    pub fn dial(&self) -> TcpStream {
        dial(SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    /// Stops it as an operator does.
    pub fn stop(&mut self) {
        let kill = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        assert!(kill.expect("kill").success());
        self.process.wait().expect("a child");
    }

    /// Starts it with what it saved.
    pub fn start_again(&mut self) {
        self.process = launch(&self.directory, self.port);
    }

    fn client(&self, client_id: &str) -> Client {
        let connect = Connect {
            version: Version::Mqtt311,
            client_id,
            clean_start: true,
            ..Connect::default()
        };
        Client::request_over(self.dial(), &connect).0
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(directory: &TempDir, port: u16) -> Child {
    let process = Command::new("mosquitto")
        .arg("-c")
        .arg(directory.path().join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is installed");
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < PATIENCE, "mosquitto does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    process
}

/// A port that nobody listens on: Mosquitto cannot be asked which it got.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A broker whose whole configuration is a mosquitto.conf.
fn from_conf(conf: &str) -> (Child, TempDir) {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("mosquitto.conf"), conf).expect("a file");
    let process = Command::new(BINARY)
        .args(["serve", "--mosquitto-conf", "mosquitto.conf"])
        .env("DUNLIN__ADMIN__ADDRESS", "off")
        .current_dir(&directory)
        .stderr(Stdio::null())
        .spawn();
    (process.expect("a process"), directory)
}

fn connected(port: u16, client_id: &str) -> Client {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < PATIENCE, "nobody listens");
        std::thread::sleep(Duration::from_millis(5));
    }
    let connect = Connect {
        version: Version::Mqtt311,
        client_id,
        clean_start: true,
        ..Connect::default()
    };
    let stream = dial(SocketAddr::from(([127, 0, 0, 1], port)));
    Client::request_over(stream, &connect).0
}

/// The bridge of Mosquitto's manual, from its own file.
#[test]
fn a_bridge_of_a_mosquitto_conf() {
    let far = Mosquitto::start("allow_anonymous true\n");
    let port = free_port();
    let (mut process, _directory) = from_conf(&format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\n\
         connection to-far\naddress 127.0.0.1:{}\nremote_clientid site\nrestart_timeout 1\n\
         topic up/# out 1 l/ r/\ntopic down/# in 2\n",
        far.port
    ));
    let state = "$SYS/broker/connection/site/state";
    let mut there = far.client("there");
    there.subscribe(state, Qos::AtLeastOnce);
    there.expect_message(state, b"1");
    let mut here = connected(port, "here");
    here.subscribe("down/#", Qos::ExactlyOnce);
    there.subscribe("r/up/#", Qos::AtLeastOnce);
    here.publish("l/up/x", b"out", Qos::AtLeastOnce);
    there.expect_message("r/up/x", b"out");
    // Its subscription with us may come after ours there.
    there.publish_retained("down/x", b"in", Qos::ExactlyOnce);
    here.expect_message("down/x", b"in");
    process.kill().expect("it runs");
    process.wait().expect("a child");
}

/// Mosquitto's own bridge, to us: it says that it is one, and gets nothing back.
#[test]
fn a_bridge_of_mosquitto_gets_nothing_back() {
    let ours = Daemon::with("");
    let theirs = Mosquitto::start(&format!(
        "allow_anonymous true\nconnection ours\naddress {}\nremote_clientid theirs\n\
         restart_timeout 1\ntopic both/# both 1\n",
        ours.listener(0)
    ));
    let state = "$SYS/broker/connection/theirs/state";
    let mut near = ours.client("near");
    near.subscribe("both/#", Qos::AtLeastOnce);
    let mut far = theirs.client("far");
    far.subscribe(state, Qos::AtLeastOnce);
    while far.receive().publish().payload != b"1" {}
    ours.expect_metric("subscriptions", 2);
    far.subscribe("both/#", Qos::AtLeastOnce);
    for n in 0..5 {
        let payload = format!("{n}");
        far.publish("both/a", payload.as_bytes(), Qos::AtLeastOnce);
        far.expect_message("both/a", payload.as_bytes());
        near.expect_message("both/a", payload.as_bytes());
    }
    near.publish_retained("both/b", b"last", Qos::AtLeastOnce);
    near.expect_message("both/b", b"last");
    far.expect_message("both/b", b"last");
    // What was retained here is so there.
    let mut later = theirs.client("later");
    later.subscribe("both/b", Qos::AtLeastOnce);
    assert!(later.expect_message("both/b", b"last").publish().retain);
}
