//! Reading rule files: bounded, and with errors that say where and what to do.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// What is wrong with a password or ACL file, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// The file, as it was named to us.
    pub file: PathBuf,
    /// The line, counted from 1; `None` if the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong and what to do. Never holds a password or a hash.
    pub problem: String,
}

impl FileError {
    pub(crate) fn whole(file: &Path, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            problem: problem.into(),
        }
    }

    pub(crate) fn at(file: &Path, line: usize, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(line),
            problem: problem.into(),
        }
    }

    pub(crate) fn io(file: &Path, doing: &str, error: &io::Error) -> Self {
        Self::whole(file, format!("cannot {doing}: {error}"))
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.problem),
            None => write!(f, "{}: {}", self.file.display(), self.problem),
        }
    }
}

impl std::error::Error for FileError {}

/// Reads a text file of at most `max_bytes`.
pub(crate) fn read_text(file: &Path, max_bytes: u64) -> Result<String, FileError> {
    let cannot_read = |error| FileError::io(file, "read it", &error);
    let mut bytes = Vec::new();
    let mut source = fs::File::open(file)
        .map_err(cannot_read)?
        .take(max_bytes + 1);
    source.read_to_end(&mut bytes).map_err(cannot_read)?;
    if bytes.len() as u64 > max_bytes {
        return Err(FileError::whole(
            file,
            format!("larger than {max_bytes} bytes, the most that is read; is it the right file?"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        FileError::at(file, line, "not UTF-8; save the file in that encoding")
    })
}

/// The lines that say something, with their numbers and without surrounding blanks:
/// neither empty nor a comment.
pub(crate) fn meaningful_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// For error messages: printable and short.
pub(crate) fn quote(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_large_and_not_utf8_are_refused_with_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("acl");
        fs::write(&file, "12345").unwrap();
        assert_eq!(read_text(&file, 5).unwrap(), "12345");
        let error = read_text(&file, 4).unwrap_err();
        assert!(error.problem.contains("larger than 4 bytes"), "{error}");

        fs::write(&file, b"user a\n\xff\n").unwrap();
        assert_eq!(read_text(&file, 100).unwrap_err().line, Some(2));

        let error = read_text(&folder.path().join("absent"), 1).unwrap_err();
        assert!(
            error.to_string().contains("absent: cannot read it"),
            "{error}"
        );
    }

    #[test]
    fn comments_and_blank_lines_count_but_do_not_appear() {
        let lines: Vec<_> = meaningful_lines("# a\n\n  b \r\n   # c\nd").collect();
        assert_eq!(lines, [(3, "b"), (5, "d")]);
    }

    #[test]
    fn quotes_are_short_and_printable() {
        assert_eq!(quote("a\u{7}"), "\"a\\u{7}\"");
        assert_eq!(quote(&"ä".repeat(100)).chars().count(), 60 + 2 + 3);
    }
}
