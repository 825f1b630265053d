use std::{future::Future, task::Poll};

use super::*;
use crate::EnhancedAuthentication;

const SEVEN: &str = "$7$101$aXGZRuPbBhwJMheU$E0WDAXk0cC4HMsCwL4fhFOGWGyjqRWtSI2fsOvlZQnBoifQD8NT7A2nizhZz9MFMTTO7Ok4CNIYiOio6LpmzAA==";
const SIX: &str = "$6$MpbEIEOufzknae+h$Kl3J5VgtJ/LPX3AJn+T5/+pABtLuhPYueQ/IfhMbTQqQn+nNUQsb7vSq5W+5FdVm3lsvoD28cGUEq66BofYiwQ==";

fn passwords(pool: HashingPool) -> Passwords {
    let text = format!("slow:{SEVEN}\nquick:{SIX}\n");
    let file = PasswordFile::parse("passwd".as_ref(), &text).expect("a valid file");
    Passwords::new(file, Arc::new(pool)).expect("randomness")
}

fn request(username: &str, password: &'static str) -> ConnectRequest {
    ConnectRequest {
        username: Some(username.into()),
        password: Some(Bytes::from_static(password.as_bytes())),
        ..Default::default()
    }
}

/// Short: the user granted, or why not.
async fn judge(passwords: &Passwords, request: &ConnectRequest) -> Result<Option<String>, Denial> {
    match passwords.authenticate(request).await {
        Outcome::Granted(grant) => Ok(grant.username),
        Outcome::Denied(denial) => Err(denial),
        Outcome::Next | Outcome::Continue { .. } => panic!("neither granted nor denied"),
    }
}

#[tokio::test]
async fn the_right_password_is_granted_and_no_other() {
    let passwords = passwords(HashingPool::default());
    for user in ["slow", "quick"] {
        for _ in 0..2 {
            let granted = judge(&passwords, &request(user, "correct horse")).await;
            assert_eq!(granted, Ok(Some(user.into())));
            let denied = judge(&passwords, &request(user, "wrong")).await;
            assert_eq!(denied, Err(Denial::BadCredentials));
        }
    }
    let unknown = request("nobody", "correct horse");
    assert_eq!(
        judge(&passwords, &unknown).await,
        Err(Denial::BadCredentials)
    );
    let without = ConnectRequest {
        password: None,
        ..request("slow", "")
    };
    assert_eq!(
        judge(&passwords, &without).await,
        Err(Denial::BadCredentials)
    );
}

#[tokio::test]
async fn other_ways_to_connect_are_left_to_others() {
    let passwords = passwords(HashingPool::default());
    let nameless = ConnectRequest {
        username: None,
        ..request("", "correct horse")
    };
    assert!(matches!(
        passwords.authenticate(&nameless).await,
        Outcome::Next
    ));
    let authentication = EnhancedAuthentication {
        method: "SCRAM-SHA-256".into(),
        data: Bytes::new(),
    };
    let enhanced = ConnectRequest {
        authentication: Some(authentication),
        ..request("slow", "correct horse")
    };
    assert!(matches!(
        passwords.authenticate(&enhanced).await,
        Outcome::Next
    ));
}

#[tokio::test]
async fn a_full_queue_is_said_at_once_but_not_to_those_verified_before() {
    let passwords = passwords(HashingPool::new(1, 0));
    let (known, wrong) = (request("slow", "correct horse"), request("slow", "wrong"));
    assert_eq!(judge(&passwords, &known).await, Ok(Some("slow".into())));

    let slot = passwords.pool.slot().await.expect("a free slot");
    assert!(matches!(
        judge(&passwords, &wrong).await,
        Err(Denial::Unavailable(_))
    ));
    assert_eq!(judge(&passwords, &known).await, Ok(Some("slow".into())));
    let quick = request("quick", "correct horse");
    assert_eq!(judge(&passwords, &quick).await, Ok(Some("quick".into())));

    drop(slot);
    assert_eq!(judge(&passwords, &wrong).await, Err(Denial::BadCredentials));
}

#[tokio::test]
async fn who_waits_for_a_slot_profits_from_what_was_verified_meanwhile() {
    let passwords = passwords(HashingPool::new(1, 1));
    let slot = passwords.pool.slot().await.expect("a free slot");
    let waiting = request("slow", "a password that no hash confirms");
    let mut answer = std::pin::pin!(judge(&passwords, &waiting));
    let first = std::future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_ready())).await;
    assert!(!first, "there is no slot yet");

    let password = waiting.password.as_deref().expect("it has one");
    let tag = passwords
        .verified
        .tag("slow", password, passwords.file.candidate("slow").hash);
    passwords.verified.insert(tag, Instant::now());
    drop(slot);
    assert_eq!(answer.await, Ok(Some("slow".into())));
}

#[tokio::test]
async fn a_place_is_given_back_by_a_client_that_leaves() {
    let passwords = passwords(HashingPool::new(1, 1));
    let slot = passwords.pool.slot().await.expect("a free slot");
    let request = request("slow", "wrong");
    for _ in 0..3 {
        let mut answer = Box::pin(judge(&passwords, &request));
        let ready =
            std::future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_ready())).await;
        assert!(!ready, "it waits, it is not turned away");
    }
    drop(slot);
    assert_eq!(
        judge(&passwords, &request).await,
        Err(Denial::BadCredentials)
    );
}

#[test]
fn a_pool_has_at_least_one_slot() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let denied = runtime.block_on(judge(
        &passwords(HashingPool::new(0, 0)),
        &request("slow", "x"),
    ));
    assert_eq!(denied, Err(Denial::BadCredentials));
    HashingPool::new(usize::MAX, usize::MAX);
}

#[test]
fn a_client_that_could_not_be_verified_is_told_why() {
    assert_eq!(
        unavailable(HashError::OutOfMemory),
        "not enough memory to hash a password"
    );
    assert_eq!(
        unavailable(HashError::NoRandomness),
        "the operating system gave no random bytes"
    );
}
