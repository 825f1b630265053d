//! One turn of a connection: read, handle, deliver, write.

use std::task::{Context, Poll};

use dunlin_codec::{Qos, ReasonCode};
use dunlin_metrics::Counter;
use dunlin_router::{Control, EVERY_CONNECTION};
use dunlin_session::{Delivery, Failure, Sent};
use dunlin_time::{Monotonic, Now};

use crate::connection::{Connection, End};

/// Bytes that a turn encodes before it lets others go on.
const TURN_BYTES: usize = 256 * 1024;
/// Bytes of a few acknowledgements: many clients send one and hold the next back until the kernel
/// has acknowledged it.
const LONE_ACKNOWLEDGEMENT: usize = 16;
/// Deliveries taken from the inbox under one lock.
const BATCH: usize = 128;
/// Steps over retained messages in a turn: they may find little that is sent.
const SCANS: usize = 16;

impl Connection {
    /// One turn: whatever has happened since the last, then one write. Ready when the connection
    /// is over.
    pub fn turn(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let worker = self.worker.clone();
        let now = worker.now();
        worker.timers.acknowledge(&mut self.alarm, now.monotonic);
        let mut out = worker.output.borrow_mut();
        out.clear();
        let outcome = self.steps(context, now, &mut out);
        if matches!(outcome, Ok(1..=LONE_ACKNOWLEDGEMENT)) && out.is_empty() {
            self.stream.acknowledge_now();
        }
        let flushed = self.flush(context, now.monotonic, &mut out);
        drop(out);
        worker.dispatch.borrow_mut().flush();
        if let Err(end) = outcome.and(flushed.map(|()| 0)) {
            return Poll::Ready(end);
        }
        let deadline = self.deadline();
        worker
            .timers
            .arm(&mut self.alarm, deadline, context.waker());
        Poll::Pending
    }

    /// Gives the number of bytes read.
    fn steps(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<usize, End> {
        self.refresh_access(now);
        self.check_deadlines(context, now)?;
        self.reauthentication(context, now, out)?;
        self.leave_crowd(context, now, out)?;
        let read = self.read(context, now, out)?;
        self.check_keep_alive(context, now, out)?;
        self.deliver(context, now, out)?;
        self.settle_plugin_time(now)?;
        self.subscriber.set_inflight(self.session.unacknowledged());
        Ok(read)
    }

    fn check_deadlines(&mut self, context: &mut Context<'_>, now: Now) -> Result<(), End> {
        if self.stalls(now) {
            self.send_unheard(context, now)?;
        }
        if self.stalls(now) {
            self.worker.cells.add(Counter::SlowConsumersClosed, 1);
            return Err(End::Failed(Failure::new(
                ReasonCode::QuotaExceeded,
                "the client did not read for limits.slow_consumer_timeout",
            )));
        }
        match self.rare.as_ref().and_then(|rare| rare.grant_ends) {
            Some(at) if at <= now.monotonic => Err(End::Failed(Failure::new(
                ReasonCode::NotAuthorized,
                "the client's authentication expired",
            ))),
            _ => Ok(()),
        }
    }

    fn stalls(&self, now: Now) -> bool {
        self.unsent.deadline().is_some_and(|at| at <= now.monotonic)
    }

    /// After reading: what has come counts, however late we are to look. After a pause of the
    /// whole process timers fire before the runtime has heard of any socket.
    fn check_keep_alive(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        if self.session.timeout(now).is_ok() {
            return Ok(());
        }
        if self.reading_waits(now) {
            self.session.excuse(now);
            return Ok(());
        }
        self.read_unheard(context, now, out)?;
        let Err(failure) = self.session.timeout(now) else {
            return Ok(());
        };
        self.worker.cells.add(Counter::KeepAliveTimeouts, 1);
        Err(failure.into())
    }

    /// When something is due that no socket or inbox will wake us for.
    fn deadline(&self) -> Option<Monotonic> {
        let rare = self.rare.as_ref();
        [
            self.session.deadline(),
            self.unsent.deadline(),
            self.crowd.as_ref().map(|crowd| crowd.until),
            rare.and_then(|rare| rare.grant_ends),
            rare.and_then(|rare| rare.blocked_until()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Words from outside, then messages, as far as the client's window and the socket take them.
    fn deliver(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let worker = self.worker.clone();
        let mut batch = worker.batch.borrow_mut();
        let check_all = self.rules_changed();
        let mut scanned = 0;
        loop {
            let takes = self.unsent.is_empty() && !self.holds_much();
            let most = match takes && out.len() < TURN_BYTES {
                true => self.session.room().min(BATCH),
                false => 0,
            };
            let taken = self
                .subscriber
                .take(most, TURN_BYTES, &mut batch, context.waker());
            if taken.control {
                // What was taken goes back to the queue that the next connection gets.
                let told = self.controls(context, now, out);
                if told.is_err() {
                    self.subscriber.put_back(batch.drain(..));
                    return told;
                }
                if batch.is_empty() {
                    // Nothing will wake us yet: see `Subscriber::take`.
                    continue;
                }
            }
            let sent = batch.len();
            for delivery in batch.drain(..) {
                self.send(now, delivery, check_all, out);
            }
            if sent == 0 && most > 0 {
                if !self.scan(now) {
                    return Ok(());
                }
                scanned += 1;
                if scanned == SCANS {
                    context.waker().wake_by_ref();
                    return Ok(());
                }
            }
            if most == 0 {
                if out.len() >= TURN_BYTES && takes {
                    context.waker().wake_by_ref();
                }
                return Ok(());
            }
        }
    }

    fn send(&mut self, now: Now, delivery: Delivery, check_all: bool, out: &mut Vec<u8>) {
        if (delivery.unchecked || check_all) && !self.may_receive(&delivery, now.monotonic) {
            self.worker.cells.add(Counter::DeliveriesDenied, 1);
            return self.record_dropped(&delivery);
        }
        let bytes = delivery.message.payload().len() as u64;
        if delivery.message.qos() == Qos::ExactlyOnce {
            self.hold_until_certain();
        }
        let sent = match delivery.stored {
            true => self.send_stored(now, delivery, out),
            false => self.session.deliver(now.wall, delivery, out),
        };
        let cells = &self.worker.cells;
        match sent {
            Sent::Yes => {
                cells.add(Counter::PublishesSent, 1);
                cells.add(Counter::PublishBytesSent, bytes);
            }
            Sent::Expired => cells.add(Counter::DroppedExpired, 1),
            Sent::TooLarge => cells.add(Counter::DroppedTooLarge, 1),
        }
    }

    fn send_stored(&mut self, now: Now, delivery: Delivery, out: &mut Vec<u8>) -> Sent {
        let sent = self.session.deliver(now.wall, delivery.clone(), out);
        self.record_sent(&sent, &delivery);
        sent
    }

    /// Nobody sees a QoS 2 message before it is certain that its publisher does not send it again:
    /// its packet id is among what was recorded, also where no queue keeps the message.
    fn hold_until_certain(&mut self) {
        let router = &self.worker.router;
        let recorded = router.recorded();
        if recorded > router.committed() {
            self.hold(recorded);
        }
    }

    /// Queues the next retained messages for new subscriptions; whether there may be any.
    fn scan(&mut self, now: Now) -> bool {
        let Some(scans) = &mut self.scans else {
            return false;
        };
        let scan = scans.pop_front();
        let router = &self.worker.router;
        let rest = scan.and_then(|scan| router.deliver_retained(scan, &self.subscriber, now.wall));
        match rest {
            Some(rest) => scans.push_front(rest),
            None if scans.is_empty() => self.scans = None,
            None => {}
        }
        true
    }

    fn controls(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        while let Some(control) = self.subscriber.next_control() {
            match control {
                Control::TakeOver(taker) if taker.is_closed() => {}
                Control::TakeOver(taker) => {
                    let last = self.read_last(context, now, out);
                    self.subscriber.put_back_control(Control::TakeOver(taker));
                    return last.and(Err(End::TakenOver));
                }
                Control::Close {
                    connection,
                    reason,
                    what,
                } if connection == self.number || connection == EVERY_CONNECTION => {
                    return Err(End::Failed(Failure { reason, what }));
                }
                Control::Close { .. } => {}
            }
        }
        Ok(())
    }
}
