use dunlin_sdk::cases;

use super::*;
use crate::keys::{Keys, hmac};

fn plugin(config: &str) -> AuthScram {
    cases::configure(config).unwrap()
}

/// What a client that knows the password answers.
fn client_final(first: &str, server_first: &[u8], password: &str) -> Vec<u8> {
    let server_first = str::from_utf8(server_first).unwrap();
    let mut fields = server_first.split(',').map(|field| &field[2..]);
    let (nonce, salt, iterations) = (
        fields.next().unwrap(),
        fields.next().unwrap(),
        fields.next().unwrap(),
    );
    let salt = BASE64_STANDARD.decode(salt).unwrap();
    let keys = Keys::derive(
        password.as_bytes(),
        salt.clone(),
        iterations.parse().unwrap(),
    );
    let bare = first.splitn(3, ',').nth(2).unwrap();
    let header = BASE64_STANDARD.encode(&first[..first.len() - bare.len()]);
    let without_proof = format!("c={header},r={nonce}");
    let signed = format!("{bare},{server_first},{without_proof}");
    // The client's key, from the password once more.
    let salted = salted(password.as_bytes(), &salt, iterations.parse().unwrap());
    let mut proof = hmac(&salted, &[b"Client Key"]);
    for (byte, mask) in proof
        .iter_mut()
        .zip(hmac(&keys.stored_key, &[signed.as_bytes()]))
    {
        *byte ^= mask;
    }
    format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)).into_bytes()
}

fn salted(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut block = hmac(password, &[salt, &[0, 0, 0, 1]]);
    let mut sum = block;
    for _ in 1..iterations {
        block = hmac(password, &[&block]);
        sum.iter_mut()
            .zip(block)
            .for_each(|(byte, more)| *byte ^= more);
    }
    sum
}

fn exchange(plugin: &mut AuthScram, first: &str, password: &str) -> Outcome {
    let request = Request::new("c").method(METHOD, first);
    match plugin.authenticate(&request) {
        Outcome::Continue(step) => {
            let answer = client_final(first, &step.data, password);
            plugin.resume(&request, &step.state, &answer)
        }
        outcome => outcome,
    }
}

fn server_first(plugin: &mut AuthScram, first: &str) -> (Vec<u8>, Vec<u8>) {
    match plugin.authenticate(&Request::new("c").method(METHOD, first)) {
        Outcome::Continue(step) => (step.data, step.state),
        other => panic!("{other:?}"),
    }
}

/// RFC 7677, section 3.
#[test]
fn the_example_of_the_rfc_is_granted() {
    let mut plugin = plugin(include_str!("../config.json"));
    let state = State {
        gs2_header: "n,,".into(),
        client_first_bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".into(),
        server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
            .into(),
        username: "user".into(),
        nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into(),
    };
    let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let state = serde_json::to_vec(&state).unwrap();
    let outcome = plugin.resume(&Request::new("c"), &state, last);
    let expected = Grant {
        username: Some("user".into()),
        data: b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_vec(),
        ..Grant::default()
    };
    assert_eq!(outcome, Outcome::Granted(expected));
    let mut wrong = last.to_vec();
    wrong[last.len() - 2] = b'U';
    assert_eq!(plugin.resume(&Request::new("c"), &state, &wrong), refused());
}

#[test]
fn recorded_cases_hold() {
    let config = include_str!("../config.json");
    cases::auth::<AuthScram>(config, include_str!("../cases.jsonl"));
}

#[test]
fn a_password_is_proven() {
    let mut plugin = plugin(
        r#"{"users": [{"name": "alice", "password": "wonder", "attributes": {"site": "x"},
            "rules": [{"permission": "read", "filter": "a/#"}]}]}"#,
    );
    for first in [
        "n,,n=alice,r=abc",
        "y,,n=alice,r=abc",
        "n,a=alice,n=alice,r=abc",
    ] {
        let Outcome::Granted(grant) = exchange(&mut plugin, first, "wonder") else {
            panic!("{first} is refused");
        };
        assert_eq!(grant.username.as_deref(), Some("alice"));
        assert_eq!(grant.attributes, [("site".to_owned(), "x".to_owned())]);
        assert_eq!(grant.rules, Grant::anonymous().rule("read", "a/#").rules);
        assert!(grant.data.starts_with(b"v="));
    }
    assert_eq!(
        exchange(&mut plugin, "n,,n=alice,r=abc", "wander"),
        refused()
    );
    assert_eq!(exchange(&mut plugin, "n,,n=bob,r=abc", "wonder"), refused());
    let other = Outcome::Denied(Denial::NotAuthorized);
    assert_eq!(
        exchange(&mut plugin, "n,a=bob,n=alice,r=abc", "wonder"),
        other
    );
}

#[test]
fn another_instance_goes_on() {
    let config = r#"{"users": [{"name": "alice", "password": "wonder"}]}"#;
    let first = "n,,n=alice,r=abc";
    let (data, state) = server_first(&mut plugin(config), first);
    let answer = client_final(first, &data, "wonder");
    let outcome = plugin(config).resume(&Request::new("c"), &state, &answer);
    assert!(matches!(outcome, Outcome::Granted(_)), "{outcome:?}");
}

#[test]
fn channel_binding_is_not_taken_off() {
    let mut plugin = plugin(r#"{"users": [{"name": "alice", "password": "wonder"}]}"#);
    let (data, state) = server_first(&mut plugin, "y,,n=alice,r=abc");
    // As if somebody between had made `y` of `n`, or the other way round.
    let answer = client_final("n,,n=alice,r=abc", &data, "wonder");
    assert_eq!(
        plugin.resume(&Request::new("c"), &state, &answer),
        refused()
    );
    let request = Request::new("c").method(METHOD, "p=tls-exporter,,n=alice,r=abc");
    assert_eq!(
        plugin.authenticate(&request),
        Outcome::Denied(Denial::BadMethod)
    );
}

#[test]
fn a_user_who_does_not_exist_looks_real() {
    let mut plugin = plugin(include_str!("../config.json"));
    let mut seen = |name: &str| {
        let (data, _) = server_first(&mut plugin, &format!("n,,n={name},r=abc"));
        let text = String::from_utf8(data).unwrap();
        let (_, known) = text.split_once(",s=").unwrap();
        known.to_owned()
    };
    let nobody = seen("nobody");
    assert_eq!(nobody, seen("nobody"), "the salt stays");
    assert_ne!(nobody, seen("somebody"));
    assert_eq!(nobody.len(), seen("user").len());
}

#[test]
fn an_answer_to_another_nonce_is_refused() {
    let mut plugin = plugin(r#"{"users": [{"name": "alice", "password": "wonder"}]}"#);
    let first = "n,,n=alice,r=abc";
    let (data, _) = server_first(&mut plugin, first);
    let answer = client_final(first, &data, "wonder");
    let (other, state) = server_first(&mut plugin, first);
    assert_ne!(data, other, "nonces differ");
    assert_eq!(
        plugin.resume(&Request::new("c"), &state, &answer),
        refused()
    );
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (users, expected) in [
        (r#"{"name": "a"}"#, "either password, or salt"),
        (
            r#"{"name": "a", "password": "b", "salt": "AAAA"}"#,
            "either password",
        ),
        (
            r#"{"name": "a", "password": "b", "iterations": 1}"#,
            "the least",
        ),
        (
            r#"{"name": "a", "password": "b"}, {"name": "a", "password": "c"}"#,
            "twice",
        ),
        (
            r#"{"name": "a", "iterations": 4096, "salt": "AAAA", "stored_key": "AA==", "server_key": "AA=="}"#,
            "stored_key has not 32 bytes",
        ),
    ] {
        let config = format!(r#"{{"users": [{users}]}}"#);
        let Err(error) = cases::configure::<AuthScram>(&config) else {
            panic!("{users} is accepted");
        };
        assert!(
            error.contains(expected) && error.contains("\"a\""),
            "{error}"
        );
    }
}
