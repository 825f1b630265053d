//! The first bytes of a payload: whose message it is and when it was due.

/// Names a message and its moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Index of its publisher.
    pub publisher: u32,
    /// How many messages that publisher sent before.
    pub sequence: u32,
    /// When it was meant to be sent, in nanoseconds since the start of the run.
    pub intended_ns: u64,
}

impl Stamp {
    /// Its length, and so that of the shortest payload.
    pub const BYTES: usize = 16;

    /// Writes it over the start of `payload`, which has at least
    /// [`BYTES`](Self::BYTES).
    pub fn write(&self, payload: &mut [u8]) {
        payload[..4].copy_from_slice(&self.publisher.to_be_bytes());
        payload[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        payload[8..16].copy_from_slice(&self.intended_ns.to_be_bytes());
    }

    /// Reads it from the start of `payload`; `None` if that is too short.
    pub fn read(payload: &[u8]) -> Option<Stamp> {
        let (publisher, rest) = payload.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        Some(Stamp {
            publisher: u32::from_be_bytes(*publisher),
            sequence: u32::from_be_bytes(*sequence),
            intended_ns: u64::from_be_bytes(*rest.first_chunk()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp {
            publisher: 7,
            sequence: 1 << 30,
            intended_ns: 1 << 50,
        };
        let mut payload = [0xee; Stamp::BYTES + 1];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(payload[Stamp::BYTES], 0xee, "the rest is as it was");
        assert_eq!(Stamp::read(&payload[..Stamp::BYTES - 1]), None);
    }
}
