//! Topic filters with placeholders.
//!
//! A placeholder is a whole level. It stands for one level exactly: a name that has `/`, `+` or `#` in
//! it could stand for others' topics, hence for none.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_sdk::{Client, topic};

/// Lists and tables that patterns refer to.
///
/// A list is a table with one column, whose name is empty.
pub struct Lists<'a>(BTreeMap<&'a str, Vec<BTreeMap<&'a str, &'a str>>>);

impl<'a> Lists<'a> {
    /// Lists by name, and tables by name as lists of rows.
    ///
    /// # Errors
    /// A list and a table have the same name, or a name has a dot in it.
    pub fn new(
        lists: &'a BTreeMap<String, Vec<String>>,
        tables: &'a BTreeMap<String, Vec<BTreeMap<String, String>>>,
    ) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for (name, values) in lists {
            let rows = values
                .iter()
                .map(|value| BTreeMap::from([("", value.as_str())]));
            all.insert(name.as_str(), rows.collect());
        }
        for (name, rows) in tables {
            let rows = rows.iter().map(|row| {
                let cells = row.iter();
                cells
                    .map(|(column, value)| (column.as_str(), value.as_str()))
                    .collect()
            });
            if all.insert(name.as_str(), rows.collect()).is_some() {
                return Err(format!("{name} is a list and a table"));
            }
        }
        match all.keys().find(|name| name.contains('.')) {
            Some(name) => Err(format!("the name {name} has a dot in it")),
            None => Ok(Lists(all)),
        }
    }
}

/// A topic filter with placeholders.
#[derive(Default)]
pub struct Pattern {
    levels: Vec<Level>,
    choices: Vec<Choice>,
}

enum Level {
    Literal(String),
    /// `+`
    Any,
    /// `#`
    Rest,
    Username,
    ClientId,
    Attribute(String),
    /// Any of those that a [`Choice`] allows.
    Chosen,
}

/// Levels that must have values which stand in one row of a table.
struct Choice {
    table: String,
    columns: Vec<String>,
    at: Vec<usize>,
    /// The values of the columns in each row, with `/` between: no value that matters has one.
    rows: BTreeSet<String>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// In words: it is not a topic filter, a placeholder is not a whole level or has no meaning.
    pub fn parse(filter: &str, lists: &Lists) -> Result<Self, String> {
        if !topic::is_filter(filter) {
            return Err("not a topic filter".into());
        }
        let mut pattern = Pattern::default();
        for (at, text) in filter.split('/').enumerate() {
            let level = pattern.level(at, text, lists)?;
            pattern.levels.push(level);
        }
        for choice in &mut pattern.choices {
            choice.fill(lists)?;
        }
        Ok(pattern)
    }

    fn level(&mut self, at: usize, text: &str, lists: &Lists) -> Result<Level, String> {
        Ok(match text {
            "+" => Level::Any,
            "#" => Level::Rest,
            "%u" => Level::Username,
            "%c" => Level::ClientId,
            _ => match text
                .strip_prefix("%{")
                .and_then(|rest| rest.strip_suffix('}'))
            {
                Some(name) => self.placeholder(at, name, lists)?,
                None if text.contains("%{") || text.contains("%u") || text.contains("%c") => {
                    return Err(format!("{text:?}: a placeholder is a whole level"));
                }
                None => Level::Literal(text.to_owned()),
            },
        })
    }

    fn placeholder(&mut self, at: usize, name: &str, lists: &Lists) -> Result<Level, String> {
        let (table, column) = name.split_once('.').unwrap_or((name, ""));
        if !lists.0.contains_key(table) {
            return match column {
                "" => Ok(Level::Attribute(name.to_owned())),
                _ => Err(format!("there is no table {table}")),
            };
        }
        let known = self.choices.iter().position(|choice| choice.table == table);
        let choice = match known {
            Some(known) => &mut self.choices[known],
            None => self.choices.push_mut(Choice {
                table: table.to_owned(),
                columns: Vec::new(),
                at: Vec::new(),
                rows: BTreeSet::new(),
            }),
        };
        choice.columns.push(column.to_owned());
        choice.at.push(at);
        Ok(Level::Chosen)
    }

    /// Whether a topic name matches for this client; if so, the filter without placeholders that says
    /// as much.
    pub fn matches(&self, client: &Client, name: &str) -> Option<String> {
        if self.is_apart(name) {
            return None;
        }
        let mut names = name.split('/');
        let mut scope = String::with_capacity(name.len());
        for (at, level) in self.levels.iter().enumerate() {
            if at > 0 {
                scope.push('/');
            }
            let name = match level {
                Level::Rest => {
                    scope.push('#');
                    names = "".split('/');
                    names.next();
                    break;
                }
                _ => names.next()?,
            };
            if !level.admits(client, name) {
                return None;
            }
            scope.push_str(if matches!(level, Level::Any) {
                "+"
            } else {
                name
            });
        }
        let fits = names.next().is_none() && self.choices.iter().all(|choice| choice.has(name));
        fits.then_some(scope)
    }

    /// Whether all topics that match `filter` match this for this client. May say no in doubt.
    pub fn covers(&self, client: &Client, filter: &str) -> bool {
        if self.is_apart(filter) {
            return false;
        }
        let mut others = filter.split('/');
        for level in &self.levels {
            match (level, others.next()) {
                (Level::Rest, _) => return self.choices.iter().all(|choice| choice.has(filter)),
                (_, None | Some("#")) => return false,
                (Level::Any, Some(_)) => {}
                (_, Some("+")) => return false,
                (level, Some(name)) if level.admits(client, name) => {}
                _ => return false,
            }
        }
        others.next().is_none() && self.choices.iter().all(|choice| choice.has(filter))
    }

    /// Whether some topic may match both `filter` and this, for this client. May say yes in doubt.
    pub fn overlaps(&self, client: &Client, filter: &str) -> bool {
        if self.is_apart(filter) {
            return false;
        }
        let mut others = filter.split('/');
        for level in &self.levels {
            match (level, others.next()) {
                (Level::Rest, _) | (_, Some("#")) => return true,
                (_, None) => return false,
                (Level::Any, Some(_)) => {}
                (level, Some("+")) if level.admits_any(client) => {}
                (level, Some(name)) if level.admits(client, name) => {}
                _ => return false,
            }
        }
        // `a` is matched by `a/#`.
        matches!(others.next(), None | Some("#"))
    }

    /// Whether one is about topics that begin with `$`, and the other begins with a wildcard, which
    /// does not match those [MQTT-4.7.2-1].
    fn is_apart(&self, filter: &str) -> bool {
        match &self.levels[0] {
            Level::Any | Level::Rest => filter.starts_with('$'),
            Level::Literal(literal) => literal.starts_with('$') && filter.starts_with(['+', '#']),
            _ => false,
        }
    }
}

impl Level {
    /// Whether the level of a name may stand here.
    fn admits(&self, client: &Client, name: &str) -> bool {
        match self {
            Level::Literal(literal) => literal == name,
            Level::Any | Level::Rest => true,
            // Also keeps wildcards of a subscription from standing for a name of a list.
            Level::Chosen => topic::is_level(name),
            names => names
                .of(client)
                .any(|found| found == name && topic::is_level(found)),
        }
    }

    /// Whether any level may.
    fn admits_any(&self, client: &Client) -> bool {
        match self {
            Level::Literal(_) | Level::Any | Level::Rest | Level::Chosen => true,
            names => names.of(client).any(topic::is_level),
        }
    }

    /// The names of the client that it stands for.
    fn of<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = &'a str> {
        let (one, attribute) = match self {
            Level::Username => (client.username.as_deref(), None),
            Level::ClientId => (Some(client.client_id.as_str()), None),
            Level::Attribute(name) => (None, Some(client.attributes(name))),
            _ => (None, None),
        };
        one.into_iter().chain(attribute.into_iter().flatten())
    }
}

impl Choice {
    /// Takes its rows over.
    fn fill(&mut self, lists: &Lists) -> Result<(), String> {
        for row in lists.0.get(self.table.as_str()).into_iter().flatten() {
            let mut values = Vec::new();
            for column in &self.columns {
                match row.get(column.as_str()) {
                    Some(value) if topic::is_level(value) => values.push(*value),
                    Some(value) => {
                        return Err(format!("{value:?} in {} cannot be a level", self.table));
                    }
                    None => return Err(format!("a row of {} has no {column:?}", self.table)),
                }
            }
            self.rows.insert(values.join("/"));
        }
        Ok(())
    }

    /// Whether the levels of a name stand in one row.
    fn has(&self, name: &str) -> bool {
        let levels: Vec<&str> = name.split('/').collect();
        let values: Option<Vec<&str>> = self.at.iter().map(|at| levels.get(*at).copied()).collect();
        values.is_some_and(|values| self.rows.contains(&values.join("/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(filter: &str) -> Pattern {
        let lists = BTreeMap::new();
        let tables = BTreeMap::new();
        Pattern::parse(filter, &Lists::new(&lists, &tables).unwrap()).unwrap()
    }

    #[test]
    fn a_match_gives_the_filter_that_says_as_much() {
        let client = Client::new("c1").username("alice").attribute("site", "x");
        for (filter, name, expected) in [
            ("a/%u/#", "a/alice/b/c", Some("a/alice/#")),
            ("a/%u/#", "a/alice", Some("a/alice/#")),
            ("a/%u/#", "a/bob/b", None),
            ("+/%c", "a/c1", Some("+/c1")),
            ("+/%c", "a/c1/b", None),
            ("+/%c", "a", None),
            ("%{site}/a", "x/a", Some("x/a")),
            ("%{none}/a", "x/a", None),
            ("#", "a/b", Some("#")),
            ("#", "$SYS/a", None),
            ("+/a", "$SYS/a", None),
            ("$SYS/#", "$SYS/a", Some("$SYS/#")),
        ] {
            let found = pattern(filter).matches(&client, name);
            assert_eq!(found.as_deref(), expected, "{filter} {name}");
        }
    }

    #[test]
    fn a_name_with_wildcards_in_it_stands_for_nothing() {
        for name in ["+", "#", "a/b", "a+"] {
            let client = Client::new(name).username(name).attribute("site", name);
            for placeholder in ["%u", "%c", "%{site}"] {
                let pattern = pattern(&format!("d/{placeholder}/x"));
                let topic = format!("d/{name}/x");
                assert_eq!(pattern.matches(&client, &topic), None, "{topic}");
                assert!(!pattern.covers(&client, &topic), "{topic}");
                let overlaps = topic::is_filter(&topic) && pattern.overlaps(&client, &topic);
                assert!(!overlaps, "{topic}");
                assert!(!pattern.overlaps(&client, "d/+/x"), "{name}");
            }
        }
    }

    #[test]
    fn filters_cover_and_overlap() {
        let client = Client::new("c1");
        for (filter, other, covers, overlaps) in [
            ("a/#", "a/b", true, true),
            ("a/#", "a/+/c", true, true),
            ("a/#", "a/#", true, true),
            ("a/#", "#", false, true),
            ("a/+", "a/+", true, true),
            ("a/+", "a/b", true, true),
            ("a/+", "a/#", false, true),
            ("a/b", "a/+", false, true),
            ("a/b", "a/c", false, false),
            ("a/b", "a/b/c", false, false),
            ("a/b/c", "a/b", false, false),
            ("a", "a/#", false, true),
            ("#", "$SYS/#", false, false),
            ("$SYS/a", "+/a", false, false),
            ("$SYS/#", "$SYS/a", true, true),
            ("a/%c", "a/c1", true, true),
            ("a/%c", "a/+", false, true),
            ("a/%c", "a/c2", false, false),
        ] {
            assert_eq!(
                pattern(filter).covers(&client, other),
                covers,
                "{filter} {other}"
            );
            assert_eq!(
                pattern(filter).overlaps(&client, other),
                overlaps,
                "{filter} {other}"
            );
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let lists = BTreeMap::from([("keys".to_owned(), vec!["a/b".to_owned()])]);
        let tables = BTreeMap::from([("things".to_owned(), vec![BTreeMap::new()])]);
        let lists = Lists::new(&lists, &tables).unwrap();
        for (filter, expected) in [
            ("a/#/b", "not a topic filter"),
            ("a/x%u", "a whole level"),
            ("a/%{b", "a whole level"),
            ("%{table.column}", "no table table"),
            ("%{things.key}", "has no \"key\""),
            ("%{keys}", "cannot be a level"),
        ] {
            let Err(error) = Pattern::parse(filter, &lists) else {
                panic!("{filter} is a pattern");
            };
            assert!(error.contains(expected), "{filter}: {error}");
        }
    }
}
