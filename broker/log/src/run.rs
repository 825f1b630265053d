//! When to commit: the committer's thread.

use std::io;
use std::time::{Duration, Instant};

use crate::error::CommitError;
use crate::log::{Log, Outcome};
use crate::queue::Sleep;

/// What is appended [`Urgency::Later`](crate::Urgency) waits this long at most.
const LATER: Duration = Duration::from_millis(100);

/// How often the free space is looked at.
const SPACE_CHECK: Duration = Duration::from_secs(1);

/// How long to wait for room before writing is tried again.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(100);

/// What to do next.
enum Due {
    Commit,
    SpaceCheck,
    Close,
}

/// Until when the committer may sleep.
struct Alarm {
    space_check: Instant,
    /// When what can wait has waited long enough.
    later: Option<Instant>,
}

impl Log {
    pub(crate) fn commit_until_closed(&self) -> Result<(), CommitError> {
        let mut alarm = Alarm {
            space_check: Instant::now() + SPACE_CHECK,
            later: None,
        };
        // Commits by hand may have left a batch for which there was no room.
        let mut due = Due::Commit;
        loop {
            due = match due {
                Due::Commit => match self.commit_next()? {
                    Outcome::NoRoom => self.wait_for_room(),
                    Outcome::Written | Outcome::Nothing => {
                        alarm.later = None;
                        self.sleep(&mut alarm)
                    }
                },
                Due::SpaceCheck => {
                    self.check_space();
                    alarm.space_check = Instant::now() + SPACE_CHECK;
                    self.sleep(&mut alarm)
                }
                Due::Close => match self.commit_next()? {
                    Outcome::Nothing => return Ok(()),
                    Outcome::Written => Due::Close,
                    Outcome::NoRoom => return Err(self.unwritten_at_close()),
                },
            };
        }
    }

    /// Sleeps until there is something to do.
    fn sleep(&self, alarm: &mut Alarm) -> Due {
        let mut queue = self.queue.lock();
        loop {
            let now = Instant::now();
            if queue.closed {
                return Due::Close;
            }
            if now >= alarm.space_check {
                return Due::SpaceCheck;
            }
            if queue.is_urgent() {
                return Due::Commit;
            }
            if queue.is_empty() {
                queue.sleep = Sleep::Deep;
                self.work.wait_until(&mut queue, alarm.space_check);
            } else {
                let later = *alarm.later.get_or_insert(now + LATER);
                if now >= later {
                    return Due::Commit;
                }
                queue.sleep = Sleep::Light;
                self.work
                    .wait_until(&mut queue, later.min(alarm.space_check));
            }
            queue.sleep = Sleep::Awake;
        }
    }

    fn wait_for_room(&self) -> Due {
        self.check_space();
        let mut queue = self.queue.lock();
        if !queue.closed {
            self.work.wait_for(&mut queue, NO_ROOM_PAUSE);
        }
        if queue.closed {
            Due::Close
        } else {
            Due::Commit
        }
    }

    fn unwritten_at_close(&self) -> CommitError {
        let doing = format!("closing with {} bytes unwritten", self.buffered_bytes());
        CommitError::new(doing, io::ErrorKind::StorageFull.into())
    }
}
