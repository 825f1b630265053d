//! One running guest.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{
    Engine, Store, UpdateDeadline,
    component::{Instance as Linked, InstancePre},
};

use crate::{
    Class,
    bindings::exports::dunlin::plugin::plugin,
    fault::{Fault, FaultKind, shorten},
    settings::Limits,
    state::{Phase, Shared, State},
    ticker::{TICK, Ticker},
};

/// A world of the contract, and how its exports are found.
pub(crate) trait World: Sized + 'static {
    const CLASS: Class;
    /// Where the exports are in a component.
    type Indices: Send + Sync;
    /// The exports of an instance.
    type Guest: Send;

    /// # Errors
    /// If an export is missing.
    fn indices(linked: &InstancePre<State>) -> wasmtime::Result<Self::Indices>;

    /// # Errors
    /// If an export has the wrong type.
    fn guest(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Linked,
    ) -> wasmtime::Result<Self::Guest>;
}

/// All that it takes to make instances of a plugin.
pub(crate) struct Maker<W: World> {
    linked: InstancePre<State>,
    plugin: plugin::GuestIndices,
    world: W::Indices,
}

/// A guest, ready to be asked. After any fault its state is unknown: it is dropped.
pub(crate) struct Instance<W: World> {
    pub(crate) store: Store<State>,
    pub(crate) guest: W::Guest,
    plugin: plugin::Guest,
    /// Linear memory above which it is replaced rather than used again.
    most_memory: usize,
}

impl<W: World> Maker<W> {
    /// # Errors
    /// If an export is missing.
    pub(crate) fn new(linked: InstancePre<State>) -> wasmtime::Result<Self> {
        Ok(Maker {
            plugin: plugin::GuestIndices::new(&linked)?,
            world: W::indices(&linked)?,
            linked,
        })
    }

    fn engine(&self) -> &Engine {
        self.linked.engine()
    }

    /// An instance that is not configured.
    ///
    /// # Errors
    /// If there is no room, the guest's own start fails, or an export has the wrong type.
    pub(crate) fn start(
        &self,
        ticker: &Ticker,
        shared: &Arc<Shared>,
        phase: Phase,
        limits: &Limits,
    ) -> Result<Instance<W>, Fault> {
        let state = State::new(Arc::clone(shared), phase, limits.memory_bytes);
        let mut store = Store::new(self.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().interrupted()));
        begin(&mut store, Instant::now() + limits.setup());
        let running = ticker.running();
        let started = self.linked.instantiate(&mut store).and_then(|instance| {
            let wrong =
                |name: &str| format!("a function of the interface {name} has the wrong type");
            let plugin = self.plugin.load(&mut store, &instance);
            let plugin = plugin.map_err(|error| error.context(wrong("plugin")))?;
            let guest = W::guest(&self.world, &mut store, &instance);
            let guest = guest.map_err(|error| error.context(wrong(W::CLASS.as_str())))?;
            Ok((plugin, guest))
        });
        drop(running);
        match started {
            Ok((plugin, guest)) => Ok(Instance {
                store,
                guest,
                plugin,
                most_memory: limits.memory_bytes,
            }),
            Err(error) => {
                let refused = store.data().memory.refused;
                let fault = Fault::from_error(&error, refused);
                Err(match (fault.kind, refused) {
                    // What stands in the way of a start is not an answer.
                    (FaultKind::Answer, true) => Fault::new(FaultKind::Memory, fault.what),
                    (FaultKind::Answer, false) => Fault::new(FaultKind::Configure, fault.what),
                    _ => fault,
                })
            }
        }
    }

    /// An instance that answers.
    ///
    /// # Errors
    /// If it does not start or does not take its configuration.
    pub(crate) fn make(
        &self,
        ticker: &Ticker,
        shared: &Arc<Shared>,
        limits: &Limits,
        config: &str,
    ) -> Result<Instance<W>, Fault> {
        let mut instance = self.start(ticker, shared, Phase::Serving, limits)?;
        let configured = instance.setup(ticker, limits, |plugin, store| {
            plugin.call_configure(store, config)
        })?;
        if let Err(mut refusal) = configured {
            shorten(&mut refusal, 1_000);
            let what = format!("it refuses its configuration: {refusal}");
            return Err(Fault::new(FaultKind::Configure, what));
        }
        let used = instance.store.data().memory.used;
        // Halfway from what it has when new to what it may have.
        instance.most_memory = used + limits.memory_bytes.saturating_sub(used) / 2;
        Ok(instance)
    }
}

impl<W: World> Instance<W> {
    /// What the plugin says of itself.
    ///
    /// # Errors
    /// If it fails to.
    pub(crate) fn describe(&mut self, ticker: &Ticker, limits: &Limits) -> Result<String, Fault> {
        self.setup(ticker, limits, |plugin, store| plugin.call_describe(store))
    }

    fn setup<T>(
        &mut self,
        ticker: &Ticker,
        limits: &Limits,
        call: impl FnOnce(&plugin::Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.begin(Instant::now() + limits.setup());
        let running = ticker.running();
        let answer = call(&self.plugin, &mut self.store);
        drop(running);
        answer.map_err(|error| self.fault(&error))
    }

    /// Before each call.
    pub(crate) fn begin(&mut self, deadline: Instant) {
        begin(&mut self.store, deadline);
    }

    /// What ended a call.
    pub(crate) fn fault(&self, error: &wasmtime::Error) -> Fault {
        Fault::from_error(error, self.store.data().memory.refused)
    }

    /// Whether it holds so much memory that a new one should take its place.
    pub(crate) fn has_grown(&self) -> bool {
        self.store.data().memory.used > self.most_memory
    }
}

fn begin(store: &mut Store<State>, deadline: Instant) {
    let state = store.data_mut();
    state.deadline = deadline;
    state.cpu_at_deadline = None;
    state.memory.refused = false;
    let ticks = ticks(state.left());
    store.set_epoch_deadline(ticks);
}

fn ticks(time: Duration) -> u64 {
    // Bounded by the longest deadline, a minute.
    time.as_nanos().div_ceil(TICK.as_nanos()).max(1) as u64
}

/// A thread that has computed for so long after the deadline has had its chance.
const ENOUGH_CPU: Duration = Duration::from_micros(500);

/// Whether it has or not, this long after the deadline there is an end. On a machine with four times
/// as many busy threads as CPUs, some wait for 50 ms in the middle of a call.
pub(crate) const LATEST: Duration = Duration::from_secs(1);

impl State {
    /// What becomes of the guest at the end of an epoch.
    ///
    /// A worker may be interrupted by the system in the middle of a call that takes a microsecond,
    /// and come back milliseconds later; the plugin is not to blame. So what counts after the
    /// deadline of an inline call is whether the thread has run.
    fn interrupted(&mut self) -> UpdateDeadline {
        let now = Instant::now();
        if now < self.deadline {
            return UpdateDeadline::Continue(ticks(self.left()));
        }
        if !self.shared.class.is_inline() || now >= self.deadline + LATEST {
            return UpdateDeadline::Interrupt;
        }
        let cpu = thread_cpu_time();
        match self.cpu_at_deadline {
            Some(before) if cpu.saturating_sub(before) >= ENOUGH_CPU => UpdateDeadline::Interrupt,
            Some(_) => UpdateDeadline::Continue(1),
            None => {
                self.cpu_at_deadline = Some(cpu);
                UpdateDeadline::Continue(1)
            }
        }
    }
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // It counts from the thread's start: neither part is negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
