//! The lines of a mosquitto.conf.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Problem;
use crate::config::file;
use crate::config::node::Origin;

/// The most files that one `include_dir` may hold.
pub const INCLUDED_FILES_MAX: usize = 1000;

/// A directive and its argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file it stands in.
    pub file: Arc<Path>,
    /// Its line, from 1.
    pub number: u32,
    /// The directive.
    pub name: String,
    /// The rest of the line without the spaces around it.
    pub argument: String,
}

impl Line {
    /// The words of the argument up to a comment. What is a word, a number or a list is read from
    /// these; text and paths are the whole `argument`, with every `#` in it. So does Mosquitto.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        words(&self.argument)
    }

    /// The first word; empty when there is none.
    pub fn word(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// Where it was written.
    pub fn origin(&self) -> Origin {
        Origin::Directive {
            file: self.file.clone(),
            line: self.number,
            name: self.name.clone(),
        }
    }

    /// A problem with it.
    pub fn problem(&self, text: impl Into<String>) -> Problem {
        Problem {
            origin: self.origin(),
            key: String::new(),
            text: text.into(),
        }
    }
}

/// The words of a text up to one that begins a comment.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split_whitespace();
    words.take_while(|word| !word.starts_with('#'))
}

/// Splits the text of one file. A line whose first character is `#` is a
/// comment; a name and its argument are separated by spaces or tabs.
pub fn parse(file: &Arc<Path>, text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    // The file reader's bound keeps the number of lines far below u32::MAX.
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let (name, argument) = (name.to_owned(), argument.trim().to_owned());
        lines.push(Line {
            file: file.clone(),
            number,
            name,
            argument,
        });
    }
    lines
}

/// Reads a file and, where it says `include_dir`, the files ending in `.conf`
/// of that directory: their lines in order, what is wrong, and which files were
/// read. Included files include nothing themselves.
pub fn read(path: &Path) -> (Vec<Line>, Vec<Problem>, Vec<PathBuf>) {
    let mut read = Read::default();
    match read.file(path) {
        Ok(lines) => lines.into_iter().for_each(|line| read.line(line)),
        Err(text) => {
            let text = format!("{}: {text}", path.display());
            read.problems.push(Problem {
                origin: Origin::Default,
                key: String::new(),
                text,
            });
        }
    }
    (read.lines, read.problems, read.files)
}

#[derive(Default)]
struct Read {
    lines: Vec<Line>,
    problems: Vec<Problem>,
    files: Vec<PathBuf>,
}

impl Read {
    fn file(&mut self, path: &Path) -> Result<Vec<Line>, String> {
        self.files.push(path.to_owned());
        Ok(parse(&path.into(), &file::text(path)?))
    }

    fn line(&mut self, line: Line) {
        if line.name != "include_dir" {
            self.lines.push(line);
            return;
        }
        match included(Path::new(&line.argument)) {
            Ok(paths) => paths.iter().for_each(|path| self.include(&line, path)),
            Err(text) => {
                let text = format!("{}: {text}", line.argument);
                self.problems.push(line.problem(text));
            }
        }
    }

    fn include(&mut self, from: &Line, path: &Path) {
        let lines = match self.file(path) {
            Ok(lines) => lines,
            Err(text) => {
                self.problems
                    .push(from.problem(format!("{}: {text}", path.display())));
                return;
            }
        };
        for line in lines {
            if line.name == "include_dir" {
                let text = "only the main file may include; move this line there";
                self.problems.push(line.problem(text));
            } else {
                self.lines.push(line);
            }
        }
    }
}

/// The files of an `include_dir` in Mosquitto's order: alphabetical, upper case
/// of a letter before its lower case.
fn included(directory: &Path) -> Result<Vec<PathBuf>, String> {
    if directory.as_os_str().is_empty() {
        return Err("needs a directory".into());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| file::cannot_read(&error))? {
        let name = entry
            .map_err(|error| file::cannot_read(&error))?
            .file_name();
        // A name that is not UTF-8 would be read and then shown wrongly.
        if let Some(name) = name.to_str().filter(|name| name.ends_with(".conf")) {
            found.push(name.to_owned());
        }
        if found.len() > INCLUDED_FILES_MAX {
            return Err(format!(
                "has more than {INCLUDED_FILES_MAX} files ending in .conf"
            ));
        }
    }
    sort(&mut found);
    Ok(found.into_iter().map(|name| directory.join(name)).collect())
}

fn sort(names: &mut [String]) {
    names.sort_by_cached_key(|name| (name.to_ascii_lowercase(), name.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_spaces_and_line_ends_do_not_count() {
        let text = "# comment\r\n\r\n  port\t 1883 \r\nacl_file  /a b/c \n #x\nlistener";
        let lines = parse(&Path::new("m.conf").into(), text);
        let shown: Vec<_> = lines
            .iter()
            .map(|l| (l.number, l.name.as_str(), l.argument.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (3, "port", "1883"),
                (4, "acl_file", "/a b/c"),
                (6, "listener", "")
            ]
        );
    }

    #[test]
    fn included_files_come_in_mosquittos_order() {
        let mut names =
            ["b.conf", "A.conf", "01.conf", "a.conf", "B.conf", "00.conf"].map(String::from);
        sort(&mut names);
        assert_eq!(
            names,
            ["00.conf", "01.conf", "A.conf", "a.conf", "B.conf", "b.conf"]
        );
    }
}
