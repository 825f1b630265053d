//! Each sync of the log is needed: without it, some crash loses what was acknowledged.

use dunlin_log::{Durability, SyncPoint};

use crate::run::Plan;

/// Seeds that are tried before a sync counts as needless.
const SEEDS: u64 = 3000;

/// Leaves a sync out until something is wrong.
fn needs(point: SyncPoint, durability: Durability) {
    let plans = (0..SEEDS).map(|seed| Plan {
        durability,
        ignored: Some(point),
        ..Plan::new(seed)
    });
    let wrong = plans.map(|plan| (plan.seed, plan.run().wrong));
    let found = wrong
        .into_iter()
        .find_map(|(seed, wrong)| Some((seed, wrong?)));
    let Some((seed, wrong)) = found else {
        panic!("without {point:?} nothing is lost in {SEEDS} runs");
    };
    println!("without {point:?}, seed {seed}: {wrong}");
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
