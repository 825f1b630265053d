//! WebSocket frames (RFC 6455, section 5) without a socket: bytes in, MQTT bytes out.
//!
//! MQTT does not care where frames begin and end [MQTT-6.0.0-4], so nothing is collected: payload
//! is unmasked and moved together inside the buffer it was read into, and passed on as it comes. A
//! decoder owns memory only for the payload of a ping or close, at most 125 bytes.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// A client's header: two bytes, up to eight of length, four of mask (5.2).
const MAXIMUM_HEADER_BYTES: usize = 14;
/// Control frames are never longer (5.5).
const MAXIMUM_CONTROL_BYTES: u64 = 125;

/// The receiving half of a server's connection.
///
/// ```text
///            header complete                   payload complete
///  (header) ----------------> Frame { remaining } ----------------> (header)
///      |                                                 |
///      | against the protocol                            | Close
///      v                                                 v
///  End::Violation                                    End::Close       nothing is decoded after
/// ```
pub(crate) struct Decoder {
    maximum_frame_bytes: u64,
    /// The start of a header that has not fully arrived.
    header: [u8; MAXIMUM_HEADER_BYTES],
    header_length: u8,
    /// The frame whose payload arrives.
    frame: Option<Frame>,
    /// A binary message has begun and its last frame is still to come.
    in_message: bool,
    /// Payload of the control frame that arrives.
    control: Vec<u8>,
    /// Payload of the last ping not yet answered; the ones before need no answer (5.5.3).
    pub(crate) ping: Option<Vec<u8>>,
    /// Why nothing more will come.
    pub(crate) end: Option<End>,
}

struct Frame {
    kind: Kind,
    remaining: u64,
    /// The mask, turned so that its first byte is for the next byte of payload.
    mask: [u8; 4],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Close,
    Ping,
    Pong,
}

/// Why a peer's frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer asked to close: answer with this code, or without one.
    Close(Option<CloseCode>),
    /// The peer broke the protocol: close with the code that names how.
    Violation(CloseCode, &'static str),
}

type Result<T> = std::result::Result<T, End>;

const fn protocol_error(what: &'static str) -> End {
    End::Violation(CloseCode::Protocol, what)
}

impl Decoder {
    pub(crate) fn new(maximum_frame_bytes: u64) -> Self {
        Self {
            maximum_frame_bytes,
            header: [0; MAXIMUM_HEADER_BYTES],
            header_length: 0,
            frame: None,
            in_message: false,
            control: Vec::new(),
            ping: None,
            end: None,
        }
    }

    /// Decodes the next bytes from the peer in place. The first so many of `bytes`, as many as are
    /// returned, are payload then; the rest is garbage. Afterwards `ping` and `end` tell what else
    /// happened; payload before an end counts.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> usize {
        let mut read = 0;
        let mut decoded = 0;
        while read < bytes.len() && self.end.is_none() {
            let rest = &mut bytes[read..];
            let step = match &mut self.frame {
                None => self.take_header(rest),
                Some(frame) => {
                    let payload = frame.unmask(rest);
                    if frame.kind == Kind::Data {
                        bytes.copy_within(read..read + payload, decoded);
                        decoded += payload;
                    } else {
                        self.control.extend_from_slice(&rest[..payload]);
                    }
                    Ok(payload)
                }
            };
            match step.and_then(|taken| self.finish_frame().map(|()| taken)) {
                Ok(taken) => read += taken,
                Err(end) => self.end = Some(end),
            }
        }
        decoded
    }

    /// Takes what belongs to the header, and starts its frame when it is complete.
    fn take_header(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut taken = 0;
        loop {
            let have = usize::from(self.header_length);
            let missing = header_length(&self.header[..have]) - have;
            if missing == 0 {
                break;
            }
            let more = missing.min(bytes.len() - taken);
            if more == 0 {
                return Ok(taken);
            }
            self.header[have..have + more].copy_from_slice(&bytes[taken..taken + more]);
            self.header_length += more as u8; // at most 14
            taken += more;
        }
        let header = &self.header[..usize::from(self.header_length)];
        self.header_length = 0;
        let (header, length) = match FrameHeader::parse(&mut Cursor::new(header)) {
            Ok(Some(parsed)) => parsed,
            Ok(None) | Err(_) => return Err(protocol_error("an unknown kind of frame")),
        };
        self.frame = Some(self.start_frame(&header, length)?);
        Ok(taken)
    }

    fn start_frame(&mut self, header: &FrameHeader, length: u64) -> Result<Frame> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(protocol_error(
                "a reserved bit is set, but no extension was agreed on",
            ));
        }
        let Some(mask) = header.mask else {
            return Err(protocol_error("a frame from a client is not masked"));
        };
        let kind = match header.opcode {
            OpCode::Data(data) => {
                self.start_data(data, header.is_final)?;
                Kind::Data
            }
            _ if !header.is_final => return Err(protocol_error("a control frame is fragmented")),
            _ if length > MAXIMUM_CONTROL_BYTES => {
                return Err(protocol_error("a control frame is longer than 125 bytes"));
            }
            OpCode::Control(Control::Close) => Kind::Close,
            OpCode::Control(Control::Ping) => Kind::Ping,
            OpCode::Control(_) => Kind::Pong,
        };
        if length > self.maximum_frame_bytes && kind == Kind::Data {
            return Err(End::Violation(
                CloseCode::Size,
                "a frame is larger than allowed",
            ));
        }
        Ok(Frame {
            kind,
            remaining: length,
            mask,
        })
    }

    fn start_data(&mut self, data: Data, is_final: bool) -> Result<()> {
        match (data, self.in_message) {
            (Data::Text, _) => {
                let what = "MQTT comes in binary frames, not in text [MQTT-6.0.0-1]";
                return Err(End::Violation(CloseCode::Unsupported, what));
            }
            (Data::Continue, false) => {
                return Err(protocol_error("a continuation of no message"));
            }
            (Data::Continue, true) | (Data::Binary, false) => {}
            _ => return Err(protocol_error("a message begins inside another")),
        }
        self.in_message = !is_final;
        Ok(())
    }

    fn finish_frame(&mut self) -> Result<()> {
        let Some(frame) = self.frame.take_if(|frame| frame.remaining == 0) else {
            return Ok(());
        };
        let payload = std::mem::take(&mut self.control);
        match frame.kind {
            Kind::Data | Kind::Pong => Ok(()),
            Kind::Ping => {
                self.ping = Some(payload);
                Ok(())
            }
            Kind::Close => Err(close(&payload)),
        }
    }
}

impl Frame {
    /// Unmasks what of `bytes` belongs to this frame, and returns how much that is.
    fn unmask(&mut self, bytes: &mut [u8]) -> usize {
        let length =
            usize::try_from(self.remaining).map_or(bytes.len(), |all| all.min(bytes.len()));
        apply_mask(&mut bytes[..length], self.mask);
        self.mask.rotate_left(length % 4);
        self.remaining -= length as u64;
        length
    }
}

/// Eight bytes at a time: the mask is applied to every byte that arrives.
fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

/// How long the header is that starts like this, as far as that can be told already (5.2).
fn header_length(start: &[u8]) -> usize {
    let Some(second) = start.get(1) else { return 2 };
    let extended = match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + extended + if second & 0x80 == 0 { 0 } else { 4 }
}

/// What a Close frame with this payload means (5.5.1, 7.4).
fn close(payload: &[u8]) -> End {
    match payload {
        [] => End::Close(None),
        [_] => protocol_error("a close code of one byte"),
        [high, low, reason @ ..] => {
            let code = CloseCode::from(u16::from_be_bytes([*high, *low]));
            if !code.is_allowed() {
                return protocol_error("a close code that must not be sent");
            }
            match std::str::from_utf8(reason) {
                Ok(_) => End::Close(Some(code)),
                Err(_) => End::Violation(CloseCode::Invalid, "a close reason that is not UTF-8"),
            }
        }
    }
}

/// The header of a frame from the server: complete, unmasked. At most ten bytes.
pub(crate) fn encode_header(opcode: OpCode, length: usize, out: &mut Vec<u8>) {
    let header = FrameHeader {
        is_final: true,
        opcode,
        ..FrameHeader::default()
    };
    header
        .format(length as u64, out)
        .expect("writing to a Vec cannot fail");
}
