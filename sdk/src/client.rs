//! Words that the kinds of plugins share.

/// A name and a value, such as a user property (MQTT 5, 3.1.3.2.8). In lists they stand in the order
/// of the packet, and a name may come more than once.
pub type Property = (String, String);

/// Quality of Service (MQTT 5, 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// QoS 0.
    #[default]
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce,
    /// QoS 2.
    ExactlyOnce,
}

/// A connected client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Client Identifier; unique among the connected clients.
    pub client_id: String,
    /// The user name that its authentication proved; `None` for an anonymous client.
    pub username: Option<String>,
    /// What its authentication granted besides.
    pub attributes: Vec<Property>,
    /// IP address and port; `None` behind a unix socket.
    pub address: Option<String>,
    /// Name of the listener that it came by.
    pub listener: String,
}

impl Client {
    /// A client of which nothing else is known.
    pub fn new(client_id: impl Into<String>) -> Self {
        Client {
            client_id: client_id.into(),
            ..Client::default()
        }
    }

    /// With a user name.
    #[must_use]
    pub fn username(self, username: impl Into<String>) -> Self {
        Client {
            username: Some(username.into()),
            ..self
        }
    }

    /// With an attribute more.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// The values of an attribute.
    pub fn attributes<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        values(&self.attributes, name)
    }
}

/// All values of a name.
pub(crate) fn values<'a>(properties: &'a [Property], name: &str) -> impl Iterator<Item = &'a str> {
    properties
        .iter()
        .filter(move |(found, _)| found == name)
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_may_have_several_values() {
        let client = Client::new("pump")
            .attribute("group", "a")
            .attribute("site", "x")
            .attribute("group", "b");
        assert_eq!(client.attributes("group").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(client.attributes("none").count(), 0);
    }
}
