//! From the claims of a token to rules.

use dunlin_sdk::{Permission, Rule, json, log, topic};
use serde::Deserialize;
use serde_json::Value;

use crate::claim;

/// At most so many rules, as the contract says.
const MAX_RULES: usize = 1024;

/// Where the rules of a client come from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    claim: Option<String>,
    #[serde(default)]
    templates: Vec<Template>,
}

/// A rule with claims in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    permission: String,
    filter: String,
}

impl Rules {
    /// Whether all templates could become rules.
    ///
    /// # Errors
    /// In words: one that could not.
    pub fn check(&self) -> Result<(), String> {
        for template in &self.templates {
            let Template { permission, filter } = template;
            if Permission::from_name(permission).is_none() {
                return Err(format!("{permission:?} is not a permission"));
            }
            // A placeholder is a level; its name may have a slash in it.
            let mut shape = filter.clone();
            while let Some((start, end, _)) = placeholder(&shape) {
                shape.replace_range(start..end, "x");
            }
            let levels = shape.split('/');
            if !topic::is_filter(&shape) || levels.into_iter().any(|level| level.contains("%{")) {
                return Err(format!(
                    "{filter:?} is not a topic filter with claims for levels"
                ));
            }
        }
        Ok(())
    }

    /// The rules that a token makes.
    ///
    /// # Errors
    /// In words: there are too many, or they cannot be read. Then the token cannot be used, for what
    /// is left out could be a denial.
    pub fn of(&self, claims: &Value) -> Result<Vec<Rule>, String> {
        let mut rules = Vec::new();
        if let Some(found) = self.claim.as_ref().and_then(|name| claim(claims, name)) {
            rules = json::rules(found).map_err(|error| format!("rules of the token: {error}"))?;
        }
        for template in &self.templates {
            template.expand(claims, &mut rules)?;
            if rules.len() > MAX_RULES {
                return Err("the token makes over 1,024 rules".into());
            }
        }
        Ok(rules)
    }
}

impl Template {
    fn expand(&self, claims: &Value, rules: &mut Vec<Rule>) -> Result<(), String> {
        let permission = Permission::from_name(&self.permission).ok_or("checked before")?;
        let mut filters = vec![self.filter.clone()];
        while let Some((_, _, name)) = placeholder(&filters[0]) {
            let name = name.to_owned();
            let values: Vec<String> = match claim(claims, &name) {
                Some(found) => json::texts(found).collect(),
                None => Vec::new(),
            };
            let (fit, unfit): (Vec<_>, Vec<_>) = values
                .iter()
                .partition(|value| topic::is_level(value) && !is_special(value));
            if permission == Permission::Deny && (!unfit.is_empty() || values.is_empty()) {
                return Err(format!("claim {name} cannot stand in {:?}", self.filter));
            }
            if !unfit.is_empty() {
                log::debug(format!("claim {name} cannot stand in {:?}", self.filter));
            }
            filters = filters
                .iter()
                .flat_map(|filter| fit.iter().map(|value| replaced(filter, value)))
                .take(MAX_RULES + 1)
                .collect();
            if filters.is_empty() {
                return Ok(());
            }
        }
        rules.extend(
            filters
                .into_iter()
                .map(|filter| Rule { permission, filter }),
        );
        Ok(())
    }
}

/// The broker reads these as placeholders of its own, and the next round here would read another.
fn is_special(value: &str) -> bool {
    value == "%u" || value == "%c" || value.contains("%{")
}

/// With the first placeholder replaced.
fn replaced(filter: &str, value: &str) -> String {
    let mut filter = filter.to_owned();
    if let Some((start, end, _)) = placeholder(&filter) {
        filter.replace_range(start..end, value);
    }
    filter
}

/// The first `%{name}` that is a whole level.
fn placeholder(filter: &str) -> Option<(usize, usize, &str)> {
    let start = match filter.starts_with("%{") {
        true => 0,
        false => filter.find("/%{")? + 1,
    };
    let end = start + filter[start..].find('}')? + 1;
    let whole = matches!(filter.as_bytes().get(end), None | Some(b'/'));
    whole.then(|| (start, end, &filter[start + 2..end - 1]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(json: Value) -> Rules {
        serde_json::from_value(json).unwrap()
    }

    fn filters(templates: Value, claims: Value) -> Result<Vec<String>, String> {
        let rules = rules(json!({"templates": templates}));
        rules.check()?;
        Ok(rules
            .of(&claims)?
            .into_iter()
            .map(|rule| rule.filter)
            .collect())
    }

    #[test]
    fn a_list_makes_a_rule_of_each_value() {
        let templates = json!([{"permission": "read", "filter": "%{site}/a/%{/x/groups}/#"}]);
        let claims = json!({"site": "s", "x": {"groups": ["g", "h", 1]}});
        let found = filters(templates, claims).unwrap();
        assert_eq!(found, ["s/a/g/#", "s/a/h/#", "s/a/1/#"]);
    }

    #[test]
    fn a_value_never_widens_a_rule() {
        let template = |permission| json!([{"permission": permission, "filter": "d/%{sub}/#"}]);
        for value in ["+", "#", "a/b", "%u", "%c", "%{other}"] {
            let claims = json!({"sub": value, "other": "#"});
            assert_eq!(
                filters(template("read"), claims.clone()),
                Ok(vec![]),
                "{value}"
            );
            assert!(filters(template("deny"), claims).is_err(), "{value}");
        }
        assert_eq!(filters(template("read"), json!({})), Ok(vec![]));
        assert!(filters(template("deny"), json!({})).is_err());
    }

    #[test]
    fn rules_are_bounded() {
        let templates = json!([{"permission": "read", "filter": "%{a}/%{a}/%{a}"}]);
        let values: Vec<u32> = (0..100).collect();
        let error = filters(templates, json!({"a": values})).unwrap_err();
        assert!(error.contains("1,024"), "{error}");
    }

    #[test]
    fn a_template_is_checked() {
        for filter in ["d/x%{sub}/#", "d/%{sub", "d/#/%{sub}", ""] {
            let templates = json!([{"permission": "read", "filter": filter}]);
            assert!(
                rules(json!({"templates": templates})).check().is_err(),
                "{filter}"
            );
        }
        let templates = json!([{"permission": "all", "filter": "a"}]);
        assert!(rules(json!({"templates": templates})).check().is_err());
    }
}
