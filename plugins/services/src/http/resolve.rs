//! From an origin to the addresses that are connected to.
//!
//! The check stands here, in the client's own resolver, because the addresses that leave it are
//! the ones that the socket is opened to: a name that answers differently the next time (DNS
//! rebinding) gains nothing. A connection that is kept open stays with the address checked then.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::{io, thread};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Error, Timeout};

use super::grants::{Addresses, Grants};
use super::url::{Origin, Url};

/// Names that may be in the course of being resolved. The system's resolver cannot be stopped, so
/// each may keep a thread for as long as that waits, whatever the deadline.
const MAX_LOOKUPS: usize = 64;

/// Addresses that are tried at most.
const MAX_ADDRESSES: usize = 8;

/// Finds the addresses of a host name.
pub(super) type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// The way past which no connection is made.
pub(super) struct Gate {
    grants: Arc<Grants>,
    lookup: Lookup,
    lookups: Arc<AtomicUsize>,
}

/// What the client's error carries when the gate is closed.
#[derive(Debug)]
pub(super) struct Closed(pub String);

impl Gate {
    pub(super) fn new(grants: Arc<Grants>, lookup: Lookup) -> Self {
        Self {
            grants,
            lookup,
            lookups: Arc::default(),
        }
    }

    /// The addresses of an origin, every one of them permitted.
    fn pass(&self, origin: &Origin, timeout: NextTimeout) -> Result<Vec<IpAddr>, Error> {
        let permitted = self
            .grants
            .addresses(origin)
            .ok_or_else(|| closed(format!("{origin} is not listed")))?;
        if let Some(known) = permitted.known() {
            return Ok(known);
        }
        let found = self.look_up(origin.host.to_string(), timeout)?;
        match found.iter().find(|address| !permitted.permits(**address)) {
            None => Ok(found),
            Some(address) => Err(closed(match permitted {
                Addresses::Public => format!(
                    "{origin} stands for the private address {address}; list private:{origin} to allow it"
                ),
                _ => format!("{origin} stands for the reserved address {address}"),
            })),
        }
    }

    /// Resolves a name on a thread of its own, since the system's resolver knows no deadline.
    fn look_up(&self, name: String, timeout: NextTimeout) -> Result<Vec<IpAddr>, Error> {
        let place = Place::take(&self.lookups)
            .ok_or_else(|| io::Error::other("too many names are being resolved"))?;
        let (answer, answered) = mpsc::sync_channel(1);
        let lookup = Arc::clone(&self.lookup);
        thread::Builder::new()
            .name("dunlin-resolve".to_owned())
            .spawn(move || {
                let _place = place;
                // Nobody waits any more if the deadline came first.
                let _ = answer.send(lookup(&name));
            })?;
        match answered.recv_timeout(*timeout.after) {
            Ok(found) => found.map_err(Error::from),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::Timeout(Timeout::Resolve)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Error::HostNotFound),
        }
    }
}

impl Resolver for Gate {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let origin = Url::parse(&uri.to_string()).map_err(Error::BadUri)?.origin;
        let mut resolved = self.empty();
        for address in self.pass(&origin, timeout)?.into_iter().take(MAX_ADDRESSES) {
            resolved.push(SocketAddr::new(address, origin.port));
        }
        if resolved.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(resolved)
    }
}

/// Asks the system, as every program does: hosts file, DNS and what else is set up.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Ok((name, 0)
            .to_socket_addrs()?
            .map(|found| found.ip())
            .collect())
    })
}

fn closed(why: String) -> Error {
    Error::Other(Box::new(Closed(why)))
}

/// One of [`MAX_LOOKUPS`], given back on drop.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(lookups: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |taken| (taken < MAX_LOOKUPS).then_some(taken + 1);
        lookups
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Self(Arc::clone(lookups)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Gate")
            .field("grants", &self.grants)
            .finish()
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Closed {}
