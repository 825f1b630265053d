//! Topics with what a filter's wildcards stand for in them: `plant/{1}/{#}`.

/// Bytes of a topic name (MQTT 5, 4.7.3).
const MAX_TOPIC_BYTES: usize = 65_535;

/// A topic to be made of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// What a `+` stands for, from 0.
    Level(usize),
    /// What `#` stands for.
    Rest,
}

/// What a filter's wildcards stand for in a topic.
struct Captured<'t> {
    levels: Vec<&'t str>,
    /// `None` if the topic ends before the `#`: `a` matches `a/#`.
    rest: Option<&'t str>,
}

impl Template {
    /// Reads `{1}` as the level of the first `+` in a filter, and `{#}` as the levels of its `#`.
    ///
    /// # Errors
    /// In words: the filter has no such wildcard, or what is made could never be a topic name.
    pub fn new(text: &str, filter: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let closed = after.split_once('}');
            let (name, after) = closed.ok_or_else(|| format!("{text:?}: {{ without }}"))?;
            parts.push(Part::Text(literal(before, text)?));
            parts.push(Part::named(name, filter).map_err(|error| format!("{text:?}: {error}"))?);
            rest = after;
        }
        parts.push(Part::Text(literal(rest, text)?));
        parts.retain(|part| *part != Part::Text(String::new()));
        match parts.is_empty() {
            true => Err("a topic is not empty".into()),
            false => Ok(Template(parts)),
        }
    }

    /// The topic that becomes of one that matches the filter; `None` if it would be empty or too
    /// long.
    pub fn render(&self, filter: &str, topic: &str) -> Option<String> {
        let captured = Captured::new(filter, topic);
        let mut made = String::new();
        for part in &self.0 {
            match (part, captured.rest) {
                (Part::Text(text), _) => made.push_str(text),
                (Part::Level(number), _) => made.push_str(captured.levels.get(*number)?),
                (Part::Rest, Some(rest)) => made.push_str(rest),
                // The slash before `#` is not there, either.
                (Part::Rest, None) if made.ends_with('/') => drop(made.pop()),
                (Part::Rest, None) => {}
            }
            if made.len() > MAX_TOPIC_BYTES {
                return None;
            }
        }
        (!made.is_empty()).then_some(made)
    }
}

impl Part {
    fn named(name: &str, filter: &str) -> Result<Self, String> {
        let wildcards = filter.split('/').filter(|level| *level == "+").count();
        match (name, name.parse::<usize>()) {
            ("#", _) if filter.ends_with('#') => Ok(Part::Rest),
            ("#", _) => Err("the filter has no #".into()),
            (_, Ok(number)) if (1..=wildcards).contains(&number) => Ok(Part::Level(number - 1)),
            (_, Ok(number)) => Err(format!("the filter has no + for {{{number}}}")),
            _ => Err(format!("{{{name}}} is neither a number nor #")),
        }
    }
}

fn literal(part: &str, text: &str) -> Result<String, String> {
    match part.contains(['+', '#', '}', '\0']) {
        true => Err(format!("{text:?} would never be a topic name")),
        false => Ok(part.to_owned()),
    }
}

impl<'t> Captured<'t> {
    fn new(filter: &str, topic: &'t str) -> Self {
        let mut captured = Captured {
            levels: Vec::new(),
            rest: None,
        };
        let mut left = Some(topic);
        for wanted in filter.split('/') {
            let Some(levels) = left else {
                break;
            };
            if wanted == "#" {
                captured.rest = Some(levels);
                break;
            }
            let (level, further) = match levels.split_once('/') {
                Some((level, further)) => (level, Some(further)),
                None => (levels, None),
            };
            if wanted == "+" {
                captured.levels.push(level);
            }
            left = further;
        }
        captured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(filter: &str, template: &str, topic: &str) -> Option<String> {
        assert!(
            dunlin_sdk::topic::matches(filter, topic),
            "{filter} {topic}"
        );
        let template = Template::new(template, filter).unwrap();
        template.render(filter, topic)
    }

    #[test]
    fn wildcards_stand_for_levels() {
        for (filter, template, topic, expected) in [
            ("a/+/#", "b/{1}/{#}", "a/x/y/z", "b/x/y/z"),
            ("a/+/#", "b/{1}/{#}", "a/x", "b/x"),
            ("a/+/#", "b/{1}/{#}", "a/x/", "b/x/"),
            ("a/#", "{#}/{#}/end", "a/b/c", "b/c/b/c/end"),
            ("+/+/c", "{2}-{1}/{2}", "a/b/c", "b-a/b"),
            ("#", "all/{#}", "/a", "all//a"),
            ("+/#", "{1}", "a/b", "a"),
            ("a", "b", "a", "b"),
        ] {
            let found = made(filter, template, topic);
            assert_eq!(
                found.as_deref(),
                Some(expected),
                "{filter} {template} {topic}"
            );
        }
    }

    #[test]
    fn what_is_no_topic_is_not_made() {
        assert_eq!(made("a/#", "{#}", "a"), None);
        assert_eq!(made("a/#", "/{#}", "a"), None);
        assert_eq!(made("+/a", "{1}", "/a"), None);
        let long = "x".repeat(40_000);
        assert_eq!(made("+", "{1}{1}", &long), None);
        assert_eq!(made("+", "{1}", &long), Some(long));
    }

    #[test]
    fn a_template_names_what_its_filter_has() {
        for (template, filter, expected) in [
            ("", "a", "not empty"),
            ("{1}", "a/#", "no + for {1}"),
            ("{0}", "+", "no + for {0}"),
            ("{3}", "+/+", "no + for {3}"),
            ("{#}", "a/+", "no #"),
            ("{x}", "a/+", "neither"),
            ("{}", "a/+", "neither"),
            ("a{1", "+", "without }"),
            ("a}", "+", "never"),
            ("a/+", "+", "never"),
            ("a/#", "#", "never"),
        ] {
            let error = Template::new(template, filter).unwrap_err();
            assert!(error.contains(expected), "{template}: {error}");
        }
    }
}
