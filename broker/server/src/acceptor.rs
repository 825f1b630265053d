//! Accepting sockets: how many, how fast, and to which worker.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dunlin_auth::HashingPool;
use dunlin_connection::{
    AdmissionLimits, Admissions, ListenerAdmissions, ListenerContext, Refused,
};
use dunlin_metrics::{Cells, Counter};
use dunlin_net::{Accepted, Listener};
use dunlin_router::Router;

use crate::config::Config;
use crate::wiring;
use crate::workers::{Arrival, Workers};

/// What acceptors share.
pub struct Shared {
    /// Where sockets go.
    pub workers: Workers,
    /// Says whether there is memory for one more.
    pub router: Arc<Router>,
    /// How many there are.
    pub admissions: Arc<Admissions>,
    /// How many there may be.
    pub limits: ArcSwap<AcceptLimits>,
    /// How fast they come.
    pub pace: Pace,
    /// Slow password hashes.
    pub pool: Arc<HashingPool>,
    /// Counts of the thread that accepts.
    pub cells: Arc<Cells>,
}

/// Bounds on sockets before they are connections.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLimits {
    /// Connections that there may be.
    pub admission: AdmissionLimits,
    /// Sockets accepted in a second by all listeners; the others wait in the kernel.
    pub per_second: Option<u32>,
}

impl AcceptLimits {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        AcceptLimits {
            admission: wiring::admission(config),
            per_second: config.limits.handshakes_per_second,
        }
    }
}

/// One socket that listens, and where its connections go.
pub struct Acceptor {
    /// The socket.
    pub socket: Listener,
    /// What its connections have in common; a reload replaces it.
    pub context: Arc<ArcSwap<ListenerContext>>,
    /// Connections of the listener, which may have other sockets too.
    pub connections: Arc<ListenerAdmissions>,
    /// How many there may be.
    pub limit: Arc<ArcSwap<Option<u32>>>,
    /// What acceptors share.
    pub shared: Arc<Shared>,
}

impl Acceptor {
    /// Accepts until the socket fails for good.
    pub async fn run(mut self) {
        let mut workers = self.shared.workers.clone();
        loop {
            let accepted = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::error!(address = %self.socket.local_address(), %error, "listener failed");
                    return;
                }
            };
            self.shared.keep_pace().await;
            if let Some(arrival) = self.admit(accepted) {
                workers.assign(arrival).await;
            }
        }
    }

    fn admit(&self, accepted: Accepted) -> Option<Arrival> {
        let shared = &self.shared;
        let address = accepted.address().map(|address| address.ip());
        if shared.router.is_short_of_memory() {
            return shared.refuse(Counter::ConnectionsShortOfMemory, address, "limits.memory");
        }
        let admission =
            self.connections
                .admit(shared.limits.load().admission, **self.limit.load(), address);
        match admission {
            Ok(admission) => Some(Arrival {
                listener: self.context.load_full(),
                accepted,
                admission,
            }),
            Err(refused) => {
                let counter = match refused {
                    Refused::Total => Counter::ConnectionsOverLimit,
                    Refused::Listener => Counter::ConnectionsOverListenerLimit,
                    Refused::Address => Counter::ConnectionsOverAddressLimit,
                };
                shared.refuse(counter, address, &refused.to_string())
            }
        }
    }
}

impl Shared {
    async fn keep_pace(&self) {
        let Some(per_second) = self.limits.load().per_second else {
            return;
        };
        let delay = self.pace.delay(per_second, Instant::now());
        if !delay.is_zero() {
            self.cells.add(Counter::AcceptsPaced, 1);
            tokio::time::sleep(delay).await;
        }
    }

    /// Who fills a limit must not fill the log too: a refusal is counted, and at most one a second
    /// is written.
    fn refuse(&self, counter: Counter, address: Option<IpAddr>, cause: &str) -> Option<Arrival> {
        self.cells.add(counter, 1);
        if self.pace.may_log(Instant::now()) {
            let address = address.map(tracing::field::display);
            tracing::warn!(
                address,
                cause,
                "socket closed; more of these are only counted"
            );
        }
        None
    }
}

/// Keeps to so many a second, with a second's worth at once.
#[derive(Debug, Default)]
pub struct Pace {
    // Locked for each socket, for a subtraction.
    state: Mutex<Paced>,
}

#[derive(Debug, Default)]
struct Paced {
    /// When all that was accepted would have been, at an even pace.
    even: Option<Instant>,
    logged: Option<Instant>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Pace {
    /// How long the next one has to wait.
    fn delay(&self, per_second: u32, now: Instant) -> Duration {
        let mut state = self.state();
        let earliest = now.checked_sub(SECOND).unwrap_or(now);
        let even = state.even.map_or(earliest, |even| even.max(earliest));
        let even = even + SECOND / per_second.max(1);
        state.even = Some(even);
        even.saturating_duration_since(now)
    }

    fn may_log(&self, now: Instant) -> bool {
        let mut state = self.state();
        let may = state.logged.is_none_or(|logged| now - logged >= SECOND);
        if may {
            state.logged = Some(now);
        }
        may
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Paced> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_burst_then_the_rate() {
        let (pace, now) = (Pace::default(), Instant::now());
        let burst = (0..10).all(|_| pace.delay(10, now).is_zero());
        assert!(burst);
        assert_eq!(pace.delay(10, now), Duration::from_millis(100));
        assert_eq!(pace.delay(10, now), Duration::from_millis(200));
        let later = now + Duration::from_secs(5);
        assert!(pace.delay(10, later).is_zero());
    }

    #[test]
    fn one_line_a_second() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert!(pace.may_log(now));
        assert!(!pace.may_log(now));
        assert!(pace.may_log(now + SECOND));
    }
}
