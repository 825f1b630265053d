//! A client session and a server session on a lossy channel with a virtual clock: above QoS 0
//! nothing is lost, at QoS 2 nothing doubled, whatever bytes arrive before a connection breaks.

mod hostile;
mod ledger;
mod scenario;
mod world;

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use proptest::collection::vec;
use proptest::prelude::*;

use scenario::{End, Scenario, Step};

proptest! {
    #[test]
    fn nothing_is_lost_and_at_qos_2_nothing_doubled(scenario in scenario()) {
        world::play(&scenario);
    }

    #[test]
    fn hostile_packets_are_refused_or_answered(bytes in vec(any::<u8>(), 0..400)) {
        hostile::receive(&bytes);
    }
}

#[test]
fn corpus_of_pair() {
    replay("pair", |bytes| {
        let scenario = Scenario::arbitrary_take_rest(Unstructured::new(bytes));
        world::play(&scenario.expect("a seed is a scenario"));
    });
}

#[test]
fn corpus_of_hostile() {
    replay("hostile", hostile::receive);
}

fn replay(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for file in fs::read_dir(&corpus).expect("the corpus is part of the source") {
        let file = file.expect("a readable folder").path();
        println!("{}", file.display());
        check(&fs::read(file).expect("a readable input"));
        replayed += 1;
    }
    assert!(replayed > 5, "the corpus is gone");
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let steps = vec(step(), 0..200);
    (any::<bool>(), any::<u8>(), steps).prop_map(|(mqtt5, aliases, steps)| Scenario {
        mqtt5,
        aliases,
        steps,
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Client), Just(End::Server)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (end(), 0..3_u8).prop_map(|(from, qos)| Step::Publish { from, qos }),
        16 => (end(), 0..60_u8).prop_map(|(to, bytes)| Step::Carry { to, bytes }),
        2 => (end(), any::<bool>()).prop_map(|(at, yes)| Step::Postpone { at, yes }),
        8 => (end(), any::<u8>(), prop::bool::weighted(0.2))
            .prop_map(|(at, which, refuse)| Step::Settle { at, which, refuse }),
        1 => Just(Step::Cut),
        3 => (prop::bool::weighted(0.1), any::<[u8; 2]>())
            .prop_map(|(clean, windows)| Step::Connect { clean, windows }),
        1 => (0..12_u8).prop_map(|seconds| Step::Wait { seconds }),
    ]
}
