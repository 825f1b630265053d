//! A JWK Set that is fetched by a thread of its own.
//!
//! ```text
//!            start                 5 min, 10 s after a failure, or a demand
//!   (none) --------> fetching --------------------------------------------.
//!                       ^  |  stored, or the old ones kept                |
//!                       |  v                                              |
//!                       '- waiting <--------------------------------------'
//!                             |  dropped
//!                             '----------> end
//! ```

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::jwk;
use super::key::Key;
use super::source::Snapshot;
use crate::http::{Http, HttpError, Request};

/// How often keys are fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// After a fetch that went well.
    pub refresh: Duration,
    /// After one that failed.
    pub retry: Duration,
    /// At least between two that tokens caused.
    pub demand: Duration,
    /// For one to be done.
    pub timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(300),
            retry: Duration::from_secs(10),
            demand: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
        }
    }
}

/// The keys at a URL. On drop the thread ends; a fetch that is under way is finished first.
pub(super) struct Fetched {
    shared: Arc<Shared>,
    pace: Pace,
}

struct Shared {
    /// A lock for the condition; held for a few instructions, never while fetching.
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The newest keys, or why there never were any.
    keys: Result<Arc<Snapshot>, String>,
    /// Fetches that are done, well or not.
    fetches: u64,
    /// Whether the thread fetches now, or will at once.
    fetching: bool,
    /// When a token last caused a fetch.
    demanded: Option<Instant>,
    dropped: bool,
    #[cfg(test)]
    witness: Option<std::sync::mpsc::Sender<()>>,
}

impl Fetched {
    /// Starts to fetch.
    pub(super) fn start(http: Http, url: String, pace: Pace) -> Result<Self, String> {
        let state = State {
            keys: Err(format!("{url}: not fetched yet")),
            fetches: 0,
            fetching: true,
            demanded: None,
            dropped: false,
            #[cfg(test)]
            witness: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let worker = Arc::clone(&shared);
        // Not joined: it ends by itself, and nobody should wait for a server for that.
        thread::Builder::new()
            .name("dunlin-keys".to_owned())
            .spawn(move || worker.run(&http, &url, pace))
            .map_err(|error| format!("no thread to fetch keys: {error}"))?;
        Ok(Self { shared, pace })
    }

    pub(super) fn keys(&self) -> Result<Arc<Snapshot>, String> {
        self.shared.state.lock().keys.clone()
    }

    /// Has the keys fetched now, unless a token had that already within the last 10 s. Whether
    /// a fetch is under way that may bring others.
    pub(super) fn demand(&self) -> bool {
        let mut state = self.shared.state.lock();
        if state.fetching {
            return true;
        }
        let now = Instant::now();
        let recent = |at: Instant| now.saturating_duration_since(at) < self.pace.demand;
        if state.demanded.is_some_and(recent) {
            return false;
        }
        state.demanded = Some(now);
        state.fetching = true;
        self.shared.changed.notify_all();
        true
    }

    /// Waits until so many fetches are done.
    pub(super) fn wait_for_fetches(&self, count: u64, deadline: Instant) -> bool {
        let mut state = self.shared.state.lock();
        while state.fetches < count {
            if self
                .shared
                .changed
                .wait_until(&mut state, deadline)
                .timed_out()
            {
                return state.fetches >= count;
            }
        }
        true
    }

    /// Has this dropped when the thread has ended.
    #[cfg(test)]
    pub(super) fn at_end(&self, witness: std::sync::mpsc::Sender<()>) {
        self.shared.state.lock().witness = Some(witness);
    }

    #[cfg(test)]
    pub(super) fn fetches(&self) -> u64 {
        self.shared.state.lock().fetches
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.shared.state.lock().dropped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn run(&self, http: &Http, url: &str, pace: Pace) {
        loop {
            let fetched = fetch(http, url, pace.timeout);
            let again = match fetched {
                Ok(_) => pace.refresh,
                Err(_) => pace.retry,
            };
            self.store(url, fetched);
            if !self.wait(Instant::now() + again) {
                return;
            }
        }
    }

    /// Keeps what was fetched, or what there was before if nothing was.
    fn store(&self, url: &str, fetched: Result<Vec<Key>, String>) {
        let mut state = self.state.lock();
        state.fetches += 1;
        state.fetching = false;
        match fetched {
            Ok(keys) => {
                let generation = state.fetches;
                state.keys = Ok(Arc::new(Snapshot { generation, keys }));
            }
            Err(error) => {
                let old = state.keys.is_ok();
                tracing::warn!(url, error, old, "keys cannot be fetched");
                if !old {
                    state.keys = Err(format!("{url}: {error}"));
                }
            }
        }
        self.changed.notify_all();
    }

    /// Waits until it is time to fetch again; false if nobody needs the keys any more.
    fn wait(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.dropped && !state.fetching {
            if self.changed.wait_until(&mut state, until).timed_out() {
                state.fetching = true;
            }
        }
        !state.dropped
    }
}

fn fetch(http: &Http, url: &str, timeout: Duration) -> Result<Vec<Key>, String> {
    let request = Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: vec![("accept".to_owned(), "application/json".to_owned())],
        body: Vec::new(),
    };
    let response = http
        .send(&request, Instant::now() + timeout)
        .map_err(|error: HttpError| error.to_string())?;
    if response.status != 200 {
        return Err(format!("status {}", response.status));
    }
    jwk::parse_set(&response.body)
}
