//! What must hold for any input. Run by the fuzz targets, and on the seed corpus by the tests.

use std::path::Path;

use dunlin_auth::{
    AclFile, Action, Authorizer, Coverage, Decision, PasswordFile, Principal, Question,
};
use dunlin_topic::{TopicFilter, TopicName};

/// An ACL file, then after a NUL a client id, user name and filter, one a line.
///
/// Whatever is parsed answers without panicking, and coverage and decisions agree.
pub fn acl(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else {
        return;
    };
    let (text, question) = input.split_once('\0').unwrap_or((input, "c\nu\n#"));
    let acl = match AclFile::parse(Path::new("acl"), text) {
        Ok(acl) => acl,
        Err(error) => return assert!(error.line.is_some_and(|line| line <= text.lines().count())),
    };
    let mut question = question.splitn(3, '\n');
    let client_id = question.next().unwrap_or("");
    let who = Principal::new(client_id, question.next().map(Into::into));
    let Ok(filter) = TopicFilter::new(question.next().unwrap_or("#")) else {
        return;
    };
    let coverage = acl.coverage(&who, filter);
    // Names that the filter surely matches.
    for level in ["", "a", "$a"] {
        let name = filter.as_str().replace(['+', '#'], level);
        let Ok(name) = TopicName::new(&name) else {
            continue;
        };
        if !filter.matches(name) {
            continue;
        }
        let expected = match coverage {
            Coverage::All => Decision::Allow,
            Coverage::None => Decision::Deny,
            Coverage::Mixed => continue,
        };
        assert_eq!(
            acl.authorize(&who, &Question::new(Action::Receive, name))
                .decision,
            expected,
            "{name}"
        );
    }
}

/// A password file. Whatever is parsed is bounded; errors name a line and no secret.
pub fn password(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match PasswordFile::parse(Path::new("passwd"), text) {
        Ok(file) => {
            for user in file.users() {
                assert!(!user.is_empty() && !user.contains([':', '\n']));
            }
            // One round of SHA-512 is all that is quick enough to try on every input.
            let is_quick = text.lines().all(|line| line.contains(":$6$"));
            if is_quick && let Some(user) = file.users().next() {
                assert_eq!(file.verify(user, input), Ok(false));
            }
        }
        Err(error) => assert!(error.line.is_some_and(|line| line <= text.lines().count())),
    }
}
