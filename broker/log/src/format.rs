//! The bytes on disk, format version 1. All numbers are little endian.
//!
//! ```text
//! segment = header frame*                     file name: {segment:016x}.log, the first is 1
//! header  = magic[8] version:u32 crc:u32 segment:u64 first:u64 oldest:u64 tag:u64       48 bytes
//! frame   = tag:u64 crc:u32 body_crc:u32 length:u32 records:u32                         48 bytes
//!           position:u64 synced:u64 oldest:u64
//!           body[length] = records × (length:u32 bytes)
//! ```
//!
//! - `crc` is CRC-32 (IEEE) over the rest of the header, `body_crc` over the body.
//! - `tag` is a random number that the segment keeps to itself. A frame without it is none: not
//!   bytes within a record, which a stranger may have chosen, nor what another file left there.
//! - `position` counts batches through all segments without a gap; `first` is that of the
//!   segment's first batch. A frame without records is a note, and repeats the position before it.
//! - `oldest` is the oldest segment that counts; older files are leftovers of a removal.
//! - `synced` is how much of the segment was synced before the frame was written. All of a segment
//!   is synced before the next one is created.

use std::ops::{Range, RangeInclusive};

/// Bytes of a segment's header, and of a frame without its body.
pub(crate) const HEADER_BYTES: u64 = 48;

/// The longest record: 1 GiB.
pub const MAX_RECORD_BYTES: usize = 1 << 30;

/// The longest body: a segment's worth of records, or one record alone.
pub(crate) const MAX_BATCH_BYTES: u64 = MAX_RECORD_BYTES as u64 + 4;

const MAGIC: [u8; 8] = *b"dunlnlog";
const VERSION: u32 = 1;
const LENGTH_BYTES: usize = 4;

/// What the number of a segment or a batch can be; no log lives to see the last.
pub(crate) const COUNTS: RangeInclusive<u64> = 1..=u64::MAX / 2;

/// The file of a segment.
pub(crate) fn file_name(segment: u64) -> String {
    format!("{segment:016x}.log")
}

/// The segment of a file; none if the file is not the log's.
pub(crate) fn segment_of(name: &str) -> Option<u64> {
    let segment = u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()?;
    (COUNTS.contains(&segment) && file_name(segment) == name).then_some(segment)
}

/// The tag of a segment: another one for each seed and each segment, and never 0.
pub(crate) fn tag(seed: u64, segment: u64) -> u64 {
    mix(seed.wrapping_add(segment.wrapping_mul(0x9e37_79b9_7f4a_7c15))).max(1)
}

/// Makes neighbouring numbers look unrelated (the finalizer of SplitMix64).
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub segment: u64,
    pub first: u64,
    pub oldest: u64,
    pub tag: u64,
}

/// Why bytes are not a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Newer(u32),
    Invalid,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        put_u64s(
            &mut bytes[16..],
            [self.segment, self.first, self.oldest, self.tag],
        );
        let crc = header_checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; HEADER_BYTES as usize]) -> Result<Self, HeaderError> {
        if bytes[0..8] != MAGIC {
            return Err(HeaderError::Invalid);
        }
        // A newer version may have put everything else elsewhere.
        let version = u32_at(bytes, 8);
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        if version != VERSION || u32_at(bytes, 12) != header_checksum(bytes) {
            return Err(HeaderError::Invalid);
        }
        Ok(SegmentHeader {
            segment: u64_at(bytes, 16),
            first: u64_at(bytes, 24),
            oldest: u64_at(bytes, 32),
            tag: u64_at(bytes, 40),
        })
    }
}

/// Over everything but the checksum itself.
fn header_checksum(bytes: &[u8; HEADER_BYTES as usize]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    hasher.finalize()
}

/// The beginning of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub body_crc: u32,
    pub length: u32,
    pub records: u32,
    pub position: u64,
    pub synced: u64,
    pub oldest: u64,
}

impl Frame {
    /// A frame around `body`.
    pub fn around(body: &[u8], records: u32, position: u64, synced: u64, oldest: u64) -> Self {
        Frame {
            body_crc: crc32fast::hash(body),
            // The writer closes a batch long before this: a segment or one record, 1 GiB.
            length: u32::try_from(body.len()).unwrap_or(u32::MAX),
            records,
            position,
            synced,
            oldest,
        }
    }

    /// Header and body.
    pub fn total_bytes(&self) -> u64 {
        HEADER_BYTES + u64::from(self.length)
    }

    pub fn encode(&self, tag: u64) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        put_u64s(&mut bytes, [tag]);
        bytes[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.length.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.records.to_le_bytes());
        put_u64s(&mut bytes[24..], [self.position, self.synced, self.oldest]);
        let crc = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// None when the bytes do not begin a batch of the segment with this tag.
    pub fn decode(bytes: &[u8; HEADER_BYTES as usize], tag: u64) -> Option<Self> {
        if u64_at(bytes, 0) != tag || u32_at(bytes, 8) != crc32fast::hash(&bytes[12..]) {
            return None;
        }
        Some(Frame {
            body_crc: u32_at(bytes, 12),
            length: u32_at(bytes, 16),
            records: u32_at(bytes, 20),
            position: u64_at(bytes, 24),
            synced: u64_at(bytes, 32),
            oldest: u64_at(bytes, 40),
        })
    }
}

/// Adds a record to a body.
pub(crate) fn push_record(body: &mut Vec<u8>, record: &[u8]) {
    // At most MAX_RECORD_BYTES, which append asserts.
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(record);
}

/// What a record takes in a body.
pub(crate) fn record_bytes(record: &[u8]) -> usize {
    LENGTH_BYTES + record.len()
}

/// Where the records of a body lie; none if they do not fill it exactly.
pub(crate) fn split_records(body: &[u8], records: u32) -> Option<impl Iterator<Item = &[u8]>> {
    let mut rest = 0..body.len();
    for _ in 0..records {
        next_record(body, &mut rest)?;
    }
    let filled = rest.is_empty();
    let mut rest = 0..body.len();
    filled.then(|| std::iter::from_fn(move || next_record(body, &mut rest).map(|at| &body[at])))
}

fn next_record(body: &[u8], rest: &mut Range<usize>) -> Option<Range<usize>> {
    let start = rest.start + LENGTH_BYTES;
    let length = body.get(rest.start..start)?;
    let end = start.checked_add(u32_at(length, 0) as usize)?;
    rest.start = end;
    (end <= body.len()).then_some(start..end)
}

fn put_u64s<const N: usize>(into: &mut [u8], numbers: [u64; N]) {
    for (bytes, number) in into.chunks_exact_mut(8).zip(numbers) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
