//! What only the whole configuration can tell of bridges and webhooks. Addresses, filters and the contents of
//! files are checked by whoever runs them.

use super::bridge::{Bridge, BridgeTls, BridgeVersion};
use super::broker::Config;
use super::check::Check;

impl Check<'_> {
    pub(super) fn bridges(&mut self, config: &Config) {
        for (index, bridge) in config.bridges.iter().enumerate() {
            let path = format!("bridges[{index}]");
            let earlier = config.bridges[..index].iter().map(|bridge| &bridge.name);
            self.bridge_name(earlier, &bridge.name, &path);
            if bridge.addresses.is_empty() {
                let text = "the bridge has no address; say where the other broker is";
                self.problem(&format!("{path}.addresses"), text);
            }
            if bridge.topics.is_empty() {
                let text = "the bridge has no topic; say what is carried";
                self.problem(&format!("{path}.topics"), text);
            }
            self.whole_seconds(&format!("{path}.keepalive"), bridge.keepalive);
            self.bridge_password(bridge, &path);
            if let Some(tls) = &bridge.tls {
                self.bridge_tls(tls, &format!("{path}.tls"));
            }
        }
    }

    pub(super) fn webhooks(&mut self, config: &Config) {
        for (index, webhook) in config.webhooks.iter().enumerate() {
            let path = format!("webhooks[{index}]");
            let bridges = config.bridges.iter().map(|bridge| &bridge.name);
            let earlier = config.webhooks[..index].iter().map(|webhook| &webhook.name);
            self.bridge_name(bridges.chain(earlier), &webhook.name, &path);
            if webhook.url.is_empty() {
                let text = "is missing; it says where requests go, as \"https://example.org/mqtt\"";
                self.problem(&format!("{path}.url"), text);
            }
            if webhook.topics.is_empty() {
                let text = "is missing; without topics nothing is sent";
                self.problem(&format!("{path}.topics"), text);
            }
            for (at, authority) in webhook.authorities.iter().enumerate() {
                self.file_or_directory(&format!("{path}.authorities[{at}]"), authority);
            }
        }
    }

    fn bridge_name<'n>(
        &mut self,
        mut earlier: impl Iterator<Item = &'n String>,
        name: &String,
        path: &str,
    ) {
        let key = format!("{path}.name");
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            let text = "needs 1 to 64 letters, digits, \"-\", \"_\" and \".\", as \"cloud\"";
            self.problem(&key, text);
        } else if earlier.any(|other| other == name) {
            let text = format!("a bridge or webhook is called {name:?} already");
            self.problem(&key, &text);
        }
    }

    fn bridge_password(&mut self, bridge: &Bridge, path: &str) {
        let (given, file) = (&bridge.remote_password, &bridge.remote_password_file);
        if given.is_some() && file.is_some() {
            let text = "cannot stand beside remote_password; remove one of them";
            self.problem(&format!("{path}.remote_password_file"), text);
        }
        let password = given.is_some() || file.is_some();
        let old = bridge.protocol_version != BridgeVersion::Mqtt5;
        if password && old && bridge.remote_username.is_none() {
            let text = "needs remote_username: before MQTT 5 no password goes without a user name";
            self.problem(&format!("{path}.remote_password"), text);
        }
        self.file(&format!("{path}.remote_password_file"), file.as_deref());
    }

    fn bridge_tls(&mut self, tls: &BridgeTls, path: &str) {
        for (index, authority) in tls.authorities.iter().enumerate() {
            self.file_or_directory(&format!("{path}.authorities[{index}]"), authority);
        }
        let pair = [("certificate", &tls.certificate), ("key", &tls.key)];
        for (name, file) in pair {
            self.file(&format!("{path}.{name}"), file.as_deref());
        }
        if tls.certificate.is_some() != tls.key.is_some() {
            let text = "needs certificate and key together, or neither";
            self.problem(path, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::from_toml;

    /// What is wrong with a bridge that has a name, an address and a topic.
    fn problems(more: &str) -> Vec<String> {
        let head = "[[bridges]]\nname = \"one\"\naddresses = [\"far\"]\ntopics = [{ qos = 1 }]";
        match from_toml(&format!("{head}\n{more}\n")) {
            Ok(_) => Vec::new(),
            Err(invalid) => invalid.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn bridges_are_checked() {
        assert_eq!(problems(""), [""; 0]);
        let twice = "[[bridges]]\nname = \"one\"\naddresses = [\"b\"]\ntopics = [{}]";
        let plugin = "[[plugins]]\nname = \"p\"\npath = \"p\"\nlisteners = [\"bridge/one\"]";
        assert_eq!(problems(plugin), [""; 0]);
        for (more, expected) in [
            (twice, "called \"one\" already"),
            (
                "[[bridges]]\nname = \"a/b\"\naddresses = [\"b\"]\ntopics = [{}]",
                "1 to 64 letters",
            ),
            ("[[bridges]]\nname = \"b\"\ntopics = [{}]", "no address"),
            ("[[bridges]]\nname = \"b\"\naddresses = [\"b\"]", "no topic"),
            ("keepalive = \"5500ms\"", "whole seconds"),
            ("keepalive = \"4s\"", "from 5s"),
            (
                "remote_password = \"x\"\nremote_password_file = \"x\"",
                "beside",
            ),
            (
                "protocol_version = \"3.1.1\"\nremote_password = \"x\"",
                "needs remote_username",
            ),
            ("tls = { certificate = \"c\" }", "together"),
            ("tls = { cerificate = \"c\" }", "certificate"),
            ("direction = \"out\"", "direction"),
            (
                "[[webhooks]]\nname = \"one\"\nurl = \"http://a\"\ntopics = [\"#\"]",
                "\"one\" already",
            ),
            (
                "[[webhooks]]\nname = \"two\"\ntopics = [\"#\"]",
                "where requests go",
            ),
            (
                "[[webhooks]]\nname = \"two\"\nurl = \"http://a\"",
                "nothing is sent",
            ),
        ] {
            let problems = problems(more);
            assert_eq!(problems.len(), 1, "{more}: {problems:?}");
            assert!(problems[0].contains(expected), "{more}: {problems:?}");
        }
    }
}
