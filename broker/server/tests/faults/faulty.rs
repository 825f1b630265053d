use std::path::Path;
use std::process::Command;

use crate::daemon::BINARY;

/// What the disk is to do while a file exists.
#[derive(Clone, Copy)]
pub enum Fault {
    /// Syncs fail.
    FailSync,
    /// Reads take no end.
    HoldRead,
}

/// `dunlin` with a C library, built in `directory`, whose disk does that while there is `sign`.
pub fn dunlin(directory: &Path, fault: Fault, sign: &Path) -> Command {
    let library = directory.join("disk.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/disk.c"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "cc builds it");
    let variable = match fault {
        Fault::FailSync => "FAIL_SYNC_WHILE",
        Fault::HoldRead => "HOLD_READ_WHILE",
    };
    let mut program = Command::new(BINARY);
    program.env("LD_PRELOAD", library).env(variable, sign);
    program
}
