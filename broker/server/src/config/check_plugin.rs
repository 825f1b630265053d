//! What only the whole configuration can tell of plugins. What a plugin itself says, whoever loads
//! it finds out.

use super::bridge::Bridge;
use super::broker::Config;
use super::check::Check;
use super::listener::Listener;
use super::plugin::{KeySet, Plugin};
use super::webhook::Webhook;

impl Check<'_> {
    pub(super) fn plugins(&mut self, config: &Config) {
        for (index, plugin) in config.plugins.iter().enumerate() {
            let path = format!("plugins[{index}]");
            self.plugin_name(&config.plugins[..index], plugin, &path);
            if plugin.path.as_os_str().is_empty() {
                let text = "is missing; it names the plugin's .wasm file";
                self.problem(&format!("{path}.path"), text);
            } else {
                self.file(&format!("{path}.path"), Some(&plugin.path));
            }
            self.file(&format!("{path}.cases"), plugin.cases.as_deref());
            for (at, name) in plugin.listeners.iter().enumerate() {
                let listeners = config.listeners.iter().map(Listener::label);
                let bridges = config.bridges.iter().map(Bridge::label);
                let webhooks = config.webhooks.iter().map(Webhook::label);
                let mut labels = listeners.chain(bridges).chain(webhooks);
                if !labels.any(|label| label == *name) {
                    let text = format!("no listener is called {name:?}");
                    self.problem(&format!("{path}.listeners[{at}]"), &text);
                }
            }
            for (at, key_set) in plugin.key_sets.iter().enumerate() {
                let earlier = &plugin.key_sets[..at];
                self.key_set(earlier, key_set, &format!("{path}.key_sets[{at}]"));
            }
        }
    }

    fn plugin_name(&mut self, earlier: &[Plugin], plugin: &Plugin, path: &str) {
        let key = format!("{path}.name");
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if plugin.name.is_empty() || plugin.name.len() > 64 || !plugin.name.bytes().all(fits) {
            let text = "needs 1 to 64 small letters, digits and \"-\", as \"my-acl\"";
            self.problem(&key, text);
        } else if earlier.iter().any(|other| other.name == plugin.name) {
            let text = format!("another plugin is called {:?} already", plugin.name);
            self.problem(&key, &text);
        }
    }

    fn key_set(&mut self, earlier: &[KeySet], key_set: &KeySet, path: &str) {
        let key = format!("{path}.name");
        if key_set.name.is_empty() {
            self.problem(&key, "is missing; the plugin asks for it");
        } else if earlier.iter().any(|other| other.name == key_set.name) {
            let text = format!("another key set is called {:?} already", key_set.name);
            self.problem(&key, &text);
        }
        let sources = [
            key_set.url.is_some(),
            key_set.file.is_some(),
            key_set.secret.is_some(),
            key_set.secret_file.is_some(),
        ];
        if sources.iter().filter(|given| **given).count() != 1 {
            let text = "needs one of url, file, secret and secret_file";
            self.problem(path, text);
        }
        self.file(&format!("{path}.file"), key_set.file.as_deref());
        self.file(
            &format!("{path}.secret_file"),
            key_set.secret_file.as_deref(),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::from_toml;

    /// What is wrong with a plugin that has a name and a path.
    fn problems(more: &str) -> Vec<String> {
        let text = format!("[[plugins]]\nname = \"one\"\npath = \"one.wasm\"\n{more}\n");
        match from_toml(&text) {
            Ok(_) => Vec::new(),
            Err(invalid) => invalid.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn plugins_are_checked_against_each_other_and_the_listeners() {
        assert_eq!(problems(""), [""; 0]);
        assert_eq!(problems("listeners = [\"[::]:1883\"]"), [""; 0]);
        let two_sources = "key_sets = [{ name = \"k\", url = \"https://a\", file = \"f\" }]";
        let twice = "key_sets = [{ name = \"k\", file = \"f\" }, { name = \"k\", file = \"g\" }]";
        for (more, expected) in [
            (
                "[[plugins]]\nname = \"one\"\npath = \"p\"",
                "called \"one\" already",
            ),
            ("[[plugins]]\nname = \"Two\"\npath = \"p\"", "small letters"),
            ("[[plugins]]\nname = \"two\"", "is missing"),
            ("listeners = [\"web\"]", "no listener is called \"web\""),
            ("key_sets = [{ name = \"k\" }]", "needs one of"),
            (two_sources, "needs one of"),
            (twice, "called \"k\" already"),
            ("grant = {}", "grants"),
        ] {
            let problems = problems(more);
            assert_eq!(problems.len(), 1, "{more}: {problems:?}");
            assert!(problems[0].contains(expected), "{more}: {problems:?}");
        }
    }
}
