//! Directories that a broker cannot use: it says which, why, and what to do.

use std::fs::{Permissions, create_dir, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use crate::daemon::{BINARY, Daemon, LISTENER};
use crate::small_disk::SmallDisk;

/// The end of every text: there is another way.
const OR_ELSE: &str = ". Or set data_dir, or store = \"memory\" to keep nothing";

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

/// What a broker with this data directory says as it ends.
fn refused(program: Command, home: TempDir, data_dir: &str) -> String {
    let settings = format!("data_dir = \"{data_dir}\"\n{LISTENER}");
    let (code, said) = Daemon::refused(program, home, &settings);
    assert_eq!(code, Some(1), "{said}");
    said
}

#[test]
fn one_that_another_broker_uses() {
    let first = Daemon::with("");
    let data_dir = first.file("dunlin-data").display().to_string();
    let said = refused(Command::new(BINARY), directory(), &data_dir);
    let expected = format!(
        "the data directory {data_dir} is in use by another process: stop that one, or choose \
         another directory{OR_ELSE}"
    );
    assert!(said.ends_with(&expected), "{said}");
    // Nothing happened to the other one.
    first.client("one").ping();
}

#[test]
fn one_that_is_a_file_or_lies_below_one() {
    for name in ["file", "file/below"] {
        let home = directory();
        std::fs::write(home.path().join("file"), "").expect("a file");
        let said = refused(Command::new(BINARY), home, name);
        let expected = "dunlin.toml:3: data_dir: file is not a directory; move it away, or choose \
                        another data_dir";
        assert!(said.ends_with(expected), "{said}");
    }
}

/// In a user namespace of its own even root has no more rights than a directory's mode gives.
#[test]
fn one_without_permission() {
    let home = directory();
    let locked = home.path().join("locked");
    create_dir(&locked).expect("a directory");
    set_permissions(&locked, Permissions::from_mode(0o500)).expect("it is ours");
    let mut program = Command::new("unshare");
    program.args(["--user", BINARY]);
    let said = refused(program, home, "locked/data");
    let expected = "dunlin.toml:3: data_dir: locked cannot be written to: Permission denied (os \
                    error 13); let dunlin's user own it, or choose another";
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn one_on_a_disk_that_is_mounted_read_only() {
    let disk = SmallDisk::new(1 << 20);
    let mount = disk
        .program("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.path(""))
        .status();
    assert!(mount.is_ok_and(|status| status.success()));
    let data_dir = disk.path("data").display().to_string();
    let said = refused(disk.program(BINARY), directory(), &data_dir);
    let expected = format!(
        "dunlin.toml:3: data_dir: {} is mounted read-only; mount it for writing, or choose another",
        disk.path("data").parent().expect("the disk").display()
    );
    assert!(said.ends_with(&expected), "{said}");
}

#[test]
fn one_on_a_disk_that_is_full() {
    let disk = SmallDisk::new(1 << 20);
    disk.fill(0);
    let data_dir = disk.path("data").display().to_string();
    let said = refused(disk.program(BINARY), directory(), &data_dir);
    let expected = format!(
        "data_dir {data_dir}: creating 0000000000000001.log: No space left on device (os error \
         28): free some space there, then start again"
    );
    assert!(said.ends_with(&expected), "{said}");
}
