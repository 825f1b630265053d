//! Everything between a bound listener and a byte stream.
//!
//! ```text
//! ListenerSettings --bind--> Listener --accept--> Accepted      (the acceptor's task)
//! ListenerSettings --load--> Transport                             |
//!                                 \                                v  sent to a worker
//!                                  +------handshake(Accepted, &Transport)
//!                                                                  |
//!                            PROXY header, TLS, WebSocket upgrade  v
//!                                                            (Stream, Peer)
//! ```
//!
//! An acceptor hands sockets to workers as [`Accepted`] values, which belong to no runtime. The
//! worker that will own the connection calls [`handshake`], which registers the socket there and
//! runs whatever the listener asks for; what comes out carries MQTT bytes and nothing else.
//!
//! The crate knows no MQTT, counts no connections and limits no rates: who may connect, and how
//! many, is for its callers to decide. Linux is the system it is written for; other unixes build.
//!
//! Start reading at [`handshake`].
#![forbid(unsafe_code)]

mod ask;
mod certificate;
mod handshake;
mod listener;
mod proxy;
mod settings;
mod stream;
mod tls;
mod unix_file;
mod websocket;

pub use ask::Ask;
pub use certificate::ClientCertificate;
pub use handshake::{HandshakeError, Peer, Protocol, Transport, handshake};
pub use listener::{Accepted, BindError, Listener};
pub use proxy::Error as ProxyError;
pub use settings::{
    ListenAddress, ListenerSettings, SettingsError, TlsSettings, TlsVersion, WebSocketSettings,
};
pub use stream::{ByteStream, Stream};
pub use tls::{Tls, TlsError};
pub use websocket::{Refusal, UpgradeError};
