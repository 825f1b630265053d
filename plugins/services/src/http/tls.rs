//! TLS for the client's connections.
//!
//! The client comes with TLS of its own, but builds its settings anew for each connection of a
//! request that has its own deadline, and all of ours have; here they are built once, so that
//! sessions are resumed, too.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use super::url::{Host, Url};

/// The certificates that servers must lead back to.
///
/// Those of the system, not a list compiled in: an operator who adds or distrusts an authority
/// does so for the whole machine, and updates come without a new broker.
#[derive(Clone, Debug)]
pub(super) struct Trust(RootCertStore);

impl Trust {
    pub(super) fn nothing() -> Self {
        Self(RootCertStore::empty())
    }

    /// What the system trusts, or `SSL_CERT_FILE` and `SSL_CERT_DIR` if they are set.
    pub(super) fn system() -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a trusted root certificate cannot be read");
        }
        roots.add_parsable_certificates(found.certs);
        Self(roots)
    }

    /// Adds the certificates of a PEM text; at least one.
    pub(super) fn add(&mut self, pem: &str) -> Result<(), String> {
        let before = self.0.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("not PEM: {error}"))?;
            self.0
                .add(certificate)
                .map_err(|error| format!("not a root certificate: {error}"))?;
        }
        if self.0.len() == before {
            return Err("there is no certificate in it".to_owned());
        }
        Ok(())
    }
}

/// Puts TLS around the connections to origins with `https`.
pub(super) struct Tls {
    /// None if nobody is trusted.
    config: Option<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(trust: &Trust) -> Result<Self, String> {
        if trust.0.is_empty() {
            return Ok(Self { config: None });
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(trust.0.clone())
            .with_no_client_auth();
        Ok(Self {
            config: Some(Arc::new(config)),
        })
    }

    fn handshake<In: Transport>(
        &self,
        details: &ConnectionDetails,
        connection: In,
    ) -> Result<TlsTransport, Error> {
        let config = self.config.clone().ok_or_else(|| {
            io::Error::other("no root certificate is trusted: install those of the system")
        })?;
        let mut session = ClientConnection::new(config, server_name(details)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut socket = TransportAdapter::new(connection.boxed(), details.current_time.clone());
        socket.set_timeout(remaining(details));
        session.complete_io(&mut socket).map_err(unwrap)?;
        let config = details.config;
        Ok(TlsTransport {
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            stream: StreamOwned::new(session, socket),
        })
    }
}

fn server_name(details: &ConnectionDetails) -> Result<ServerName<'static>, Error> {
    let url = Url::parse(&details.uri.to_string()).map_err(Error::BadUri)?;
    match url.origin.host {
        Host::Address(address) => Ok(ServerName::from(address)),
        Host::Name(name) => ServerName::try_from(name)
            .map_err(|error| Error::from(io::Error::new(io::ErrorKind::InvalidInput, error))),
    }
}

/// What connecting has left of the time for both.
fn remaining(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(after), Instant::Exact(began), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        timeout.after = Duration::Exact(after.saturating_sub(now.saturating_duration_since(began)));
    }
    timeout
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(connection) = chained else {
            return Ok(None);
        };
        if details.needs_tls() {
            self.handshake(details, connection).map(Either::B).map(Some)
        } else {
            Ok(Some(Either::A(connection)))
        }
    }
}

/// A connection inside TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(unwrap)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| match error.kind() {
            // The connection ended without a farewell, so somebody on the way may have cut the
            // answer short. As an end of file it would pass for the end of the body.
            io::ErrorKind::UnexpectedEof => Error::from(io::Error::new(
                io::ErrorKind::InvalidData,
                "the connection was cut",
            )),
            _ => unwrap(error),
        })?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// The client's own error, where it came through the TLS library as one of input and output.
fn unwrap(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(inner) => inner,
        Err(error) => Error::from(error),
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.stream.sock.inner();
        out.debug_struct("TlsTransport")
            .field("inner", inner)
            .finish()
    }
}
