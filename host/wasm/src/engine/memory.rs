//! How large an instance may grow.

use wasmtime::{ResourceLimiter, bail};

use crate::limits::{CORE_INSTANCES, Limits, MEMORIES, TABLES};

/// Limits of one instance. Growing beyond them is a trap that names the limit, rather than an
/// allocation failure that the guest reports as `unreachable`.
pub(crate) struct MemoryLimit {
    memory_bytes: usize,
    table_elements: usize,
}

impl MemoryLimit {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory_bytes: limits.memory_bytes, table_elements: limits.table_elements }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.memory_bytes {
            bail!("it wanted {desired} bytes of memory, the limit is {}", self.memory_bytes);
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.table_elements {
            bail!("it wanted a table of {desired} elements, the limit is {}", self.table_elements);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}
