//! Bytes to steps.

use dunlin_router::ports::Retained;
use dunlin_time::Wall;

use super::parts::*;
use super::{Step, kind};
use crate::image::{Flow, Session};
use crate::wire::{Corrupt, Reader};

impl Step {
    /// The next step of a record; `scratch` is for messages, and worth keeping.
    pub fn read(reader: &mut Reader<'_>, scratch: &mut Vec<u8>) -> Result<Step, Corrupt> {
        let kind = reader.byte()?;
        if matches!(kind, kind::PUBLISHED | kind::KEPT) {
            return read_message_step(kind, reader, scratch);
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

fn read_message_step(
    kind: u8,
    reader: &mut Reader<'_>,
    scratch: &mut Vec<u8>,
) -> Result<Step, Corrupt> {
    let number = reader.number()?;
    let message = read_message(reader, number, scratch)?;
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
