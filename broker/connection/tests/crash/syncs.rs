//! Each sync of the log is needed: without it, some crash loses what was acknowledged.

use dunlin_log::{Durability, SyncPoint};

use crate::run::Plan;

/// Seeds that are tried before a sync counts as needless.
const SEEDS: u64 = 3000;

/// Leaves a sync out until something is wrong.
fn needs(point: SyncPoint, durability: Durability) {
    let wrong = (0..SEEDS).find_map(|seed| {
        let plan = Plan {
            durability,
            ignored: Some(point),
            in_turns: matches!(point, SyncPoint::Recovered | SyncPoint::RecoveredNames),
            ..Plan::new(seed)
        };
        let wrong = plan.run().wrong?;
        Some(format!("seed {seed}: {wrong}"))
    });
    println!("without {point:?}: {wrong:?}");
    assert!(wrong.is_some(), "nothing is lost in {SEEDS} runs");
}

#[test]
fn a_batch_is_synced_before_it_counts() {
    needs(SyncPoint::Batch, Durability::Fsync);
}

#[test]
fn a_finished_segment_is_synced_before_the_next() {
    needs(SyncPoint::Finished, Durability::Os);
}

#[test]
fn the_header_of_a_segment_is_synced_before_a_batch_follows() {
    needs(SyncPoint::Header, Durability::Fsync);
}

#[test]
fn the_name_of_a_segment_is_synced_before_a_batch_counts() {
    needs(SyncPoint::Created, Durability::Fsync);
}

#[test]
fn the_note_of_a_drop_is_synced_before_the_file_is_removed() {
    needs(SyncPoint::Dropping, Durability::Fsync);
}

#[test]
fn what_is_found_at_the_start_is_synced_before_it_counts() {
    needs(SyncPoint::Recovered, Durability::Fsync);
}

#[test]
fn the_names_that_are_found_at_the_start_are_synced_before_they_count() {
    needs(SyncPoint::RecoveredNames, Durability::Fsync);
}
