//! A connection of one side: away, on its way, or there.

use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::time::Duration;

use dunlin_session::SessionState;
use dunlin_time::{Clock, Monotonic, Now};
use tokio::sync::oneshot;

use crate::backoff::Backoff;
use crate::client::Side;
use crate::greeting::{Greeted, Introduction, Refused};
use crate::settings::Restart;

/// Our own broker is back sooner than another.
const LOCAL_RESTART: Restart = Restart {
    base: Duration::from_millis(100),
    cap: Some(Duration::from_secs(5)),
};

type Attempt = Pin<Box<dyn Future<Output = Result<Greeted, Refused>> + Send>>;

enum Stage {
    Away { again: Monotonic },
    Connecting(Attempt),
    Up(Box<Side>),
}

/// A connection, and what is needed to have it again.
pub(crate) struct Link {
    stage: Stage,
    /// What the last connection left.
    state: SessionState,
    backoff: Backoff,
    /// Not to be connected now.
    pub idle: bool,
    /// It was up once.
    pub ever: bool,
    /// Packet ids that an earlier process left in use are free.
    pub swept: bool,
    overdue: Option<String>,
}

/// What became of a connection.
pub(crate) enum Turn {
    Answered(Result<Box<Greeted>, Refused>),
    /// Something was read, or there is room to write.
    Ready(io::Result<()>),
    /// The broker is silent.
    Overdue(String),
}

impl Link {
    pub fn new(restart: Restart) -> Self {
        Link {
            stage: Stage::Away {
                again: Monotonic(0),
            },
            state: SessionState::default(),
            backoff: Backoff::new(restart),
            idle: false,
            ever: false,
            swept: false,
            overdue: None,
        }
    }

    pub fn to_own_broker() -> Self {
        Link::new(LOCAL_RESTART)
    }

    /// What happens next. May be dropped at any time.
    pub async fn turn(&mut self, read: bool) -> Turn {
        if let Some(why) = self.overdue.take() {
            return Turn::Overdue(why);
        }
        match &mut self.stage {
            Stage::Away { .. } => std::future::pending().await,
            Stage::Connecting(attempt) => Turn::Answered(attempt.await.map(Box::new)),
            Stage::Up(side) => Turn::Ready(side.wire.turn(read).await),
        }
    }

    /// Begins to connect.
    pub fn begin<F>(&mut self, attempt: impl FnOnce(SessionState) -> F)
    where
        F: Future<Output = Result<Greeted, Refused>> + Send + 'static,
    {
        let attempt = attempt(std::mem::take(&mut self.state));
        self.stage = Stage::Connecting(Box::pin(attempt));
    }

    /// Begins to connect over a stream to our own broker.
    pub fn begin_here(
        &mut self,
        stream: io::Result<UnixStream>,
        introduction: Introduction,
        clock: Clock,
    ) {
        let stream = stream.and_then(|stream| {
            stream.set_nonblocking(true)?;
            tokio::net::UnixStream::from_std(stream)
        });
        self.begin(|state| async move {
            match stream {
                Ok(stream) => introduction.greet(Box::new(stream), state, clock).await,
                Err(error) => Err(Refused::unreached(error.to_string(), state)),
            }
        });
    }

    /// It is there.
    pub fn up(&mut self, side: Side) {
        self.backoff.reset();
        self.ever = true;
        // A session that begins anew has no packet ids in use.
        self.swept |= side.is_swept();
        self.stage = Stage::Up(Box::new(side));
    }

    /// It is gone; to be tried again, at once or after a pause.
    pub fn pause(&mut self, state: SessionState, now: Monotonic, wait: bool) {
        self.state = state;
        let again = match wait {
            true => now + self.backoff.next(),
            false => now,
        };
        self.stage = Stage::Away { again };
    }

    /// It is gone until somebody wants it.
    pub fn stay_away(&mut self, state: SessionState) {
        self.pause(state, Monotonic(0), false);
        self.idle = true;
    }

    /// Whether to connect now.
    pub fn is_due(&self, now: Now) -> bool {
        !self.idle && matches!(self.stage, Stage::Away { again } if again <= now.monotonic)
    }

    pub fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up(_))
    }

    pub fn side(&mut self) -> Option<&mut Side> {
        match &mut self.stage {
            Stage::Up(side) => Some(side),
            _ => None,
        }
    }

    /// Tells whoever waits that all subscriptions are answered, when that is so.
    pub fn tell_subscribed(&self, waiting: &mut Option<oneshot::Sender<()>>) {
        if let Stage::Up(side) = &self.stage
            && side.subscribing.is_over()
            && let Some(waiting) = waiting.take()
        {
            // Nobody may wait any more.
            let _ = waiting.send(());
        }
    }

    /// Takes the connection out, to end it.
    pub fn take(&mut self) -> Option<Side> {
        let away = Stage::Away {
            again: Monotonic(u64::MAX),
        };
        match std::mem::replace(&mut self.stage, away) {
            Stage::Up(side) => Some(*side),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// PINGREQ when it is due; silence is found out by the next [`Link::turn`].
    pub fn keep_alive(&mut self, now: Now) {
        if let Stage::Up(side) = &mut self.stage
            && let Err(failure) = side.client.timeout(now, &mut side.wire.output)
        {
            self.overdue = Some(failure.what.into_owned());
        }
    }

    /// When [`Link::keep_alive`] or [`Link::is_due`] is to be asked; `kept` says whether the former
    /// is.
    pub fn deadline(&self, kept: bool) -> Option<Monotonic> {
        match &self.stage {
            Stage::Away { again } => (!self.idle).then_some(*again),
            Stage::Connecting(_) => None,
            Stage::Up(side) => side.client.deadline().filter(|_| kept),
        }
    }
}
