//! A configuration before it has a type: values in a tree, each with its origin.
//!
//! `dunlin.toml`, `mosquitto.conf`, the environment and the command line all
//! become nodes of one tree, so one reader gives them types and one error text
//! names where any of them came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: Dunlin's own default.
    Default,
    /// A line of a TOML file; the first line is 1.
    Line {
        /// The file as it was named on the command line.
        file: Arc<Path>,
        /// The line, from 1.
        line: u32,
    },
    /// A directive in a mosquitto.conf.
    Directive {
        /// The file: the main one or one found through `include_dir`.
        file: Arc<Path>,
        /// The line, from 1.
        line: u32,
        /// The directive's name as Mosquitto spells it.
        name: String,
    },
    /// An environment variable, by its full name.
    Variable(String),
    /// A command line option, such as `-p`.
    Argument(&'static str),
}

impl Origin {
    /// Whether it is the directive of that name.
    pub fn is_directive(&self, wanted: &str) -> bool {
        matches!(self, Origin::Directive { name, .. } if name == wanted)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => out.write_str("default"),
            Origin::Line { file, line } => write!(out, "{}:{line}", file.display()),
            Origin::Directive { file, line, name } => {
                write!(out, "{}:{line}: {name}", file.display())
            }
            Origin::Variable(name) => write!(out, "environment variable {name}"),
            Origin::Argument(name) => write!(out, "command line option {name}"),
        }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written; for a table, where it was first mentioned.
    pub origin: Origin,
}

/// By the value: a file whose lines have moved says the same.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A value without a type of ours yet.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string of a file.
    Text(String),
    /// Text that may stand for any scalar: what the environment gives.
    Raw(String),
    /// An integer.
    Integer(i64),
    /// True or false.
    Bool(bool),
    /// Values in order.
    List(Vec<Node>),
    /// Keys and their values in the order in which they were written.
    Table(Vec<(String, Node)>),
    /// What TOML knows and no key of ours takes: a float or a date.
    Foreign(String),
}

/// The order of a table's keys means nothing.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Text(one), Value::Text(other))
            | (Value::Raw(one), Value::Raw(other))
            | (Value::Foreign(one), Value::Foreign(other)) => one == other,
            (Value::Integer(one), Value::Integer(other)) => one == other,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::List(one), Value::List(other)) => one == other,
            (Value::Table(one), Value::Table(other)) => by_key(one) == by_key(other),
            _ => false,
        }
    }
}

/// A table's entries in an order that does not depend on how it was written.
pub fn by_key(entries: &[(String, Node)]) -> Vec<&(String, Node)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    entries
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) | Value::Raw(text) => write!(out, "{text:?}"),
            Value::Integer(number) => write!(out, "{number}"),
            Value::Bool(yes) => write!(out, "{yes}"),
            Value::List(_) => out.write_str("a list"),
            Value::Table(_) => out.write_str("a table"),
            Value::Foreign(text) => out.write_str(text),
        }
    }
}

/// One step of a path into the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The n-th entry of a list, from 0.
    Index(usize),
    /// A key of a table.
    Key(String),
}

impl Step {
    /// `listeners.0.address` as steps: whole numbers are indices.
    pub fn path(dotted: &str) -> Vec<Step> {
        let step = |part: &str| match part.parse() {
            Ok(index) => Step::Index(index),
            Err(_) => Step::Key(part.to_owned()),
        };
        dotted.split('.').map(step).collect()
    }
}

/// Why a value could not be put where it was meant to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// The list has only this many entries, and the index skips some.
    Gap(usize),
    /// What stands there already is not a list.
    NotAList,
    /// What stands there already is not a table.
    NotATable,
}

impl Node {
    /// A value nobody wrote.
    pub fn default(value: Value) -> Node {
        Node {
            value,
            origin: Origin::Default,
        }
    }

    /// An empty table nobody wrote.
    pub fn empty() -> Node {
        Node::default(Value::Table(Vec::new()))
    }

    /// The value under `key`, when this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, n)| n),
            _ => None,
        }
    }

    /// Puts `node` at the end of `path`, replacing what was there and making the
    /// tables and lists on the way.
    ///
    /// # Errors
    /// [`Misplaced`] when a step does not fit what already stands there. The
    /// tree is then as it was, but for empty tables on the way.
    pub fn put(&mut self, path: &[Step], node: Node) -> Result<(), Misplaced> {
        let Some((step, rest)) = path.split_first() else {
            *self = node;
            return Ok(());
        };
        let value = match rest.first() {
            Some(Step::Index(0)) => Value::List(Vec::new()),
            Some(Step::Index(_)) if self.lacks(step) => return Err(Misplaced::Gap(0)),
            _ => Value::Table(Vec::new()),
        };
        let origin = node.origin.clone();
        let new = Node { value, origin };
        self.child(step, new)?.put(rest, node)
    }

    fn lacks(&self, step: &Step) -> bool {
        matches!(step, Step::Key(key) if self.get(key).is_none())
    }

    fn child(&mut self, step: &Step, new: Node) -> Result<&mut Node, Misplaced> {
        match (step, &mut self.value) {
            (Step::Index(index), Value::List(entries)) => {
                if *index == entries.len() {
                    entries.push(new);
                }
                let count = entries.len();
                entries.get_mut(*index).ok_or(Misplaced::Gap(count))
            }
            (Step::Index(_), _) => Err(Misplaced::NotAList),
            (Step::Key(key), Value::Table(entries)) => {
                let at = entries.iter().position(|(name, _)| name == key);
                let at = at.unwrap_or_else(|| {
                    entries.push((key.clone(), new));
                    entries.len() - 1
                });
                Ok(&mut entries[at].1)
            }
            (Step::Key(_), _) => Err(Misplaced::NotATable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Node {
        Node::default(Value::Text(value.into()))
    }

    #[test]
    fn paths_make_their_way() {
        let mut root = Node::empty();
        root.put(&Step::path("listeners.0.address"), text("a"))
            .expect("an empty tree takes all");
        root.put(&Step::path("listeners.1.address"), text("b"))
            .expect("the next index fits");
        root.put(&Step::path("listeners.0.address"), text("c"))
            .expect("a value is replaced");
        let Some(Value::List(listeners)) = root.get("listeners").map(|node| &node.value) else {
            panic!("listeners is a list");
        };
        assert_eq!(listeners[0].get("address"), Some(&text("c")));
        assert_eq!(listeners[1].get("address"), Some(&text("b")));
    }

    #[test]
    fn steps_that_do_not_fit_are_refused() {
        let mut root = Node::empty();
        root.put(&Step::path("listeners.0.name"), text("a"))
            .expect("an empty tree takes all");
        let put = |root: &mut Node, path| root.put(&Step::path(path), text("x"));
        assert_eq!(put(&mut root, "listeners.2.name"), Err(Misplaced::Gap(1)));
        assert_eq!(put(&mut root, "listeners.name"), Err(Misplaced::NotATable));
        assert_eq!(put(&mut root, "0.name"), Err(Misplaced::NotAList));
    }
}
