//! What several steps have in common, both ways.

use std::num::NonZeroU32;

use dunlin_codec::{PacketId, Qos};
use dunlin_router::TargetOptions;
use dunlin_session::{Identifiers, Message, MessageParts, Will};
use dunlin_time::Wall;

use super::Which;
use crate::image::{Entry, Flow, Subscribed};
use crate::wire::{Corrupt, Reader, put_bytes, put_number};

pub(super) fn put_terms(out: &mut Vec<u8>, expiry: u32, will: Option<&Will>) {
    put_number(out, expiry.into());
    let Some(will) = will else {
        return out.push(0);
    };
    out.push(1);
    put_number(out, will.delay.as_secs());
    put_number(out, will.expiry.map_or(0, |seconds| u64::from(seconds) + 1));
    out.push(will.qos as u8 | u8::from(will.retain) << 2);
    put_bytes(out, will.topic.as_bytes());
    put_bytes(out, &will.forwarded);
    put_bytes(out, &will.payload);
}

pub(super) type ReadTerms = (u32, Option<Box<Will>>);

pub(super) fn read_terms(reader: &mut Reader<'_>) -> Result<ReadTerms, Corrupt> {
    let expiry = reader.small()?;
    if reader.byte()? == 0 {
        return Ok((expiry, None));
    }
    let delay = std::time::Duration::from_secs(reader.number()?);
    let will_expiry = match reader.number()?.checked_sub(1) {
        Some(seconds) => Some(u32::try_from(seconds).map_err(|_| Corrupt("a will's expiry"))?),
        None => None,
    };
    let flags = reader.byte()?;
    let will = Will {
        delay,
        expiry: will_expiry,
        qos: read_qos(flags)?,
        retain: flags & 4 != 0,
        topic: reader.text()?.into(),
        forwarded: reader.bytes()?.into(),
        payload: reader.bytes()?.into(),
    };
    Ok((expiry, Some(Box::new(will))))
}

pub(super) fn put_subscribed(out: &mut Vec<u8>, filter: &str, subscribed: &Subscribed) {
    put_bytes(out, filter.as_bytes());
    out.push(subscribed.options.to_byte());
    let identifier = subscribed.identifier.map_or(0, NonZeroU32::get);
    put_number(out, identifier.into());
}

pub(super) fn read_subscribed(reader: &mut Reader<'_>) -> Result<(Box<str>, Subscribed), Corrupt> {
    let filter = reader.text()?.into();
    let subscribed = Subscribed {
        options: TargetOptions::from_byte(reader.byte()?),
        identifier: NonZeroU32::new(reader.small()?),
    };
    Ok((filter, subscribed))
}

pub(super) fn put_which(out: &mut Vec<u8>, which: Which) {
    put_number(out, which.message);
    out.push(which.shared.into());
}

pub(super) fn read_which(reader: &mut Reader<'_>) -> Result<Which, Corrupt> {
    Ok(Which {
        message: reader.number()?,
        shared: reader.byte()? != 0,
    })
}

pub(super) fn put_message(out: &mut Vec<u8>, message: &Message) {
    put_number(out, message.publisher());
    out.push(message.qos() as u8 | u8::from(message.retain()) << 2);
    put_number(
        out,
        message.expires().map_or(0, |at| at.0.saturating_add(1)),
    );
    put_bytes(out, message.topic_bytes());
    put_bytes(out, message.forwarded());
    put_bytes(out, message.payload());
}

pub(super) fn read_message(
    reader: &mut Reader<'_>,
    number: u64,
    scratch: &mut Vec<u8>,
) -> Result<Message, Corrupt> {
    let publisher = reader.number()?;
    let flags = reader.byte()?;
    let expires = reader.number()?.checked_sub(1).map(Wall);
    let topic = reader.text()?;
    if topic.len() > usize::from(u16::MAX) {
        return Err(Corrupt("a topic is too long"));
    }
    let parts = MessageParts {
        publisher,
        qos: read_qos(flags)?,
        retain: flags & 4 != 0,
        expires,
        topic,
        forwarded: reader.bytes()?,
        payload: reader.bytes()?,
    };
    let message = Message::new(parts, scratch);
    if let Some(number) = std::num::NonZeroU64::new(number) {
        message.set_stored_as(number);
    }
    Ok(message)
}

/// Room for so many entries is made before they are read.
const MANY: u64 = 1024;

pub(super) fn read_queued(
    reader: &mut Reader<'_>,
    message: u64,
) -> Result<Vec<(u64, Entry)>, Corrupt> {
    let count = reader.number()?;
    let mut queued = Vec::with_capacity(count.min(MANY) as usize);
    for _ in 0..count {
        let session = reader.number()?;
        queued.push((session, read_entry(reader, message)?));
    }
    Ok(queued)
}

const RETAIN: u8 = 4;
const SHARED: u8 = 8;

pub(super) fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    let flags = (u8::from(entry.retain) * RETAIN) | (u8::from(entry.shared) * SHARED);
    out.push(entry.qos as u8 | flags);
    let identifiers = entry.identifiers.as_slice();
    put_number(out, identifiers.len() as u64);
    for identifier in identifiers {
        put_number(out, identifier.get().into());
    }
}

pub(super) fn read_entry(reader: &mut Reader<'_>, message: u64) -> Result<Entry, Corrupt> {
    let flags = reader.byte()?;
    let mut identifiers = Identifiers::None;
    for _ in 0..reader.number()? {
        let one = NonZeroU32::new(reader.small()?).ok_or(Corrupt("an identifier"))?;
        identifiers = identifiers.merge(Identifiers::One(one));
    }
    Ok(Entry {
        message,
        identifiers,
        flow: Flow::Waits,
        qos: read_qos(flags)?,
        retain: flags & RETAIN != 0,
        shared: flags & SHARED != 0,
    })
}

pub(super) fn read_qos(flags: u8) -> Result<Qos, Corrupt> {
    Qos::from_u8(flags & 3).ok_or(Corrupt("a QoS"))
}

pub(super) fn read_id(reader: &mut Reader<'_>) -> Result<PacketId, Corrupt> {
    PacketId::new(reader.small()?).ok_or(Corrupt("a packet id"))
}
