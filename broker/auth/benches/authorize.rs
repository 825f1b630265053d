//! What a decision costs: `cargo bench -p dunlin-auth`.
//!
//! Prints the median of 21 rounds, in nanoseconds for each decision.

use std::{fmt::Write, hint::black_box, path::Path, sync::Arc, time::Instant};

use dunlin_auth::{
    Access, AclFile, Action, Authorizer, DecisionMemo, PasswordFile, Principal, Question,
    hash_password,
};
use dunlin_time::Monotonic;
use dunlin_topic::{TopicFilter, TopicName};

const CALLS: u32 = 20_000;

fn main() {
    for users in [1, 10_000] {
        decisions(users);
    }
    credentials();
}

fn decisions(users: usize) {
    let acl = AclFile::parse(Path::new("acl"), &rules(users)).expect("valid rules");
    let user = format!("user{}", users / 2);
    let who = Principal::new("meter-7", Some(Arc::from(&*user)));
    let own = format!("plant/hall/{}/temperature", users / 2);
    let patterned = format!("home/{user}/lamp/1");
    println!("{users} users with 5 rules each, 3 patterns");
    for (what, topic) in [
        ("first rule allows", "status/a"),
        ("last own rule allows", &*own),
        ("a pattern allows", &patterned),
        ("nothing matches", "elsewhere/a/b"),
        ("a rule denies", "plant/secret/x"),
    ] {
        let topic = TopicName::new(topic).expect("a valid name");
        report(what, || {
            let question = Question::new(Action::Publish, black_box(topic));
            acl.authorize(black_box(&who), &question)
        });
    }
    let filter = TopicFilter::new("plant/+/#").expect("a valid filter");
    report("coverage of a filter", || {
        acl.coverage(black_box(&who), black_box(filter))
    });

    let access = Access::open().with_authorizer(Arc::new(acl));
    let mut memo = DecisionMemo::default();
    let topic = TopicName::new(&own).expect("a valid name");
    report("memo", || {
        let question = Question::new(Action::Publish, black_box(topic));
        memo.authorize(&access, black_box(&who), &question, Monotonic(0))
    });
}

fn rules(users: usize) -> String {
    let mut text = String::from("topic read news/#\n");
    for user in 0..users {
        write!(
            text,
            "user user{user}\ntopic deny plant/secret/#\ntopic status/#\ntopic read news/#\n\
             topic write log/+/{user}\ntopic plant/+/{user}/#\n"
        )
        .expect("writing to a string");
    }
    text + "pattern read clients/%c/#\npattern home/%u/#\npattern write status/%c\n"
}

fn credentials() {
    let started = Instant::now();
    let hash = hash_password(b"pw").expect("memory and randomness");
    println!("argon2id, our parameters: {:?}", started.elapsed());
    let file = PasswordFile::parse(Path::new("passwd"), &format!("bob:{hash}\n")).expect("valid");
    for user in ["bob", "nobody"] {
        let started = Instant::now();
        let _ = black_box(file.verify(user, b"wrong"));
        println!("refusing {user}: {:?}", started.elapsed());
    }
}

fn report<T>(what: &str, mut decide: impl FnMut() -> T) {
    let mut rounds: Vec<u128> = (0..21)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..CALLS {
                black_box(decide());
            }
            started.elapsed().as_nanos() * 10 / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    let tenths = rounds[rounds.len() / 2];
    println!("  {what:24} {:>6}.{} ns", tenths / 10, tenths % 10);
}
