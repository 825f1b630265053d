use super::*;

/// Written by Debian's mosquitto_passwd 2.0.11, except where noted.
const VERIFIED: &[(&str, &str)] = &[
    (
        "correct horse",
        "$6$MpbEIEOufzknae+h$Kl3J5VgtJ/LPX3AJn+T5/+pABtLuhPYueQ/IfhMbTQqQn+nNUQsb7vSq5W+5FdVm3lsvoD28cGUEq66BofYiwQ==",
    ),
    (
        "correct horse",
        "$7$101$aXGZRuPbBhwJMheU$E0WDAXk0cC4HMsCwL4fhFOGWGyjqRWtSI2fsOvlZQnBoifQD8NT7A2nizhZz9MFMTTO7Ok4CNIYiOio6LpmzAA==",
    ),
    (
        "",
        "$7$101$gy4trwOweiiZUZhb$vyVpltLToITLOcvLJsO3FX2ubja2Jk5QljimOZ1ssD2Gf1jbMw/QzF9kp9YqCymy1f5Qb/gqAaVhaq89KDVe9Q==",
    ),
    (
        "pässwörd",
        "$7$101$GJVmE36etJrlFian$gVgnBgVuiSe6XB7HkCHVwejEadwZ9Mvy2jmXXMlrxTytSE1EytMmgGY+KygAz0SQ2StwTsBW04bHR9k2cfp4Zw==",
    ),
    // A salt of 64 bytes; digest by Python's hashlib.
    (
        "correct horse",
        "$7$1000$QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+fw==$4MzvBL0i8D/KsjWIcT1q1cGenk4+BJc9Y3HbhNVNOSz/thYNzyLY7YKnv0poq20duzmVsW4arP8JpC/JbqS2iQ==",
    ),
    // Encoded by the argon2 reference library, with salts of 64, 64 and 16 bytes.
    (
        "correct horse",
        "$argon2id$v=19$m=47104,t=1,p=1$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw$aVo1St5PsxylF7NjjIPOOE5jxNbeUNweT/LEl8ONyxYqiqflWO7BotCdzcmTPqR4fg0oMZSzDQFY9PDfbH+biw",
    ),
    (
        "correct horse",
        "$argon2id$v=19$m=256,t=3,p=2$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw$sTd5XpmZQ249MydnNsum7ltUOJo8Eaz39ZjESdJZntNfEfRi+ZgdBcRU2GcJ8Lh0Op+z6+1dJh/osZGnSWBO4A",
    ),
    (
        "correct horse",
        "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$0AuQxA+RjPiJeA19Op7DwrFxnfh9xeTU2T6mFj2wThc",
    ),
];

fn parse(text: &str) -> PasswordHash {
    PasswordHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_right_password_matches_and_no_other() {
    for (password, text) in VERIFIED {
        let hash = parse(text);
        assert_eq!(hash.verify(password.as_bytes()), Ok(true), "{text}");
        for wrong in ["Correct horse", "correct horse ", "x"] {
            assert_eq!(hash.verify(wrong.as_bytes()), Ok(false), "{text} {wrong}");
        }
    }
}

#[test]
fn only_one_round_of_sha512_is_quick() {
    for (_, text) in VERIFIED {
        assert_eq!(parse(text).is_slow(), !text.starts_with("$6$"), "{text}");
    }
    assert!(PasswordHash::decoy().is_slow());
}

#[test]
fn what_we_hash_we_verify_with_a_salt_of_its_own() {
    let [first, second] = [(); 2].map(|()| hash_password(b"pw").expect("memory and randomness"));
    assert_ne!(first, second);
    assert!(
        first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{first}"
    );
    assert_eq!(parse(&first).verify(b"pw"), Ok(true));
    assert_eq!(parse(&first).verify(b"pW"), Ok(false));
    assert_eq!(parse(&first).scheme, PasswordHash::decoy().scheme);
}

#[test]
fn padding_makes_no_difference() {
    let (password, text) = VERIFIED[0];
    assert_eq!(
        parse(text.trim_end_matches('=')).verify(password.as_bytes()),
        Ok(true)
    );
}

const SALT: &str = "AAECAwQFBgcICQoLDA0ODw";
const DIGEST_32: &str = "0AuQxA+RjPiJeA19Op7DwrFxnfh9xeTU2T6mFj2wThc";
const DIGEST_64: &str =
    "aVo1St5PsxylF7NjjIPOOE5jxNbeUNweT/LEl8ONyxYqiqflWO7BotCdzcmTPqR4fg0oMZSzDQFY9PDfbH+biw";

#[test]
fn costs_are_bounded() {
    let argon2 =
        |cost: &str| PasswordHash::parse(&format!("$argon2id$v=19${cost}${SALT}${DIGEST_32}"));
    for cost in [
        "m=8,t=1,p=1",
        "m=262144,t=16,p=1",
        "m=8,t=524288,p=1",
        "m=128,t=1,p=16",
    ] {
        assert!(argon2(cost).is_ok(), "{cost}");
    }
    for (cost, part) in [
        ("m=262145,t=1,p=1", "m= is not a number from 1 to 262144"),
        ("m=100000000,t=1,p=1", "m= is not a number"),
        ("m=99999999999999999999,t=1,p=1", "m= is not a number"),
        ("m=262144,t=17,p=1", "m times t is over"),
        ("m=8,t=4294967295,p=1", "m times t is over"),
        ("m=256,t=0,p=1", "t= is not a number from 1"),
        ("m=256,t=1,p=17", "p= is not a number from 1 to 16"),
        ("m=256,t=1,p=0", "p= is not a number"),
        ("m=127,t=1,p=16", "m is below 8 times p"),
        ("m=+256,t=1,p=1", "m= is not a number"),
        ("m=,t=1,p=1", "m= is not a number"),
        ("t=1,m=256,p=1", "parameter m= is missing"),
        ("m=256,t=1", "are not m=..,t=..,p=.."),
        ("m=256,t=1,p=1,x=1", "are not m=..,t=..,p=.."),
    ] {
        let error = argon2(cost).expect_err(cost);
        assert!(error.contains(part), "{cost}: {error}");
    }
    let pbkdf2 = |rounds: &str| PasswordHash::parse(&format!("$7${rounds}${SALT}${DIGEST_64}"));
    assert!(pbkdf2("1").is_ok() && pbkdf2("2000000").is_ok());
    for rounds in ["0", "2000001", "-1", "", "1e3", "99999999999"] {
        let error = pbkdf2(rounds).expect_err(rounds);
        assert!(
            error.contains("rounds is not a number from 1 to 2000000"),
            "{rounds}: {error}"
        );
    }
}

#[test]
fn lengths_are_bounded() {
    let base64 = |bytes: usize| BASE64.encode(vec![7; bytes]);
    for (salt, digest, accepted) in [
        (8, 64, true),
        (12, 64, true),
        (64, 64, true),
        (7, 64, false),
        (65, 64, false),
        (0, 64, false),
        (12, 63, false),
        (12, 65, false),
        (12, 0, false),
    ] {
        let text = format!("$6${}${}", base64(salt), base64(digest));
        assert_eq!(
            PasswordHash::parse(&text).is_ok(),
            accepted,
            "salt {salt} digest {digest}"
        );
    }
    for (digest, accepted) in [(15, false), (16, true), (32, true), (64, true), (65, false)] {
        let text = format!("$argon2id$v=19$m=8,t=1,p=1${SALT}${}", base64(digest));
        assert_eq!(
            PasswordHash::parse(&text).is_ok(),
            accepted,
            "digest {digest}"
        );
    }
    let long = PasswordHash::parse(&format!("$6${}${DIGEST_64}", "A".repeat(129)));
    assert!(long.expect_err("too long").contains("salt is too long"));
}

#[test]
fn errors_say_what_to_do_and_keep_the_secret() {
    for (text, part) in [
        ("", "hash is missing"),
        ("secret", "not hashed"),
        ("se$cret", "not hashed"),
        ("$1$secret$secret", "none of $argon2id$, $7$ and $6$"),
        ("$2b$12$secret", "none of"),
        ("$argon2i$v=19$m=256,t=1,p=1$secret$secret", "only argon2id"),
        ("$argon2d$secret", "only argon2id"),
        ("$argon2id$m=256,t=1,p=1$secret$secret", "need v=19"),
        ("$argon2id$v=16$m=256,t=1,p=1$secret$secret", "need v=19"),
        (
            "$argon2id$v=19$m=256,t=1,p=1$secret",
            "missing or extra fields",
        ),
        ("$6$secret", "missing or extra fields"),
        ("$6$secret$secret$secret", "missing or extra fields"),
        ("$7$101$secret", "missing or extra fields"),
        ("$6$sec!ret$AAAA", "salt is not base64"),
        ("$6$AAECAwQFBgcICQoL$sec ret", "digest is not base64"),
    ] {
        let error = PasswordHash::parse(text).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
        assert!(error.contains("dunlin passwd"), "{text}: {error}");
        assert!(!error.contains("sec"), "{text}: {error}");
    }
}
