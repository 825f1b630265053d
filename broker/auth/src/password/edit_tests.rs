use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::PasswordFile;

const SIX: &str = "$6$MpbEIEOufzknae+h$Kl3J5VgtJ/LPX3AJn+T5/+pABtLuhPYueQ/IfhMbTQqQn+nNUQsb7vSq5W+5FdVm3lsvoD28cGUEq66BofYiwQ==";

fn verify(file: &Path, user: &str, password: &str) -> bool {
    let listed = PasswordFile::load(file).expect("a valid file");
    listed.verify(user, password.as_bytes()).expect("memory")
}

#[test]
fn users_are_added_replaced_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwd");
    assert_eq!(set_password(&file, "bob", b"one"), Ok(Edit::Added));
    assert_eq!(set_password(&file, "eve", b"two"), Ok(Edit::Added));
    assert_eq!(set_password(&file, "bob", b"three"), Ok(Edit::Replaced));
    assert!(verify(&file, "bob", "three") && verify(&file, "eve", "two"));
    assert!(!verify(&file, "bob", "one"));

    assert_eq!(delete_user(&file, "bob"), Ok(Edit::Deleted));
    assert_eq!(delete_user(&file, "bob"), Ok(Edit::Absent));
    assert!(!verify(&file, "bob", "three") && verify(&file, "eve", "two"));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left behind"
    );
}

#[test]
fn other_lines_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwd");
    fs::write(
        &file,
        format!("# bob:staff\n\n bob:x\nbobby:{SIX}\nbob:y\nnot a line"),
    )
    .unwrap();
    assert_eq!(set_password(&file, "bob", b"pw"), Ok(Edit::Replaced));
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        [lines[0], lines[1], lines[3], lines[4]],
        ["# bob:staff", "", &format!("bobby:{SIX}"), "not a line"]
    );
    assert!(lines[2].starts_with("bob:$argon2id$"));
    assert_eq!(lines.len(), 5);

    assert_eq!(set_password(&file, "eve", b"pw"), Ok(Edit::Added));
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("\nnot a line\neve:$argon2id$") && text.ends_with('\n'),
        "{text}"
    );
}

#[test]
fn only_the_owner_reads_the_file_and_a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    symlink(&file, &link).unwrap();
    set_password(&link, "bob", b"pw").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(verify(&file, "bob", "pw"));
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn the_file_keeps_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwd");
    fs::write(&file, "").unwrap();
    if std::os::unix::fs::chown(&file, Some(12_345), Some(12_346)).is_err() {
        eprintln!("not shown: only root can give files away");
        return;
    }
    set_password(&file, "bob", b"pw").unwrap();
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (12_345, 12_346));
}

#[test]
fn names_that_cannot_stand_in_a_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwd");
    let long = "u".repeat(65_536);
    for user in [
        "", "a:b", "a\nb", "a\rb", "a\0", "#bob", " bob", "bob ", &long,
    ] {
        let error = set_password(&file, user, b"pw").expect_err(user);
        assert!(error.problem.contains("choose another"), "{error}");
    }
    assert!(!file.exists());
    for user in ["bob smith", "a#b", "ünal", "a/b"] {
        set_password(&file, user, b"pw").unwrap();
        assert!(verify(&file, user, "pw"), "{user}");
    }
}

#[test]
fn failures_name_the_file_and_leave_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let error = delete_user(&absent, "bob").unwrap_err();
    assert!(
        error.to_string().contains("absent: cannot read it"),
        "{error}"
    );
    let nowhere = folder.path().join("no folder/passwd");
    let error = set_password(&nowhere, "bob", b"pw").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no folder/passwd: cannot write it"),
        "{error}"
    );
}

#[test]
fn a_file_without_folder_is_in_the_current_one() {
    assert_eq!(folder_of(Path::new("passwd")), Path::new("."));
    assert_eq!(folder_of(Path::new("a/passwd")), Path::new("a"));
}
