//! The store on disk in numbers. There are none without a disk.

use super::Admin;
use super::stats::Figure;
use crate::storage::Storage;

/// What only grows, since the start.
pub fn counters(admin: &Admin) -> Vec<Figure> {
    let Storage::Disk(disk) = &admin.storage else {
        return Vec::new();
    };
    let counts = disk.counts();
    vec![
        Figure::new(
            "store_commits_total",
            "Commits: what waits is written together, and synced if durability is fsync.",
            counts.batches,
        ),
        Figure::new(
            "store_records_total",
            "Records in these commits: what happened to sessions and retained messages.",
            counts.records,
        ),
        Figure::new(
            "store_syncs_total",
            "Times that the disk was told to keep what it was given.",
            counts.syncs,
        ),
        Figure::new(
            "store_written_bytes_total",
            "Bytes written to the store's files, compaction included.",
            counts.bytes,
        ),
    ]
}

/// What can go up and down.
pub fn gauges(admin: &Admin) -> Vec<Figure> {
    let Storage::Disk(disk) = &admin.storage else {
        return Vec::new();
    };
    let (bytes, live_bytes) = disk.bytes();
    vec![
        Figure::new("store_bytes", "Bytes of the store's files.", bytes),
        Figure::new(
            "store_live_bytes",
            "Bytes of them that are still needed; compaction keeps the files below twice of it.",
            live_bytes,
        ),
        Figure::new("store_segments", "The store's files.", disk.segments()),
        Figure::new(
            "store_messages",
            "Messages stored, queued or retained, each counted once in however many queues it is.",
            disk.messages(),
        ),
        Figure::new(
            "store_waiting_bytes",
            "Bytes recorded that are not committed yet.",
            disk.waiting_bytes(),
        ),
        Figure {
            name: "store_recovery_seconds",
            help: "How long this process read data_dir at its start.",
            value: admin.recovery.as_secs_f64(),
        },
    ]
}
