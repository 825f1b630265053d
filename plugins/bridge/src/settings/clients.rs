//! As which clients a bridge goes to its two brokers.

use std::num::NonZeroU32;

use dunlin_codec::{PropertiesBuf, Qos};
use dunlin_session::client::{Options, Will};

use super::{BridgeSettings, Start};
use crate::greeting::Introduction;
use crate::topics::Place;

/// Mosquitto's `max_inflight_messages`.
const V3_WINDOW: u16 = 20;

impl BridgeSettings {
    /// What to say in CONNECT there.
    pub(crate) fn introduction(&self, place: Place) -> Introduction {
        let clean = match place {
            Place::Local => self.local_clean(),
            Place::Remote => self.clean_session,
        };
        // What waits for a lazy bridge to connect waits inside this window.
        let window = match (place, self.start) {
            (Place::Local, Start::Lazy { threshold, .. }) => self.receive_maximum.max(threshold),
            _ => self.receive_maximum,
        };
        let mut options = Options {
            client_id: self.local_id(),
            clean_start: clean,
            session_expiry: if clean { 0 } else { self.session_expiry },
            keep_alive: self.keep_alive,
            username: self.local_username.clone(),
            password: self.local_password.clone(),
            maximum_inflight: self.receive_maximum,
            maximum_packet_size: NonZeroU32::new(self.max_incoming_packet_bytes)
                .unwrap_or(NonZeroU32::MAX),
            ..Options::default()
        };
        let zero = self.notifications.then(|| Will {
            qos: Qos::AtLeastOnce,
            retain: true,
            topic: self.notification_topic(),
            payload: b"0".to_vec(),
            properties: PropertiesBuf::new(),
        });
        match place {
            Place::Local => options.will = zero,
            Place::Remote => {
                options.version = self.version;
                options.client_id = self.remote_id();
                options.maximum_inflight = self.remote_window();
                options.will = zero.filter(|_| !self.notifications_local_only);
                options.username = self.remote_username.clone();
                options.password = self.remote_password.clone();
                options.topic_alias_maximum = self.topic_alias_maximum;
            }
        }
        Introduction::new(options, window, self.connect_timeout)
    }

    /// `remote_clientid`, or what stands for it.
    pub(crate) fn remote_id(&self) -> String {
        let given = self.remote_client_id.clone();
        given.unwrap_or_else(|| {
            let machine = rustix::system::uname();
            format!("{}.{}", self.name, machine.nodename().to_string_lossy())
        })
    }

    /// `local_clientid`, or what stands for it.
    fn local_id(&self) -> String {
        let given = self.local_client_id.clone();
        given.unwrap_or_else(|| format!("local.{}", self.remote_id()))
    }

    pub(crate) fn notification_topic(&self) -> String {
        let given = self.notification_topic.clone();
        given.unwrap_or_else(|| format!("$SYS/broker/connection/{}/state", self.remote_id()))
    }

    /// `maximum_inflight`, or what stands for it.
    fn remote_window(&self) -> u16 {
        let usual = match self.version.has_properties() {
            true => self.receive_maximum,
            false => self.receive_maximum.min(V3_WINDOW),
        };
        self.maximum_inflight.unwrap_or(usual)
    }

    /// `local_cleansession`, or what stands for it.
    pub(crate) fn local_clean(&self) -> bool {
        self.local_clean_session.unwrap_or(self.clean_session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_connection_and_the_machine() {
        let mut settings = BridgeSettings {
            name: "b".into(),
            ..BridgeSettings::default()
        };
        assert!(settings.remote_id().starts_with("b."));
        settings.remote_client_id = Some("far-id".into());
        assert_eq!(settings.local_id(), "local.far-id");
        let topic = "$SYS/broker/connection/far-id/state";
        assert_eq!(settings.notification_topic(), topic);
    }
}
