//! `dunlin` as an operator sees it: a process with a configuration file, a log, signals, and an
//! HTTP address.

mod http;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use dunlin_codec::{Connect, ReasonCode, Version};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::support::Client;

/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what changes without telling.
const LOOK: Duration = Duration::from_millis(20);

/// The program that is tested.
pub const BINARY: &str = env!("CARGO_BIN_EXE_dunlin");

/// A running `dunlin`; killed when dropped.
pub struct Daemon {
    program: Command,
    process: Child,
    directory: TempDir,
    log: Receiver<String>,
    /// Lines that were read while waiting for others.
    before: Vec<String>,
    listeners: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
}

/// One listener on a port that the system chooses.
pub const LISTENER: &str = "\n[[listeners]]\naddress = \"127.0.0.1:0\"\n";

impl Daemon {
    /// A broker with these settings beside [`LISTENER`] and an admin address.
    pub fn with(settings: &str) -> Daemon {
        Daemon::start(&format!("{settings}{LISTENER}"))
    }

    /// A broker with the whole configuration but workers and an admin address. `{dir}` stands for
    /// a directory of its own.
    pub fn start(toml: &str) -> Daemon {
        Daemon::prepared(TempDir::new().expect("a directory"), toml)
    }

    /// The same in a directory that holds files already.
    pub fn prepared(directory: TempDir, toml: &str) -> Daemon {
        let toml = complete(&directory, toml);
        let mut daemon = Daemon::spawn(directory, &toml);
        daemon.read_start();
        daemon
    }

    /// A broker with exactly this configuration, known to listen.
    pub fn without_admin(toml: &str) -> Daemon {
        let mut daemon = Daemon::spawn(TempDir::new().expect("a directory"), toml);
        daemon.read_start();
        daemon
    }

    /// The same with a program of the test's choice before it, as `nsenter`, and environment.
    pub fn within(program: Command, directory: TempDir, toml: &str) -> Daemon {
        let toml = complete(&directory, toml);
        write(&directory.path().join("dunlin.toml"), &toml);
        let mut daemon = Daemon::launch(program, directory);
        daemon.read_start();
        daemon
    }

    /// The same when it will not come to listen: its exit code, and all that it said.
    pub fn refused(program: Command, directory: TempDir, toml: &str) -> (Option<i32>, String) {
        let toml = complete(&directory, toml);
        write(&directory.path().join("dunlin.toml"), &toml);
        Daemon::launch(program, directory).last_words()
    }

    fn spawn(directory: TempDir, toml: &str) -> Daemon {
        write(&directory.path().join("dunlin.toml"), toml);
        Daemon::launch(Command::new(BINARY), directory)
    }

    fn launch(mut program: Command, directory: TempDir) -> Daemon {
        program
            .args(["serve", "--config"])
            .arg(directory.path().join("dunlin.toml"))
            .current_dir(&directory)
            .stderr(Stdio::piped());
        let (process, log) = run(&mut program);
        Daemon {
            program,
            process,
            directory,
            log,
            before: Vec::new(),
            listeners: Vec::new(),
            admin: None,
        }
    }

    /// Ends it without warning (SIGKILL), and waits until it is gone.
    pub fn crash(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("a child");
    }

    /// Starts again what crashed or ended, in its directory and with its configuration.
    pub fn start_again(&mut self) {
        self.launch_again();
        self.read_start();
    }

    /// The same, to where it answers probes.
    pub fn begin_again(&mut self) {
        self.launch_again();
        while self.admin.is_none() {
            self.read_start_line();
        }
    }

    /// Waits until what [`Daemon::begin_again`] began is ready.
    pub fn expect_start(&mut self) {
        self.read_start();
    }

    /// The same, when it may not come to listen.
    pub fn launch_again(&mut self) {
        (self.process, self.log) = run(&mut self.program);
        self.before.clear();
        self.listeners.clear();
        self.admin = None;
    }

    /// To the last line of the start.
    fn read_start(&mut self) {
        while !self.read_start_line().contains("ready for clients") {}
    }

    fn read_start_line(&mut self) -> String {
        let line = self.next_line("it is ready");
        if let Some(address) = after(&line, "listening address=\"") {
            self.listeners.push(address.parse().expect("an address"));
        }
        if let Some(address) = after(&line, "dashboard, metrics and API url=http://") {
            let address = address.trim_end_matches('/').parse();
            self.admin = Some(address.expect("an address"));
        }
        line
    }

    /// Where the `n`-th listener is.
    pub fn listener(&self, n: usize) -> SocketAddr {
        self.listeners[n]
    }

    /// Where the admin address is.
    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("it was waited for")
    }

    /// A connection to the first listener.
    pub fn dial(&self) -> TcpStream {
        dial(self.listeners[0])
    }

    /// A client of the first listener with a clean session.
    pub fn client(&self, client_id: &str) -> Client {
        self.client_with(&Connect {
            version: Version::Mqtt5,
            client_id,
            clean_start: true,
            ..Connect::default()
        })
    }

    /// A client of the first listener that is let in.
    pub fn client_with(&self, connect: &Connect<'_>) -> Client {
        let (client, reason) = self.ask(connect);
        assert_eq!(reason, ReasonCode::Success);
        client
    }

    /// A client of the first listener, and the answer to its CONNECT.
    pub fn ask(&self, connect: &Connect<'_>) -> (Client, ReasonCode) {
        let (client, connack) = Client::request_over(self.dial(), connect);
        (client, connack.connack().reason)
    }

    /// A file in the broker's directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file in the broker's directory, or writes it anew.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.file(name), text);
    }

    /// Writes the configuration anew.
    pub fn configure(&self, toml: &str) {
        self.write("dunlin.toml", &complete(&self.directory, toml));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("it runs");
    }

    /// Waits for a line of the log that contains `text`, after those seen before.
    pub fn expect_log(&mut self, text: &str) -> String {
        loop {
            let line = self.next_line(text);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Whether an earlier line contained `text`.
    pub fn has_logged(&self, text: &str) -> bool {
        self.before.iter().any(|line| line.contains(text))
    }

    fn next_line(&mut self, wanted: &str) -> String {
        match self.log.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.before.push(line.clone());
                line
            }
            Err(error) => panic!("{error} while waiting for {wanted:?}: {:#?}", self.before),
        }
    }

    /// The end of a process that says why it ends: its exit code, and all that it said.
    pub fn last_words(&mut self) -> (Option<i32>, String) {
        let status = self.wait();
        self.before.extend(self.log.iter());
        (status.code(), self.before.join("\n"))
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself, as some tests want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection with bounds on its silence.
pub fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker accepts");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

fn complete(directory: &TempDir, toml: &str) -> String {
    let path = directory.path().to_str().expect("a path in UTF-8");
    let admin = match toml.contains("admin.") {
        true => "",
        false => "admin.address = \"127.0.0.1:0\"\n",
    };
    let workers = match toml.contains("workers") {
        true => "",
        false => "workers = 2\n",
    };
    format!("{workers}{admin}{toml}").replace("{dir}", path)
}

/// At once, so that the broker never reads half a file.
fn write(file: &PathBuf, text: &str) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).expect("a file");
    std::fs::rename(&draft, file).expect("a file");
}

fn run(program: &mut Command) -> (Child, Receiver<String>) {
    let mut process = program.spawn().expect("a process");
    let log = follow(&mut process);
    (process, log)
}

/// Reads the log to its end, so that the broker never waits for us.
fn follow(process: &mut Child) -> Receiver<String> {
    let log = BufReader::new(process.stderr.take().expect("it is piped"));
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            // The test may be over.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn after<'a>(line: &'a str, text: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(text)?;
    Some(rest.split_once('"').map_or(rest, |(address, _)| address))
}
