//! What stands in the log: one record is one or more steps, which happen together.
//!
//! Format version 1. Steps are never changed, only added: a newer broker reads older logs.

use std::num::NonZeroU32;

use dunlin_codec::{PacketId, Qos};
use dunlin_router::TargetOptions;
use dunlin_router::ports::Retained;
use dunlin_session::{Delivery, Identifiers, Message, MessageParts, Will};
use dunlin_time::Wall;

use crate::image::{Entry, Flow, Session, Subscribed};
use crate::wire::{Corrupt, Reader, put_bytes, put_number};

/// One step. Messages go by the numbers that the store gave them, sessions by the router's.
#[derive(Debug)]
pub(crate) enum Step {
    Began {
        session: u64,
        client_id: Box<str>,
        expiry: u32,
        will: Option<Box<Will>>,
    },
    Resumed {
        session: u64,
        expiry: u32,
        will: Option<Box<Will>>,
    },
    Left {
        session: u64,
        at: Wall,
        expiry: u32,
        will: bool,
    },
    Ended {
        session: u64,
    },
    Subscribed {
        session: u64,
        filter: Box<str>,
        subscribed: Subscribed,
    },
    Unsubscribed {
        session: u64,
        filter: Box<str>,
    },
    /// A new message, with the queues that have it.
    Published {
        number: u64,
        message: Message,
        retained: Retained,
        queued: Vec<(u64, Entry)>,
    },
    /// A message that is there already, with more queues.
    Queued {
        queued: Vec<(u64, Entry)>,
    },
    RetainedGone {
        topic: Box<str>,
    },
    Received {
        session: u64,
        packet_id: PacketId,
    },
    Released {
        session: u64,
        packet_id: PacketId,
    },
    Sent {
        session: u64,
        which: Which,
        packet_id: PacketId,
    },
    Taken {
        session: u64,
        packet_id: PacketId,
    },
    Completed {
        session: u64,
        packet_id: PacketId,
    },
    Removed {
        session: u64,
        which: Which,
    },
    WillDone {
        session: u64,
    },
    /// A message that still lives, written again so that an old segment can go.
    Kept {
        number: u64,
        message: Message,
        retained: bool,
    },
    /// A session that still lives, whole.
    Whole {
        session: u64,
        state: Box<Session>,
    },
}

/// Names an entry of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Which {
    pub message: u64,
    /// By a shared subscription: a session may have a message both ways.
    pub shared: bool,
}

impl Which {
    pub fn of(delivery: &Delivery) -> Self {
        Which {
            message: delivery
                .message
                .stored_as()
                .map_or(0, |number| number.get()),
            shared: delivery.shared.is_some(),
        }
    }
}

mod kind {
    pub const BEGAN: u8 = 1;
    pub const RESUMED: u8 = 2;
    pub const LEFT: u8 = 3;
    pub const ENDED: u8 = 4;
    pub const SUBSCRIBED: u8 = 5;
    pub const UNSUBSCRIBED: u8 = 6;
    pub const PUBLISHED: u8 = 7;
    pub const QUEUED: u8 = 8;
    pub const RETAINED_GONE: u8 = 9;
    pub const RECEIVED: u8 = 10;
    pub const RELEASED: u8 = 11;
    pub const SENT: u8 = 12;
    pub const TAKEN: u8 = 13;
    pub const COMPLETED: u8 = 14;
    pub const REMOVED: u8 = 15;
    pub const WILL_DONE: u8 = 16;
    pub const KEPT: u8 = 17;
    pub const WHOLE: u8 = 18;
}

/// Writes a step that names no more than a session, a packet id and an entry.
fn put_small(out: &mut Vec<u8>, kind: u8, session: u64, packet_id: Option<PacketId>) {
    out.push(kind);
    put_number(out, session);
    if let Some(packet_id) = packet_id {
        put_number(out, packet_id.get().into());
    }
}

/// Writes a new message with the queues that have it.
pub(crate) fn put_published<'e>(
    out: &mut Vec<u8>,
    number: u64,
    message: &Message,
    retained: Retained,
    queued: impl ExactSizeIterator<Item = (u64, &'e Delivery)>,
) {
    out.push(kind::PUBLISHED);
    put_number(out, number);
    put_message(out, message);
    out.push(retained as u8);
    put_queued(out, queued);
}

/// Writes that more queues have a message.
pub(crate) fn put_more_queued<'e>(
    out: &mut Vec<u8>,
    number: u64,
    queued: impl ExactSizeIterator<Item = (u64, &'e Delivery)>,
) {
    out.push(kind::QUEUED);
    put_number(out, number);
    put_queued(out, queued);
}

fn put_queued<'e>(out: &mut Vec<u8>, queued: impl ExactSizeIterator<Item = (u64, &'e Delivery)>) {
    put_number(out, queued.len() as u64);
    for (session, delivery) in queued {
        put_number(out, session);
        put_entry(out, &Entry::of(delivery));
    }
}

impl Step {
    /// Appends the step to a record.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Step::Began {
                session,
                client_id,
                expiry,
                will,
            } => {
                put_small(out, kind::BEGAN, *session, None);
                put_bytes(out, client_id.as_bytes());
                put_terms(out, *expiry, will.as_deref());
            }
            Step::Resumed {
                session,
                expiry,
                will,
            } => {
                put_small(out, kind::RESUMED, *session, None);
                put_terms(out, *expiry, will.as_deref());
            }
            Step::Left {
                session,
                at,
                expiry,
                will,
            } => {
                put_small(out, kind::LEFT, *session, None);
                put_number(out, at.0);
                put_number(out, (*expiry).into());
                out.push((*will).into());
            }
            Step::Ended { session } => put_small(out, kind::ENDED, *session, None),
            Step::Subscribed {
                session,
                filter,
                subscribed,
            } => {
                put_small(out, kind::SUBSCRIBED, *session, None);
                put_subscribed(out, filter, subscribed);
            }
            Step::Unsubscribed { session, filter } => {
                put_small(out, kind::UNSUBSCRIBED, *session, None);
                put_bytes(out, filter.as_bytes());
            }
            // The log's writer has no entries yet, only deliveries: see `put_published`.
            Step::Published { .. } | Step::Queued { .. } => {}
            Step::RetainedGone { topic } => {
                out.push(kind::RETAINED_GONE);
                put_bytes(out, topic.as_bytes());
            }
            Step::Received { session, packet_id } => {
                put_small(out, kind::RECEIVED, *session, Some(*packet_id));
            }
            Step::Released { session, packet_id } => {
                put_small(out, kind::RELEASED, *session, Some(*packet_id));
            }
            Step::Sent {
                session,
                which,
                packet_id,
            } => {
                put_small(out, kind::SENT, *session, Some(*packet_id));
                put_which(out, *which);
            }
            Step::Taken { session, packet_id } => {
                put_small(out, kind::TAKEN, *session, Some(*packet_id));
            }
            Step::Completed { session, packet_id } => {
                put_small(out, kind::COMPLETED, *session, Some(*packet_id));
            }
            Step::Removed { session, which } => {
                put_small(out, kind::REMOVED, *session, None);
                put_which(out, *which);
            }
            Step::WillDone { session } => put_small(out, kind::WILL_DONE, *session, None),
            Step::Kept {
                number,
                message,
                retained,
            } => put_kept(out, *number, message, *retained),
            Step::Whole { session, state } => put_whole(out, *session, state),
        }
    }

    /// The next step of a record.
    pub fn read(reader: &mut Reader<'_>) -> Result<Step, Corrupt> {
        let kind = reader.byte()?;
        if matches!(kind, kind::PUBLISHED | kind::KEPT) {
            return read_message_step(kind, reader);
        }
        if kind == kind::RETAINED_GONE {
            let topic = reader.text()?.into();
            return Ok(Step::RetainedGone { topic });
        }
        if kind == kind::QUEUED {
            let number = reader.number()?;
            let queued = read_queued(reader, number)?;
            return Ok(Step::Queued { queued });
        }
        read_session_step(kind, reader.number()?, reader)
    }
}

fn read_message_step(kind: u8, reader: &mut Reader<'_>) -> Result<Step, Corrupt> {
    let number = reader.number()?;
    let message = read_message(reader, number)?;
    if kind == kind::KEPT {
        let retained = reader.byte()? != 0;
        return Ok(Step::Kept {
            number,
            message,
            retained,
        });
    }
    let retained = match reader.byte()? {
        0 => Retained::Untouched,
        1 => Retained::Set,
        2 => Retained::Cleared,
        _ => return Err(Corrupt("a retained flag")),
    };
    let queued = read_queued(reader, number)?;
    Ok(Step::Published {
        number,
        message,
        retained,
        queued,
    })
}

fn read_session_step(kind: u8, session: u64, reader: &mut Reader<'_>) -> Result<Step, Corrupt> {
    Ok(match kind {
        kind::BEGAN => {
            let client_id = reader.text()?.into();
            let (expiry, will) = read_terms(reader)?;
            Step::Began {
                session,
                client_id,
                expiry,
                will,
            }
        }
        kind::RESUMED => {
            let (expiry, will) = read_terms(reader)?;
            Step::Resumed {
                session,
                expiry,
                will,
            }
        }
        kind::LEFT => Step::Left {
            session,
            at: Wall(reader.number()?),
            expiry: reader.small()?,
            will: reader.byte()? != 0,
        },
        kind::ENDED => Step::Ended { session },
        kind::SUBSCRIBED => {
            let (filter, subscribed) = read_subscribed(reader)?;
            Step::Subscribed {
                session,
                filter,
                subscribed,
            }
        }
        kind::UNSUBSCRIBED => Step::Unsubscribed {
            session,
            filter: reader.text()?.into(),
        },
        kind::RECEIVED => Step::Received {
            session,
            packet_id: read_id(reader)?,
        },
        kind::RELEASED => Step::Released {
            session,
            packet_id: read_id(reader)?,
        },
        kind::SENT => {
            let packet_id = read_id(reader)?;
            Step::Sent {
                session,
                which: read_which(reader)?,
                packet_id,
            }
        }
        kind::TAKEN => Step::Taken {
            session,
            packet_id: read_id(reader)?,
        },
        kind::COMPLETED => Step::Completed {
            session,
            packet_id: read_id(reader)?,
        },
        kind::REMOVED => Step::Removed {
            session,
            which: read_which(reader)?,
        },
        kind::WILL_DONE => Step::WillDone { session },
        kind::WHOLE => Step::Whole {
            session,
            state: Box::new(read_whole(reader)?),
        },
        _ => return Err(Corrupt("an unknown kind of step")),
    })
}

/// Writes that a message still lives.
pub(crate) fn put_kept(out: &mut Vec<u8>, number: u64, message: &Message, retained: bool) {
    out.push(kind::KEPT);
    put_number(out, number);
    put_message(out, message);
    out.push(retained.into());
}

/// Writes a session that still lives.
pub(crate) fn put_whole(out: &mut Vec<u8>, session: u64, state: &Session) {
    put_small(out, kind::WHOLE, session, None);
    put_bytes(out, state.client_id.as_bytes());
    put_terms(out, state.expiry, state.will.as_deref());
    put_number(out, state.left.map_or(0, |at| at.0.saturating_add(1)));
    put_number(out, state.subscriptions.len() as u64);
    for (filter, subscribed) in &state.subscriptions {
        put_subscribed(out, filter, subscribed);
    }
    put_number(out, state.received.len() as u64);
    for id in &state.received {
        put_number(out, id.get().into());
    }
    put_number(out, state.queue.len() as u64);
    for entry in &state.queue {
        put_number(out, entry.message);
        put_entry(out, entry);
        match entry.flow {
            Flow::Waits => out.push(0),
            Flow::Sent(id) => put_small(out, 1, id.get().into(), None),
            Flow::Taken(id) => put_small(out, 2, id.get().into(), None),
        }
    }
}

fn read_whole(reader: &mut Reader<'_>) -> Result<Session, Corrupt> {
    let client_id = reader.text()?.into();
    let (expiry, will) = read_terms(reader)?;
    let mut session = Session::new(client_id, expiry, will);
    session.left = reader.number()?.checked_sub(1).map(Wall);
    for _ in 0..reader.number()? {
        session.subscriptions.push(read_subscribed(reader)?);
    }
    for _ in 0..reader.number()? {
        session.received.push_back(read_id(reader)?);
    }
    for _ in 0..reader.number()? {
        let message = reader.number()?;
        let mut entry = read_entry(reader, message)?;
        entry.flow = match reader.byte()? {
            0 => Flow::Waits,
            1 => Flow::Sent(read_id(reader)?),
            2 => Flow::Taken(read_id(reader)?),
            _ => return Err(Corrupt("a queue entry")),
        };
        session.queue.push_back(entry);
    }
    Ok(session)
}

fn put_terms(out: &mut Vec<u8>, expiry: u32, will: Option<&Will>) {
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

type ReadTerms = (u32, Option<Box<Will>>);

fn read_terms(reader: &mut Reader<'_>) -> Result<ReadTerms, Corrupt> {
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

fn put_subscribed(out: &mut Vec<u8>, filter: &str, subscribed: &Subscribed) {
    put_bytes(out, filter.as_bytes());
    out.push(subscribed.options.to_byte());
    let identifier = subscribed.identifier.map_or(0, NonZeroU32::get);
    put_number(out, identifier.into());
}

fn read_subscribed(reader: &mut Reader<'_>) -> Result<(Box<str>, Subscribed), Corrupt> {
    let filter = reader.text()?.into();
    let subscribed = Subscribed {
        options: TargetOptions::from_byte(reader.byte()?),
        identifier: NonZeroU32::new(reader.small()?),
    };
    Ok((filter, subscribed))
}

fn put_which(out: &mut Vec<u8>, which: Which) {
    put_number(out, which.message);
    out.push(which.shared.into());
}

fn read_which(reader: &mut Reader<'_>) -> Result<Which, Corrupt> {
    Ok(Which {
        message: reader.number()?,
        shared: reader.byte()? != 0,
    })
}

fn put_message(out: &mut Vec<u8>, message: &Message) {
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

fn read_message(reader: &mut Reader<'_>, number: u64) -> Result<Message, Corrupt> {
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
    let message = Message::new(parts, &mut Vec::new());
    if let Some(number) = std::num::NonZeroU64::new(number) {
        message.set_stored_as(number);
    }
    Ok(message)
}

fn read_queued(reader: &mut Reader<'_>, message: u64) -> Result<Vec<(u64, Entry)>, Corrupt> {
    let mut queued = Vec::new();
    for _ in 0..reader.number()? {
        let session = reader.number()?;
        queued.push((session, read_entry(reader, message)?));
    }
    Ok(queued)
}

const RETAIN: u8 = 4;
const SHARED: u8 = 8;

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    let flags = (u8::from(entry.retain) * RETAIN) | (u8::from(entry.shared) * SHARED);
    out.push(entry.qos as u8 | flags);
    entry.identifiers.with_slice(|identifiers| {
        put_number(out, identifiers.len() as u64);
        for identifier in identifiers {
            put_number(out, (*identifier).into());
        }
    });
}

fn read_entry(reader: &mut Reader<'_>, message: u64) -> Result<Entry, Corrupt> {
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

fn read_qos(flags: u8) -> Result<Qos, Corrupt> {
    Qos::from_u8(flags & 3).ok_or(Corrupt("a QoS"))
}

fn read_id(reader: &mut Reader<'_>) -> Result<PacketId, Corrupt> {
    PacketId::new(reader.small()?).ok_or(Corrupt("a packet id"))
}
