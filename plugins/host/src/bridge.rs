//! Plugins that map what a bridge carries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use wasmtime::{
    Store,
    component::{Instance as Linked, InstancePre},
};

use crate::{
    BridgeMapped, BridgeMessage, Class,
    bindings::exports::dunlin::plugin::bridge::{self, Mapped},
    bridge_words::{Shown, mapped, size},
    fault::{Fault, FaultKind, shorten},
    instance::World,
    plugin_core::{CallError, Core, Unanswered},
    state::State,
};

/// A plugin of the world `bridge-plugin`.
///
/// Called on the bridge's own thread, which waits; several bridges may share it, and with one
/// instance wait for each other.
///
/// While it fails it gives errors: what it did not map must be kept and shown again. Two kinds of
/// messages are left out instead, for they would be in the way for ever: those that its memory
/// cannot take, and those that it makes and no packet can hold. Both are counted as faults, and
/// the breaker does not count them.
pub struct BridgePlugin {
    pub(crate) core: Core<BridgeWorld>,
    /// Messages shown at a time: half as many after a fault, one more after a batch without. So
    /// what is too much at once, for its time or its answer, comes through nevertheless.
    at_a_time: AtomicUsize,
}

pub(crate) struct BridgeWorld;

impl World for BridgeWorld {
    const CLASS: Class = Class::Bridge;
    type Indices = bridge::GuestIndices;
    type Guest = bridge::Guest;

    fn indices(linked: &InstancePre<State>) -> wasmtime::Result<Self::Indices> {
        bridge::GuestIndices::new(linked)
    }

    fn guest(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Linked,
    ) -> wasmtime::Result<Self::Guest> {
        indices.load(store, instance)
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From our broker to the other.
    Egress,
    /// From the other broker to ours.
    Ingress,
}

/// The most messages shown at a time. With the bytes it bounds what a call takes, however much a
/// bridge has held back.
pub(crate) const MAX_PART: usize = 1_024;

/// Bytes shown at a time, unless one message alone has more.
const MAX_PART_BYTES: usize = 256 << 10;

/// Of the largest message: 256 MiB, the largest packet.
const MAX_PARTS: u32 = 1_024;

impl BridgePlugin {
    pub(crate) fn new(core: Core<BridgeWorld>) -> Self {
        BridgePlugin {
            core,
            at_a_time: AtomicUsize::new(MAX_PART),
        }
    }

    /// Maps messages from our broker to the other one. `bridge` is the bridge's name.
    ///
    /// What it gives is in order: the places in `batch` rise, and messages whose places do not
    /// come are left out.
    ///
    /// # Errors
    /// In words, for the log: the plugin failed, or is not asked for a while because it keeps
    /// failing, or says that it cannot now. The whole batch is to be held and shown again.
    pub fn egress(
        &self,
        bridge: &str,
        batch: &[BridgeMessage<'_>],
    ) -> Result<Vec<BridgeMapped>, String> {
        self.map(Way::Egress, bridge, batch)
    }

    /// Maps messages from the other broker to ours, as [`egress`](Self::egress) does.
    ///
    /// # Errors
    /// As those of `egress`.
    pub fn ingress(
        &self,
        bridge: &str,
        batch: &[BridgeMessage<'_>],
    ) -> Result<Vec<BridgeMapped>, String> {
        self.map(Way::Ingress, bridge, batch)
    }

    fn map(
        &self,
        way: Way,
        bridge: &str,
        batch: &[BridgeMessage<'_>],
    ) -> Result<Vec<BridgeMapped>, String> {
        let at_a_time = self.at_a_time.load(Ordering::Relaxed);
        let bytes_at_a_time = MAX_PART_BYTES.min(self.shown_bytes());
        let mut all = Vec::with_capacity(batch.len());
        let mut done = 0;
        while done < batch.len() {
            let part = first_part(&batch[done..], at_a_time, bytes_at_a_time);
            if !self.is_oversized(part) {
                let answer = self.map_part(way, bridge, part);
                let answer =
                    answer.map_err(|what| format!("plugin {}: {what}", self.core.shared.name))?;
                all.extend(answer.into_iter().map(|mapped| mapped.after(done)));
            }
            done += part.len();
        }
        if batch.len() >= at_a_time {
            let more = MAX_PART.min(at_a_time + 1);
            self.at_a_time.store(more, Ordering::Relaxed);
        }
        Ok(all)
    }

    fn map_part(
        &self,
        way: Way,
        bridge: &str,
        part: &[BridgeMessage<'_>],
    ) -> Result<Vec<BridgeMapped>, String> {
        let answer_bytes = self.core.limits.answer_bytes;
        let until = Instant::now() + self.core.limits.deadline * parts(part);
        let called = self.core.call(Some(until), |store, guest| {
            match ask(store, guest, way, bridge, part, answer_bytes)? {
                Ok(answer) => Ok(Ok(mapped(answer, part.len()).map_err(CallError::Answer)?)),
                Err(words) => Ok(Err(words)),
            }
        });
        let answer = called.answer.map_err(|unanswered| {
            if let Unanswered::Fault(_) = unanswered {
                let fewer = (part.len() / 2).max(1);
                self.at_a_time.store(fewer, Ordering::Relaxed);
            }
            unanswered.to_string()
        })??;
        let publishable = |one: Result<BridgeMapped, String>| match one {
            Ok(one) => Some(one),
            Err(what) => {
                self.core.blame(&Fault::answer(what), None);
                None
            }
        };
        Ok(answer.into_iter().filter_map(publishable).collect())
    }

    /// What may be shown at a time, whatever else is.
    fn shown_bytes(&self) -> usize {
        self.core.limits.memory_bytes / 4
    }

    /// Who sends messages must not be able to make a plugin fail by their size: what could use up a
    /// good part of its memory is not shown to it.
    fn is_oversized(&self, part: &[BridgeMessage<'_>]) -> bool {
        let bytes: usize = part.iter().map(size).sum();
        let oversized = bytes > self.shown_bytes();
        if oversized {
            let what = format!(
                "a message of {bytes} bytes is too much for its memory and left out; raise its \
                 limit if it should pass"
            );
            let fault = Fault::new(FaultKind::Oversized, what);
            self.core.blame(&fault, None);
        }
        oversized
    }
}

/// How many times the deadline a call may take: more for a message that is larger than what is
/// shown at a time, as it would fail each time that it is shown.
fn parts(part: &[BridgeMessage<'_>]) -> u32 {
    let bytes: usize = part.iter().map(size).sum();
    u32::try_from(bytes.div_ceil(MAX_PART_BYTES))
        .map_or(MAX_PARTS, |parts| parts.clamp(1, MAX_PARTS))
}

/// The messages that are shown first: one, or as many as the bounds allow.
fn first_part<'b, 'm>(
    batch: &'b [BridgeMessage<'m>],
    most: usize,
    most_bytes: usize,
) -> &'b [BridgeMessage<'m>] {
    let mut bytes = 0;
    let fit = batch.iter().take(most).take_while(|message| {
        bytes += size(message);
        bytes <= most_bytes
    });
    let fit = fit.count().clamp(1, batch.len());
    &batch[..fit]
}

/// What of a plugin's own error is kept.
const MAX_WORDS_BYTES: usize = 1_024;

/// Calls the guest, whose answer may have twice the bytes of the messages beside `answer_bytes`.
pub(crate) fn ask(
    store: &mut Store<State>,
    guest: &bridge::Guest,
    way: Way,
    bridge: &str,
    batch: &[BridgeMessage<'_>],
    answer_bytes: usize,
) -> Result<Result<Vec<Mapped>, String>, CallError> {
    let bytes: usize = batch.iter().map(size).sum();
    store.set_hostcall_fuel(answer_bytes + 2 * bytes);
    let shown: Vec<Shown<'_>> = batch.iter().map(Shown::new).collect();
    let batch: Vec<_> = shown.iter().map(Shown::message).collect();
    let answer = match way {
        Way::Egress => guest.call_egress(store, bridge, &batch)?,
        Way::Ingress => guest.call_ingress(store, bridge, &batch)?,
    };
    Ok(answer.map_err(|mut words| {
        shorten(&mut words, MAX_WORDS_BYTES);
        words.replace(char::is_control, " ")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_shown_in_parts() {
        let (small, large) = (&*vec![0; 100 << 10], &*vec![0; 1 << 20]);
        let shown = |sizes: &[&[u8]]| {
            let batch = sizes.iter().map(|payload| BridgeMessage::new("a", payload));
            let batch: Vec<_> = batch.collect();
            let mut rest = batch.as_slice();
            let mut parts = Vec::new();
            while !rest.is_empty() {
                let part = first_part(rest, MAX_PART, MAX_PART_BYTES).len();
                parts.push(part);
                rest = &rest[part..];
            }
            parts
        };
        assert_eq!(shown(&[small; 5]), [2, 2, 1]);
        assert_eq!(shown(&[large, small, large]), [1, 1, 1]);
        assert_eq!(shown(&[b"x".as_slice(); 1_500]), [MAX_PART, 476]);
    }

    #[test]
    fn a_large_message_has_more_time() {
        for (bytes, expected) in [(0, 1), (100 << 10, 1), (256 << 10, 2), (1 << 20, 5)] {
            let payload = vec![0; bytes];
            assert_eq!(
                parts(&[BridgeMessage::new("a", &payload)]),
                expected,
                "{bytes}"
            );
        }
    }
}
