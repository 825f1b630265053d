//! Giving freed memory back to the system.
//!
//! The allocator keeps what a thread freed for its next allocations, which is right but where the
//! process is over its budget: what queues gave up would still count against it.
#![allow(
    unsafe_code,
    reason = "the allocator's crate has no safe function for this"
)]

/// Returns what this thread has freed; other threads keep theirs.
pub fn give_back() {
    // SAFETY: it takes no pointer, may be called at any time by any thread, and only changes what
    // the calling thread's heap holds unused.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
