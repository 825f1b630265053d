use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long the broker may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rules for a broker whose settings say `access.acl_file = "acl"`.
const ACL: &str = "topic readwrite allowed\ntopic readwrite allowed/#\ntopic read readable\n";

/// A running `dunlin` with one listener on the loopback; killed when dropped.
pub struct Broker {
    process: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Broker {
    /// The broker of all tests that need no settings of their own: they keep to client ids and
    /// topics of their own. It ends with the last test that holds it.
    pub fn shared() -> Arc<Broker> {
        static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let broker = Arc::new(Broker::start("", ""));
            *shared = Arc::downgrade(&broker);
            broker
        })
    }

    /// A broker with some TOML of its own: of the whole, and of its listener.
    pub fn start(settings: &str, listener: &str) -> Broker {
        let directory = TempDir::new().expect("a directory");
        let config = format!(
            "workers = 2\nadmin.address = \"off\"\n{settings}\n\
             [[listeners]]\naddress = \"127.0.0.1:0\"\n{listener}\n"
        );
        let file = directory.path().join("dunlin.toml");
        std::fs::write(&file, config).expect("a file");
        std::fs::write(directory.path().join("acl"), ACL).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_dunlin"))
            .args(["serve", "--config"])
            .arg(&file)
            .current_dir(&directory)
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let log = follow(&mut process);
        let address = listening(&log);
        Broker {
            process,
            address,
            _directory: directory,
        }
    }

    /// A new connection to it.
    pub fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the broker accepts");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    /// The process id, to send signals to.
    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself, as some tests want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the log to its end, so that the broker never waits for us.
fn follow(process: &mut Child) -> Receiver<String> {
    let log = BufReader::new(process.stderr.take().expect("it is piped"));
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            // Nobody listens any more once the address is known.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn listening(log: &Receiver<String>) -> SocketAddr {
    let mut before = Vec::new();
    loop {
        let line = match log.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("the broker does not listen ({error}): {before:#?}"),
        };
        let address = line.split_once("listening address=\"");
        if let Some((address, _)) = address.and_then(|(_, rest)| rest.split_once('"')) {
            return address.parse().expect("an address");
        }
        before.push(line);
    }
}
