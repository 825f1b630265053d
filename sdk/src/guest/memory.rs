//! Memory that the broker writes arguments to, and that the bindings write answers to.
//!
//! What of the `wit-bindgen` crate the bindings need, so that no plugin depends on it.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc},
    ptr::{self, NonNull},
};

/// Allocates and grows memory for the broker (`realloc` of the canonical ABI).
///
/// # Safety
/// As the canonical ABI says: `old` was returned by this function for `old_length` and the same
/// `align`, or `old_length` is 0; `align` is a power of two.
#[unsafe(export_name = "cabi_realloc")]
pub unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_length: usize,
    align: usize,
    new_length: usize,
) -> *mut u8 {
    if new_length == 0 {
        return align as *mut u8;
    }
    // SAFETY: the broker keeps to the canonical ABI, and the length is not 0.
    unsafe {
        let new = match old_length {
            0 => alloc(Layout::from_size_align_unchecked(new_length, align)),
            _ => {
                let layout = Layout::from_size_align_unchecked(old_length, align);
                realloc(old, layout, new_length)
            }
        };
        if new.is_null() {
            std::arch::wasm32::unreachable();
        }
        new
    }
}

/// A piece of memory that is given back when this is dropped.
pub struct Cleanup {
    memory: NonNull<u8>,
    layout: Layout,
}

impl Cleanup {
    /// Memory of this layout; null and nothing to drop if it has no size.
    pub fn new(layout: Layout) -> (*mut u8, Option<Cleanup>) {
        if layout.size() == 0 {
            return (ptr::null_mut(), None);
        }
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc(layout) };
        let Some(memory) = NonNull::new(memory) else {
            handle_alloc_error(layout);
        };
        (memory.as_ptr(), Some(Cleanup { memory, layout }))
    }

    /// Leaves the memory to whoever has the pointer.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nobody else gives it back.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) }
    }
}
