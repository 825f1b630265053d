//! The table of statements and tests in `broker/README.md`, made of the statements' lists and the
//! `proves:` comments of this folder.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Set to write the README instead of comparing it.
const UPDATE: &str = "DUNLIN_UPDATE_README";
const BEGIN: &str = "<!-- The tables are made by server/tests/conformance/table.rs -->\n";

/// A normative statement.
struct Statement {
    number: String,
    kind: Kind,
    words: String,
    /// Tests in other crates, as `path::name`, or the reason why there is none.
    note: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Proven by a test of this folder.
    Server,
    /// Proven in a crate below.
    Below,
    /// Binds clients only.
    Client,
    /// Not tested, for the reason given.
    None,
}

/// A test of this folder.
#[derive(Clone)]
struct Test {
    file: String,
    name: String,
}

/// Tests by standard and number.
type Proofs = BTreeMap<(String, String), Vec<Test>>;

#[test]
fn every_statement_has_its_test_or_a_reason_in_the_readme() {
    let mut proofs = proofs();
    let mut tables = BEGIN.to_owned();
    for (standard, file, title) in [
        ("MQTT5", "statements_5.txt", "MQTT 5.0"),
        ("MQTT311", "statements_311.txt", "MQTT 3.1.1"),
    ] {
        let statements = statements(&folder().join(file));
        tables += &table(title, standard, &statements, &mut proofs);
    }
    let unknown: Vec<_> = proofs.keys().collect();
    assert!(unknown.is_empty(), "no such statements: {unknown:?}");

    let file = broker().join("README.md");
    let readme = fs::read_to_string(&file).expect("the README");
    let (introduction, _) = readme.split_once(BEGIN).expect("where the tables begin");
    let expected = format!("{introduction}{tables}");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&file, &expected).expect("the README");
    } else {
        assert!(
            readme == expected,
            "broker/README.md is out of date; run this test with {UPDATE}=1"
        );
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

fn broker() -> &'static Path {
    let server = Path::new(env!("CARGO_MANIFEST_DIR"));
    server.parent().expect("the server is in broker/")
}

fn statements(file: &Path) -> Vec<Statement> {
    let text = fs::read_to_string(file).expect("a list");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(statement).collect()
}

fn statement(line: &str) -> Statement {
    let mut fields = line.split(" | ");
    let mut next = || fields.next().unwrap_or_default().trim().to_owned();
    let (number, kind, words, note) = (next(), next(), next(), next());
    let kind = match kind.as_str() {
        "server" => Kind::Server,
        "below" => Kind::Below,
        "client" => Kind::Client,
        "none" => Kind::None,
        _ => panic!("no kind: {line}"),
    };
    let needs_note = matches!(kind, Kind::Below | Kind::None);
    let incomplete = words.is_empty() || needs_note && note.is_empty();
    assert!(!incomplete, "incomplete: {line}");
    Statement {
        number,
        kind,
        words,
        note,
    }
}

/// What the comments of this folder claim.
fn proofs() -> Proofs {
    let mut proofs = Proofs::new();
    let files = fs::read_dir(folder()).expect("this folder");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    for path in files
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
    {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let source = fs::read_to_string(path).expect("a source");
        read_proofs(&file, &source, &mut proofs);
    }
    proofs
}

fn read_proofs(file: &str, source: &str, proofs: &mut Proofs) {
    let mut claimed = Vec::new();
    let mut is_test = false;
    for line in source.lines() {
        if let Some(claims) = line.strip_prefix("// proves: ") {
            claimed.extend(claims_of(claims));
        } else if line == "#[test]" {
            is_test = true;
        } else if let Some(function) = line.strip_prefix("fn ") {
            assert!(is_test || claimed.is_empty(), "no test: {function}");
            let name = function.split('(').next().unwrap_or_default().to_owned();
            for claim in claimed.drain(..) {
                let file = file.to_owned();
                let name = name.clone();
                proofs.entry(claim).or_default().push(Test { file, name });
            }
            is_test = false;
        }
    }
}

/// Of `MQTT311 [MQTT-1-1] [MQTT-2-1] MQTT5 [MQTT-3-1]`, each number with its standard.
fn claims_of(claims: &str) -> Vec<(String, String)> {
    let mut standard = "";
    let mut all = Vec::new();
    for word in claims.split_whitespace() {
        match word
            .strip_prefix("[MQTT-")
            .and_then(|word| word.strip_suffix(']'))
        {
            Some(number) => all.push((standard.to_owned(), number.to_owned())),
            None => standard = word,
        }
    }
    all
}

fn table(title: &str, standard: &str, statements: &[Statement], proofs: &mut Proofs) -> String {
    let mut rows = String::new();
    let mut proven = 0;
    for statement in statements {
        let key = (standard.to_owned(), statement.number.clone());
        let tests = proofs.remove(&key).unwrap_or_default();
        let number = &statement.number;
        let here = statement.kind == Kind::Server;
        assert!(
            here != tests.is_empty(),
            "{standard} [MQTT-{number}]: a test, or another kind"
        );
        proven += usize::from(here);
        let proof = proof(statement, &tests);
        writeln!(rows, "| {number} | {} | {proof} |", statement.words).expect("a string takes all");
    }
    let count = |kind| statements.iter().filter(|it| it.kind == kind).count();
    format!(
        "\n### {title}\n\n{} statements: {proven} proven here, {} in the crates below, {} bind clients \
         only, {} have no test.\n\n| [MQTT-…] | In short | Proven by |\n|---|---|---|\n{rows}",
        statements.len(),
        count(Kind::Below),
        count(Kind::Client),
        count(Kind::None),
    )
}

fn proof(statement: &Statement, tests: &[Test]) -> String {
    let note = match statement.note.contains("::") {
        true => links(&statement.note),
        false => statement.note.clone(),
    };
    match statement.kind {
        Kind::Server => {
            let link = |test: &Test| {
                let Test { file, name } = test;
                format!("[{name}](server/tests/conformance/{file})")
            };
            tests.iter().map(link).collect::<Vec<_>>().join("<br>")
        }
        Kind::Below => note,
        Kind::Client if note.is_empty() => "binds clients only".to_owned(),
        Kind::Client => format!("binds clients only; ours: {note}"),
        Kind::None => format!("no test: {note}"),
    }
}

/// Of `path::name, path::name`, links to tests that are there.
fn links(note: &str) -> String {
    let link = |reference: &str| {
        let (path, name) = reference.split_once("::").expect("a path and a name");
        let source = fs::read_to_string(broker().join(path)).expect("a source");
        assert!(source.contains(name), "{path} has no {name}");
        format!("[{name}]({path})")
    };
    note.split(", ").map(link).collect::<Vec<_>>().join("<br>")
}
