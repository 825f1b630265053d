//! The end of a connection.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use dunlin_codec::ReasonCode;
use dunlin_metrics::Counter;
use dunlin_net::Stream;
use dunlin_router::Departure;
use dunlin_session::Will;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::{Connection, End};
use crate::output::write;

/// How long the last bytes may take to reach the client.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes read and thrown away meanwhile.
const DRAIN: usize = 64 * 1024;

/// Tells the client, hands the session on, publishes the will, closes the socket.
pub(crate) async fn finish(mut connection: Box<Connection>, end: End) {
    let worker = connection.worker.clone();
    worker.timers.disarm(&mut connection.alarm);
    connection.release_last();
    connection.say_goodbye(&end);
    // A newer connection may be waiting: the session first, the socket later.
    poll_fn(|context| {
        let last = connection.unsent.as_slice().to_vec();
        if let Ok(written) = write(&mut connection.stream, context, &last) {
            connection.unsent.advance(written);
        }
        connection.stop_waiting(context);
        Poll::Ready(())
    })
    .await;
    connection.count(&end);
    connection.log(&end);
    let will = connection.due_will(&end);
    let Connection {
        session,
        subscriber,
        stream,
        unsent,
        _admission,
        ..
    } = *connection;
    let departure = Departure {
        session_expiry: session.session_expiry(),
        state: session.into_state(),
        will,
    };
    let router = worker.router.clone();
    router
        .detach(&subscriber, departure, worker.now(), &worker.dispatch)
        .await;
    worker.dispatch.borrow_mut().flush();
    worker.count_connection(-1);
    drop(subscriber);
    match end {
        End::Closed | End::Broken(_) => {}
        End::Failed(_) | End::Left(_) | End::TakenOver => close(stream, unsent.as_slice()).await,
    }
}

/// Sends the last bytes and closes. What the client still sends is read a while: closing with
/// unread bytes would reset the connection, and the client might never see the last ones.
pub(crate) async fn close(mut stream: Stream, last: &[u8]) {
    let closing = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let mut drained = 0;
        let mut sink = [0; 1024];
        while drained < DRAIN {
            match stream.read(&mut sink).await? {
                0 => break,
                count => drained += count,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // An error or a timeout: the client is gone, or will not go.
    let _ = tokio::time::timeout(LINGER, closing).await;
}

/// Where a connection that ended at a limit is counted.
pub(crate) fn limit_counter(reason: ReasonCode) -> Option<Counter> {
    match reason {
        ReasonCode::PacketTooLarge => Some(Counter::PacketsTooLarge),
        ReasonCode::ReceiveMaximumExceeded => Some(Counter::ReceiveMaximumExceeded),
        ReasonCode::TopicNameInvalid => Some(Counter::TopicsRefused),
        _ => None,
    }
}

impl Connection {
    fn say_goodbye(&mut self, end: &End) {
        let mut out = Vec::new();
        match end {
            End::Failed(failure) => {
                self.session
                    .disconnect(failure.reason, &failure.what, &mut out);
            }
            End::TakenOver => self.session.disconnect(
                ReasonCode::SessionTakenOver,
                "another connection has the same client id",
                &mut out,
            ),
            End::Closed | End::Broken(_) | End::Left(_) => {}
        }
        self.unsent.push(&out);
    }

    fn count(&self, end: &End) {
        let cells = &self.worker.cells;
        cells.add(Counter::ConnectionsClosed, 1);
        match end {
            End::Failed(failure) => {
                if failure.peers_fault() {
                    cells.add(Counter::ProtocolErrors, 1);
                }
                if let Some(limit) = limit_counter(failure.reason) {
                    cells.add(limit, 1);
                }
            }
            End::TakenOver => cells.add(Counter::TakeOvers, 1),
            _ => {}
        }
    }

    /// The will, if this end calls for it and the rules allow it.
    fn due_will(&mut self, end: &End) -> Option<Will> {
        let will = self.will.take()?;
        if matches!(end, End::Left(farewell) if !farewell.publish_will) {
            return None;
        }
        self.permitted_will(self.worker.now(), *will)
    }

    fn log(&self, end: &End) {
        if !self.listener.limits.load().log_connections {
            return;
        }
        let cause = match end {
            End::Closed => "the client closed the connection without DISCONNECT".to_owned(),
            End::Broken(error) => error.to_string(),
            End::Failed(failure) => failure.to_string(),
            End::Left(farewell) => format!("DISCONNECT 0x{:02x}", farewell.reason as u8),
            End::TakenOver => "a newer connection has the same client id".to_owned(),
        };
        tracing::info!(
            client_id = self.principal.client_id(),
            address = self.address.map(tracing::field::display),
            listener = %self.listener.name,
            protocol = %self.protocol,
            cause,
            "client disconnected"
        );
    }
}
