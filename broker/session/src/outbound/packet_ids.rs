//! Packet ids: which one the next message gets, and which message has one.
//!
//! Messages are numbered in the order in which they are first sent, and a packet id is such a
//! number modulo the ids that there are.

use dunlin_codec::PacketId;

use super::Outbound;

/// Packet ids that exist: 1 to 65,535.
pub(super) const IDS: u64 = 65_535;

pub(super) fn packet_id(sequence: u64) -> PacketId {
    // (n - 1) % 65,535 + 1 is in 1..=65,535; sequences begin at 1.
    PacketId::new(((sequence - 1) % IDS + 1) as u16).unwrap_or(PacketId::MAX)
}

impl Outbound {
    /// The packet id that the next message gets.
    pub(crate) fn next_packet_id(&self) -> PacketId {
        packet_id(self.free_sequence())
    }

    /// The packet id that was given out last.
    pub(crate) fn last_packet_id(&self) -> PacketId {
        packet_id(self.sequence.max(1))
    }

    /// Uses up the next packet id.
    pub(crate) fn reserve(&mut self) -> PacketId {
        self.sequence = self.free_sequence();
        packet_id(self.sequence)
    }

    /// Where the entry with this id is. Entries are sorted by sequence and an id is given out only
    /// when free, so of the sequences that map to an id at most one is in flight.
    pub(super) fn find(&self, id: PacketId) -> Option<usize> {
        if self.inflight.front().map(|entry| packet_id(entry.sequence)) == Some(id) {
            return Some(0);
        }
        let (first, last) = (self.inflight.front()?.sequence, self.sequence);
        let behind = (last + IDS - u64::from(id.get())) % IDS;
        let mut sequence = last.checked_sub(behind)?;
        // Most peers acknowledge in order: then nothing is missing in between.
        let dense = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
        if self.inflight.get(dense).map(|entry| entry.sequence) == Some(sequence) {
            return Some(dense);
        }
        while sequence >= first {
            let at = self
                .inflight
                .binary_search_by_key(&sequence, |entry| entry.sequence);
            if let Ok(at) = at {
                return Some(at);
            }
            sequence = sequence.checked_sub(IDS)?;
        }
        None
    }

    /// The next sequence number whose packet id is free. There is one: the window is smaller than
    /// the number of ids.
    fn free_sequence(&self) -> u64 {
        let oldest = self
            .inflight
            .front()
            .map_or(u64::MAX, |entry| entry.sequence);
        let mut sequence = self.sequence + 1;
        while sequence.saturating_sub(oldest) >= IDS && self.find_other(sequence).is_some() {
            sequence += 1;
        }
        sequence
    }

    fn find_other(&self, sequence: u64) -> Option<usize> {
        self.inflight
            .iter()
            .position(|entry| packet_id(entry.sequence) == packet_id(sequence))
    }
}
