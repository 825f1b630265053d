//! MQTT over WebSocket: the upgrade, the frames, and the stream that both make.
//!
//! [`upgrade`] answers the HTTP request, `frames` decodes without a socket, `stream` joins it to
//! one. Header format, opcodes, close codes and the accept key are `tungstenite`'s; its own
//! connection type is not used, because it collects whole messages, reserves what a peer announces
//! and keeps its buffers while idle.

pub(crate) mod frames;
mod stream;
mod upgrade;

pub(crate) use stream::WebSocket;
pub(crate) use upgrade::upgrade;
pub use upgrade::{Refusal, UpgradeError};
