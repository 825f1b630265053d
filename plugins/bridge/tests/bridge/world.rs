//! The brokers of a test, each in a process of its own, and bridges between them.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use dunlin_bridge::{
    Bridge, BridgeSettings, Direction, Identity, Local, Map, Qos, Restart, Status, TopicRule,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::peer::PATIENCE;

/// The name of a bridge's thread.
const THREAD: &str = "bridge";
/// Between two looks at what changes without telling.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in time");
        sleep(LOOK);
    }
}

/// Our broker: `dunlin`, on a unix socket, with its store on disk.
pub struct Near {
    process: Child,
    directory: TempDir,
}

impl Near {
    pub fn start() -> Near {
        let directory = TempDir::new().expect("a directory");
        let config = format!(
            "workers = 1\ndurability = \"os\"\ndata_dir = \"data\"\nadmin.address = \"off\"\n\
             limits.queued_messages = 1000000\nlimits.queued_bytes = \"1GiB\"\n\
             [[listeners]]\naddress = \"unix:{}\"\n",
            directory.path().join("mqtt").display()
        );
        std::fs::write(directory.path().join("dunlin.toml"), config).expect("a file");
        let process = Near::launch(directory.path());
        Near { process, directory }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("mqtt")
    }

    /// Kills it, and starts it again with what it had on disk.
    pub fn crash_and_restart(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("a child");
        self.process = Near::launch(self.directory.path());
    }

    fn launch(directory: &Path) -> Child {
        let mut process = Command::new(dunlin())
            .args(["serve", "--config", "dunlin.toml"])
            .current_dir(directory)
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut log = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let mut before = Vec::new();
        loop {
            let Some(Ok(line)) = log.next() else {
                panic!("dunlin did not start: {before:#?}");
            };
            if line.contains("ready for clients") {
                break;
            }
            before.push(line);
        }
        // Read on, so that it never waits for us.
        thread::spawn(move || log.for_each(drop));
        process
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary, built like this test, but without plugins: in a directory of its own, so that it does
/// not take the place of the one that other tests run.
fn dunlin() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("this test");
        let profile = test.ancestors().nth(2).expect("target/profile/deps/test");
        let target = profile.with_file_name("without-plugins");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "dunlin", "--no-default-features"]);
        build.arg("--target-dir").arg(&target);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo").success());
        let profile = profile.file_name().expect("debug or release");
        target.join(profile).join("dunlin")
    })
}

/// The other broker: Mosquitto.
pub struct Far {
    process: Child,
    directory: TempDir,
    pub port: u16,
}

impl Far {
    pub fn start() -> Far {
        Far::with("allow_anonymous true\n", |_| ())
    }

    /// With lines of its own for its listener, and files that they name: `{dir}` is where.
    pub fn with(lines: &str, prepare: impl FnOnce(&Path)) -> Far {
        let directory = TempDir::new().expect("a directory");
        prepare(directory.path());
        let port = free_port();
        let path = directory.path().display().to_string();
        let config = format!(
            "per_listener_settings false\nuser root\npersistence true\n\
             persistence_location {path}/\nmax_queued_messages 0\nautosave_interval 0\n\
             listener {port} 127.0.0.1\n{}\n",
            lines.replace("{dir}", &path)
        );
        std::fs::write(directory.path().join("mosquitto.conf"), config).expect("a file");
        let process = Far::launch(directory.path(), port);
        Far {
            process,
            directory,
            port,
        }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Stops it as an operator does, and starts it again with what it saved.
    pub fn restart(&mut self) {
        self.stop();
        self.process = Far::launch(self.directory.path(), self.port);
    }

    pub fn stop(&mut self) {
        let kill = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        assert!(kill.expect("kill").success());
        self.process.wait().expect("a child");
    }

    pub fn start_again(&mut self) {
        self.process = Far::launch(self.directory.path(), self.port);
    }

    fn launch(directory: &Path, port: u16) -> Child {
        let process = Command::new("mosquitto")
            .arg("-c")
            .arg(directory.join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed");
        until("mosquitto listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        process
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on: Mosquitto cannot be asked which it got.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Ends when a bridge is to stop: when the test says so, or ends.
pub struct Stopped(oneshot::Receiver<()>);

impl Future for Stopped {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

/// A bridge that runs, or a webhook.
pub struct Running {
    pub status: Arc<Status>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), String>>>,
    /// Ends the bridge without a word.
    abort: Option<oneshot::Sender<()>>,
}

impl Running {
    pub fn start(settings: BridgeSettings, near: PathBuf) -> Running {
        Running::mapped(settings, near, Arc::new(Identity))
    }

    pub fn mapped(settings: BridgeSettings, near: PathBuf, map: Arc<dyn Map>) -> Running {
        let bridge = Bridge::new(settings, map).expect("good settings");
        Running::spawn(bridge.status(), async move |stopped| {
            let local = Local::new(|| UnixStream::connect(&near));
            bridge.run(local, stopped).await
        })
    }

    /// Runs what has this status, until `Stopped` ends.
    pub fn spawn<R>(status: Arc<Status>, run: R) -> Running
    where
        R: AsyncFnOnce(Stopped) -> Result<(), String> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let (abort, aborted) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name(THREAD.into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    ended = run(Stopped(stopped)) => ended,
                    Ok(()) = aborted => Ok(()),
                }
            })
        });
        Running {
            status,
            stop: Some(stop),
            thread: Some(thread.expect("a thread")),
            abort: Some(abort),
        }
    }

    /// The same, once it is connected.
    pub fn connected(settings: BridgeSettings, near: PathBuf) -> Running {
        let running = Running::start(settings, near);
        running.is_connected();
        running
    }

    pub fn is_connected(&self) {
        let start = Instant::now();
        while !self.status.connected.load(Ordering::Relaxed) {
            let why = self.status.last_error();
            assert!(start.elapsed() < PATIENCE, "not connected: {why:?}");
            sleep(LOOK);
        }
    }

    /// Why it could not connect.
    pub fn error(&self) -> String {
        until("an error", || self.status.last_error().is_some());
        self.status.last_error().expect("it is there")
    }

    /// What its thread has used; the kernel knows it by its name.
    pub fn cpu_seconds(&self) -> f64 {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
        let ours = tasks.flatten().find(|task| {
            let name = std::fs::read_to_string(task.path().join("comm"));
            name.is_ok_and(|name| name.trim() == THREAD)
        });
        let stat = ours.expect("it runs").path().join("schedstat");
        let stat = std::fs::read_to_string(stat).expect("Linux");
        let nanoseconds: f64 = stat
            .split(' ')
            .next()
            .expect("a number")
            .parse()
            .expect("a number");
        nanoseconds / 1e9
    }

    /// Stops it as a server does.
    pub fn stop(mut self) -> Result<(), String> {
        drop(self.stop.take());
        self.ended()
    }

    /// Drops it where it stands, as a crash of its process would.
    pub fn crash(mut self) {
        let abort = self.abort.take().expect("once");
        abort.send(()).expect("it runs");
        self.ended().expect("no error");
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> Result<(), String> {
        self.thread.take().expect("once").join().expect("no panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A bridge's settings to a port of the loopback, in a hurry.
pub fn bridge(name: &str, port: u16, topics: Vec<TopicRule>) -> BridgeSettings {
    BridgeSettings {
        name: name.into(),
        remote_client_id: Some(name.into()),
        addresses: vec![format!("127.0.0.1:{port}")],
        topics,
        restart: Restart {
            base: Duration::from_millis(50),
            cap: Some(Duration::from_millis(200)),
        },
        ..BridgeSettings::default()
    }
}

/// One rule.
pub fn rule(pattern: &str, direction: Direction, qos: Qos, local: &str, remote: &str) -> TopicRule {
    TopicRule {
        pattern: pattern.into(),
        direction,
        qos,
        local_prefix: local.into(),
        remote_prefix: remote.into(),
    }
}
