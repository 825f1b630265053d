//! How guests are compiled and what memory is set aside for them.

use tracing::warn;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::fault::chain;

/// Instances of all plugins together. A component has one of these and some core instances, most
/// often three: its own code and two that join it to its imports.
const COMPONENTS: u32 = 512;
const CORE_INSTANCES: u32 = 4 * COMPONENTS;

/// The most that `limits.memory_bytes` may be.
const MAX_MEMORY_BYTES: usize = 256 << 20;

/// Entries of a table: function pointers of a guest. Those shipped have some hundred.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

/// Stack of a guest, on the stack of the thread that calls it: workers have 2 MiB.
const STACK_BYTES: usize = 256 << 10;

/// What of an instance's memory is cleared by writing and kept for the next one, rather than given
/// back to the system. Instances are made seldom, so little.
const KEEP_RESIDENT: usize = 16 << 10;

/// Addresses set aside for each memory. With 4 GiB guests need no bounds checks; with less they
/// do, and take some tenths longer.
const FULL_RESERVATION: u64 = 4 << 30;

/// An engine.
///
/// # Errors
/// If the system grants not even a little address space.
pub(crate) fn engine() -> Result<Engine, String> {
    match Engine::new(&config(FULL_RESERVATION)) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            warn!(
                error = chain(&error),
                "no 2 TiB of address space for plugins (ulimit -v, or a small address space): they \
                 run with bounds checks, somewhat slower"
            );
            Engine::new(&config(MAX_MEMORY_BYTES as u64)).map_err(|error| {
                format!(
                    "cannot set up WebAssembly: {}; raise the limit on address space (ulimit -v)",
                    chain(&error)
                )
            })
        }
    }
}

fn config(reservation: u64) -> Config {
    let mut config = Config::new();
    config
        // It makes a call three times as long, and the contract has nothing asynchronous.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .wasm_backtrace_max_frames(None)
        .memory_reservation(reservation)
        .memory_guard_size(match reservation {
            FULL_RESERVATION => 32 << 20,
            _ => 64 << 10,
        })
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(COMPONENTS)
        .total_core_instances(CORE_INSTANCES)
        .total_memories(COMPONENTS)
        .total_tables(CORE_INSTANCES)
        .max_core_instances_per_component(32)
        .max_memories_per_component(4)
        .max_tables_per_component(32)
        .max_memories_per_module(1)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MAX_MEMORY_BYTES)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_reservations_work() {
        for reservation in [FULL_RESERVATION, MAX_MEMORY_BYTES as u64] {
            Engine::new(&config(reservation)).expect("a valid configuration");
        }
    }
}
