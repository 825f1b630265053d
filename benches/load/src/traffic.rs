//! Messages from publishers to subscribers: how many, how fast, and whether all
//! of them arrived.

use crate::crowd::Crowd;
use crate::error::Error;
use crate::fleet::{Fleet, Inbox, Outbox, PATIENCE, Target, unexpected};
use crate::histogram::Histogram;
use crate::ledger::Ledger;
use crate::process::{Process, allow_open_files};
use crate::report::{Latency, TrafficReport};
use crate::stamp::Stamp;
use dunlin_codec::{Ack, AckKind, Packet, Publish, PublishParts, Qos};
use std::time::{Duration, Instant};

/// QoS 0 messages are given up when nothing arrives for so long.
const SILENCE: Duration = Duration::from_secs(1);

/// The longest sleep, so that ends of sections are met.
const NAP: Duration = Duration::from_millis(50);

/// When publishers send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Closed loop: each has so many unfinished messages, and sends the next when
    /// one is delivered to all its receivers and acknowledged.
    Window(u32),
    /// Open loop: so many messages a second from all of them in turn, whatever
    /// the broker does. Latency counts from the moment at which a message was
    /// meant to be sent, so that a stall is not hidden.
    PerSecond(f64),
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The broker.
    pub target: Target,
    /// Its process, if its CPU time is to be read.
    pub process: Option<Process>,
    /// Who publishes to whom.
    pub crowd: Crowd,
    /// Of messages and subscriptions.
    pub qos: Qos,
    /// Length of a payload, at least [`Stamp::BYTES`].
    pub payload_bytes: usize,
    /// When publishers send.
    pub pace: Pace,
    /// Traffic before the measured section.
    pub warm_up: Duration,
    /// Length of the measured section.
    pub duration: Duration,
    /// Ends the measured section early, after so many deliveries.
    pub deliveries: Option<u64>,
}

/// Runs `plan` and reports its measured section; counts are of the whole run.
pub fn run(plan: &Plan) -> Result<TrafficReport, Error> {
    let clients = plan.crowd.clients();
    allow_open_files(clients as u64 + 32)?;
    let mut fleet = Fleet::new(plan.target)?;
    let receive_maximum = fleet.connect(clients)?;
    if let Pace::Window(window) = plan.pace
        && plan.qos > Qos::AtMostOnce
        && window > receive_maximum.into()
    {
        let why = format!("the broker allows a window of {receive_maximum} messages");
        return Err(Error::Refused(why));
    }
    let subscribers = 0..plan.crowd.subscribers();
    let wanted = subscribers.map(|s| (plan.crowd.client_of(s), plan.crowd.filter(s)));
    fleet.subscribe(wanted, plan.qos)?;

    let mut traffic = Traffic::new(plan);
    traffic.fill_windows(&mut fleet)?;
    traffic.run(&mut fleet, plan.warm_up, None)?;
    traffic.latencies.clear();
    let before = Mark::now(plan.process, &traffic.ledger)?;
    traffic.run(&mut fleet, plan.duration, plan.deliveries)?;
    let after = Mark::now(plan.process, &traffic.ledger)?;
    let latency = Latency::of(&traffic.latencies);
    traffic.drain(&mut fleet)?;
    Ok(report(plan, &traffic.ledger, &before, &after, latency))
}

/// The start or end of the measured section.
struct Mark {
    at: Instant,
    delivered: u64,
    broker_cpu: Option<Duration>,
    our_cpu: Duration,
}

impl Mark {
    fn now(process: Option<Process>, ledger: &Ledger) -> Result<Mark, Error> {
        Ok(Mark {
            at: Instant::now(),
            delivered: ledger.totals().delivered,
            broker_cpu: process.map(Process::cpu_time).transpose()?,
            our_cpu: Process::current().cpu_time()?,
        })
    }
}

fn report(
    plan: &Plan,
    ledger: &Ledger,
    before: &Mark,
    after: &Mark,
    latency: Option<Latency>,
) -> TrafficReport {
    let deliveries = after.delivered - before.delivered;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / deliveries as f64;
    let broker_cpu = after.broker_cpu.zip(before.broker_cpu);
    let totals = ledger.totals();
    TrafficReport {
        pattern: plan.crowd.pattern(),
        publishers: plan.crowd.publishers(),
        subscribers: plan.crowd.subscribers(),
        qos: plan.qos as u8,
        protocol_level: plan.target.version().protocol_level(),
        payload_bytes: plan.payload_bytes,
        window: match plan.pace {
            Pace::Window(window) => Some(window),
            Pace::PerSecond(_) => None,
        },
        messages_per_second: match plan.pace {
            Pace::Window(_) => None,
            Pace::PerSecond(rate) => Some(rate),
        },
        seconds: (after.at - before.at).as_secs_f64(),
        deliveries,
        broker_cpu_us: broker_cpu.map(|(after, before)| each(after - before)),
        our_cpu_us: each(after.our_cpu - before.our_cpu),
        latency,
        sent: totals.sent,
        delivered: totals.delivered,
        lost: totals.lost,
        repeated: totals.repeated,
    }
}

struct Traffic<'a> {
    plan: &'a Plan,
    ledger: Ledger,
    topics: Vec<String>,
    payload: Vec<u8>,
    latencies: Histogram,
    started: Instant,
    /// Open loop: messages that were due so far.
    due: u64,
    sending: bool,
}

impl<'a> Traffic<'a> {
    fn new(plan: &'a Plan) -> Traffic<'a> {
        Traffic {
            plan,
            ledger: Ledger::new(plan.crowd, plan.qos),
            topics: (0..plan.crowd.publishers())
                .map(|p| plan.crowd.topic(p))
                .collect(),
            payload: vec![0; plan.payload_bytes],
            latencies: Histogram::default(),
            started: Instant::now(),
            due: 0,
            sending: true,
        }
    }

    /// Turns for `duration`, or until `deliveries` more have arrived.
    fn run(
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
    fn drain(&mut self, fleet: &mut Fleet) -> Result<(), Error> {
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

    fn fill_windows(&mut self, fleet: &mut Fleet) -> Result<(), Error> {
        if let Pace::Window(window) = self.plan.pace {
            let now = Instant::now();
            for publisher in 0..self.plan.crowd.publishers() {
                for _ in 0..window {
                    self.publish(publisher, now, &mut fleet.outbox())?;
                }
            }
        }
        Ok(())
    }

    fn send_due(&mut self, now: Instant, fleet: &mut Fleet) -> Result<(), Error> {
        let Pace::PerSecond(rate) = self.plan.pace else {
            return Ok(());
        };
        while self.intended(self.due, rate) <= now {
            let publisher = (self.due % u64::from(self.plan.crowd.publishers())) as u32;
            let intended = self.intended(self.due, rate);
            self.publish(publisher, intended, &mut fleet.outbox())?;
            self.due += 1;
        }
        Ok(())
    }

    /// How long nothing is due.
    fn until_due(&self, now: Instant) -> Duration {
        match self.plan.pace {
            Pace::Window(_) => Duration::MAX,
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
        let (sequence, packet_id) = self.ledger.send(publisher)?;
        let intended_ns = (intended - self.started).as_nanos() as u64;
        let stamp = Stamp {
            publisher,
            sequence,
            intended_ns,
        };
        stamp.write(&mut self.payload);
        let parts = PublishParts {
            qos: self.plan.qos,
            topic: &self.topics[publisher as usize],
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
        if self.sending && matches!(self.plan.pace, Pace::Window(_)) {
            for _ in 0..finished {
                self.publish(publisher, now, outbox)?;
            }
        }
        Ok(())
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
        let finished = self.ledger.acknowledge(publisher, ack.packet_id)?;
        self.refill(publisher, finished.into(), now, outbox)
    }
}

impl Inbox for Traffic<'_> {
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
