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
        let written = {
            let mut state = self.state.lock();
            if !self.is_worth_it(&state, newest - oldest + 1) {
                return Ok(false);
            }
            self.write_again(&mut state, oldest)
        };
        match written {
            Step::More => Ok(true),
            Step::Done => {
                if self.log.committed() < self.state.lock().moved {
                    return Ok(false);
                }
                self.state.lock().image.segments.remove(&oldest);
                self.log.drop_before(oldest + 1)?;
                Ok(true)
            }
        }
    }

    /// More than twice what lives, and than a little.
    fn is_worth_it(&self, state: &State, segments: u64) -> bool {
        let bytes = self.log.bytes();
        segments > SLACK_SEGMENTS && bytes > state.image.live_bytes * 2
    }

    fn write_again(&self, state: &mut State, segment: u64) -> Step {
        let (image, moved, scratch) = state.parts();
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
                *moved = appended.position;
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
                *moved = appended.position;
            } else {
                return Step::Done;
            }
            bytes += scratch.len();
        }
    }
}

enum Step {
    More,
    /// All that lived in the segment is in the log again.
    Done,
}
