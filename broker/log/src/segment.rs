//! Reading one segment.

use std::io;

use crate::disk::DiskFile;
use crate::error::OpenError;
use crate::format::{
    COUNTS, Frame, HEADER_BYTES, HeaderError, MAX_BATCH_BYTES, SegmentHeader, file_name,
    split_records,
};
use crate::window::Window;

/// A segment whose header is valid.
pub(crate) struct Segment<'a> {
    pub header: SegmentHeader,
    window: Window<'a>,
}

/// Where the valid part of a segment ends.
pub(crate) struct End {
    pub offset: u64,
    /// Of the last batch.
    pub position: u64,
    /// The oldest segment that counts, as far as this one knows.
    pub oldest: u64,
    /// What is wrong with the bytes that follow, if any do.
    pub invalid: Option<&'static str>,
}

/// What is called with each batch: its offset, and its body with that many records.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(u64, &[u8], u32) -> Result<(), OpenError>;

impl<'a> Segment<'a> {
    /// Reads the header. None: a crash came while the segment was being created, before anything
    /// was written into it.
    pub fn open(number: u64, file: &'a dyn DiskFile) -> Result<Option<Self>, OpenError> {
        let failed = |error| reading(number, error);
        let mut window = Window::new(file).map_err(failed)?;
        let header = match window
            .exactly(0, HEADER_BYTES)
            .map_err(failed)?
            .and_then(|bytes| bytes.as_array())
        {
            Some(bytes) => SegmentHeader::decode(bytes),
            None => Err(HeaderError::Invalid),
        };
        match header {
            Ok(header)
                if header.segment == number
                    && (1..=number).contains(&header.oldest)
                    && COUNTS.contains(&header.first) =>
            {
                Ok(Some(Segment { header, window }))
            }
            Ok(_) => Err(damaged(number, 0, "its header is that of another segment")),
            Err(HeaderError::Newer(version)) => {
                let file = file_name(number);
                Err(OpenError::Newer { file, version })
            }
            // A header is synced before anything else is written.
            Err(HeaderError::Invalid) if window.file_bytes() > HEADER_BYTES => {
                Err(damaged(number, 0, "its header is not valid"))
            }
            Err(HeaderError::Invalid) => Ok(None),
        }
    }

    pub fn file_bytes(&self) -> u64 {
        self.window.file_bytes()
    }

    /// Goes through all batches, up to the first bytes that are none.
    pub fn walk(&mut self, visit: Visit<'_>) -> Result<End, OpenError> {
        let number = self.header.segment;
        let mut end = End {
            offset: HEADER_BYTES,
            position: self.header.first - 1,
            oldest: self.header.oldest,
            invalid: None,
        };
        while end.offset < self.file_bytes() {
            let frame = match self.frame(end.offset)? {
                Ok(frame) => frame,
                Err(invalid) => {
                    end.invalid = (!self.is_blank(end.offset)?).then_some(invalid);
                    break;
                }
            };
            // Its checksums are right, so this was written: not by a version that we know.
            let follows = frame.position == end.position + u64::from(frame.records > 0);
            if !follows || !(end.oldest..=number).contains(&frame.oldest) {
                return Err(damaged(
                    number,
                    end.offset,
                    "the batch is not the one that follows here",
                ));
            }
            let body = self.body(end.offset, &frame)?;
            visit(end.offset, body, frame.records)?;
            end.offset += frame.total_bytes();
            end.position = frame.position;
            end.oldest = frame.oldest;
        }
        Ok(end)
    }

    /// The valid frame at an offset, or why there is none.
    fn frame(&mut self, offset: u64) -> Result<Result<Frame, &'static str>, OpenError> {
        let (number, tag) = (self.header.segment, self.header.tag);
        let failed = |error| reading(number, error);
        let header = self.window.exactly(offset, HEADER_BYTES).map_err(failed)?;
        let Some(header) = header.and_then(|bytes| bytes.as_array()) else {
            return Ok(Err("the file ends within a batch"));
        };
        let Some(frame) = Frame::decode(header, tag) else {
            return Ok(Err("no batch begins here"));
        };
        let length = u64::from(frame.length);
        if length > MAX_BATCH_BYTES {
            return Ok(Err("the batch is longer than any can be"));
        }
        match self
            .window
            .exactly(offset + HEADER_BYTES, length)
            .map_err(failed)?
        {
            None => Ok(Err("the file ends within a batch")),
            Some(body) if crc32fast::hash(body) != frame.body_crc => {
                Ok(Err("the batch's checksum is wrong"))
            }
            Some(body) if split_records(body, frame.records).is_none() => {
                Ok(Err("the batch's records do not fill it"))
            }
            Some(_) => Ok(Ok(frame)),
        }
    }

    /// Whether nothing was written from here on: room that was taken ahead reads as zeros, which no
    /// frame begins with.
    fn is_blank(&mut self, offset: u64) -> Result<bool, OpenError> {
        let number = self.header.segment;
        let mut at = offset;
        loop {
            let bytes = self
                .window
                .from(at, 1)
                .map_err(|error| reading(number, error))?;
            if bytes.is_empty() || bytes.iter().any(|&byte| byte != 0) {
                return Ok(bytes.is_empty());
            }
            at += bytes.len() as u64;
        }
    }

    /// The body of a frame that was found valid.
    fn body(&mut self, offset: u64, frame: &Frame) -> Result<&[u8], OpenError> {
        let number = self.header.segment;
        let body = self
            .window
            .exactly(offset + HEADER_BYTES, u64::from(frame.length));
        let ended = || io::ErrorKind::UnexpectedEof.into();
        body.and_then(|body| body.ok_or_else(ended))
            .map_err(|error| reading(number, error))
    }

    /// Whether the bytes at `offset` were once synced: a frame further on says so.
    pub fn was_synced(&mut self, offset: u64) -> Result<bool, OpenError> {
        let (number, tag) = (self.header.segment, self.header.tag);
        let mut at = offset + 1;
        loop {
            let bytes = self
                .window
                .from(at, HEADER_BYTES)
                .map_err(|error| reading(number, error))?;
            if bytes.len() < HEADER_BYTES as usize {
                return Ok(false);
            }
            let frames = bytes
                .windows(HEADER_BYTES as usize)
                .filter_map(|bytes| Frame::decode(bytes.as_array()?, tag));
            if frames.into_iter().any(|frame| frame.synced > offset) {
                return Ok(true);
            }
            at += (bytes.len() - (HEADER_BYTES as usize - 1)) as u64;
        }
    }
}

pub(crate) fn reading(segment: u64, error: io::Error) -> OpenError {
    let doing = format!("reading {}", file_name(segment));
    OpenError::Disk { doing, error }
}

pub(crate) fn damaged(segment: u64, offset: u64, why: impl Into<String>) -> OpenError {
    OpenError::Damaged {
        file: file_name(segment),
        offset,
        why: why.into(),
    }
}
