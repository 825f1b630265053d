//! A client that is let in gets its session, and what an earlier connection left of it.

use dunlin_auth::{DecisionMemo, Grant, Principal};
use dunlin_codec::ReasonCode;
use dunlin_metrics::Counter;
use dunlin_net::Peer;
use dunlin_router::ports::SessionTerms;
use dunlin_router::{AttachError, AttachRequest, Attached};
use dunlin_session::{Accepted as Admitted, Failure, Negotiated};
use dunlin_time::Now;

use crate::ConnectionLimits;
use crate::connection::{Connection, Rare};
use crate::establish::{Arrival, Arrived, Refusal};
use crate::listener::ListenerContext;
use crate::output::Unsent;
use crate::permission::may_receive;
use crate::rate::Bucket;

impl Arrival {
    /// Gets the client its session, and lets it in.
    pub async fn attach(
        self,
        arrived: Arrived,
        limits: &ConnectionLimits,
    ) -> Option<Box<Connection>> {
        let Arrived {
            mut negotiated,
            principal,
            grant,
        } = arrived;
        let mount_point = negotiated.terms().mount_point.clone();
        if let Some(will) = &mut negotiated.will {
            will.topic = format!("{mount_point}{}", will.topic).into();
        }
        let worker = self.worker.clone();
        let number = worker.router.next_number();
        let request = AttachRequest {
            client_id: principal.shared_client_id(),
            clean_start: negotiated.clean_start,
            terms: SessionTerms {
                expiry: negotiated.session_expiry,
                will: negotiated.will.as_ref(),
            },
            worker: worker.number,
        };
        let attached = match worker.router.attach(request, &worker.dispatch).await {
            Ok(attached) => attached,
            Err(error) => {
                if error == AttachError::TooManySessions {
                    worker.cells.add(Counter::SessionsOverLimit, 1);
                }
                let refusal = Refusal::told(&negotiated, not_attached(&error));
                self.turn_away(refusal).await;
                return None;
            }
        };
        worker.dispatch.borrow_mut().flush();
        if worker.router.is_closing() {
            // It came after all others were told.
            let (reason, what) = (
                ReasonCode::ServerShuttingDown,
                "the server is shutting down",
            );
            attached.subscriber.disconnect(reason, what);
        }
        Some(self.connection(negotiated, principal, grant, attached, number, limits))
    }

    fn connection(
        self,
        mut negotiated: Negotiated,
        principal: Principal,
        grant: Grant,
        attached: Attached,
        number: u64,
        limits: &ConnectionLimits,
    ) -> Box<Connection> {
        let worker = self.worker;
        let now = worker.now();
        let rare = rare(limits, &grant, self.received.len(), now);
        if limits.log_connections {
            log_connect(
                &self.listener,
                &self.peer,
                &negotiated,
                &principal,
                &attached,
            );
        }
        let will = negotiated.will.take().map(Box::new);
        let mut out = Vec::new();
        let resumes = attached.state.is_some();
        let admitted = Admitted {
            state: attached.state,
            authentication_data: grant.data.map(Into::into),
        };
        let session = negotiated.accept(now, admitted, &mut out);
        worker.cells.add(Counter::ConnectionsOpened, 1);
        worker.count_connection(1);
        let access = self.listener.access.load_full();
        let mut connection = Box::new(Connection {
            epoch: access.epoch(),
            access,
            listener: self.listener,
            number,
            stream: self.stream,
            session,
            subscriber: attached.subscriber,
            principal,
            memo: DecisionMemo::default(),
            partial: self.received,
            hold: attached.commit,
            held: None,
            unsent: Unsent::default(),
            alarm: Default::default(),
            will,
            scans: None,
            crowd: None,
            rare,
            address: self.peer.address,
            protocol: self.peer.protocol,
            _admission: self.admission,
            worker,
        });
        if resumes {
            connection.resume(now, &mut out);
        }
        connection.put_out(&out);
        connection
    }
}

impl Connection {
    /// Sends again what an earlier connection of the session left open.
    fn resume(&mut self, now: Now, out: &mut Vec<u8>) {
        if !self.access.allows_every_topic() || self.principal.rules().is_some() {
            // Another user may have subscribed in this session, or this one under other rules.
            self.epoch = !self.access.epoch();
            let Connection {
                session,
                memo,
                access,
                principal,
                ..
            } = self;
            let denied = session.take_out(|delivery| {
                !may_receive(memo, access, principal, delivery, now.monotonic)
            });
            self.drop_unfinished(denied, Counter::DeliveriesDenied);
        }
        let too_large = self.session.resume(now.wall, out);
        self.drop_unfinished(too_large, Counter::DroppedTooLarge);
    }
}

/// `None` if the connection has nothing of it so far.
fn rare(limits: &ConnectionLimits, grant: &Grant, received: usize, now: Now) -> Option<Box<Rare>> {
    let bucket = |limit| Bucket::new(limit, now.monotonic);
    let mut rare = Rare {
        messages: limits.messages.map(bucket),
        bytes: limits.bytes.map(bucket),
        grant_ends: grant.expires.map(|expires| now.monotonic + expires),
        ..Rare::default()
    };
    if let Some(bucket) = &mut rare.bytes {
        bucket.take(received as u64, now.monotonic);
    }
    let is_used = rare.messages.is_some() || rare.bytes.is_some() || rare.grant_ends.is_some();
    is_used.then(|| Box::new(rare))
}

fn not_attached(error: &AttachError) -> Failure {
    let reason = match error {
        // 0x8E is no code for a CONNACK.
        AttachError::Superseded | AttachError::Busy => ReasonCode::ServerBusy,
        AttachError::TooManySessions => ReasonCode::QuotaExceeded,
        AttachError::Store(_) => ReasonCode::ServerUnavailable,
    };
    Failure::new(reason, error.to_string())
}

fn log_connect(
    listener: &ListenerContext,
    peer: &Peer,
    negotiated: &Negotiated,
    principal: &Principal,
    attached: &Attached,
) {
    tracing::info!(
        client_id = principal.client_id(),
        user = principal.username(),
        address = peer.address.map(tracing::field::display),
        listener = %listener.name,
        protocol = %peer.protocol,
        version = ?negotiated.version,
        clean_start = negotiated.clean_start,
        session_present = attached.state.is_some(),
        keep_alive = negotiated.keep_alive,
        "client connected"
    );
}
