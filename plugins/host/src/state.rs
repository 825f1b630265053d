//! What the host keeps for a plugin and for each of its instances.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dunlin_codec::Qos;
use dunlin_plugin_services::{Http, KeySets, LogLimit, Numbers, Response};
use wasmtime::ResourceLimiter;

use crate::{
    Broker, Class, engine::TABLE_ELEMENTS, fault::Stop, imports::HashingGate, instance::LATEST,
};

/// What all instances of a plugin share.
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) class: Class,
    pub(crate) log_limit: LogLimit,
    /// Of calls to `broker`.
    pub(crate) broker_limit: LogLimit,
    pub(crate) numbers: Numbers,
    /// Only for plugins that may.
    pub(crate) http: Option<Http>,
    pub(crate) key_sets: KeySets,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) hashing: Arc<HashingGate>,
    /// Rises when answers given so far are to be forgotten.
    pub(crate) epoch: AtomicU64,
    /// Linear memory of all instances.
    pub(crate) memory_bytes: AtomicUsize,
}

/// What the instance may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It says what it is, and may import the log.
    Describing,
    /// It answers, and may import all that was granted.
    Serving,
}

/// What an instance has in its store.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) phase: Phase,
    /// Of the call under way.
    pub(crate) deadline: Instant,
    /// How long the thread had computed when the deadline was first noticed.
    pub(crate) cpu_at_deadline: Option<Duration>,
    pub(crate) memory: Memory,
    /// What to do when the call has returned.
    pub(crate) effects: Effects,
    /// In the replay of a case, the answers that it recorded, in order.
    pub(crate) recorded: Option<VecDeque<Response>>,
}

impl State {
    pub(crate) fn new(shared: Arc<Shared>, phase: Phase, memory_limit: usize) -> Self {
        State {
            memory: Memory {
                used: 0,
                limit: memory_limit,
                refused: false,
                shared: Arc::clone(&shared),
            },
            shared,
            phase,
            deadline: Instant::now(),
            cpu_at_deadline: None,
            effects: Effects::default(),
            recorded: None,
        }
    }

    /// # Errors
    /// While the plugin says what it is.
    pub(crate) fn serving(&self) -> Result<(), Stop> {
        match self.phase {
            Phase::Serving => Ok(()),
            Phase::Describing => Err(Stop::Forbidden("`describe` may use no import but `log`")),
        }
    }

    /// For the end of imports that may take long.
    ///
    /// # Errors
    /// If the deadline is over.
    pub(crate) fn in_time(&self) -> Result<(), Stop> {
        // As in `interrupted`: an inline import takes microseconds, what is more is the system's.
        let patience = match self.shared.class.is_inline() {
            true => LATEST,
            false => Duration::ZERO,
        };
        match Instant::now() < self.deadline + patience {
            true => Ok(()),
            false => Err(Stop::Deadline),
        }
    }

    /// What is left until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// What a call asked the broker to do.
#[derive(Default)]
pub(crate) struct Effects {
    effects: Vec<Effect>,
    bytes: usize,
}

enum Effect {
    Publish {
        topic: String,
        payload: Vec<u8>,
        qos: Qos,
        retain: bool,
    },
    Disconnect(String),
}

/// Bytes of what one call may publish.
const MAX_EFFECT_BYTES: usize = 4 << 20;

impl Effects {
    /// # Errors
    /// In words for the plugin, if it is too much for one call.
    pub(crate) fn publish(
        &mut self,
        topic: String,
        payload: Vec<u8>,
        qos: Qos,
        retain: bool,
    ) -> Result<(), String> {
        let bytes = self.bytes + topic.len() + payload.len();
        if bytes > MAX_EFFECT_BYTES {
            return Err(format!(
                "a call may publish at most {MAX_EFFECT_BYTES} bytes"
            ));
        }
        self.bytes = bytes;
        self.effects.push(Effect::Publish {
            topic,
            payload,
            qos,
            retain,
        });
        Ok(())
    }

    pub(crate) fn disconnect(&mut self, client_id: String) {
        self.effects.push(Effect::Disconnect(client_id));
    }

    /// Has the broker do it. Nearly always there is nothing.
    pub(crate) fn carry_out(&mut self, shared: &Shared) {
        if self.effects.is_empty() {
            return;
        }
        self.bytes = 0;
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Publish {
                    topic,
                    payload,
                    qos,
                    retain,
                } => {
                    if let Err(error) = shared.broker.publish(&topic, &payload, qos, retain) {
                        tracing::warn!(
                            plugin = &*shared.name,
                            topic,
                            error,
                            "what the plugin publishes is refused"
                        );
                    }
                }
                Effect::Disconnect(client_id) => shared.broker.disconnect(&client_id),
            }
        }
    }
}

/// How much linear memory an instance has, all its memories together.
pub(crate) struct Memory {
    /// Never shrinks: WebAssembly has no way to give memory back.
    pub(crate) used: usize,
    limit: usize,
    /// Whether growth was refused since this was last reset.
    pub(crate) refused: bool,
    shared: Arc<Shared>,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if self.used.saturating_add(more) > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used += more;
        self.shared.memory_bytes.fetch_add(more, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.shared
            .memory_bytes
            .fetch_sub(self.used, Ordering::Relaxed);
    }
}
