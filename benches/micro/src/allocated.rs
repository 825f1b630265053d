//! The allocator of the broker, which counts what the program has allocated.
#![allow(
    unsafe_code,
    reason = "implementing GlobalAlloc is unsafe; it forwards to mimalloc"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

use mimalloc::MiMalloc;

static ALLOCATED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// The allocator that the broker has, counting the bytes that were asked for and not yet given
/// back.
pub struct Counting;

/// Bytes allocated now, without what the allocator itself needs.
pub fn bytes() -> usize {
    ALLOCATED_BYTES.load(Ordering::Relaxed)
}

// SAFETY: every call is passed on unchanged to `MiMalloc`, whose guarantees are those asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises about `layout` are the ones that `MiMalloc` needs.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        ALLOCATED_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `block` came from `alloc` above, so from `MiMalloc`, with this layout.
        unsafe { MiMalloc.dealloc(block, layout) }
    }
}
