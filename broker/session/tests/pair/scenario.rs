//! What happens to a pair: made by proptest, or by the fuzzer from bytes.

use arbitrary::Arbitrary;

#[derive(Clone, Debug, Arbitrary)]
pub struct Scenario {
    pub mqtt5: bool,
    /// Topic aliases that either allows, modulo 4.
    pub aliases: u8,
    pub steps: Vec<Step>,
}

/// One end of the connection, and what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
pub enum End {
    Client,
    Server,
}

#[derive(Clone, Debug, Arbitrary)]
pub enum Step {
    /// The application there has a message.
    Publish { from: End, qos: u8 },
    /// So many bytes arrive there.
    Carry { to: End, bytes: u8 },
    /// From now on the application there answers later, or at once.
    Postpone { at: End, yes: bool },
    /// It answers one of the messages that wait.
    Settle { at: End, which: u8, refuse: bool },
    /// The connection breaks; bytes under way are lost.
    Cut,
    /// The client connects, on a new connection. The windows, modulo 4 plus 1, are of what the
    /// client and the server send.
    Connect { clean: bool, windows: [u8; 2] },
    /// Time passes.
    Wait { seconds: u8 },
}

impl End {
    pub fn other(self) -> End {
        match self {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }
}
