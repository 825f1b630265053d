//! What a bridge or a webhook is given of the broker that it runs in.

use std::io;
use std::os::unix::net::UnixStream;

use tokio::sync::oneshot;

/// The way into our own broker, and what is known there.
pub struct Local<F> {
    pub(crate) open: F,
    /// Filters that the session has already.
    pub(crate) known: Vec<String>,
    /// Told once our broker has answered all subscriptions.
    pub(crate) subscribed: Option<oneshot::Sender<()>>,
}

impl<F: Fn() -> io::Result<UnixStream>> Local<F> {
    /// `open` opens a connection to our own broker, without waiting; it is asked again when one
    /// breaks.
    pub fn new(open: F) -> Self {
        Local {
            open,
            known: Vec::new(),
            subscribed: None,
        }
    }

    /// What the session in our own broker is subscribed to: what is not wanted is ended there.
    pub fn knows(&mut self, filters: Vec<String>) {
        self.known = filters;
    }

    /// Ends once our own broker has answered all subscriptions: from then on nothing is missed that
    /// others publish. With an error if the bridge or webhook ended before.
    pub fn subscribed(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.subscribed = Some(sender);
        receiver
    }
}
