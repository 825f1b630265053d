use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Bytes written at once to what fills it.
const CHUNK: [u8; 4096] = [0xaa; 4096];

/// A file system of a few MiB that nobody else sees: it is mounted in a namespace, which a process
/// of ours keeps until this value is dropped.
///
/// The kernel has to let users make namespaces (`unshare --user`): a test fails where it does not.
pub struct SmallDisk {
    keeper: Child,
    mount_point: TempDir,
}

impl SmallDisk {
    /// An empty one.
    pub fn new(bytes: u64) -> SmallDisk {
        let mount_point = TempDir::new().expect("a directory");
        let script =
            format!("mount -t tmpfs -o size={bytes} none \"$0\" && echo ready && exec cat");
        let mut keeper = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .arg(mount_point.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, of util-linux");
        let mut line = String::new();
        let said = BufReader::new(keeper.stdout.take().expect("it is piped")).read_line(&mut line);
        assert!(
            said.is_ok() && line == "ready\n",
            "no file system of its own: may this user make namespaces? See above what unshare said"
        );
        SmallDisk {
            keeper,
            mount_point,
        }
    }

    /// A program where the file system is mounted.
    pub fn program(&self, name: &str) -> Command {
        let mut program = Command::new("nsenter");
        program
            .args(["--user", "--mount", "--preserve-credentials", "--target"])
            .arg(self.keeper.id().to_string())
            .arg(name);
        program
    }

    /// A path in it, as a program of [`SmallDisk::program`] calls it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.mount_point.path().join(name)
    }

    /// Fills it but for so many bytes. With 0 it is full when a write finds no room.
    pub fn fill(&self, but_for: u64) {
        let mut ballast = File::create(self.ballast()).expect("a file");
        while but_for == 0 || self.free_bytes() > but_for {
            match ballast.write_all(&CHUNK) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Takes away what filled it.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn free_bytes(&self) -> u64 {
        let space = rustix::fs::statvfs(self.seen_from_here()).expect("a file system");
        space.f_bavail * space.f_frsize
    }

    fn ballast(&self) -> PathBuf {
        self.seen_from_here().join("ballast")
    }

    fn seen_from_here(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        let inside = self.mount_point.path().strip_prefix("/");
        root.join(inside.expect("an absolute path"))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // With the end of its input it ends.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
