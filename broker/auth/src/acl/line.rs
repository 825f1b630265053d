//! One line of an ACL file.

use super::rule::Access;
use crate::file::quote;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Directive<'a> {
    /// The `topic` lines that follow are for this user.
    User(&'a str),
    /// A rule for the current user.
    Topic(Access, &'a str),
    /// A rule for everyone, with `%c` and `%u` in it.
    Pattern(Access, &'a str),
}

/// Reads a line without surrounding blanks that is neither empty nor a comment.
///
/// The error says what is wrong and what to write instead.
pub(super) fn parse_line(line: &str) -> Result<Directive<'_>, String> {
    let (keyword, rest) = split_word(line);
    match keyword {
        "user" if rest.is_empty() => Err(
            "a user name is missing; rules for anonymous clients stand before the first `user`"
                .into(),
        ),
        "user" => Ok(Directive::User(rest)),
        "topic" => {
            let (access, topic) = parse_rule(rest)?;
            Ok(Directive::Topic(access, topic))
        }
        "pattern" => {
            let (access, topic) = parse_rule(rest)?;
            Ok(Directive::Pattern(access, topic))
        }
        _ => Err(format!(
            "{} is not known here; a line begins with `user`, `topic` or `pattern`",
            quote(keyword)
        )),
    }
}

/// `[read|write|readwrite|deny] <topic>`; with an access given, the topic may hold blanks.
fn parse_rule(rest: &str) -> Result<(Access, &str), String> {
    let (word, topic) = split_word(rest);
    match (access(word), topic) {
        (_, "") if word.is_empty() => Err("a topic is missing".into()),
        (None, "") => Ok((Access::READ_WRITE, word)),
        // Mosquitto takes `topic deny` as permission to use a topic named "deny".
        (Some(_), "") => Err(format!(
            "a topic is missing after `{word}`; for a topic of that name write `readwrite {word}`"
        )),
        (Some(access), topic) => Ok((access, topic)),
        (None, _) => Err(format!(
            "{} is not an access; write read, write, readwrite or deny before the topic \
             (a topic with blanks in it needs one)",
            quote(word)
        )),
    }
}

fn access(word: &str) -> Option<Access> {
    match word {
        "read" => Some(Access::READ),
        "write" => Some(Access::WRITE),
        "readwrite" => Some(Access::READ_WRITE),
        "deny" => Some(Access::DENY),
        _ => None,
    }
}

/// The first word, and what follows the blanks after it.
fn split_word(text: &str) -> (&str, &str) {
    match text.split_once([' ', '\t']) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_rules() {
        use Directive::*;
        for (line, expected) in [
            ("user bob", User("bob")),
            ("user bob of the shed", User("bob of the shed")),
            ("topic a/b", Topic(Access::READ_WRITE, "a/b")),
            ("topic read a/b", Topic(Access::READ, "a/b")),
            ("topic\tread\ta/b", Topic(Access::READ, "a/b")),
            ("topic write   a b/ c", Topic(Access::WRITE, "a b/ c")),
            ("topic readwrite deny", Topic(Access::READ_WRITE, "deny")),
            ("topic deny #", Topic(Access::DENY, "#")),
            ("pattern %u/#", Pattern(Access::READ_WRITE, "%u/#")),
            ("pattern deny x/%c", Pattern(Access::DENY, "x/%c")),
        ] {
            assert_eq!(parse_line(line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn lines_that_are_not() {
        for (line, part) in [
            ("user", "user name is missing"),
            ("topic", "a topic is missing"),
            ("topic deny", "missing after `deny`"),
            ("pattern read", "missing after `read`"),
            ("topic reed a", "\"reed\" is not an access"),
            ("topic two words", "\"two\" is not an access"),
            ("Topic a", "\"Topic\" is not known"),
            ("acl_file x", "\"acl_file\" is not known"),
        ] {
            let error = parse_line(line).unwrap_err();
            assert!(error.contains(part), "{line:?}: {error}");
        }
    }
}
