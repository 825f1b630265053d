//! The clock by which guests are interrupted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use wasmtime::Engine;

/// The length of an epoch.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call after which the thread sleeps: the next call then pays for waking it.
const IDLE_TICKS: u32 = 100;

/// A thread that advances the engine's epoch while guests run.
pub(crate) struct Ticker {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    in_flight: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// A guest runs until this is dropped.
pub(crate) struct Running<'a>(&'a State);

impl Ticker {
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let thread = thread::Builder::new().name("plugin-epoch".into());
        let (ticking, engine) = (Arc::clone(&state), engine.clone());
        Ok(Ticker {
            state,
            thread: Some(thread.spawn(move || ticking.run(&engine))?),
        })
    }

    /// A guest is about to run.
    pub(crate) fn running(&self) -> Running<'_> {
        // Both sides write one flag and then read the other's, all sequentially consistent: either
        // the thread sees this call before it parks, or this sees that it is about to.
        self.state.in_flight.fetch_add(1, Ordering::SeqCst);
        if self.state.parked.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Running(&self.state)
    }

    /// Whether it sleeps.
    #[cfg(test)]
    fn is_parked(&self) -> bool {
        self.state.parked.load(Ordering::SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It panics nowhere; if it did, there is nothing left to tick for.
            let _ = thread.join();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Release);
    }
}

impl State {
    fn run(&self, engine: &Engine) {
        let mut idle = 0;
        while !self.stop.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            // One tick however long it slept: when the whole machine stood still, guests did too.
            engine.increment_epoch();
            idle = match self.in_flight.load(Ordering::Relaxed) {
                0 => idle + 1,
                _ => 0,
            };
            if idle >= IDLE_TICKS {
                self.park();
                idle = 0;
            }
        }
    }

    /// Sleeps until a guest runs or the end.
    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while self.in_flight.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn wait_until(ticker: &Ticker, parked: bool) {
        let started = Instant::now();
        while ticker.is_parked() != parked {
            assert!(started.elapsed() < Duration::from_secs(30), "in time");
            thread::yield_now();
        }
    }

    #[test]
    fn it_sleeps_without_calls_and_wakes_for_one() {
        let ticker = Ticker::start(&Engine::default()).expect("a thread");
        wait_until(&ticker, true);
        for _ in 0..3 {
            let running = ticker.running();
            wait_until(&ticker, false);
            drop(running);
            wait_until(&ticker, true);
        }
    }
}
