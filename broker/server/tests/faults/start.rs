//! While a broker reads what it stored it is alive, and neither started nor ready.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dunlin_codec::Qos;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::daemon::{Daemon, LISTENER};
use crate::faulty::{Fault, dunlin};

/// A start that takes longer says how far it is.
const SILENCE: Duration = Duration::from_millis(1100);

/// A broker with a retained message that starts again, and reads for as long as there is the file.
fn reading() -> (Daemon, PathBuf) {
    let home = TempDir::new().expect("a directory");
    let sign = home.path().join("sign");
    let program = dunlin(home.path(), Fault::HoldRead, &sign);
    let settings = format!("sys.interval = \"0s\"\n{LISTENER}");
    let mut daemon = Daemon::within(program, home, &settings);
    let mut client = daemon.client("one");
    client.publish_retained("t", b"kept", Qos::AtLeastOnce);
    daemon.crash();
    std::fs::write(&sign, "").expect("a file");
    daemon.begin_again();
    (daemon, sign)
}

#[test]
fn probes_say_how_far_a_start_has_come() {
    let (mut daemon, sign) = reading();
    let starting = (503, "starting: 0 % of data_dir is read\n".into());
    let start = Instant::now();
    // It stays so, for longer than the log is silent.
    while start.elapsed() < SILENCE {
        for path in ["/startupz", "/readyz", "/metrics", "/api/v1/stats"] {
            assert_eq!(daemon.http("GET", path, ""), starting, "{path}");
        }
        assert_eq!(daemon.http("GET", "/livez", ""), (200, "ok\n".into()));
    }
    std::fs::remove_file(&sign).expect("it was there");
    daemon.expect_start();
    for path in ["/startupz", "/readyz"] {
        assert_eq!(daemon.http("GET", path, ""), (200, "ok\n".into()), "{path}");
    }
    assert!(daemon.has_logged("reading data_dir percent=100 records="));
    assert!(daemon.has_logged("restored sessions=0 queued=0 retained=1"));
    let mut client = daemon.client("two");
    client.subscribe("t", Qos::AtMostOnce);
    client.expect_message("t", b"kept");
}

#[test]
fn a_signal_ends_a_start() {
    let (mut daemon, sign) = reading();
    daemon.signal(Signal::TERM);
    let (code, said) = daemon.last_words();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("stopped before it had started"), "{said}");
    std::fs::remove_file(&sign).expect("it was there");
    daemon.start_again();
    assert_eq!(daemon.metric("retained_messages"), 1);
}
