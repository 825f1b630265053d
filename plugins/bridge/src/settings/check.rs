//! Whether a bridge can be what it is told to be.

use super::{BridgeSettings, Start};

impl BridgeSettings {
    /// # Errors
    /// What is missing or out of its bounds.
    pub(crate) fn check(&self) -> Result<(), String> {
        let most = dunlin_session::client::Options::MAXIMUM_INFLIGHT;
        let lazy = match self.start {
            Start::Lazy { threshold, .. } => (1..=10_000).contains(&threshold),
            _ => true,
        };
        let v5 = self.version.has_properties();
        let wrong = [
            (self.name.is_empty(), "has no name"),
            (self.addresses.is_empty(), "has no address"),
            (self.topics.is_empty(), "shares no topic"),
            (self.keep_alive < 5, "keep alive is below 5 seconds"),
            (!lazy, "threshold is not 1 to 10,000"),
            (
                self.receive_maximum == 0 || self.receive_maximum > most,
                "receive maximum is not 1 to 64,511",
            ),
            (
                self.maximum_inflight.is_some_and(|most| most == 0),
                "maximum inflight is 0",
            ),
            (
                self.max_incoming_packet_bytes < 256,
                "the largest packet is below 256 bytes",
            ),
            (self.restart.base.is_zero(), "restart pause is zero"),
            (
                self.remote_password.is_some() && self.remote_username.is_none() && !v5,
                "a password needs a user name in version 3",
            ),
        ];
        match wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, what)) => Err(format!("bridge {}: {what}", self.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_codec::Version;

    use super::*;
    use crate::settings::TopicRule;

    fn minimal() -> BridgeSettings {
        BridgeSettings {
            name: "b".into(),
            addresses: vec!["far".into()],
            topics: vec![TopicRule::default()],
            ..BridgeSettings::default()
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(minimal().check(), Ok(()));
        type Change = fn(&mut BridgeSettings);
        let cases: [(Change, &str); 4] = [
            (|s| s.topics.clear(), "bridge b: shares no topic"),
            (|s| s.addresses.clear(), "bridge b: has no address"),
            (
                |s| s.keep_alive = 4,
                "bridge b: keep alive is below 5 seconds",
            ),
            (
                |s| (s.version, s.remote_password) = (Version::Mqtt311, Some(vec![1])),
                "bridge b: a password needs a user name in version 3",
            ),
        ];
        for (change, expected) in cases {
            let mut settings = minimal();
            change(&mut settings);
            assert_eq!(settings.check(), Err(expected.into()));
        }
    }
}
