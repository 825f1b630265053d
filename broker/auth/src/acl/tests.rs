use std::{path::Path, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::Subscribing;

fn acl(text: &str) -> AclFile {
    AclFile::parse(Path::new("acl"), text).expect("a valid ACL file")
}

fn error(text: &str) -> String {
    AclFile::parse(Path::new("acl"), text)
        .expect_err("an error")
        .to_string()
}

fn client(client_id: &str, username: Option<&str>) -> Principal {
    Principal::new(client_id, username.map(Arc::from))
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("a valid filter")
}

impl AclFile {
    fn allows(&self, who: &Principal, action: Action, topic: &str) -> bool {
        let topic = TopicName::new(topic).expect("a valid name");
        self.authorize(who, &Question::new(action, topic)).decision == Decision::Allow
    }
}

const PLANT: &str = "\
# Anonymous clients may look at the news.
topic read news/#
topic write news/letters

user bob
topic readwrite a/#
topic deny a/secret
topic write out box/+

user eve
topic deny #

pattern deny a/%u/x
pattern readwrite p/%u/#
pattern readwrite q/%c/#
pattern read $dev/clients/%c

user bob
topic read later
";

/// User, topic, may publish, may receive. Mosquitto 2.0.11 decides the same about every row.
const DECISIONS: &[(Option<&str>, &str, bool, bool)] = &[
    // What stands before the first `user` is for anonymous clients alone.
    (None, "news/today", false, true),
    (None, "news", false, true),
    (None, "news/letters", true, true),
    (Some("bob"), "news/today", false, false),
    (Some("carl"), "news/today", false, false),
    (None, "a/b", false, false),
    // A user's own.
    (Some("bob"), "a/b", true, true),
    (Some("bob"), "a", true, true),
    (Some("bob"), "ab", false, false),
    (Some("bob"), "a/secret", false, false),
    (Some("bob"), "a/secret/deeper", true, true),
    (Some("bob"), "out box/1", true, false),
    (Some("bob"), "out box/1/2", false, false),
    (Some("bob"), "later", false, true),
    (Some("carl"), "a/b", false, false),
    // A grant of the user's own comes before a pattern that denies.
    (Some("bob"), "a/bob/x", true, true),
    // A denial of the user's own comes before a pattern that grants.
    (Some("eve"), "p/eve/1", false, false),
    (Some("eve"), "$dev/clients/cid", false, true),
    // Patterns are for everyone.
    (Some("bob"), "p/bob/1", true, true),
    (Some("carl"), "p/carl/1", true, true),
    (Some("carl"), "p/bob/1", false, false),
    (Some("carl"), "q/cid/1", true, true),
    (None, "q/cid/1", true, true),
    (None, "p//1", false, false),
    (None, "p/%u/1", false, false),
    (None, "$dev/clients/cid", false, true),
    (None, "$dev/clients/other", false, false),
    (None, "elsewhere", false, false),
];

#[test]
fn decisions_are_those_of_mosquitto() {
    let acl = acl(PLANT);
    for &(username, topic, publish, receive) in DECISIONS {
        let who = client("cid", username);
        assert_eq!(
            acl.allows(&who, Action::Publish, topic),
            publish,
            "{username:?} publishes {topic}"
        );
        assert_eq!(
            acl.allows(&who, Action::Receive, topic),
            receive,
            "{username:?} receives {topic}"
        );
    }
}

#[test]
fn an_empty_file_denies_all_but_subscribing() {
    let acl = acl("# nothing\n\n");
    let who = client("cid", None);
    assert!(!acl.allows(&who, Action::Publish, "a"));
    let subscribing = Subscribing {
        filter: filter("a/#"),
        qos: dunlin_codec::Qos::AtMostOnce,
        properties: dunlin_codec::Properties::EMPTY,
    };
    assert_eq!(acl.subscribe(&who, &subscribing), Decision::Allow);
    assert_eq!(acl.coverage(&who, filter("#")), Coverage::None);
}

#[test]
fn leading_wildcards_do_not_reach_system_topics() {
    let acl = acl("topic #\ntopic +/b\nuser sys\ntopic read $SYS/#\n");
    assert!(acl.allows(&client("c", None), Action::Receive, "a/b"));
    assert!(!acl.allows(&client("c", None), Action::Receive, "$SYS/b"));
    assert!(!acl.allows(&client("c", None), Action::Receive, "$SYS"));
    assert!(acl.allows(&client("c", Some("sys")), Action::Receive, "$SYS/b"));
    assert!(!acl.allows(&client("c", Some("sys")), Action::Receive, "a/b"));
}

#[test]
fn a_name_that_is_no_level_widens_nothing() {
    let acl = acl("pattern home/%u/#\npattern status/%c\npattern %c/inbox\n");
    for name in ["+", "#", "a/b", "a/#", "/", "a+", "bob/#"] {
        let who = client(name, Some(name));
        for topic in [
            "home/bob/1",
            "home/a/b",
            "home/a/b/1",
            "home//",
            "status/bob",
            "status/a/b",
            "a/b/inbox",
            "x/inbox",
        ] {
            assert!(
                !acl.allows(&who, Action::Receive, topic),
                "{name:?} receives {topic}"
            );
            assert_eq!(
                acl.coverage(&who, filter(topic)),
                Coverage::None,
                "{name:?} {topic}"
            );
        }
        assert_eq!(acl.coverage(&who, filter("#")), Coverage::None);
    }
    let who = client("bob", Some("bob"));
    assert!(acl.allows(&who, Action::Receive, "home/bob/1"));
    assert!(acl.allows(&who, Action::Receive, "bob/inbox"));
}

#[test]
fn a_name_does_not_reach_system_topics() {
    let acl = acl("pattern %c/#\npattern a/%c\n");
    let who = client("$SYS", None);
    assert!(!acl.allows(&who, Action::Receive, "$SYS/broker"));
    assert_eq!(acl.coverage(&who, filter("$SYS/#")), Coverage::None);
    assert!(acl.allows(&who, Action::Receive, "a/$SYS"));
}

#[test]
fn an_empty_name_is_an_empty_level() {
    let acl = acl("pattern %c\npattern a/%c/b\n");
    let who = client("", None);
    assert_eq!(acl.coverage(&who, filter("a")), Coverage::None);
    assert_eq!(acl.coverage(&who, filter("a//b")), Coverage::All);
    assert!(acl.allows(&who, Action::Receive, "a//b"));
    assert!(!acl.allows(&who, Action::Receive, "a/x/b"));
}

#[test]
fn a_name_that_is_no_level_escapes_no_denial() {
    let acl = acl("pattern deny home/%u/secret\npattern home/#\n");
    for name in ["a/b", "+", "#"] {
        let who = client("c", Some(name));
        assert!(acl.allows(&who, Action::Receive, "home/x/open"));
        assert!(
            !acl.allows(&who, Action::Receive, "home/x/secret"),
            "{name}"
        );
        assert_eq!(acl.coverage(&who, filter("home/x/secret")), Coverage::None);
    }
    assert!(acl.allows(&client("c", Some("x")), Action::Receive, "home/y/secret"));
}

#[test]
fn placeholders_mean_themselves_in_topic_lines() {
    let acl = acl("topic read a/%c/b%u\n");
    assert!(acl.allows(&client("x", None), Action::Receive, "a/%c/b%u"));
    assert!(!acl.allows(&client("x", None), Action::Receive, "a/x/b%u"));
}

#[test]
fn errors_name_file_line_and_remedy() {
    for (text, expected) in [
        (
            "topic a\n\n# c\ntopic reed b\n",
            "acl:4: \"reed\" is not an access; write read, write,",
        ),
        (
            "topic read a/#/b",
            "acl:1: \"a/#/b\" is not a topic filter: # must be the whole of the last level",
        ),
        (
            "topic a+",
            "acl:1: \"a+\" is not a topic filter: + must be a whole level",
        ),
        (
            "user\n",
            "acl:1: a user name is missing; rules for anonymous",
        ),
        (
            "allow a",
            "acl:1: \"allow\" is not known here; a line begins with",
        ),
        (
            "pattern read in%u/z",
            "acl:1: \"in%u\" mixes %c or %u with other text; they must fill a whole level",
        ),
        ("pattern x/%c%u", "acl:1: \"%c%u\" mixes"),
        ("pattern deny", "acl:1: a topic is missing after `deny`"),
    ] {
        let error = error(text);
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    assert!(acl("pattern a/100%/%x").allows(&client("c", None), Action::Publish, "a/100%/%x"));
}

#[test]
fn coverage_is_certain_or_mixed() {
    let acl = acl(PLANT);
    for (username, text, expected) in [
        (None, "news/#", Coverage::All),
        (None, "news/+/x", Coverage::All),
        (None, "#", Coverage::Mixed),
        (None, "+/today", Coverage::Mixed),
        (None, "a/#", Coverage::None),
        (None, "$dev/clients/cid", Coverage::All),
        (None, "$dev/#", Coverage::Mixed),
        (Some("bob"), "a/b/#", Coverage::All),
        (Some("bob"), "a/#", Coverage::Mixed),
        (Some("bob"), "a/+", Coverage::Mixed),
        (Some("bob"), "a/secret", Coverage::None),
        (Some("bob"), "a/secret/#", Coverage::Mixed),
        // May be written only.
        (Some("bob"), "out box/+", Coverage::None),
        (Some("bob"), "p/bob/x/#", Coverage::All),
        (Some("bob"), "p/+/x", Coverage::Mixed),
        (Some("bob"), "p/carl/#", Coverage::None),
        (Some("eve"), "#", Coverage::None),
        (Some("eve"), "p/eve/#", Coverage::None),
        (Some("carl"), "a/carl/x", Coverage::None),
    ] {
        let who = client("cid", username);
        assert_eq!(
            acl.coverage(&who, filter(text)),
            expected,
            "{username:?} {text}"
        );
    }
}

#[test]
fn what_patterns_deny_leaves_what_the_user_was_granted() {
    let acl = acl("user bob\ntopic read a/x\npattern deny a/#\n");
    let bob = client("c", Some("bob"));
    assert_eq!(acl.coverage(&bob, filter("a/#")), Coverage::Mixed);
    assert!(acl.allows(&bob, Action::Receive, "a/x"));
    assert!(!acl.allows(&bob, Action::Receive, "a/y"));
}

#[test]
fn a_file_is_loaded_or_named_in_the_error() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("acl");
    let missing = AclFile::load(&file).expect_err("no such file").to_string();
    assert!(missing.contains(&*file.to_string_lossy()), "{missing}");
    std::fs::write(&file, "topic read a\n").expect("the file is written");
    let acl = AclFile::load(&file).expect("a valid ACL file");
    assert!(acl.allows(&client("c", None), Action::Receive, "a"));
    assert!(!acl.allows(&client("c", None), Action::Publish, "a"));
}

#[test]
fn the_rules_of_a_grant_permit_what_they_say() {
    use Permission::*;
    let rules = GrantedRules::new([
        (Read, "home/#"),
        (Deny, "home/%u/diary"),
        (Write, "up/%c"),
        (ReadWrite, "chat"),
    ])
    .expect("valid filters");
    let who = client("phone", Some("bob"));
    for (topic, publish, receive) in [
        ("home/door", Decision::Deny, Decision::Allow),
        ("home/bob/diary", Decision::Deny, Decision::Deny),
        ("up/phone", Decision::Allow, Decision::Deny),
        ("up/other", Decision::Deny, Decision::Deny),
        ("chat", Decision::Allow, Decision::Allow),
    ] {
        let name = TopicName::new(topic).expect("a valid name");
        for (action, expected) in [(Action::Publish, publish), (Action::Receive, receive)] {
            let decision = rules.authorize(&who, &Question::new(action, name));
            assert_eq!(decision, expected, "{action:?} {topic}");
        }
    }
    assert_eq!(rules.coverage(&who, filter("home/#")), Coverage::Mixed);
    assert_eq!(rules.coverage(&who, filter("up/#")), Coverage::None);
}

/// Names of one to three of these levels: all that the properties below look at.
const LEVELS: [&str; 4] = ["", "a", "b", "$s"];

fn all_names() -> Vec<String> {
    let below = |names: &[String]| -> Vec<String> {
        names
            .iter()
            .flat_map(|name| LEVELS.map(|level| format!("{name}/{level}")))
            .collect()
    };
    let one = LEVELS.map(String::from).to_vec();
    let two = below(&one);
    let three = below(&two);
    let mut names = [one, two, three].concat();
    names.retain(|name| !name.is_empty());
    names
}

fn any_filter(levels: &'static [&'static str]) -> impl Strategy<Value = String> {
    let level = proptest::sample::select(levels);
    (proptest::collection::vec(level, 1..4), any::<bool>())
        .prop_map(|(levels, rest)| match (levels.join("/"), rest) {
            (text, true) => text + "/#",
            // One empty level alone is no filter; the nearest that is stands for it.
            (text, false) if text.is_empty() => "/".to_owned(),
            (text, false) => text,
        })
        .boxed()
}

fn any_line() -> impl Strategy<Value = String> {
    let access = || proptest::sample::select(&["read", "readwrite", "write", "deny"][..]);
    prop_oneof![
        4 => (access(), any_filter(&["", "a", "b", "+", "+", "$s"])).prop_map(|(access, text)| format!("topic {access} {text}")),
        4 => (access(), any_filter(&["a", "b", "+", "%c", "%u"])).prop_map(|(access, text)| format!("pattern {access} {text}")),
        1 => Just("topic read #".to_owned()),
        1 => proptest::sample::select(&["user a", "user b", "user a/b", "user #"][..]).prop_map(str::to_owned),
    ]
}

fn any_client() -> impl Strategy<Value = Principal> {
    let names = &["a", "b", "$s", "a/b", "+", "#", ""][..];
    let name = proptest::sample::select(names);
    (name.clone(), proptest::option::of(name)).prop_map(|(id, user)| client(id, user))
}

/// The rules read line by line, each expanded as text: slow and plain.
fn naive(lines: &[String], who: &Principal, action: Action, name: &str) -> bool {
    let word = if action == Action::Publish {
        "write"
    } else {
        "read"
    };
    for keyword in ["topic", "pattern"] {
        for denying in [true, false] {
            let mut user = None;
            for line in lines {
                let (first, rest) = line.split_once(' ').expect("two words");
                if first == "user" {
                    user = Some(rest);
                    continue;
                }
                let (access, text) = rest.split_once(' ').expect("three words");
                let speaks = if denying {
                    access == "deny"
                } else {
                    access.contains(word)
                };
                let concerns = first == "pattern" || user == who.username();
                if first == keyword
                    && speaks
                    && concerns
                    && naive_match(keyword, denying, text, who, name)
                {
                    return !denying;
                }
            }
        }
    }
    false
}

fn naive_match(keyword: &str, denying: bool, text: &str, who: &Principal, name: &str) -> bool {
    let mut text = text.to_owned();
    if keyword == "pattern" {
        if text.contains("%u") && who.username().is_none() {
            return false;
        }
        for (placeholder, value) in [
            ("%c", who.client_id()),
            ("%u", who.username().unwrap_or("")),
        ] {
            let unsafe_value = value.contains(['/', '+', '#']);
            if !text.contains(placeholder) {
                continue;
            }
            if !denying && (unsafe_value || text.starts_with(placeholder) && value.starts_with('$'))
            {
                return false;
            }
            text = text.replace(placeholder, if unsafe_value { "+" } else { value });
        }
    }
    TopicFilter::new(&text)
        .is_ok_and(|filter| filter.matches(TopicName::new(name).expect("a name")))
}

proptest! {
    #[test]
    fn decisions_are_those_of_the_naive_twin(
        lines in proptest::collection::vec(any_line(), 0..8),
        who in any_client(),
    ) {
        let acl = acl(&lines.join("\n"));
        for name in all_names() {
            for action in [Action::Publish, Action::Receive] {
                prop_assert_eq!(
                    acl.allows(&who, action, &name),
                    naive(&lines, &who, action, &name),
                    "{:?} {:?} {:?}", lines, action, name
                );
            }
        }
    }

    #[test]
    fn coverage_agrees_with_every_single_decision(
        lines in proptest::collection::vec(any_line(), 0..8),
        who in any_client(),
        text in any_filter(&["", "a", "b", "+", "+", "$s"]),
    ) {
        let acl = acl(&lines.join("\n"));
        let names = all_names();
        let readable: Vec<bool> = names
            .iter()
            .filter(|name| filter(&text).matches(TopicName::new(name).expect("a name")))
            .map(|name| acl.allows(&who, Action::Receive, name))
            .collect();
        match acl.coverage(&who, filter(&text)) {
            Coverage::All => prop_assert!(readable.iter().all(|&yes| yes), "{:?} {}", lines, text),
            Coverage::None => prop_assert!(!readable.iter().any(|&yes| yes), "{:?} {}", lines, text),
            Coverage::Mixed => {}
        }
        // A filter that is a name is covered by what overlaps it, so nothing is left open.
        if !filter(&text).has_wildcards() {
            prop_assert_ne!(acl.coverage(&who, filter(&text)), Coverage::Mixed);
        }
    }
}
