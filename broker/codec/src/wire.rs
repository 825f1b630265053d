//! The data types of the standard (MQTT 5, 1.5): a reader that refuses, a sink that cannot fail.

use crate::{DecodeError, EncodeError, MAX_REMAINING_LENGTH, PacketId, Properties, PropertyPlace};

/// Reads one packet's body from front to back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

const CUT: DecodeError = DecodeError::malformed("the packet ends inside a field");

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses bytes after the last field.
    pub(crate) const fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::malformed(
                "bytes follow the packet's last field",
            ))
        }
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CUT)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CUT)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer inside a packet; only version 5 has them, so always the shortest.
    pub(crate) fn var_int(&mut self) -> Result<u32, DecodeError> {
        match VarInt::read(self.rest)? {
            Some(number) if number.overlong => Err(OVERLONG),
            Some(number) => {
                self.slice(number.len)?;
                Ok(number.value)
            }
            None => Err(CUT),
        }
    }

    /// Binary data: a two-byte length and that many bytes (MQTT 5, 1.5.6).
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.slice(usize::from(len))
    }

    /// A UTF-8 encoded string (MQTT 5, 1.5.4).
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        check_text(self.binary()?)
    }

    /// A UTF-8 encoded string; `known` itself, which needs no check, if it spells that.
    #[inline]
    pub(crate) fn text_or_known(&mut self, known: &'a str) -> Result<&'a str, DecodeError> {
        let bytes = self.binary()?;
        match bytes == known.as_bytes() {
            true => Ok(known),
            false => check_text(bytes),
        }
    }

    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?)
            .ok_or(DecodeError::protocol("packet identifier 0 [MQTT-2.2.1-3]"))
    }

    /// A property length and the properties, all of which may stand in this place.
    pub(crate) fn properties(
        &mut self,
        place: PropertyPlace,
    ) -> Result<Properties<'a>, DecodeError> {
        let len = self.var_int()?;
        Properties::parse(self.slice(len as usize)?, place)
    }
}

/// Well-formed UTF-8 [MQTT-1.5.4-1] without U+0000 [MQTT-1.5.4-2].
#[inline]
pub(crate) fn check_text(bytes: &[u8]) -> Result<&str, DecodeError> {
    let text = core::str::from_utf8(bytes)
        .map_err(|_| DecodeError::malformed("a string is not UTF-8 [MQTT-1.5.4-1]"))?;
    if has_nul(bytes) {
        return Err(DecodeError::malformed(
            "a string contains U+0000 [MQTT-1.5.4-2]",
        ));
    }
    Ok(text)
}

/// Topics are short: eight bytes at a time beat a general search for a byte.
fn has_nul(bytes: &[u8]) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word_has_nul = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_sub(LOW) & !word & HIGH != 0
    };
    match bytes.last_chunk::<8>() {
        Some(last) => word_has_nul(last) || bytes.as_chunks::<8>().0.iter().any(word_has_nul),
        None => bytes.contains(&0),
    }
}

pub(crate) const OVERLONG: DecodeError =
    DecodeError::malformed("a length is encoded in more bytes than it needs [MQTT-1.5.5-1]");

/// A variable byte integer as it was found at the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VarInt {
    pub(crate) value: u32,
    /// Bytes it took, 1 to 4.
    pub(crate) len: usize,
    /// Fewer bytes would have done.
    pub(crate) overlong: bool,
}

impl VarInt {
    /// `None` if the bytes end before the integer does.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut value = 0;
        for (at, &byte) in bytes.iter().enumerate().take(4) {
            value |= u32::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(Some(Self {
                    value,
                    len: at + 1,
                    overlong: byte == 0 && at > 0,
                }));
            }
        }
        if bytes.len() < 4 {
            return Ok(None);
        }
        Err(DecodeError::malformed(
            "a length takes more than four bytes (MQTT 5, 1.5.5)",
        ))
    }
}

/// How many bytes a variable byte integer takes.
pub(crate) const fn var_int_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Where a packet is written, or only measured: both run the same code, so a measured length
/// cannot differ from the bytes written. What has no encoding is refused by the measuring pass,
/// which always comes first.
pub(crate) trait Sink {
    fn bytes(&mut self, bytes: &[u8]);
    fn refuse(&mut self, error: EncodeError);

    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    fn var_int(&mut self, mut value: usize) {
        if value > MAX_REMAINING_LENGTH {
            return self.refuse(EncodeError::PacketTooLarge);
        }
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    fn binary(&mut self, bytes: &[u8]) {
        match u16::try_from(bytes.len()) {
            Ok(len) => {
                self.u16(len);
                self.bytes(bytes);
            }
            Err(_) => self.refuse(EncodeError::FieldOutOfRange),
        }
    }

    fn text(&mut self, text: &str) {
        self.binary(text.as_bytes());
    }

    fn properties(&mut self, properties: Properties<'_>) {
        self.var_int(properties.as_bytes().len());
        self.bytes(properties.as_bytes());
    }
}

impl Sink for Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn refuse(&mut self, error: EncodeError) {
        debug_assert!(false, "measured, yet refused: {error}");
    }
}

/// Counts bytes and keeps the first refusal.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    len: usize,
    refused: Option<EncodeError>,
}

impl Measure {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The length, if what was measured can be written.
    pub(crate) fn finish(self) -> Result<usize, EncodeError> {
        self.refused.map_or(Ok(self.len), Err)
    }
}

impl Sink for Measure {
    fn bytes(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
    }

    fn refuse(&mut self, error: EncodeError) {
        self.refused.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_at_every_place_in_strings_of_every_length() {
        for len in 0..40 {
            let clean: Vec<u8> = "\u{1}\u{7F}\u{80}\u{7FF}"
                .bytes()
                .cycle()
                .take(len)
                .collect();
            assert!(!has_nul(&clean));
            for at in 0..len {
                let mut dirty = clean.clone();
                dirty[at] = 0;
                assert!(has_nul(&dirty), "at {at} of {len}");
            }
        }
    }
}
