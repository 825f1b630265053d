//! The plugins that `dunlin plugin new` makes: each runs its own test here.
// Natively nothing calls what the macros export.
#![allow(dead_code)]

#[path = "../templates/acl/src/lib.rs"]
mod acl;
#[path = "../templates/auth/src/lib.rs"]
mod auth;
#[path = "../templates/bridge/src/lib.rs"]
mod bridge;
#[path = "../templates/filter/src/lib.rs"]
mod filter;
