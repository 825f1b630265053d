use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take for one line, and for all.
const PATIENCE: Duration = Duration::from_secs(120);

/// What `.ci/setup` installed below `target/clients`.
pub fn installed(path: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/clients");
    PathBuf::from(root).join(path)
}

/// One of the scripts beside these tests.
pub fn script(name: &str) -> PathBuf {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/scripts");
    PathBuf::from(scripts).join(name)
}

/// What a program reads from its standard input.
pub fn input(text: &str) -> Stdio {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("a file");
    file.rewind().expect("a file");
    file.into()
}

/// A running program; killed when dropped.
pub struct Program {
    command: String,
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Program {
    /// Starts it. Lines of its output and of its errors come in one stream.
    pub fn start(command: &mut Command) -> Program {
        let spawned = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| {
            panic!("{command:?}: {error}; run .ci/setup, which installs what tests need")
        });
        let (sender, lines) = channel();
        follow(child.stdout.take(), sender.clone());
        follow(child.stderr.take(), sender);
        Program {
            command: format!("{command:?}"),
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Waits for a line that contains `part`.
    pub fn line_with(&mut self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while let Some(line) = self.next(until) {
            if line.contains(part) {
                return line;
            }
        }
        panic!("{} ended without `{part}`: {:#?}", self.command, self.said)
    }

    /// Waits for its end, which must be a good one. All that it has said.
    pub fn succeed(self) -> Vec<String> {
        let command = self.command.clone();
        let (status, said) = self.end();
        assert!(status.success(), "{command}: {status}\n{said:#?}");
        said
    }

    /// Waits for its end, which must be a bad one. All that it has said.
    pub fn fail(self) -> String {
        let command = self.command.clone();
        let (status, said) = self.end();
        assert!(!status.success(), "{command} should fail\n{said:#?}");
        said.join("\n")
    }

    fn end(mut self) -> (ExitStatus, Vec<String>) {
        let until = Instant::now() + PATIENCE;
        while self.next(until).is_some() {}
        let status = self.child.wait().expect("it was started");
        (status, std::mem::take(&mut self.said))
    }

    /// The next line; `None` when it has closed its output.
    fn next(&mut self, until: Instant) -> Option<String> {
        let left = until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                self.said.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} takes too long: {:#?}", self.command, self.said)
            }
        }
    }

    /// Asks it to end, as a service manager does.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -s {name}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, so that the program never waits for us.
fn follow(output: Option<impl Read + Send + 'static>, lines: Sender<String>) {
    let output = BufReader::new(output.expect("it is piped"));
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // The test may be over.
            let _ = lines.send(line);
        }
    });
}
