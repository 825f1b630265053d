use super::*;

const SIX: &str = "$6$MpbEIEOufzknae+h$Kl3J5VgtJ/LPX3AJn+T5/+pABtLuhPYueQ/IfhMbTQqQn+nNUQsb7vSq5W+5FdVm3lsvoD28cGUEq66BofYiwQ==";
const SEVEN: &str = "$7$101$aXGZRuPbBhwJMheU$E0WDAXk0cC4HMsCwL4fhFOGWGyjqRWtSI2fsOvlZQnBoifQD8NT7A2nizhZz9MFMTTO7Ok4CNIYiOio6LpmzAA==";

fn parse(text: &str) -> Result<PasswordFile, FileError> {
    PasswordFile::parse(Path::new("passwd"), text)
}

#[test]
fn users_with_their_passwords_and_nobody_else() {
    let file = parse(&format!("# staff\n\nbob:{SIX}\r\n  eve smith:{SEVEN}  \n")).unwrap();
    for user in ["bob", "eve smith"] {
        assert_eq!(file.verify(user, b"correct horse"), Ok(true), "{user}");
        assert_eq!(file.verify(user, b"wrong horse"), Ok(false), "{user}");
    }
    for user in ["", "Bob", "bob ", "eve", "# staff"] {
        assert_eq!(file.verify(user, b"correct horse"), Ok(false), "{user}");
    }
    let mut users: Vec<_> = file.users().collect();
    users.sort_unstable();
    assert_eq!(users, ["bob", "eve smith"]);
}

#[test]
fn an_unknown_user_takes_the_time_of_one_in_the_file() {
    let file = parse(&format!("bob:{SEVEN}\n")).unwrap();
    let candidate = file.candidate("nobody");
    assert!(!candidate.known);
    assert_eq!(*candidate.hash, PasswordHash::parse(SEVEN).unwrap());

    // Of several hashes, a name always meets the same, and all names together meet all.
    let file = parse(&format!("bob:{SEVEN}\neve:{SIX}\n")).unwrap();
    let is_slow = |user: &str| file.candidate(user).hash.is_slow();
    let met: Vec<bool> = (0..64)
        .map(|number| is_slow(&format!("user {number}")))
        .collect();
    assert!(met.contains(&true) && met.contains(&false));
    assert!((0..64).all(|number| is_slow(&format!("user {number}")) == met[number]));
}

#[test]
fn a_file_without_users_grants_nobody_and_hides_it() {
    let file = parse("# nobody yet\n").unwrap();
    assert!(file.candidate("bob").hash.is_slow());
    assert_eq!(file.verify("bob", b""), Ok(false));
    assert_eq!(file.users().count(), 0);
}

#[test]
fn errors_name_file_line_and_remedy() {
    for (text, expected) in [
        (
            format!("bob:{SIX}\n\nbob:{SEVEN}"),
            "passwd:3: user \"bob\" is listed before; delete one",
        ),
        (
            "bob".into(),
            "passwd:1: not a line of the form user:hash; add users with `dunlin passwd`",
        ),
        (
            format!(":{SIX}"),
            "passwd:1: a user name is missing before the colon",
        ),
        (
            "# x\nbob:hunter2".into(),
            "passwd:2: the password is not hashed; set the password anew with `dunlin passwd`",
        ),
        ("bob:".into(), "passwd:1: the hash is missing; set"),
    ] {
        let error = parse(&text).err().expect("an error").to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("hunter2"));
    }
}
