//! The command line.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{
    AllowAnonymous, Config, Durability, Listener, Loaded, Protocol, Request, Source, Store, print,
};

/// `dunlin`
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(
    name = "dunlin",
    version,
    about = "Dunlin, an MQTT broker. Without a command it serves.",
    args_conflicts_with_subcommands = true,
    after_help = "Every configuration key can also be set by environment: DUNLIN__LOGGING__LEVEL=debug."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

impl Cli {
    /// What to do: serve, unless a command says otherwise.
    pub fn chosen(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the broker
    Serve(Serve),
    /// Say what would run, or everything that is wrong with the configuration
    Check(Serve),
    /// Set, change or delete a user's password in a password file
    Passwd(Passwd),
    /// Print a mosquitto.conf as dunlin.toml
    ImportMosquitto {
        /// The mosquitto.conf
        file: PathBuf,
    },
    /// Look into a data directory that no broker uses; nothing in it is changed
    Store {
        /// How
        #[command(subcommand)]
        look: Look,
    },
    /// Write, build and try plugins
    Plugin {
        /// What to do
        #[command(subcommand)]
        work: Work,
    },
    /// About the configuration file
    Config {
        /// What about it
        #[command(subcommand)]
        about: About,
    },
}

/// What about the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum About {
    /// Print every key with its values, default and meaning, as Markdown
    Reference,
}

/// What to do about a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Work {
    /// Make a crate of a plugin that works, to go on from
    New {
        /// What the plugin says
        kind: Kind,
        /// The directory; its last part is the plugin's name
        directory: PathBuf,
    },
    /// Compile the crate in a directory to a component
    Build {
        /// The directory
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// Say what a component is, what it needs, and whether this broker can load it
    Check {
        /// The component
        file: PathBuf,
    },
    /// Ask a component recorded cases, in the broker's own host
    Test {
        /// The component
        file: PathBuf,
        /// The cases, a JSON object a line
        cases: PathBuf,
        /// What it is told by `configure`, in JSON
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The keys of its [[plugins]] table, in TOML; without, it is granted everything
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
    },
}

/// What a plugin says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// What clients may do
    Acl,
    /// Who clients are
    Auth,
    /// What becomes of what bridges carry
    Bridge,
    /// What becomes of what clients publish
    Filter,
}

/// How to look into a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Look {
    /// Read all of it, and say what is there or what is wrong
    Check {
        /// The data directory
        directory: PathBuf,
    },
    /// Print sessions, retained messages and messages, a JSON object a line
    Dump {
        /// The data directory
        directory: PathBuf,
        /// With the messages' payloads, in Base64
        #[arg(long)]
        payloads: bool,
    },
}

/// Which configuration to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Serve {
    /// The configuration file, in TOML
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A mosquitto.conf instead, read as it is
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    mosquitto_conf: Option<PathBuf>,
    /// Listen on this port when the configuration names no listener; may be repeated
    #[arg(short, long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,
    /// Log everything
    #[arg(short, long)]
    verbose: bool,
}

impl Serve {
    /// What to load; `variables` is the whole environment.
    pub fn request(self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Request {
        let source = match (self.config, self.mosquitto_conf) {
            (Some(path), _) => Source::Toml(path),
            (None, Some(path)) => Source::Mosquitto(path),
            (None, None) => Source::Defaults,
        };
        Request {
            source,
            variables: variables.into_iter().collect(),
            ports: self.port,
            verbose: self.verbose,
        }
    }
}

/// Whose password to set, and where.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Passwd {
    /// The password file; it is made when there is none
    pub file: PathBuf,
    /// The user
    pub user: String,
    /// Delete the user
    #[arg(short = 'D', long)]
    pub delete: bool,
    /// Read the password from the first line of standard input instead of asking
    #[arg(long, conflicts_with = "delete")]
    pub password_stdin: bool,
}

/// What `dunlin check` prints of a good configuration: warnings, a line per
/// listener, plugin and bridge, where state is kept, and the keys that are not at their default.
pub fn report(loaded: &Loaded, plugins: &[String]) -> String {
    let mut out = String::new();
    for warning in &loaded.warnings {
        // Writing to a String cannot fail.
        writeln!(out, "warning: {warning}").ok();
    }
    out.push_str("The configuration is good. These would listen:\n");
    for listener in &loaded.config.listeners {
        writeln!(out, "  {}", describe(&loaded.config, listener)).ok();
    }
    for plugin in plugins {
        writeln!(out, "  plugin {plugin}").ok();
    }
    for bridge in &loaded.config.bridges {
        let addresses = bridge.addresses.join(", ");
        writeln!(out, "  bridge {} to {addresses}", bridge.name).ok();
    }
    for webhook in &loaded.config.webhooks {
        writeln!(out, "  webhook {} to {}", webhook.name, webhook.url).ok();
    }
    writeln!(out, "{}", describe_store(&loaded.config)).ok();
    match print::toml(&loaded.config).as_str() {
        "" => out.push_str("Everything else is at its default.\n"),
        keys => write!(out, "These keys are not at their default:\n\n{keys}").unwrap_or_default(),
    }
    out
}

fn describe_store(config: &Config) -> String {
    let data_dir = config.data_dir.display();
    match (config.store, config.durability) {
        (Store::Memory, _) => "A restart would forget sessions and retained messages.".into(),
        (Store::Disk, Durability::Fsync) => {
            format!("Sessions and retained messages would be kept in {data_dir}.")
        }
        (Store::Disk, Durability::Os) => format!(
            "Sessions and retained messages would be kept in {data_dir}, where power loss may take \
             the last ones."
        ),
    }
}

fn describe(config: &Config, listener: &Listener) -> String {
    let protocol = match (listener.protocol, listener.tls.is_some()) {
        (Protocol::Mqtt, false) => "MQTT",
        (Protocol::Mqtt, true) => "MQTT over TLS",
        (Protocol::WebSockets, false) => "MQTT over WebSocket",
        (Protocol::WebSockets, true) => "MQTT over secure WebSocket",
    };
    let access = config.access.on(&listener.access);
    let anonymous = match access.allow_anonymous {
        AllowAnonymous::No => "no anonymous clients",
        AllowAnonymous::Loopback => "anonymous clients from this machine only",
        AllowAnonymous::Yes => "anonymous clients from everywhere",
    };
    let users = match access.password_file {
        Some(path) => format!("users of {}", path.display()),
        None => "no users".into(),
    };
    let address = &listener.address;
    format!("{address}: {protocol}; {anonymous}, {users}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Command, String> {
        let words = std::iter::once("dunlin").chain(words.iter().copied());
        Cli::try_parse_from(words)
            .map(Cli::chosen)
            .map_err(|error| error.to_string())
    }

    fn request(words: &[&str]) -> Request {
        match parse(words) {
            Ok(Command::Serve(serve)) => serve.request([]),
            other => panic!("{words:?} should serve, not {other:?}"),
        }
    }

    #[test]
    fn the_definition_holds_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn no_command_is_serve() {
        assert_eq!(request(&[]), Request::default());
        assert_eq!(request(&["serve"]), Request::default());
        let words = ["-p", "1884", "-p", "1885", "-v"];
        let expected = Request {
            ports: vec![1884, 1885],
            verbose: true,
            ..Request::default()
        };
        assert_eq!(request(&words), expected);
        assert_eq!(
            request(&["serve", "-p", "1884", "-p", "1885", "-v"]),
            expected
        );
    }

    #[test]
    fn a_file_is_toml_or_mosquittos_but_not_both() {
        assert_eq!(request(&["-c", "a"]).source, Source::Toml("a".into()));
        assert_eq!(
            request(&["--mosquitto-conf", "a"]).source,
            Source::Mosquitto("a".into())
        );
        let error = parse(&["serve", "--config", "a", "--mosquitto-conf", "b"]).expect_err("both");
        assert!(error.contains("cannot be used with"), "{error}");
    }

    #[test]
    fn other_commands() {
        let import = Command::ImportMosquitto { file: "m".into() };
        assert_eq!(parse(&["import-mosquitto", "m"]), Ok(import));
        assert_eq!(
            parse(&["config", "reference"]),
            Ok(Command::Config {
                about: About::Reference
            })
        );
        let look = Look::Dump {
            directory: "d".into(),
            payloads: true,
        };
        let dump = parse(&["store", "dump", "--payloads", "d"]);
        assert_eq!(dump, Ok(Command::Store { look }));
        let passwd = Passwd {
            file: "f".into(),
            user: "u".into(),
            delete: false,
            password_stdin: true,
        };
        assert_eq!(
            parse(&["passwd", "f", "u", "--password-stdin"]),
            Ok(Command::Passwd(passwd))
        );
        assert!(parse(&["-p", "0"]).is_err());
        assert!(parse(&["serv"]).is_err());
    }
}
