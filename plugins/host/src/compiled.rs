//! The one place that runs code it has not compiled just now.
#![allow(
    unsafe_code,
    reason = "wasmtime cannot tell whether machine code is its own"
)]

use wasmtime::{Engine, component::Component};

/// Code that a [`CodeCache`](crate::cache::CodeCache) vouches for: its file belongs to us, nobody
/// else may write it or its folder, and its bytes are those that were stored.
pub(crate) struct Vouched(pub(super) Vec<u8>);

/// Loads compiled code.
///
/// # Errors
/// If another version of wasmtime, or one with other settings, has compiled it.
pub(crate) fn load(engine: &Engine, code: &Vouched) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what `Component::serialize` gave to a process of this user. Only
    // `cache.rs` makes a `Vouched`, and only after it has checked that the file and its folder are
    // ours alone and that the checksum over the bytes is right.
    unsafe { Component::deserialize(engine, &code.0) }
}
