//! Space comes back: what still lives in the oldest segment is written again at the end of the log,
//! then the segment goes.
//!
//! Messages and sessions are written again whole, a few at a time, so that nobody waits long for the
//! lock. A session's later changes stand behind it; a queue may name a message that is written again
//! further on, which [`Image::complete`](crate::image::Image::complete) checks.

use std::io;

use dunlin_log::Urgency;

use crate::Disk;
use crate::disk::State;
use crate::record::{put_kept, put_whole};

/// Bytes written under one lock: about a millisecond.
const STEP_BYTES: usize = 256 * 1024;
/// What is written without looking whether it is alive.
const STEP_LOOKS: usize = 4096;
/// Beside twice what lives, so much may be dead: else a small store would be at it all the time.
const SLACK_SEGMENTS: u64 = 2;

impl Disk {
    /// One step of compaction, if there is reason for it: whether there is more to do at once.
    ///
    /// # Errors
    /// The disk did not remove a file; it is tried again with the next step.
    pub fn compact(&self) -> io::Result<bool> {
        let (oldest, newest) = self.log.segments();
        if oldest == newest {
            return Ok(false);
        }
        let emptied = {
            let mut state = self.state.lock();
            if state.emptied.is_none() {
                if !self.is_worth_it(&state, newest - oldest + 1) {
                    return Ok(false);
                }
                if self.write_again(&mut state, oldest) == Step::More {
                    return Ok(true);
                }
            }
            // What is dead may be so by a record that is not committed: the segment has to outlast
            // that one, too.
            *state.emptied.get_or_insert(self.log.appended())
        };
        if self.log.committed() < emptied {
            return Ok(false);
        }
        self.log.drop_before(oldest + 1)?;
        let mut state = self.state.lock();
        state.image.segments.remove(&oldest);
        state.emptied = None;
        Ok(true)
    }

    /// More than twice what lives, and than a little.
    fn is_worth_it(&self, state: &State, segments: u64) -> bool {
        let bytes = self.log.bytes();
        segments > SLACK_SEGMENTS && bytes > state.image.live_bytes * 2
    }

    fn write_again(&self, state: &mut State, segment: u64) -> Step {
        let (image, scratch) = state.parts();
        let (mut bytes, mut looks) = (0, 0);
        loop {
            let Some(contents) = image.segments.get_mut(&segment) else {
                return Step::Done;
            };
            if bytes > STEP_BYTES || looks > STEP_LOOKS {
                return Step::More;
            }
            looks += 1;
            scratch.clear();
            // Messages before the sessions that refer to them.
            if let Some(number) = contents.messages.pop() {
                let Some(kept) = image.messages.get(&number) else {
                    continue;
                };
                let Some(message) = kept.message.as_ref().filter(|_| kept.segment == segment)
                else {
                    continue;
                };
                let retained = image.retained.get(message.topic()) == Some(&number);
                put_kept(scratch, number, message, retained);
                let appended = self.log.append(scratch, Urgency::Later);
                image.moved_message(number, appended.segment);
            } else if let Some(number) = contents.sessions.pop() {
                let Some(session) = image.sessions.get(&number) else {
                    continue;
                };
                if session.segment != segment {
                    continue;
                }
                put_whole(scratch, number, session);
                let appended = self.log.append(scratch, Urgency::Later);
                image.moved_session(number, appended.segment);
            } else {
                return Step::Done;
            }
            bytes += scratch.len();
        }
    }
}

#[derive(PartialEq, Eq)]
enum Step {
    More,
    /// All that lived in the segment is in the log again.
    Done,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dunlin_codec::Qos;
    use dunlin_log::{MemoryDisk, Options};
    use dunlin_router::ports::{Change, Retained, Store};
    use dunlin_session::{Message, MessageParts};

    use super::*;

    fn open(files: &MemoryDisk) -> Disk {
        let options = Options {
            segment_bytes: 2048,
            low_space_bytes: 0,
            ..Options::default()
        };
        Disk::open(Arc::new(files.clone()), options, &mut |_| ()).unwrap()
    }

    fn retain(disk: &Disk, topic: &str, payload: &[u8]) {
        let parts = MessageParts {
            publisher: 1,
            qos: Qos::AtLeastOnce,
            retain: true,
            expires: None,
            topic,
            forwarded: &[],
            payload,
        };
        let message = Message::new(parts, &mut Vec::new());
        let change = Change::Published {
            message: &message,
            retained: Retained::Set,
            queued: &[],
        };
        disk.record(&[change], dunlin_router::ports::Urgency::Later);
    }

    fn retained(disk: &Disk, topic: &str) -> Option<Vec<u8>> {
        let image = &disk.state.lock().image;
        let kept = &image.messages[image.retained.get(topic)?];
        Some(kept.message.as_ref()?.payload().to_vec())
    }

    #[test]
    fn what_is_dead_by_a_record_that_is_not_committed_outlasts_a_crash() {
        let files = MemoryDisk::default();
        let disk = open(&files);
        retain(&disk, "a", b"committed");
        for _ in 0..20 {
            retain(&disk, "b", &[0; 900]);
            disk.commit().unwrap();
        }
        retain(&disk, "a", b"not committed");
        while disk.compact().unwrap() {}
        let crashed = open(&files.copy());
        assert_eq!(retained(&crashed, "a").as_deref(), Some(&b"committed"[..]));
        disk.commit().unwrap();
        let before = disk.bytes().0;
        while disk.compact().unwrap() {
            disk.commit().unwrap();
        }
        assert!(disk.bytes().0 < before);
    }
}
