//! Messages on their way: sent by their pace, acknowledged, booked as they
//! arrive.

use crate::error::Error;
use crate::fleet::{Fleet, Inbox, PATIENCE};
use crate::histogram::Histogram;
use crate::ledger::Ledger;
use crate::outbox::{Outbox, unexpected};
use crate::stamp::Stamp;
use crate::traffic::{Pace, Plan};
use dunlin_codec::{Ack, AckKind, Packet, Publish, PublishParts, Qos};
use std::time::{Duration, Instant};

/// QoS 0 messages are given up when nothing arrives for so long.
const SILENCE: Duration = Duration::from_secs(1);

/// The longest sleep, so that ends of sections are met.
const NAP: Duration = Duration::from_millis(50);

/// All clients of a plan: an [`Inbox`] that publishes.
#[derive(Debug)]
pub struct Exchange<'a> {
    plan: &'a Plan,
    /// What was sent and what arrived.
    pub ledger: Ledger,
    /// From the intended moment of sending to each delivery.
    pub latencies: Histogram,
    /// From there to the last acknowledgement of each message.
    pub acknowledgements: Histogram,
    topics: Vec<String>,
    payload: Vec<u8>,
    started: Instant,
    /// Open loop: messages that were due so far.
    due: u64,
    /// The publisher whose turn it is, where they take turns.
    in_turn: u32,
    sending: bool,
}

impl<'a> Exchange<'a> {
    /// Nothing is sent yet.
    pub fn new(plan: &'a Plan) -> Exchange<'a> {
        Exchange {
            plan,
            ledger: Ledger::new(plan.crowd, plan.qos),
            topics: (0..plan.crowd.publishers())
                .map(|p| plan.crowd.topic(p))
                .collect(),
            payload: vec![0; plan.payload_bytes],
            latencies: Histogram::default(),
            acknowledgements: Histogram::default(),
            started: Instant::now(),
            due: 0,
            in_turn: 0,
            sending: true,
        }
    }

    /// What was measured so far does not count.
    pub fn forget_latencies(&mut self) {
        self.latencies.clear();
        self.acknowledgements.clear();
    }

    /// Turns for `duration`, or until `deliveries` more have arrived.
    ///
    /// Errors: the broker broke the protocol, or fell silent over QoS > 0.
    pub fn run(
        &mut self,
        fleet: &mut Fleet,
        duration: Duration,
        deliveries: Option<u64>,
    ) -> Result<(), Error> {
        let end = Instant::now() + duration;
        let enough = deliveries.map_or(u64::MAX, |n| self.ledger.totals().delivered + n);
        let mut silence = Silence::new(&self.ledger);
        loop {
            let now = Instant::now();
            if now >= end || self.ledger.totals().delivered >= enough {
                return Ok(());
            }
            self.send_due(now, fleet)?;
            if silence.lasts(&self.ledger, self.plan.qos, now)? {
                self.ledger.give_up();
                self.fill_windows(fleet)?;
            }
            let nap = self.until_due(now).min(end - now).min(NAP);
            fleet.turn(nap, self)?;
        }
    }

    /// Sends nothing more and waits for all that was sent.
    pub fn drain(&mut self, fleet: &mut Fleet) -> Result<(), Error> {
        self.sending = false;
        let mut silence = Silence::new(&self.ledger);
        while self.ledger.unfinished() > 0 {
            if silence.lasts(&self.ledger, self.plan.qos, Instant::now())? {
                self.ledger.give_up();
            }
            fleet.turn(NAP, self)?;
        }
        // What should not come, as a message twice, would come about now.
        fleet.turn(NAP, self)?;
        Ok(())
    }

    /// Closed loop: sends as much as may be unfinished.
    pub fn fill_windows(&mut self, fleet: &mut Fleet) -> Result<(), Error> {
        let publishers = self.plan.crowd.publishers();
        let messages = match self.plan.pace {
            Pace::Window(window) => u64::from(window) * u64::from(publishers),
            Pace::Together(window) => window.into(),
            Pace::PerSecond(_) => 0,
        };
        let now = Instant::now();
        for _ in 0..messages {
            let publisher = self.next_in_turn();
            self.publish(publisher, now, &mut fleet.outbox())?;
        }
        Ok(())
    }

    fn send_due(&mut self, now: Instant, fleet: &mut Fleet) -> Result<(), Error> {
        let Pace::PerSecond(rate) = self.plan.pace else {
            return Ok(());
        };
        while self.intended(self.due, rate) <= now {
            let publisher = self.next_in_turn();
            let intended = self.intended(self.due, rate);
            self.publish(publisher, intended, &mut fleet.outbox())?;
            self.due += 1;
        }
        Ok(())
    }

    /// How long nothing is due.
    fn until_due(&self, now: Instant) -> Duration {
        match self.plan.pace {
            Pace::Window(_) | Pace::Together(_) => Duration::MAX,
            Pace::PerSecond(rate) => self.intended(self.due, rate).saturating_duration_since(now),
        }
    }

    fn intended(&self, message: u64, rate: f64) -> Instant {
        self.started + Duration::from_secs_f64(message as f64 / rate)
    }

    fn publish(
        &mut self,
        publisher: u32,
        intended: Instant,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Error> {
        let intended_ns = (intended - self.started).as_nanos() as u64;
        let (sequence, packet_id) = self.ledger.send(publisher, intended_ns)?;
        let stamp = Stamp {
            publisher,
            sequence,
            intended_ns,
        };
        stamp.write(&mut self.payload);
        let parts = PublishParts {
            qos: self.plan.qos,
            topic: self.topics[publisher as usize].as_bytes(),
            packet_id,
            payload: &self.payload,
            ..PublishParts::default()
        };
        outbox.publish(publisher as usize, &parts)
    }

    /// `finished` messages of `publisher` make room for as many.
    fn refill(
        &mut self,
        publisher: u32,
        finished: u32,
        now: Instant,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Error> {
        for _ in 0..finished {
            match self.plan.pace {
                _ if !self.sending => {}
                Pace::PerSecond(_) => {}
                Pace::Window(_) => self.publish(publisher, now, outbox)?,
                Pace::Together(_) => {
                    let publisher = self.next_in_turn();
                    self.publish(publisher, now, outbox)?;
                }
            }
        }
        Ok(())
    }

    fn next_in_turn(&mut self) -> u32 {
        let publisher = self.in_turn;
        self.in_turn = (publisher + 1) % self.plan.crowd.publishers();
        publisher
    }

    fn deliver(
        &mut self,
        client: usize,
        publish: &Publish<'_>,
        now: Instant,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Error> {
        let subscriber = self.plan.crowd.subscriber_of(client);
        let stamp = Stamp::read(publish.payload);
        let (Some(subscriber), Some(stamp)) = (subscriber, stamp) else {
            return Err(unexpected(&Packet::Publish(*publish)));
        };
        if publish.qos != self.plan.qos || publish.payload.len() != self.payload.len() {
            return Err(Error::Broker(
                "changed the QoS or length of a message".into(),
            ));
        }
        match (publish.qos, publish.packet_id) {
            (Qos::AtLeastOnce, Some(id)) => outbox.acknowledge(client, AckKind::Puback, id),
            (Qos::ExactlyOnce, Some(id)) => outbox.acknowledge(client, AckKind::Pubrec, id),
            _ => {}
        }
        let finished = self
            .ledger
            .deliver(stamp.publisher, subscriber, stamp.sequence)?;
        let elapsed_ns = (now - self.started).as_nanos() as u64;
        self.latencies
            .record(elapsed_ns.saturating_sub(stamp.intended_ns));
        self.refill(stamp.publisher, finished, now, outbox)
    }

    fn acknowledged(
        &mut self,
        client: usize,
        ack: &Ack<'_>,
        now: Instant,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Error> {
        let publisher = client as u32;
        let acknowledged = self.ledger.acknowledge(publisher, ack.packet_id)?;
        let elapsed_ns = (now - self.started).as_nanos() as u64;
        self.acknowledgements
            .record(elapsed_ns.saturating_sub(acknowledged.intended_ns));
        self.refill(publisher, acknowledged.finished.into(), now, outbox)
    }
}

impl Inbox for Exchange<'_> {
    fn receive(
        &mut self,
        client: usize,
        packet: Packet<'_>,
        now: Instant,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Error> {
        let publishes = self.plan.crowd.subscriber_of(client).is_none();
        match &packet {
            Packet::Publish(publish) => self.deliver(client, publish, now, outbox),
            Packet::Puback(ack) | Packet::Pubrec(ack) | Packet::Pubcomp(ack)
                if ack.reason.is_error() =>
            {
                Err(Error::Broker(format!(
                    "refused a message: {:?}",
                    ack.reason
                )))
            }
            Packet::Puback(ack) if publishes && self.plan.qos == Qos::AtLeastOnce => {
                self.acknowledged(client, ack, now, outbox)
            }
            Packet::Pubcomp(ack) if publishes && self.plan.qos == Qos::ExactlyOnce => {
                self.acknowledged(client, ack, now, outbox)
            }
            Packet::Pubrec(ack) if publishes => {
                outbox.acknowledge(client, AckKind::Pubrel, ack.packet_id);
                Ok(())
            }
            Packet::Pubrel(ack) if !publishes => {
                outbox.acknowledge(client, AckKind::Pubcomp, ack.packet_id);
                Ok(())
            }
            _ => Err(unexpected(&packet)),
        }
    }
}

/// Watches for a broker that stops while messages are open.
struct Silence {
    heard: u64,
    since: Instant,
}

impl Silence {
    fn new(ledger: &Ledger) -> Silence {
        Silence {
            heard: heard(ledger),
            since: Instant::now(),
        }
    }

    /// Whether to give up QoS 0 messages. For higher ones, whose delivery the
    /// broker owes, an error.
    fn lasts(&mut self, ledger: &Ledger, qos: Qos, now: Instant) -> Result<bool, Error> {
        if heard(ledger) != self.heard || ledger.unfinished() == 0 {
            self.heard = heard(ledger);
            self.since = now;
        }
        let lasted = now.saturating_duration_since(self.since);
        if qos > Qos::AtMostOnce && lasted > PATIENCE {
            let open = ledger.unfinished();
            let what = format!("was silent for {PATIENCE:?} with {open} messages unfinished");
            return Err(Error::Broker(what));
        }
        Ok(qos == Qos::AtMostOnce && lasted > SILENCE)
    }
}

fn heard(ledger: &Ledger) -> u64 {
    let totals = ledger.totals();
    totals.delivered + totals.acknowledged + totals.lost
}
