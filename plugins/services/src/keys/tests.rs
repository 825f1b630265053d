//! Key sets against tokens made here and elsewhere, true and forged.

use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::test_server::BOUND;

mod refresh;
mod signer;

use signer::{Signer, encode};

const NOW: u64 = 1_000_000;
const CLAIMS: &str = r#"{"sub":"lamp","exp":1000300}"#;

/// Long enough that nothing is fetched by itself within a test.
const NEVER: Duration = Duration::from_secs(3600);

const PACE: Pace = Pace {
    refresh: NEVER,
    retry: NEVER,
    demand: NEVER,
    timeout: BOUND,
};

fn settings(source: KeySource) -> KeySetSettings {
    KeySetSettings {
        name: "main".to_owned(),
        source,
        issuers: Vec::new(),
        audiences: Vec::new(),
        algorithms: Vec::new(),
    }
}

fn sets(source: KeySource) -> KeySets {
    KeySets::with_pace(&[settings(source)], &[], PACE).unwrap()
}

fn accepting(source: KeySource, algorithms: &[&str]) -> Result<KeySets, String> {
    let algorithms = algorithms.iter().map(|name| (*name).to_owned()).collect();
    KeySets::new(&[KeySetSettings {
        algorithms,
        ..settings(source)
    }])
}

fn verify(sets: &KeySets, token: &str) -> Result<String, TokenError> {
    sets.verify("main", token, NOW)
}

fn valid(sets: &KeySets, token: &str) -> bool {
    verify(sets, token).as_deref() == Ok(CLAIMS)
}

fn unavailable(sets: &KeySets, token: &str) -> bool {
    matches!(verify(sets, token), Err(TokenError::Unavailable(_)))
}

fn secret() -> KeySource {
    KeySource::Secret(signer::SECRET.to_vec())
}

/// Keys in a file, in the directory that goes with it.
struct KeyFile(TempDir);

impl KeyFile {
    fn new(content: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(content);
        file
    }

    /// Replaces the file, as a deployment would.
    fn write(&self, content: &str) {
        let next = self.0.path().join("next");
        std::fs::write(&next, content).unwrap();
        std::fs::rename(next, self.path()).unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("keys")
    }

    fn source(&self) -> KeySource {
        KeySource::File(self.path())
    }
}

#[test]
fn a_token_of_each_algorithm_is_verified_with_a_key_from_a_set_and_from_pem() {
    for signer in Signer::all_public("k") {
        let token = signer.token(CLAIMS);
        let set = KeyFile::new(&Signer::set(&[&signer]));
        assert!(valid(&sets(set.source()), &token), "{}", signer.algorithm);
        let pem = KeyFile::new(&signer.public_pem());
        assert!(valid(&sets(pem.source()), &token), "{}", signer.algorithm);
    }
    for algorithm in ["HS256", "HS384", "HS512"] {
        let token = Signer::secret(algorithm).token(CLAIMS);
        assert!(valid(&sets(secret()), &token), "{algorithm}");
    }
}

/// RFC 7515, A.1 and A.3; RFC 8037, A.4: made by others.
#[test]
fn the_examples_of_the_standards_are_verified() {
    let decode = |text: &str| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text)
            .unwrap()
    };
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let hs = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let key =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let sets_of_secret = sets(KeySource::Secret(decode(key)));
    assert!(sets_of_secret.verify("main", &hs, 1_300_819_379).is_ok());
    let late = sets_of_secret.verify("main", &hs, 1_300_819_410);
    assert_eq!(late, Err(TokenError::Expired));

    let es = format!(
        "eyJhbGciOiJFUzI1NiJ9.{claims}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let file = KeyFile::new(
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
    );
    let verified = sets(file.source()).verify("main", &es, 1_300_819_379);
    assert_eq!(verified.unwrap().into_bytes(), decode(claims));

    let ed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let token = Token::parse(ed).unwrap();
    let point = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let key = Key::point(Kind::Ed25519, point).unwrap();
    assert!(key.verifies(token.algorithm, token.message, &token.signature));
}

#[test]
fn a_token_that_was_changed_is_invalid() {
    let signer = Signer::es256("k");
    let file = KeyFile::new(&Signer::set(&[&signer]));
    let sets = sets(file.source());
    let token = signer.token(CLAIMS);
    let [header, _, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = encode(r#"{"sub":"root","exp":1000300}"#);
    assert_eq!(
        verify(&sets, &format!("{header}.{other}.{signature}")),
        Err(TokenError::Invalid)
    );
    let mut cut = token.clone();
    cut.truncate(token.len() - 4);
    assert_eq!(verify(&sets, &cut), Err(TokenError::Invalid));
    let unsigned = &token[..token.len() - signature.len()];
    assert_eq!(verify(&sets, unsigned), Err(TokenError::Invalid));
    assert!(valid(&sets, &token));
}

#[test]
fn a_token_without_a_signature_is_invalid() {
    let signer = Signer::es256("k");
    let file = KeyFile::new(&Signer::set(&[&signer]));
    for sets in [sets(file.source()), sets(secret())] {
        for alg in ["none", "None", "NONE", "nOnE"] {
            let header = encode(format!(r#"{{"alg":"{alg}"}}"#));
            for signature in ["", "AAAA"] {
                let token = format!("{header}.{}.{signature}", encode(CLAIMS));
                assert_eq!(verify(&sets, &token), Err(TokenError::Invalid), "{alg}");
            }
        }
    }
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    for signer in Signer::all_public("k") {
        let pem = signer.public_pem();
        let file = KeyFile::new(&pem);
        let sets = sets(file.source());
        for secret in [
            pem.as_bytes(),
            pem.trim_end().as_bytes(),
            &signer.public_der(),
        ] {
            let forged = Signer::with_secret("HS256", secret).token(CLAIMS);
            assert_eq!(verify(&sets, &forged), Err(TokenError::Invalid));
        }
    }
}

#[test]
fn a_signature_of_one_algorithm_is_not_taken_for_one_of_another() {
    let rsa = Signer::rsa("RS256", "k");
    let file = KeyFile::new(&Signer::set(&[&rsa]));
    let sets = sets(file.source());
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "HS256"] {
        let token = rsa.token_with(&format!(r#"{{"alg":"{alg}","kid":"k"}}"#), CLAIMS);
        assert_eq!(verify(&sets, &token), Err(TokenError::Invalid), "{alg}");
    }
}

#[test]
fn a_token_is_verified_with_the_key_that_it_names() {
    let (one, two) = (Signer::es256("one"), Signer::es256("two"));
    let file = KeyFile::new(&Signer::set(&[&one, &two]));
    let sets = sets(file.source());
    for (id, fits) in [
        (r#","kid":"one""#, true),
        (r#","kid":"two""#, false),
        (r#","kid":"three""#, false),
        (r#","kid":"""#, false),
        ("", true),
    ] {
        let token = one.token_with(&format!(r#"{{"alg":"ES256"{id}}}"#), CLAIMS);
        let expected = fits.then(|| CLAIMS.to_owned()).ok_or(TokenError::Invalid);
        assert_eq!(verify(&sets, &token), expected, "{id}");
    }
}

#[test]
fn only_listed_algorithms_are_accepted() {
    let file = KeyFile::new(&Signer::set(&[&Signer::rsa("RS256", "k")]));
    let only_ps = accepting(file.source(), &["PS256"]).unwrap();
    assert!(valid(&only_ps, &Signer::rsa("PS256", "k").token(CLAIMS)));
    let other = verify(&only_ps, &Signer::rsa("RS256", "k").token(CLAIMS));
    assert_eq!(other, Err(TokenError::Invalid));
    let only_hs512 = accepting(secret(), &["HS512"]).unwrap();
    assert!(valid(&only_hs512, &Signer::secret("HS512").token(CLAIMS)));
    assert!(!valid(&only_hs512, &Signer::secret("HS256").token(CLAIMS)));
}

#[test]
fn a_key_that_names_its_algorithm_is_for_that_one() {
    let set = Signer::set(&[&Signer::rsa("RS256", "k")]);
    let file = KeyFile::new(&set.replace(r#""kty""#, r#""alg":"RS256","kty""#));
    let sets = sets(file.source());
    assert!(valid(&sets, &Signer::rsa("RS256", "k").token(CLAIMS)));
    assert!(!valid(&sets, &Signer::rsa("PS256", "k").token(CLAIMS)));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let file = KeyFile::new(&Signer::es256("k").public_pem());
    for (source, algorithms) in [
        (file.source(), &["HS256"][..]),
        (file.source(), &["none"]),
        (file.source(), &["es256"]),
        (secret(), &["RS256"]),
        (KeySource::Secret(vec![1; 31]), &[]),
        (KeySource::File("/nowhere/keys".into()), &[]),
        (KeySource::File("/dev/zero".into()), &[]),
        (KeySource::Url("ftp://idp.example/keys".to_owned()), &[]),
        (KeySource::Url("/keys".to_owned()), &[]),
    ] {
        let error = accepting(source, algorithms).unwrap_err();
        assert!(error.contains("main"), "{error}");
    }
    let twice = [settings(secret()), settings(secret())];
    assert!(KeySets::new(&twice).is_err());
}

#[test]
fn times_issuer_and_audience_are_checked_after_the_signature() {
    let signer = Signer::secret("HS256");
    let list = |text: &str| vec![text.to_owned()];
    let strict = KeySets::new(&[KeySetSettings {
        issuers: list("https://idp.example"),
        audiences: list("mqtt"),
        ..settings(secret())
    }])
    .unwrap();
    let table = [
        (
            r#"{"exp":1000300,"iss":"https://idp.example","aud":"mqtt"}"#,
            None,
        ),
        (
            r#"{"exp":999971,"iss":"https://idp.example","aud":["x","mqtt"]}"#,
            None,
        ),
        (
            r#"{"exp":999970,"iss":"https://idp.example","aud":"mqtt"}"#,
            Some(TokenError::Expired),
        ),
        (
            r#"{"exp":1000300,"nbf":1000031,"iss":"https://idp.example","aud":"mqtt"}"#,
            Some(TokenError::Expired),
        ),
        (
            r#"{"exp":1000300,"nbf":1000030,"iss":"https://idp.example","aud":"mqtt"}"#,
            None,
        ),
        (
            r#"{"exp":1000300,"iss":"https://evil.example","aud":"mqtt"}"#,
            Some(TokenError::Claims),
        ),
        (
            r#"{"exp":1000300,"iss":"https://idp.example","aud":"web"}"#,
            Some(TokenError::Claims),
        ),
        (
            r#"{"exp":1000300,"iss":"https://idp.example"}"#,
            Some(TokenError::Claims),
        ),
        (
            r#"{"iss":"https://idp.example","aud":"mqtt"}"#,
            Some(TokenError::Claims),
        ),
        (
            r#"{"exp":"1000300","iss":"https://idp.example","aud":"mqtt"}"#,
            Some(TokenError::Claims),
        ),
        ("[1]", Some(TokenError::Invalid)),
        ("", Some(TokenError::Invalid)),
    ];
    for (claims, error) in table {
        let token = signer.token(claims);
        // Twice, since the second answer may come from memory.
        for _ in 0..2 {
            assert_eq!(verify(&strict, &token).err(), error, "{claims}");
        }
        let forged = Signer::with_secret("HS256", &[7; 32]).token(claims);
        assert_eq!(
            verify(&strict, &forged),
            Err(TokenError::Invalid),
            "{claims}"
        );
    }
}

#[test]
fn a_remembered_token_expires_like_any_other() {
    let sets = sets(secret());
    let token = Signer::secret("HS256").token(CLAIMS);
    assert!(sets.verify("main", &token, 1_000_300).is_ok());
    assert!(sets.verify("main", &token, 1_000_329).is_ok());
    assert_eq!(
        sets.verify("main", &token, 1_000_330),
        Err(TokenError::Expired)
    );
}

#[test]
fn sets_do_not_know_each_others_keys() {
    let other = KeySetSettings {
        name: "other".to_owned(),
        ..settings(KeySource::Secret(vec![9; 32]))
    };
    let sets = KeySets::new(&[settings(secret()), other]).unwrap();
    let token = Signer::secret("HS256").token(CLAIMS);
    assert!(sets.verify("main", &token, NOW).is_ok());
    assert_eq!(sets.verify("other", &token, NOW), Err(TokenError::Invalid));
    let missing = sets.verify("third", &token, NOW);
    assert!(matches!(missing, Err(TokenError::Unavailable(why)) if why.contains("third")));
}

#[test]
fn a_secret_is_never_shown() {
    let settings = settings(KeySource::Secret(
        b"0123456789abcdef0123456789abcdef".to_vec(),
    ));
    let sets = KeySets::new(std::slice::from_ref(&settings)).unwrap();
    let shown = format!("{settings:?} {sets:?}");
    assert!(
        !shown.contains("0123456789") && !shown.contains("48, 49"),
        "{shown}"
    );
}

#[test]
fn a_token_of_more_than_16_kib_is_invalid() {
    let signer = Signer::secret("HS256");
    let claims = |bytes: usize| format!(r#"{{"exp":1000300,"x":"{}"}}"#, "x".repeat(bytes));
    let sets = sets(secret());
    assert!(verify(&sets, &signer.token(&claims(12_000))).is_ok());
    assert_eq!(
        verify(&sets, &signer.token(&claims(12_300))),
        Err(TokenError::Invalid)
    );
}

proptest! {
    #[test]
    fn garbage_is_invalid(token in "\\PC{0,120}", parts in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,3}") {
        let sets = sets(secret());
        prop_assert_eq!(verify(&sets, &token), Err(TokenError::Invalid));
        prop_assert_eq!(verify(&sets, &parts), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_with_one_other_character_is_invalid(at: prop::sample::Index, other in "[A-Za-z0-9_.-]") {
        let sets = sets(secret());
        let token = Signer::secret("HS256").token(CLAIMS);
        let at = at.index(token.len());
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        prop_assert_eq!(valid(&sets, &changed), changed == token);
    }
}
