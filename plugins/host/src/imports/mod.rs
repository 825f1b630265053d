//! What plugins may ask of the broker.
//!
//! Each file is one interface of `host.wit`. What it does natively is in `dunlin-plugin-services`.

mod broker;
mod clock;
mod crypto;
mod http;
mod log;
mod metrics;
mod random;

use wasmtime::{
    Engine,
    component::{HasSelf, Linker},
};

pub(crate) use self::crypto::HashingGate;
use crate::{Class, bindings::dunlin::plugin as contract, fault::chain, state::State};

/// All that a class may import.
///
/// # Errors
/// Never: no name is defined twice.
pub(crate) fn linker(engine: &Engine, class: Class) -> Result<Linker<State>, String> {
    let mut linker = Linker::new(engine);
    define(&mut linker, class).map_err(|error| chain(&error))?;
    Ok(linker)
}

fn define(linker: &mut Linker<State>, class: Class) -> wasmtime::Result<()> {
    contract::types::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    contract::log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    contract::metrics::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    contract::clock::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    contract::random::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    contract::crypto::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    contract::broker::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    if class == Class::Auth {
        contract::http::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    }
    Ok(())
}

impl contract::types::Host for State {}
