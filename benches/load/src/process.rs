//! What a process has used, as `/proc` tells it, and how many files this one
//! may open.

use crate::error::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fs, io, time::Duration};

/// A process that is measured, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    /// This process.
    pub fn current() -> Process {
        Process(std::process::id())
    }

    /// User and system time of all its threads, dead ones included. The kernel
    /// counts in ticks, as a rule of 10 ms.
    pub fn cpu_time(self) -> Result<Duration, Error> {
        let path = format!("/proc/{}/stat", self.0);
        let ticks = read(&path).and_then(|text| find(&path, cpu_ticks(&text)))?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs(1) * ticks / per_second as u32)
    }

    /// Bytes that it has caused to be written to disks.
    pub fn written(self) -> Result<u64, Error> {
        let path = format!("/proc/{}/io", self.0);
        read(&path).and_then(|text| find(&path, written_bytes(&text)))
    }

    /// Resident memory in bytes, from a walk of its page tables (the counters
    /// in `/proc/PID/status` lag behind).
    pub fn memory(self) -> Result<u64, Error> {
        let path = format!("/proc/{}/smaps_rollup", self.0);
        read(&path).and_then(|text| find(&path, resident_bytes(&text)))
    }
}

/// Lets this process open `wanted` files, or says what stands against it.
pub fn allow_open_files(wanted: u64) -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum.map(|maximum| maximum.max(wanted)),
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|errno| Error::machine(format!("open {wanted} files"))(errno.into()))
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::machine(format!("read {path}")))
}

fn find<T>(path: &str, found: Option<T>) -> Result<T, Error> {
    found.ok_or_else(|| {
        let missing = io::Error::new(io::ErrorKind::InvalidData, "the field is missing");
        Error::machine(format!("understand {path}"))(missing)
    })
}

/// Fields 14 and 15 of proc_pid_stat(5). The name in field 2 may hold blanks
/// and parentheses, so counting starts behind its last one.
fn cpu_ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn written_bytes(io: &str) -> Option<u64> {
    let line = io.lines().find_map(|l| l.strip_prefix("write_bytes:"))?;
    line.trim().parse().ok()
}

fn resident_bytes(smaps_rollup: &str) -> Option<u64> {
    let line = smaps_rollup.lines().find_map(|l| l.strip_prefix("Rss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_behind_the_last_parenthesis() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 104 0 0 0 12 30 0 0 20 0 1";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        let text = "55-7f ---p 00 00:00 0 [rollup]\nRss:    1720 kB\nPss:   86 kB\n";
        assert_eq!(resident_bytes(text), Some(1720 * 1024));
        assert_eq!(resident_bytes("Pss: 86 kB\n"), None);
    }

    #[test]
    fn what_went_to_disks_is_not_what_was_written_to_pipes() {
        let text = "wchar: 5\nread_bytes: 6\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n";
        assert_eq!(written_bytes(text), Some(4096));
        assert_eq!(written_bytes("wchar: 5\n"), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let us = Process::current();
        assert!(us.memory().is_ok_and(|bytes| bytes > 100_000));
        assert!(us.cpu_time().is_ok());
    }

    #[test]
    fn a_process_that_does_not_exist_is_an_error_that_names_the_file() {
        // Process ids end at 2^22.
        let error = Process(u32::MAX).cpu_time().map_err(|e| e.to_string());
        let named = error.is_err_and(|text| text.contains("/proc/4294967295/stat"));
        assert!(named);
    }
}
