//! `dunlin-load`: the command line of the load generator.

use clap::{Args, Parser, Subcommand, ValueEnum};
use dunlin_codec::{Qos, Version};
use dunlin_load::crowd::{Crowd, Pattern};
use dunlin_load::error::Error;
use dunlin_load::fleet::Target;
use dunlin_load::process::Process;
use dunlin_load::report::{Report, table};
use dunlin_load::router::BareRouter;
use dunlin_load::stamp::Stamp;
use dunlin_load::stream::SCRATCH_BYTES;
use dunlin_load::traffic::{self, Pace, Plan};
use dunlin_load::{idle, subscribing};
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

/// Loads an MQTT broker on this machine and says what that costs it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Messages from publishers to subscribers.
    Traffic(Traffic),
    /// Connections that subscribe once and then do nothing.
    Idle(Idle),
    /// How long a SUBSCRIBE waits for its SUBACK.
    Subscribe(Subscribe),
    /// The limit to compare with: routes MQTT 3.1.1 on 127.0.0.1 and does nothing else.
    BareRouter {
        /// Where to listen.
        #[arg(long)]
        port: u16,
    },
}

#[derive(Args)]
struct Broker {
    /// Where it listens; a loopback address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    broker: SocketAddr,
    /// Version of the protocol.
    #[arg(long, default_value = "3.1.1")]
    mqtt: Mqtt,
    /// User name of every client.
    #[arg(long, requires = "password")]
    username: Option<String>,
    /// Their password.
    #[arg(long, requires = "username")]
    password: Option<String>,
    /// Print a line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Traffic {
    #[command(flatten)]
    broker: Broker,
    /// Process id of the broker, to read its CPU time and what it writes.
    #[arg(long)]
    broker_pid: Option<u32>,
    /// How publishers and subscribers meet.
    #[arg(long)]
    pattern: Pattern,
    /// How many publish.
    #[arg(long)]
    publishers: u32,
    /// How many subscribe; as many as publish by default.
    #[arg(long)]
    subscribers: Option<u32>,
    /// Of messages and subscriptions.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Subscribers have sessions that outlive their connections.
    #[arg(long)]
    persistent: bool,
    /// Length of a payload in bytes.
    #[arg(long, default_value_t = 64, value_parser = payload_bytes)]
    payload: usize,
    /// Closed loop: unfinished messages of each publisher.
    #[arg(long, group = "pace", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    window: u32,
    /// Closed loop instead: unfinished messages of all publishers, who send in turn.
    #[arg(long, group = "pace", value_name = "WINDOW", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    together: Option<u32>,
    /// Open loop instead: messages a second, of all publishers together.
    #[arg(long, group = "pace", value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// Seconds of traffic before the measured section.
    #[arg(long, default_value = "1", value_parser = seconds)]
    warm_up: Duration,
    /// Seconds of the measured section.
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// End the measured section after so many deliveries.
    #[arg(long)]
    deliveries: Option<u64>,
}

#[derive(Args)]
struct Idle {
    #[command(flatten)]
    broker: Broker,
    /// Process id of the broker, to read its memory and CPU time.
    #[arg(long)]
    broker_pid: u32,
    /// How many.
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
}

#[derive(Args)]
struct Subscribe {
    #[command(flatten)]
    broker: Broker,
    /// Process id of the broker, to read its CPU time.
    #[arg(long)]
    broker_pid: Option<u32>,
    /// How many.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mqtt {
    #[value(name = "3.1")]
    Mqtt31,
    #[value(name = "3.1.1")]
    Mqtt311,
    #[value(name = "5")]
    Mqtt5,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("dunlin-load: the broker lost or repeated messages");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("dunlin-load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the broker kept its promises.
fn run(command: Command) -> Result<bool, Error> {
    match command {
        Command::Traffic(options) => show(options.broker.json, &traffic::run(&options.plan()?)?),
        Command::Idle(options) => {
            let process = Process(options.broker_pid);
            let connections = options.connections as usize;
            let report = idle::run(options.broker.target()?, process, connections)?;
            show(options.broker.json, &report)
        }
        Command::Subscribe(options) => {
            let process = options.broker_pid.map(Process);
            let report = subscribing::run(options.broker.target()?, process, options.count)?;
            show(options.broker.json, &report)
        }
        Command::BareRouter { port } => route(port),
    }
}

fn show(json: bool, report: &impl Report) -> Result<bool, Error> {
    if json {
        let line = serde_json::to_string(report).map_err(std::io::Error::from);
        println!("{}", line.map_err(Error::machine("write JSON"))?);
    } else {
        println!("{}", table(&report.columns()));
    }
    Ok(report.is_complete())
}

fn route(port: u16) -> Result<bool, Error> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let router = BareRouter::bind(address);
    let mut router = router.map_err(Error::machine(format!("listen at {address}")))?;
    loop {
        router.turn(None).map_err(Error::machine("route"))?;
    }
}

impl Broker {
    fn target(&self) -> Result<Target, Error> {
        let version = match self.mqtt {
            Mqtt::Mqtt31 => Version::Mqtt31,
            Mqtt::Mqtt311 => Version::Mqtt311,
            Mqtt::Mqtt5 => Version::Mqtt5,
        };
        let credentials = self.username.clone().zip(self.password.clone());
        Ok(Target::new(self.broker, version)?.with_credentials(credentials))
    }
}

impl Traffic {
    fn plan(&self) -> Result<Plan, Error> {
        let subscribers = self.subscribers.unwrap_or(self.publishers);
        Ok(Plan {
            target: self.broker.target()?,
            process: self.broker_pid.map(Process),
            crowd: Crowd::new(self.pattern, self.publishers, subscribers)?,
            qos: match self.qos {
                0 => Qos::AtMostOnce,
                1 => Qos::AtLeastOnce,
                _ => Qos::ExactlyOnce,
            },
            persistent: self.persistent,
            payload_bytes: self.payload,
            pace: match (self.rate, self.together) {
                (Some(rate), _) => Pace::PerSecond(rate),
                (None, Some(window)) => Pace::Together(window),
                (None, None) => Pace::Window(self.window),
            },
            warm_up: self.warm_up,
            duration: self.seconds,
            deliveries: self.deliveries,
        })
    }
}

/// At most ten minutes, in which no counter of the run can overflow.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("not between 0 and 600".into())
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (1.0..=10_000_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("not between 1 and 10,000,000".into())
    }
}

/// Half of what a read takes leaves room for the packet around it.
fn payload_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse().map_err(|_| "not a number".to_owned())?;
    if (Stamp::BYTES..=SCRATCH_BYTES / 2).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!(
            "not between {} and {}",
            Stamp::BYTES,
            SCRATCH_BYTES / 2
        ))
    }
}
