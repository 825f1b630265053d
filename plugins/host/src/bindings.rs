//! The contract in Rust, made from `sdk/wit` by wasmtime.
//!
//! One world that has all exports of all: only its parts are used.
#![allow(
    unsafe_code,
    reason = "generated: its calls are checked when an export is loaded"
)]
#![allow(
    missing_docs,
    unused,
    clippy::all,
    reason = "generated, and documented in the contract"
)]

wasmtime::component::bindgen!({
    path: "../../sdk/wit/0.1.0",
    inline: "
        package dunlin:host;

        world every {
            include dunlin:plugin/auth-plugin@0.1.0;
            include dunlin:plugin/acl-plugin@0.1.0;
            include dunlin:plugin/filter-plugin@0.1.0;
            include dunlin:plugin/bridge-plugin@0.1.0;
        }
    ",
    world: "dunlin:host/every",
    imports: { default: trappable },
    ownership: Borrowing { duplicate_if_necessary: true },
});
