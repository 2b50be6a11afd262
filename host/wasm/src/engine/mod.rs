//! The engine that all plugins share: compiler, pool of instances, compile cache, clock.

mod memory;
mod ticker;

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use wasmtime::{Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

pub(crate) use memory::MemoryLimit;
pub(crate) use ticker::{Ticker, Ticking};

use crate::limits::{
    CACHE_BYTES, CACHE_FILES, CORE_INSTANCES, KEEP_RESIDENT, Limits, MEMORIES, POOLED_INSTANCES, TABLES,
};

/// Makes the engine. Compiled components go to `cache`, which only this user can write: what
/// stands there is run as native code.
pub(crate) fn build(cache: &Path, limits: &Limits) -> wasmtime::Result<Engine> {
    let cache = open_cache(cache)?;
    let pooled = InstanceAllocationStrategy::Pooling(pool(limits));
    match Engine::new(&config(pooled, &cache)) {
        Ok(engine) => Ok(engine),
        // Where addresses are scarce (`ulimit -v`, small virtual machines) calls only get slower.
        Err(error) => {
            tracing::warn!(%error, "no pool of plugin instances; each call allocates its own memory");
            Engine::new(&config(InstanceAllocationStrategy::OnDemand, &cache))
        }
    }
}

fn config(strategy: InstanceAllocationStrategy, cache: &Cache) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .allocation_strategy(strategy)
        .cache(Some(cache.clone()));
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOLED_INSTANCES)
        .total_core_instances(POOLED_INSTANCES * CORE_INSTANCES)
        .total_memories(POOLED_INSTANCES)
        .total_tables(POOLED_INSTANCES * TABLES)
        .total_stacks(POOLED_INSTANCES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(KEEP_RESIDENT);
    pool
}

fn open_cache(folder: &Path) -> wasmtime::Result<Cache> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Fails for a folder of somebody else, which could plant code there.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    let mut config = CacheConfig::new();
    config
        .with_directory(folder.canonicalize()?)
        .with_files_total_size_soft_limit(CACHE_BYTES)
        .with_file_count_soft_limit(CACHE_FILES);
    Cache::new(config)
}
