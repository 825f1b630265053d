use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Program, input};

/// A user of [`Broker::with_users`] and its password.
pub const ADA: (&str, &str) = ("ada", "Löve lace:1815");

/// A running `dunlin` with a directory of its own.
pub struct Broker {
    program: Program,
    addresses: Vec<SocketAddr>,
    directory: TempDir,
}

impl Broker {
    /// With an MQTT listener, a WebSocket listener and no users.
    pub fn start() -> Broker {
        Broker::configured(directory(), "")
    }

    /// The same for users alone.
    pub fn with_users(users: &[(&str, &str)]) -> Broker {
        let directory = directory();
        for (user, password) in users {
            passwd(&directory.path().join("users"), user, password);
        }
        let access = "access.allow_anonymous = false\naccess.password_file = \"users\"\n";
        Broker::configured(directory, access)
    }

    /// An MQTT and a WebSocket listener, with more TOML in front.
    pub fn configured(directory: TempDir, settings: &str) -> Broker {
        configure(&directory, settings);
        Broker::serve(directory, &["--config", "dunlin.toml"], 2)
    }

    /// The same with a dashboard, whose URL is the second.
    pub fn with_dashboard(settings: &str) -> (Broker, String) {
        let directory = directory();
        configure(&directory, settings);
        let mut command = dunlin();
        command
            .env("DUNLIN__ADMIN__ADDRESS", "127.0.0.1:0")
            .args(["serve", "--config", "dunlin.toml"])
            .current_dir(&directory);
        let mut program = Program::start(&mut command);
        let line = program.line_with("dashboard, metrics and API");
        let (_, url) = line.rsplit_once("url=").expect("a URL");
        (Broker::listening(program, directory, 2), url.to_owned())
    }

    /// `dunlin serve` with these arguments, which make it listen on so many addresses.
    pub fn serve(directory: TempDir, arguments: &[&str], listeners: usize) -> Broker {
        let program = Program::start(
            dunlin()
                .arg("serve")
                .args(arguments)
                .current_dir(&directory),
        );
        Broker::listening(program, directory, listeners)
    }

    fn listening(mut program: Program, directory: TempDir, listeners: usize) -> Broker {
        let address = |line: String| {
            let quoted = line.split('"').nth(1);
            quoted
                .and_then(|address| address.parse().ok())
                .expect("an address")
        };
        let addresses = (0..listeners)
            .map(|_| address(program.line_with("listening address=")))
            .collect();
        Broker {
            program,
            addresses,
            directory,
        }
    }

    /// The port of its nth listener.
    pub fn port(&self, listener: usize) -> String {
        self.addresses[listener].port().to_string()
    }

    /// The address of its first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Asks it to end, and waits until it has; its directory stays.
    pub fn stop(self) -> TempDir {
        self.program.signal("TERM");
        self.program.succeed();
        self.directory
    }

    /// The process, and its log.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }
}

fn configure(directory: &TempDir, settings: &str) {
    let listeners = "[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\nprotocol = \"websockets\"\n";
    let toml = format!("{settings}\n{listeners}");
    std::fs::write(directory.path().join("dunlin.toml"), toml).expect("a file");
}

/// The binary; nothing of the tests' environment is for it.
pub fn dunlin() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
    command.env("DUNLIN__ADMIN__ADDRESS", "off");
    command
}

/// `dunlin passwd`.
pub fn passwd(file: &Path, user: &str, password: &str) {
    let mut command = dunlin();
    let command = command
        .arg("passwd")
        .arg(file)
        .args([user, "--password-stdin"]);
    Program::start(command.stdin(input(password))).succeed();
}

/// A directory that goes with the test.
pub fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

/// Ports that nobody listened on a moment ago, for formats that cannot leave the choice to the
/// system.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let sockets = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a socket"));
    sockets.map(|socket| socket.local_addr().expect("an address").port())
}
