//! From an accepted socket to a client that is let in, or turned away.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use dunlin_auth::{
    Certificate, ConnectRequest, Denial, Details, EnhancedAuthentication, Grant, PeerIdentity,
    Principal, Verdict,
};
use dunlin_codec::{Connect, Decoded, MAX_CONNECT_SIZE, Packet, ReasonCode, Version, decode};
use dunlin_metrics::Counter;
use dunlin_net::{Accepted, HandshakeError, Peer, Stream, handshake};
use dunlin_session::{Failure, Handshake, Negotiated, Terms};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use crate::connection::Connection;
use crate::finish::{close, finish, limit_counter};
use crate::input::poll_read;
use crate::listener::{BRIDGE_CLIENT_ID_PREFIX, ListenerContext};
use crate::permission::details_wanted;
use crate::worker::Worker;
use crate::{Admission, ConnectionLimits};

/// A connection from its socket to its end; the task that a worker spawns for it.
pub async fn serve(
    worker: Rc<Worker>,
    listener: Arc<ListenerContext>,
    accepted: Accepted,
    admission: Admission,
) {
    // Boxed, so that the task of an established connection is not as large as its beginning.
    let established = Box::pin(establish(worker, listener, accepted, admission)).await;
    let Some(mut connection) = established else {
        return;
    };
    let end = match connection.catch_up() {
        Ok(()) => poll_fn(|context| connection.turn(context)).await,
        Err(end) => end,
    };
    Box::pin(finish(connection, end)).await;
}

/// A client on its way in.
pub(crate) struct Arrival {
    pub worker: Rc<Worker>,
    pub listener: Arc<ListenerContext>,
    pub stream: Stream,
    pub peer: Peer,
    /// Bytes read and not yet decoded.
    pub received: Vec<u8>,
    pub admission: Admission,
}

/// Why it did not get in.
pub(crate) struct Refusal {
    /// What it asked for, if that was understood: then it is told.
    pub version: Option<Version>,
    pub failure: Failure,
    /// Bytes of the longest CONNACK that it takes, as far as it said so.
    pub maximum_packet_size: u32,
}

impl Refusal {
    pub fn told(negotiated: &Negotiated, failure: Failure) -> Self {
        Refusal {
            version: Some(negotiated.version),
            failure,
            maximum_packet_size: negotiated.maximum_packet_size(),
        }
    }

    fn silent(reason: ReasonCode, what: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Refusal {
            version: None,
            failure: Failure::new(reason, what),
            maximum_packet_size: u32::MAX,
        }
    }
}

async fn establish(
    worker: Rc<Worker>,
    listener: Arc<ListenerContext>,
    accepted: Accepted,
    admission: Admission,
) -> Option<Box<Connection>> {
    worker.cells.add(Counter::SocketsAccepted, 1);
    let limits = listener.limits.load_full();
    let deadline = Instant::now() + limits.connect_timeout;
    let shaken = tokio::select! {
        shaken = handshake(accepted, &listener.transport) => shaken,
        () = worker.router.closing() => return None,
    };
    let (stream, peer) = match shaken {
        Ok(shaken) => shaken,
        Err(error) => {
            if matches!(error, HandshakeError::Timeout(_)) {
                worker.cells.add(Counter::ConnectTimeouts, 1);
            }
            worker.cells.add(Counter::HandshakesFailed, 1);
            tracing::debug!(listener = %listener.name, %error, "handshake failed");
            return None;
        }
    };
    let mut arrival = Arrival {
        worker,
        listener,
        stream,
        peer,
        received: Vec::new(),
        admission,
    };
    // The attach at the end is not to be cancelled half way: it runs outside of the timeout.
    let worker = arrival.worker.clone();
    let arrived = tokio::select! {
        arrived = timeout_at(deadline, arrival.authenticate(&limits)) => arrived,
        () = worker.router.closing() => return None,
    };
    let outcome = match arrived {
        Ok(Ok(arrived)) => return arrival.attach(arrived, &limits).await,
        Ok(Err(refusal)) => refusal,
        Err(_) => {
            worker.cells.add(Counter::ConnectTimeouts, 1);
            Refusal::silent(
                ReasonCode::KeepAliveTimeout,
                "no complete CONNECT within limits.connect_timeout",
            )
        }
    };
    arrival.turn_away(outcome).await;
    None
}

/// A client that is authenticated.
pub(crate) struct Arrived {
    pub negotiated: Negotiated,
    pub principal: Principal,
    pub grant: Grant,
}

impl Arrival {
    async fn authenticate(&mut self, limits: &ConnectionLimits) -> Result<Arrived, Refusal> {
        let terms = self.listener.terms.load_full();
        let (mut negotiated, mut request) = self
            .receive(Version::Mqtt5, &terms, |packet, peer| {
                let Packet::Connect(connect) = &packet else {
                    return Err(Refusal::silent(
                        ReasonCode::ProtocolError,
                        "the first packet is not CONNECT [MQTT-3.1.0-1]",
                    ));
                };
                let negotiated = Handshake::new(terms.clone()).connect(&packet);
                let maximum_packet_size = connect.properties.maximum_packet_size();
                let negotiated = negotiated.map_err(|failure| Refusal {
                    version: Some(connect.version),
                    failure,
                    maximum_packet_size: maximum_packet_size.map_or(u32::MAX, |n| n.get()),
                })?;
                Ok((negotiated, connect_request(connect, peer)))
            })
            .await?;
        request.peer.listener = self.listener.name.clone();
        if negotiated.client_id.is_empty() {
            let client_id = random_client_id(&limits.client_id_prefix)
                .map_err(|failure| Refusal::told(&negotiated, failure))?;
            negotiated.assign_client_id(&client_id);
            request.client_id = client_id;
        }
        let access = self.listener.access.load_full();
        let mut verdict = access.authenticate(&request).await;
        loop {
            match verdict {
                Verdict::Granted(mut grant) => {
                    let username: Option<Arc<str>> = grant.username.as_deref().map(Arc::from);
                    if limits.client_id_from_username {
                        name_after_user(&mut negotiated, username.as_deref())?;
                    }
                    if negotiated.client_id.starts_with(BRIDGE_CLIENT_ID_PREFIX) && !limits.bridge {
                        return Err(Refusal::told(&negotiated, not_a_bridge()));
                    }
                    negotiated
                        .check_greeting(grant.data.as_deref())
                        .map_err(|failure| Refusal::told(&negotiated, failure))?;
                    let mut principal = Principal::new(&*negotiated.client_id, username);
                    let found = Details {
                        attributes: std::mem::take(&mut grant.attributes),
                        rules: grant.rules.take(),
                        address: self.peer.address,
                        listener: self.listener.name.clone(),
                    };
                    if details_wanted(&access, &found) {
                        principal = principal.with_details(found);
                    }
                    return Ok(Arrived {
                        negotiated,
                        principal,
                        grant,
                    });
                }
                Verdict::Denied(denial) => {
                    self.worker.cells.add(Counter::AuthenticationsDenied, 1);
                    return Err(Refusal::told(&negotiated, denied(&denial)));
                }
                Verdict::Continue(exchange) => {
                    let data = self.challenge(&negotiated, &exchange.data).await?;
                    verdict = exchange.resume(&request, data).await;
                }
            }
        }
    }

    /// One round of enhanced authentication.
    async fn challenge(&mut self, negotiated: &Negotiated, data: &[u8]) -> Result<Bytes, Refusal> {
        let mut out = Vec::new();
        negotiated.challenge(data, &mut out);
        self.write(&out).await?;
        self.receive(negotiated.version, negotiated.terms(), |packet, _| {
            negotiated
                .response(&packet)
                .map(Bytes::copy_from_slice)
                .map_err(|failure| Refusal::silent(failure.reason, failure.what))
        })
        .await
    }

    /// Waits for one packet, of what is allowed before authentication, and gives it to `with`; what
    /// came after it is kept.
    async fn receive<T>(
        &mut self,
        version: Version,
        terms: &Terms,
        with: impl FnOnce(Packet<'_>, &Peer) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let maximum = terms.maximum_packet_size.min(MAX_CONNECT_SIZE);
        loop {
            match decode(&self.received, version, maximum) {
                Ok(Decoded::Packet { packet, length }) => {
                    let outcome = with(packet, &self.peer);
                    self.received.drain(..length);
                    self.worker.cells.add(Counter::PacketsReceived, 1);
                    return outcome;
                }
                Ok(Decoded::Incomplete { .. }) => self.read().await?,
                Err(error) => {
                    return Err(Refusal {
                        version: error.connect_version,
                        failure: error.into(),
                        maximum_packet_size: u32::MAX,
                    });
                }
            }
        }
    }

    async fn read(&mut self) -> Result<(), Refusal> {
        let worker = self.worker.clone();
        let count = poll_fn(|context| {
            let mut scratch = worker.input.borrow_mut();
            poll_read(&mut self.stream, context, &mut scratch).map_ok(|count| {
                self.received.extend_from_slice(&scratch[..count]);
                count
            })
        });
        match count.await {
            Ok(0) => Err(Refusal::silent(
                ReasonCode::UnspecifiedError,
                "the client closed the connection before CONNECT",
            )),
            Ok(count) => {
                self.worker.cells.add(Counter::BytesReceived, count as u64);
                let kept = self.worker.check_memory(self.received.len());
                kept.map_err(|failure| Refusal::silent(failure.reason, failure.what))
            }
            Err(error) => Err(Refusal::silent(
                ReasonCode::UnspecifiedError,
                error.to_string(),
            )),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written
            .await
            .map_err(|error| Refusal::silent(ReasonCode::UnspecifiedError, error.to_string()))
    }

    pub async fn turn_away(self, refusal: Refusal) {
        let Refusal {
            version,
            failure,
            maximum_packet_size,
        } = refusal;
        let cells = &self.worker.cells;
        cells.add(Counter::ConnectsRefused, 1);
        if let Some(limit) = limit_counter(failure.reason) {
            cells.add(limit, 1);
        }
        let mut out = Vec::new();
        if let Some(version) = version {
            Handshake::refuse_within(maximum_packet_size, version, &failure, &mut out);
        }
        tracing::info!(
            listener = %self.listener.name,
            address = self.peer.address.map(tracing::field::display),
            cause = %failure,
            "client refused"
        );
        close(self.stream, &out).await;
    }
}

fn connect_request(connect: &Connect<'_>, peer: &Peer) -> ConnectRequest {
    let certificate = peer.certificate.as_ref().map(|certificate| Certificate {
        common_name: certificate.common_name.clone(),
        subject: certificate.subject.clone(),
    });
    let properties = connect.properties;
    ConnectRequest {
        client_id: connect.client_id.to_owned(),
        username: connect.username.map(str::to_owned),
        password: connect.password.map(Bytes::copy_from_slice),
        peer: PeerIdentity {
            address: peer.address,
            loopback: peer.is_loopback,
            listener: Arc::from(""),
            certificate,
        },
        authentication: properties
            .authentication_method()
            .map(|method| EnhancedAuthentication {
                method: method.to_owned(),
                data: Bytes::copy_from_slice(properties.authentication_data().unwrap_or_default()),
            }),
        user_properties: properties
            .user_properties()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// Makes the user name the client id, so that no user takes another's.
fn name_after_user(negotiated: &mut Negotiated, username: Option<&str>) -> Result<(), Refusal> {
    let Some(username) = username.filter(|name| !name.is_empty()) else {
        let what = "client ids are user names here, and the client has none";
        let failure = Failure::new(ReasonCode::NotAuthorized, what);
        return Err(Refusal::told(negotiated, failure));
    };
    negotiated.client_id = username.into();
    Ok(())
}

/// A bridge's session holds what others have sent to it.
fn not_a_bridge() -> Failure {
    Failure::new(
        ReasonCode::ClientIdentifierNotValid,
        format!(
            "client ids that begin with {BRIDGE_CLIENT_ID_PREFIX} are for this broker's bridges"
        ),
    )
}

fn random_client_id(prefix: &str) -> Result<String, Failure> {
    let number = getrandom::u64().map_err(|error| {
        Failure::new(
            ReasonCode::ServerUnavailable,
            format!("no random client id: {error}"),
        )
    })?;
    Ok(format!("{prefix}{number:016x}"))
}

fn denied(denial: &Denial) -> Failure {
    let reason = match denial {
        Denial::BadCredentials => ReasonCode::BadUserNameOrPassword,
        Denial::NotAuthorized => ReasonCode::NotAuthorized,
        Denial::BadMethod => ReasonCode::BadAuthenticationMethod,
        // Whatever else an authenticator may say: it did not let the client in.
        _ => ReasonCode::ServerUnavailable,
    };
    Failure::new(reason, denial.to_string())
}
