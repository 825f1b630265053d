//! Every key by an environment variable: `DUNLIN__LISTENERS__0__ADDRESS` is
//! `listeners[0].address`.

use std::ffi::{OsStr, OsString};

use super::node::{Misplaced, Node, Origin, Step, Value};
use super::problem::Problem;

/// How the name of every variable that is a key begins.
pub const PREFIX: &str = "DUNLIN__";

/// Lays the variables that begin with [`PREFIX`] over the tree, so that they
/// replace what files say. Unknown keys and values of the wrong type are found
/// when the tree is read; returned is what cannot even find its place.
///
/// Text with commas stands for a list where a list is needed.
pub fn overlay(root: &mut Node, variables: &[(OsString, OsString)]) -> Vec<Problem> {
    let mut settings = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in variables {
        match setting(name, value) {
            Some(Ok(setting)) => settings.push(setting),
            Some(Err(problem)) => problems.push(problem),
            None => {}
        }
    }
    // In the order of paths, so that entry 1 of a list follows entry 0.
    settings.sort_by(|a, b| a.path.cmp(&b.path));
    for setting in settings {
        let Setting { path, name, value } = setting;
        let origin = Origin::Variable(name.clone());
        if let Err(misplaced) = root.put(&path, Node { value, origin }) {
            problems.push(problem(&name, why(misplaced)));
        }
    }
    problems
}

struct Setting {
    path: Vec<Step>,
    name: String,
    value: Value,
}

fn setting(name: &OsStr, value: &OsStr) -> Option<Result<Setting, Problem>> {
    let shown = name.to_string_lossy();
    let keys = shown.strip_prefix(PREFIX)?;
    let Some(value) = value.to_str() else {
        return Some(Err(problem(&shown, "its value is not UTF-8 text".into())));
    };
    if keys.split("__").any(str::is_empty) {
        let text = "has an empty key; write two underscores between two keys".into();
        return Some(Err(problem(&shown, text)));
    }
    let path = Step::path(&keys.to_lowercase().replace("__", "."));
    Some(Ok(Setting {
        path,
        name: shown.into_owned(),
        value: Value::Raw(value.into()),
    }))
}

fn why(misplaced: Misplaced) -> String {
    match misplaced {
        Misplaced::Gap(0) => "skips list entries; the first is 0".into(),
        Misplaced::Gap(count) => {
            format!("skips list entries; there are {count}, so the next is {count}")
        }
        Misplaced::NotAList => "has a number where no list is; remove the number".into(),
        Misplaced::NotATable => {
            "has a key where no table is; a list needs a number first, as LISTENERS__0__NAME".into()
        }
    }
}

fn problem(name: &str, text: String) -> Problem {
    Problem {
        origin: Origin::Variable(name.into()),
        key: String::new(),
        text,
    }
}
