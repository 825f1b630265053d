//! Files as Mosquitto's own tool writes them.

use std::{fs, process::Command};

use dunlin_auth::{PasswordFile, delete_user, set_password};

#[test]
fn files_of_mosquitto_passwd_work_and_stay_editable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwd");
    fs::write(&file, "").unwrap();
    for (user, password, format) in [
        ("six", "correct horse", "sha512"),
        ("seven", "correct horse", "sha512-pbkdf2"),
        ("long", &*"p".repeat(300), "sha512-pbkdf2"),
        ("ünal", "pässwörd", "sha512-pbkdf2"),
    ] {
        let mut tool = Command::new("mosquitto_passwd");
        let tool = tool
            .args(["-H", format, "-b"])
            .arg(&file)
            .args([user, password]);
        let status = tool
            .status()
            .expect("mosquitto_passwd, which .ci/setup installs");
        assert!(status.success(), "{user}: {status}");
        let listed = PasswordFile::load(&file).unwrap();
        assert_eq!(listed.verify(user, password.as_bytes()), Ok(true), "{user}");
        assert_eq!(listed.verify(user, b"wrong"), Ok(false), "{user}");
    }
    set_password(&file, "ours", b"pw").unwrap();
    delete_user(&file, "six").unwrap();
    let listed = PasswordFile::load(&file).unwrap();
    assert_eq!(listed.verify("seven", b"correct horse"), Ok(true));
    assert_eq!(listed.verify("ours", b"pw"), Ok(true));
    assert_eq!(listed.verify("six", b"correct horse"), Ok(false));
}
