//! What one side has subscribed to, and what its broker makes of it.

use dunlin_codec::{PacketId, Qos, ReasonCode, Suback};

/// The subscriptions of a connection that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Subscribing {
    /// SUBSCRIBE packets without an answer, and their filters; the client bounds how many.
    open: Vec<(PacketId, Vec<String>)>,
    refused: Vec<(String, ReasonCode)>,
}

impl Subscribing {
    /// These filters are asked for.
    pub fn asked(&mut self, packet_id: PacketId, filters: &[(&str, Qos)]) {
        let filters = filters.iter().map(|(filter, _)| (*filter).to_owned());
        self.open.push((packet_id, filters.collect()));
    }

    /// The broker's answer.
    pub fn answered(&mut self, answer: &Suback<'_>) {
        let is_its = |(packet_id, _): &(PacketId, _)| *packet_id == answer.packet_id;
        let Some(at) = self.open.iter().position(is_its) else {
            return;
        };
        let (_, filters) = self.open.swap_remove(at);
        let answers = filters.into_iter().zip(answer.reasons.iter());
        self.refused
            .extend(answers.filter(|(_, reason)| reason.is_error()));
    }

    /// Whether all is answered.
    pub fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Filters that were refused since the last time, and why.
    pub fn refused(&mut self) -> Vec<(String, ReasonCode)> {
        std::mem::take(&mut self.refused)
    }
}
