//! Thousands of crashes.

use dunlin_log::Durability;

use crate::model::{Counts, Wrong};
use crate::run::{Plan, Trouble};

/// Crashes in a small test: `DUNLIN_TEST_SCALE` multiplies them.
const CRASHES: u64 = 100;

fn scaled(small: u64) -> u64 {
    match std::env::var("DUNLIN_TEST_SCALE") {
        Ok(scale) => small * scale.parse::<u64>().expect("DUNLIN_TEST_SCALE: a number"),
        Err(_) => small,
    }
}

/// The seed to play alone, if one is given.
fn only_seed() -> Option<u64> {
    let seed = std::env::var("DUNLIN_CRASH_SEED").ok()?;
    Some(seed.parse().expect("DUNLIN_CRASH_SEED: a number"))
}

/// Plays runs until there were so many crashes.
fn crash(name: &str, crashes: u64, plan: impl Fn(u64) -> Plan) -> Counts {
    let mut total = Counts::default();
    let (mut lost, mut doubled) = (0, 0);
    let mut first = None;
    let mut seed = only_seed().unwrap_or(0);
    loop {
        let plan = Plan {
            loud: only_seed().is_some(),
            ..plan(seed)
        };
        let outcome = plan.run();
        total += outcome.counts;
        match &outcome.wrong {
            Some(Wrong::Doubled(_)) => doubled += 1,
            Some(_) => lost += 1,
            None => {}
        }
        if let Some(wrong) = outcome.wrong {
            println!("seed {seed}: {wrong}");
            first.get_or_insert_with(|| format!("{wrong}\n{plan}"));
        }
        seed += 1;
        if only_seed().is_some() || total.crashes >= crashes {
            break;
        }
    }
    println!("{name}: {total}, lost {lost}, doubled {doubled}");
    if let Some(first) = first {
        panic!("{name}: {first}");
    }
    total
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_of_qos_2_comes_twice() {
    let total = crash("crashes", scaled(CRASHES), Plan::new);
    assert!(only_seed().is_some() || total.delivered > total.crashes);
}

#[test]
fn what_a_killed_process_left_is_not_lost_with_the_power() {
    crash("kills, then power", scaled(CRASHES / 4), |seed| Plan {
        in_turns: true,
        ..Plan::new(seed)
    });
}

#[test]
fn without_fsync_a_killed_process_loses_nothing_and_a_power_loss_leaves_no_hole() {
    crash("durability = \"os\"", scaled(CRASHES / 4), |seed| Plan {
        durability: Durability::Os,
        ..Plan::new(seed)
    });
}

#[test]
fn a_failed_sync_acknowledges_nothing() {
    crash("failed syncs", scaled(CRASHES / 4), |seed| Plan {
        trouble: Trouble::SyncFails,
        ..Plan::new(seed)
    });
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let total = crash("full disks", scaled(CRASHES), |seed| Plan {
        trouble: Trouble::Full,
        ..Plan::new(seed)
    });
    assert!(only_seed().is_some() || total.refused > 0);
}

#[test]
fn a_seed_plays_the_same_every_time() {
    for seed in 0..3 {
        let [one, other] = [0; 2].map(|_| format!("{:?}", Plan::new(seed).run()));
        assert_eq!(one, other);
    }
}
