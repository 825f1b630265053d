//! The side of a plugin that the broker sees: compiled for WebAssembly only.
//!
//! `bindings.rs` and the `*.component-type` files are generated from the contract, see
//! `sdk/regenerate`. The bindings are those of one world that has all interfaces, so that the worlds
//! share their types; which of them a component exports, its component type says.

// The canonical ABI passes pointers.
#![allow(unsafe_code, missing_docs)]

#[rustfmt::skip]
pub mod bindings;
mod bridge;
mod convert;
mod exports;
pub(crate) mod imports;
pub(crate) mod memory;

pub use bridge::Bridge;
pub use exports::{Acl, Auth, Filter, Holder};

/// The world `acl-plugin`, as the linker wants it.
pub const ACL_PLUGIN: &[u8; include_bytes!("acl-plugin.component-type").len()] =
    include_bytes!("acl-plugin.component-type");

/// The world `auth-plugin`, as the linker wants it.
pub const AUTH_PLUGIN: &[u8; include_bytes!("auth-plugin.component-type").len()] =
    include_bytes!("auth-plugin.component-type");

/// The world `bridge-plugin`, as the linker wants it.
pub const BRIDGE_PLUGIN: &[u8; include_bytes!("bridge-plugin.component-type").len()] =
    include_bytes!("bridge-plugin.component-type");

/// The world `filter-plugin`, as the linker wants it.
pub const FILTER_PLUGIN: &[u8; include_bytes!("filter-plugin.component-type").len()] =
    include_bytes!("filter-plugin.component-type");
