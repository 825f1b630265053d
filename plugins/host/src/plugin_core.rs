//! What plugins of all classes have in common: calls, faults and figures.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use dunlin_plugin_services::{LogLimit, Number, Response};
use tracing::warn;
use wasmtime::Store;

use crate::{
    BreakerState, Class, Limits, Manifest,
    breaker::{Admission, Breaker},
    fault::{Fault, FaultCounts, FaultKind},
    host::Runtime,
    instance::{Instance, Maker, World},
    pool::Pool,
    state::{Shared, State},
};

/// A loaded plugin.
pub(crate) struct Core<W: World> {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    pub(crate) about: About,
    maker: Maker<W>,
    /// As `configure` takes it.
    config: String,
    pool: Pool<W>,
    breaker: Breaker,
    faults: FaultCounts,
    fault_log: LogLimit,
}

/// What is known of a plugin's file.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) manifest: Manifest,
    pub(crate) sha256: [u8; 32],
    /// Whether it was compiled when it was loaded; if not, its code came from the cache.
    pub(crate) compiled: bool,
}

/// A plugin's state and what it has done since it was loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// By its manifest.
    pub version: String,
    /// Of its file.
    pub sha256: [u8; 32],
    /// What it is for.
    pub class: Class,
    /// Whether it was compiled when it was loaded; if not, its code came from the cache.
    pub compiled: bool,
    /// Whether it is asked.
    pub state: BreakerState,
    /// Questions that it was asked.
    pub calls: u64,
    /// Questions that it did not answer, by kind; all kinds are listed.
    pub faults: Vec<(FaultKind, u64)>,
    /// Instances now, at work or not.
    pub instances: usize,
    /// Linear memory of all instances.
    pub memory_bytes: usize,
    /// Log lines beyond its allowance.
    pub log_lines_dropped: u64,
    /// What it has put into the metrics.
    pub numbers: Vec<(String, Number)>,
    /// Time that its calls took.
    pub busy: Duration,
}

/// Why a plugin has not answered.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// It was not asked, for it keeps failing.
    Open,
    /// It failed.
    Fault(Fault),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("not asked for a while, for it keeps failing"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

/// Why a call in an instance came to nothing.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The guest ended, or its answer could not be read.
    Guest(wasmtime::Error),
    /// The answer was read, but breaks the contract.
    Answer(String),
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Guest(error)
    }
}

/// A call and how long it took.
pub(crate) struct Called<T> {
    pub(crate) answer: Result<T, Unanswered>,
    pub(crate) took: Duration,
}

impl<W: World> Core<W> {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        shared: Arc<Shared>,
        limits: Limits,
        about: About,
        maker: Maker<W>,
        config: String,
    ) -> Result<Self, Fault> {
        let first = maker.make(&runtime.ticker, &shared, &limits, &config)?;
        Ok(Core {
            pool: Pool::new(limits.instances, first),
            runtime,
            shared,
            limits,
            about,
            maker,
            config,
            breaker: Breaker::default(),
            faults: FaultCounts::default(),
            fault_log: LogLimit::new(),
        })
    }

    /// Asks the plugin.
    ///
    /// `until` is the end of the caller's patience; without it the deadline counts from now.
    pub(crate) fn call<T>(
        &self,
        until: Option<Instant>,
        ask: impl FnOnce(&mut Store<State>, &W::Guest) -> Result<T, CallError>,
    ) -> Called<T> {
        let started = Instant::now();
        let Some(admission) = self.breaker.admit(started) else {
            return Called {
                answer: Err(Unanswered::Open),
                took: Duration::ZERO,
            };
        };
        let (answer, ended) = self.ask_instance(started, until, ask);
        match &answer {
            Ok(_) => self.breaker.succeeded(admission),
            Err(fault) => self.blame(fault, Some(admission)),
        }
        Called {
            answer: answer.map_err(Unanswered::Fault),
            took: ended - started,
        }
    }

    fn ask_instance<T>(
        &self,
        started: Instant,
        until: Option<Instant>,
        ask: impl FnOnce(&mut Store<State>, &W::Guest) -> Result<T, CallError>,
    ) -> (Result<T, Fault>, Instant) {
        let give_up = || until.unwrap_or(started + self.limits.deadline);
        let Some(mut checkout) = self.pool.take(give_up) else {
            let what = format!("all {} instances were busy", self.limits.instances);
            return (Err(Fault::new(FaultKind::Busy, what)), Instant::now());
        };
        let mut begun = started;
        let instance = match &mut checkout.instance {
            Some(instance) => instance,
            None => match self.fresh() {
                Ok(fresh) => {
                    // Making it is no part of the call's time.
                    begun = Instant::now();
                    checkout.instance.insert(Box::new(fresh))
                }
                Err(fault) => return (Err(fault), Instant::now()),
            },
        };
        instance.begin(until.unwrap_or(begun + self.limits.deadline));
        let running = self.runtime.ticker.running();
        let answer = ask(&mut instance.store, &instance.guest);
        drop(running);
        let ended = Instant::now();
        let mut effects = std::mem::take(&mut instance.store.data_mut().effects);
        let answer = answer.map_err(|error| match error {
            CallError::Guest(error) => instance.fault(&error),
            CallError::Answer(what) => Fault::answer(what),
        });
        if answer.is_err() || instance.has_grown() {
            checkout.instance = None;
        }
        checkout.worked = Some(ended - begun);
        drop(checkout);
        if answer.is_ok() {
            effects.carry_out(&self.shared);
        }
        (answer, ended)
    }

    /// A configured instance beside those of the pool.
    pub(crate) fn fresh(&self) -> Result<Instance<W>, Fault> {
        self.maker.make(
            &self.runtime.ticker,
            &self.shared,
            &self.limits,
            &self.config,
        )
    }

    /// Asks an instance of its own, for a recorded case: nothing is counted and nothing is done
    /// in the broker. Gives what came of it, the time, and the memory that the instance had then.
    pub(crate) fn rehearse<T>(
        &self,
        http: Vec<Response>,
        ask: impl FnOnce(&mut Store<State>, &W::Guest) -> Result<T, CallError>,
    ) -> Rehearsed<T> {
        let mut instance = match self.fresh() {
            Ok(instance) => instance,
            Err(fault) => {
                return Rehearsed {
                    answer: Err(fault),
                    took: Duration::ZERO,
                    memory_bytes: 0,
                };
            }
        };
        instance.store.data_mut().recorded = Some(http.into());
        let started = Instant::now();
        instance.begin(started + self.limits.deadline);
        let running = self.runtime.ticker.running();
        let answer = ask(&mut instance.store, &instance.guest);
        drop(running);
        Rehearsed {
            took: started.elapsed(),
            answer: answer.map_err(|error| match error {
                CallError::Guest(error) => instance.fault(&error),
                CallError::Answer(what) => Fault::answer(what),
            }),
            memory_bytes: instance.store.data().memory.used,
        }
    }

    /// Counts a fault. `admission` is that of the call, if the plugin was asked at all.
    pub(crate) fn blame(&self, fault: &Fault, admission: Option<Admission>) {
        self.faults.add(fault.kind);
        let now = Instant::now();
        let plugin = &*self.shared.name;
        let opened = match (fault.kind, admission) {
            (FaultKind::Busy | FaultKind::Oversized, _) | (_, None) => false,
            (_, Some(admission)) => self.breaker.failed(admission, now),
        };
        if self.fault_log.take(now) {
            warn!(plugin, kind = %fault.kind, what = fault.what, "no answer from the plugin");
        }
        if opened {
            warn!(
                plugin,
                "the plugin keeps failing and is not asked for a while"
            );
        }
    }

    /// Nobody had time to ask the plugin.
    pub(crate) fn busy(&self, what: &str) -> Unanswered {
        let fault = Fault::new(FaultKind::Busy, what);
        self.blame(&fault, None);
        Unanswered::Fault(fault)
    }

    /// Whether a call would fail at once.
    pub(crate) fn refuses(&self) -> bool {
        self.breaker.refuses(Instant::now())
    }

    pub(crate) fn status(&self) -> Status {
        let work = self.pool.work();
        Status {
            version: self.about.manifest.version.clone(),
            sha256: self.about.sha256,
            class: W::CLASS,
            compiled: self.about.compiled,
            state: self.breaker.state(),
            calls: work.calls,
            faults: self.faults.read(),
            instances: work.instances,
            memory_bytes: self.shared.memory_bytes.load(Ordering::Relaxed),
            log_lines_dropped: self.shared.log_limit.dropped(),
            numbers: self.shared.numbers.read(),
            busy: work.busy,
        }
    }
}

/// What came of a recorded case.
pub(crate) struct Rehearsed<T> {
    pub(crate) answer: Result<T, Fault>,
    pub(crate) took: Duration,
    pub(crate) memory_bytes: usize,
}
