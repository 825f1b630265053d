use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

const COMPONENT: &str = r#"(component (core module (func (export "f"))))"#;

struct Folder {
    _temporary: tempfile::TempDir,
    path: PathBuf,
}

fn folder() -> Folder {
    let temporary = tempfile::tempdir().expect("a folder");
    let path = temporary.path().join("cache");
    Folder {
        _temporary: temporary,
        path,
    }
}

fn code(folder: &Path) -> Origin {
    let component = wat::parse_str(COMPONENT).expect("valid");
    let cache = CodeCache::open(folder).expect("ours");
    let sha256 = Sha256::digest(&component).into();
    let code = cache.code(&Engine::default(), &sha256, &component);
    code.expect("it compiles").1
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).expect("a folder");
    let file = files.next().expect("a file").expect("readable").path();
    assert!(files.next().is_none(), "no other file, temporary or not");
    file
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

#[test]
fn what_is_compiled_once_comes_from_the_cache_then() {
    let folder = folder();
    assert_eq!(code(&folder.path), Origin::Compiled);
    assert_eq!(code(&folder.path), Origin::Cache);
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!(mode(&folder.path), 0o700);
    assert_eq!(mode(&only_file(&folder.path)), 0o600);
}

#[test]
fn damaged_files_are_replaced() {
    let folder = folder();
    code(&folder.path);
    let file = only_file(&folder.path);
    let good = fs::read(&file).expect("readable");
    let mut flipped = good.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    for bad in [&flipped[..], &good[..good.len() / 2], &good[..5], b""] {
        fs::write(&file, bad).expect("writable");
        assert_eq!(code(&folder.path), Origin::Compiled);
        assert_eq!(fs::read(&file).expect("readable").len(), good.len());
        assert_eq!(code(&folder.path), Origin::Cache);
    }
}

#[test]
fn code_for_another_engine_is_replaced() {
    let folder = folder();
    code(&folder.path);
    let file = only_file(&folder.path);
    let mut foreign = MAGIC.to_vec();
    foreign.extend_from_slice(&Sha256::digest(b"\x7fELF"));
    foreign.extend_from_slice(b"\x7fELF");
    fs::write(&file, foreign).expect("writable");
    assert_eq!(code(&folder.path), Origin::Compiled);
    assert_eq!(code(&folder.path), Origin::Cache);
}

#[test]
fn files_that_others_may_write_are_replaced() {
    let folder = folder();
    code(&folder.path);
    let file = only_file(&folder.path);
    set_mode(&file, 0o606);
    assert_eq!(code(&folder.path), Origin::Compiled);
    assert_eq!(code(&folder.path), Origin::Cache);

    let elsewhere = folder.path.with_file_name("elsewhere");
    fs::rename(&file, &elsewhere).expect("ours");
    symlink(&elsewhere, &file).expect("ours");
    assert_eq!(code(&folder.path), Origin::Compiled);
    assert!(fs::symlink_metadata(&file).expect("there").is_file());
}

#[test]
fn a_folder_that_others_may_use_is_refused() {
    let folder = folder();
    code(&folder.path);
    set_mode(&folder.path, 0o755);
    let error = CodeCache::open(&folder.path).expect_err("refused");
    assert!(error.contains("mode 755"), "{error}");
    set_mode(&folder.path, 0o700);
    CodeCache::open(&folder.path).expect("ours again");

    let link = folder.path.with_file_name("link");
    symlink(&folder.path, &link).expect("ours");
    let error = CodeCache::open(&link).expect_err("refused");
    assert!(error.contains("no folder"), "{error}");
}

#[test]
fn the_oldest_files_go() {
    let folder = folder();
    code(&folder.path);
    for n in 0..MAX_FILES {
        fs::write(folder.path.join(format!("old-{n}")), "").expect("writable");
    }
    let cache = CodeCache::open(&folder.path).expect("ours");
    cache
        .store(&folder.path.join("new"), b"code")
        .expect("stored");
    let files = fs::read_dir(&folder.path).expect("a folder").count();
    assert_eq!(files, MAX_FILES);
    assert!(folder.path.join("new").exists());
}
