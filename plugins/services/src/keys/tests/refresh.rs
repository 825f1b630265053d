//! Keys that change, in files and at servers on loopback.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};

use super::*;
use crate::test_server::{Answer, Authority, Server, ok};

/// Waits until the set with a URL was asked so many times.
fn wait_for_fetches(sets: &KeySets, count: u64) {
    let deadline = Instant::now() + BOUND;
    assert!(
        fetched(sets).wait_for_fetches(count, deadline),
        "no fetch {count}"
    );
}

fn fetched(sets: &KeySets) -> &Fetched {
    match &sets.sets["main"].source {
        Source::Url(fetched) => fetched,
        _ => unreachable!("only sets with a URL are asked"),
    }
}

/// A server whose key set can be changed, or taken away.
fn key_server(keys: &Arc<Mutex<Option<String>>>) -> Server {
    let keys = Arc::clone(keys);
    Server::new(move |_| {
        Answer::Send(match &*keys.lock().unwrap() {
            Some(keys) => ok(keys),
            None => b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n".to_vec(),
        })
    })
}

fn serving(signers: &[&Signer]) -> Arc<Mutex<Option<String>>> {
    Arc::new(Mutex::new(Some(Signer::set(signers))))
}

#[test]
fn a_file_is_read_again_when_it_changes_and_kept_when_it_breaks() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let file = KeyFile::new(&Signer::set(&[&old]));
    let sets = sets(file.source());
    assert!(valid(&sets, &old.token(CLAIMS)));
    assert_eq!(verify(&sets, &new.token(CLAIMS)), Err(TokenError::Invalid));

    file.write("{ damaged");
    assert!(valid(&sets, &old.token(CLAIMS)));
    std::fs::remove_file(file.path()).unwrap();
    assert!(valid(&sets, &old.token(CLAIMS)));

    file.write(&Signer::set(&[&new]));
    assert!(valid(&sets, &new.token(CLAIMS)));
    // What the old key verified is forgotten with it.
    assert_eq!(verify(&sets, &old.token(CLAIMS)), Err(TokenError::Invalid));
    file.write(&old.public_pem());
    assert!(valid(&sets, &old.token(CLAIMS)));
}

#[test]
fn a_key_that_the_server_has_later_is_found_without_a_restart() {
    let (old, new) = (Signer::es256("old"), Signer::rsa("RS256", "new"));
    let keys = serving(&[&old]);
    let server = key_server(&keys);
    let sets = sets(KeySource::Url(server.url("/jwks")));
    wait_for_fetches(&sets, 1);
    assert!(valid(&sets, &old.token(CLAIMS)));

    *keys.lock().unwrap() = Some(Signer::set(&[&old, &new]));
    assert!(unavailable(&sets, &new.token(CLAIMS)));
    wait_for_fetches(&sets, 2);
    assert!(valid(&sets, &new.token(CLAIMS)));
    assert!(valid(&sets, &old.token(CLAIMS)));
}

#[test]
fn tokens_that_name_unknown_keys_do_not_cause_fetch_after_fetch() {
    let known = Signer::es256("known");
    let server = key_server(&serving(&[&known]));
    let sets = sets(KeySource::Url(server.url("/")));
    wait_for_fetches(&sets, 1);
    assert!(unavailable(&sets, &Signer::es256("a").token(CLAIMS)));
    wait_for_fetches(&sets, 2);
    for name in ["a", "b", "c"] {
        assert_eq!(
            verify(&sets, &Signer::es256(name).token(CLAIMS)),
            Err(TokenError::Invalid)
        );
    }
    // A bad signature by a known name causes none either.
    assert_eq!(
        verify(&sets, &Signer::es256("known").token(CLAIMS)),
        Err(TokenError::Invalid)
    );
    assert!(valid(&sets, &known.token(CLAIMS)));
    assert_eq!(fetched(&sets).fetches(), 2);
}

#[test]
fn a_demand_is_granted_again_after_its_time() {
    let server = key_server(&serving(&[&Signer::es256("known")]));
    let pace = Pace {
        demand: Duration::ZERO,
        ..PACE
    };
    let source = settings(KeySource::Url(server.url("/")));
    let sets = KeySets::with_pace(&[source], &[], pace).unwrap();
    for count in 1..5 {
        wait_for_fetches(&sets, count);
        assert!(unavailable(&sets, &Signer::es256("a").token(CLAIMS)));
    }
}

#[test]
fn keys_are_fetched_again_by_themselves() {
    let (old, new) = (Signer::es256("k"), Signer::es256("k"));
    let keys = serving(&[&old]);
    let server = key_server(&keys);
    let pace = Pace {
        refresh: Duration::from_millis(20),
        ..PACE
    };
    let source = settings(KeySource::Url(server.url("/")));
    let sets = KeySets::with_pace(&[source], &[], pace).unwrap();
    wait_for_fetches(&sets, 1);
    assert!(valid(&sets, &old.token(CLAIMS)));
    *keys.lock().unwrap() = Some(Signer::set(&[&new]));
    // The one that was under way may have the old keys.
    wait_for_fetches(&sets, fetched(&sets).fetches() + 2);
    assert!(valid(&sets, &new.token(CLAIMS)));
    assert_eq!(verify(&sets, &old.token(CLAIMS)), Err(TokenError::Invalid));
}

#[test]
fn old_keys_stay_in_use_while_the_server_fails() {
    let known = Signer::es256("known");
    let keys = serving(&[&known]);
    let server = key_server(&keys);
    let pace = Pace {
        demand: Duration::ZERO,
        ..PACE
    };
    let source = settings(KeySource::Url(server.url("/")));
    let sets = KeySets::with_pace(&[source], &[], pace).unwrap();
    wait_for_fetches(&sets, 1);
    let too_many = vec![&known; 101];
    let failures = [
        None,
        Some("nonsense".to_owned()),
        Some(Signer::set(&too_many)),
        Some(String::new()),
    ];
    for (count, failure) in (2..).zip(failures) {
        keys.lock().unwrap().clone_from(&failure);
        assert!(unavailable(&sets, &Signer::es256("other").token(CLAIMS)));
        wait_for_fetches(&sets, count);
        assert!(valid(&sets, &known.token(CLAIMS)), "{failure:?}");
    }
    drop(server);
    assert!(unavailable(&sets, &Signer::es256("other").token(CLAIMS)));
    wait_for_fetches(&sets, 6);
    assert!(valid(&sets, &known.token(CLAIMS)));
}

#[test]
fn without_keys_a_token_cannot_be_judged_and_nobody_waits() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let signer = Signer::es256("k");
    let set = Signer::set(&[&signer]);
    let server = Server::new(move |_| {
        // Ends when the test lets go.
        let _ = held.lock().unwrap().recv();
        Answer::Send(ok(&set))
    });
    let sets = sets(KeySource::Url(server.url("/")));
    assert!(unavailable(&sets, &signer.token(CLAIMS)));
    assert!(!sets.wait(Instant::now()));
    drop(release);
    assert!(sets.wait(Instant::now() + BOUND));
    assert!(valid(&sets, &signer.token(CLAIMS)));
}

#[test]
fn keys_that_never_could_be_fetched_say_why() {
    let server = key_server(&Arc::new(Mutex::new(None)));
    let sets = sets(KeySource::Url(server.url("/jwks")));
    assert!(!sets.wait(Instant::now() + BOUND));
    let error = verify(&sets, &Signer::es256("k").token(CLAIMS)).unwrap_err();
    let TokenError::Unavailable(why) = error else {
        panic!("{error:?}");
    };
    assert!(why.contains("/jwks") && why.contains("503"), "{why}");
}

#[test]
fn a_failed_fetch_is_tried_again() {
    let signer = Signer::es256("k");
    let set = Signer::set(&[&signer]);
    let failed = AtomicBool::new(false);
    let server = Server::new(move |_| match failed.swap(true, Ordering::SeqCst) {
        true => Answer::Send(ok(&set)),
        false => Answer::Cut(Vec::new()),
    });
    let pace = Pace {
        retry: Duration::from_millis(20),
        ..PACE
    };
    let source = settings(KeySource::Url(server.url("/")));
    let sets = KeySets::with_pace(&[source], &[], pace).unwrap();
    wait_for_fetches(&sets, 2);
    assert!(valid(&sets, &signer.token(CLAIMS)));
}

#[test]
fn keys_are_fetched_over_tls_from_an_own_authority() {
    let authority = Authority::new(&["localhost"]);
    let signer = Signer::es256("k");
    let set = Signer::set(&[&signer]);
    let server = Server::with_tls(&authority, move |_| Answer::Send(ok(&set)));
    let url = format!("https://localhost:{}/jwks", server.address.port());
    let source = [settings(KeySource::Url(url))];
    let trusting = KeySets::with_roots(&source, std::slice::from_ref(&authority.root_pem)).unwrap();
    assert!(trusting.wait(Instant::now() + BOUND));
    assert!(valid(&trusting, &signer.token(CLAIMS)));
    let wary = KeySets::new(&source).unwrap();
    assert!(!wary.wait(Instant::now() + BOUND));
}

#[test]
fn the_thread_ends_when_the_sets_are_dropped() {
    let server = key_server(&serving(&[&Signer::es256("k")]));
    let sets = sets(KeySource::Url(server.url("/")));
    wait_for_fetches(&sets, 1);
    let (ended, end) = mpsc::channel();
    fetched(&sets).at_end(ended);
    drop(sets);
    // The sender goes with the thread.
    assert_eq!(
        end.recv_timeout(BOUND),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
}
