//! Words to a connection from outside, and the session on its way from one to the next.

use std::borrow::Cow;

use dunlin_codec::ReasonCode;
use dunlin_session::{SessionState, Will};
use tokio::sync::oneshot;

use super::Subscriber;

/// What a connection is told from outside, ahead of its messages.
#[derive(Debug)]
pub enum Control {
    /// A newer connection has the same client id: end, and hand the session over.
    TakeOver(oneshot::Sender<HandedOver>),
    /// End this connection.
    Close {
        /// The connection meant, or [`EVERY_CONNECTION`]; another one of the session ignores it.
        connection: u64,
        /// For the DISCONNECT.
        reason: ReasonCode,
        /// For the log and the client.
        what: Cow<'static, str>,
    },
}

/// A session on its way from one connection to the next.
#[derive(Debug, Default)]
pub struct HandedOver {
    /// What the older connection left.
    pub state: SessionState,
    /// A delayed will: void if the session goes on, due if it ends [MQTT-3.1.3-9].
    pub will: Option<Will>,
    /// The session ended with the older connection: only a new one can follow [MQTT-3.1.2-6].
    pub ends: bool,
}

/// Stands for whichever connection has the session.
pub const EVERY_CONNECTION: u64 = 0;

impl Subscriber {
    /// Sends word to the connection.
    pub fn control(&self, control: Control) {
        let mut inbox = self.inbox.lock();
        inbox.rare().control.push_back(control);
        if let Some(waker) = inbox.waker.take() {
            drop(inbox);
            waker.wake();
        }
    }

    /// Ends the connection that has the session; `false` if none has.
    pub fn disconnect(&self, reason: ReasonCode, what: &'static str) -> bool {
        let mut inbox = self.inbox.lock();
        if !inbox.attached {
            return false;
        }
        inbox.rare().control.push_back(Control::Close {
            connection: EVERY_CONNECTION,
            reason,
            what: what.into(),
        });
        if let Some(waker) = inbox.waker.take() {
            drop(inbox);
            waker.wake();
        }
        true
    }

    /// Leaves a word for whoever has the session next.
    pub fn put_back_control(&self, control: Control) {
        self.inbox.lock().rare().control.push_front(control);
    }

    /// The oldest word to the connection.
    pub fn next_control(&self) -> Option<Control> {
        self.inbox.lock().next_control()
    }

    /// Gives the session to the oldest connection that still waits for it; back if none does.
    pub(crate) fn pass_on(&self, mut handed_over: HandedOver) -> Option<HandedOver> {
        while let Some(taker) = self.next_taker() {
            match taker.send(handed_over) {
                Ok(()) => return None,
                // It gave up.
                Err(back) => handed_over = back,
            }
        }
        Some(handed_over)
    }

    /// Whether a connection waits for the session.
    pub(crate) fn is_claimed(&self) -> bool {
        let waits =
            |control: &Control| matches!(control, Control::TakeOver(taker) if !taker.is_closed());
        let inbox = self.inbox.lock();
        let rare = inbox.rare.as_ref();
        rare.is_some_and(|rare| rare.control.iter().any(waits))
    }

    /// The oldest waiting take-over; other words were for a connection that is gone.
    pub(crate) fn next_taker(&self) -> Option<oneshot::Sender<HandedOver>> {
        let mut inbox = self.inbox.lock();
        while let Some(control) = inbox.next_control() {
            if let Control::TakeOver(taker) = control {
                return Some(taker);
            }
        }
        None
    }
}
