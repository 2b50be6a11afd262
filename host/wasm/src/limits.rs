//! All numbers of the plugin host. Limits nobody set are no limits.

use std::time::Duration;

/// What a plugin may use. The default is what a daemon runs with; tests tighten it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a component. Those that come with the host have about 700 KB; other languages bring a
    /// runtime of some megabytes. Bounds the time of compiling, too.
    pub component_bytes: usize,
    /// Bytes of linear memory of one instance.
    pub memory_bytes: usize,
    /// Elements of one table; a table is a component's function pointers.
    pub table_elements: usize,
    /// Time that one call may compute, waiting excluded. An ordinary call needs a millisecond.
    pub compute: Duration,
    /// Wall-clock time of one call. Several requests to a slow cloud fit.
    pub call: Duration,
    /// Wall-clock time of a call that moves a blob: the agent's binary over a slow line.
    pub transfer: Duration,
    /// Wall-clock time of `describe` and `configure`, which use no network.
    pub probe: Duration,
    /// Wall-clock time of compiling a component.
    pub compile: Duration,
    /// Calls of one plugin at the same time; more wait. Fifty containers start at once.
    pub calls_in_flight: usize,
    /// HTTP requests of one plugin at the same time; more wait.
    pub requests_in_flight: usize,
    /// Bytes of a request's body; it is held in memory.
    pub request_bytes: usize,
    /// Bytes of a response's body; it is streamed.
    pub response_bytes: usize,
    /// Bytes of headers that a guest may build.
    pub header_bytes: usize,
    /// Handles (streams, requests, bodies) that one instance may hold.
    pub handles: usize,
    /// Lines that one call may write to the log.
    pub log_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 32 * MIB,
            memory_bytes: 64 * MIB,
            table_elements: 20_000,
            compute: Duration::from_secs(10),
            call: Duration::from_secs(60),
            transfer: Duration::from_secs(300),
            probe: Duration::from_secs(10),
            compile: Duration::from_secs(120),
            calls_in_flight: 64,
            requests_in_flight: 128,
            request_bytes: 32 * MIB,
            response_bytes: 32 * MIB,
            header_bytes: 128 * KIB,
            handles: 1_000,
            log_lines: 1_000,
        }
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Instances that exist at the same time, over all plugins. Each reserves 4 GiB of addresses (not
/// of memory), so that bounds checks cost nothing: 512 GiB of 128 TiB.
pub(crate) const POOLED_INSTANCES: u32 = 128;

/// Core instances of one component: the module, and what wit-component puts around it.
pub(crate) const CORE_INSTANCES: u32 = 8;

/// Linear memories of one component: one, and one for an adapter.
pub(crate) const MEMORIES: u32 = 2;

/// Tables of one component, those of the adapters included.
pub(crate) const TABLES: u32 = 8;

/// Bytes of memory that a pool slot keeps resident between calls: what a call of a small plugin
/// touches anyway. Above this, pages go back to the system.
pub(crate) const KEEP_RESIDENT: usize = 128 * KIB;

/// How often a computing guest gives way to other tasks, and how exact `Limits::compute` is.
pub(crate) const EPOCH: Duration = Duration::from_millis(10);

/// Bytes of one line of a guest in the log; the rest is cut off.
pub(crate) const LOG_LINE: usize = 4 * KIB;

/// Until a TCP connection and its TLS session stand.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// Until the first byte of an answer, and between two of its bytes, unless the guest asks for less.
pub(crate) const HTTP_SILENCE: Duration = Duration::from_secs(60);

/// How long an unused connection is kept. The clouds' front ends close theirs later.
pub(crate) const POOL_IDLE: Duration = Duration::from_secs(90);

/// Unused connections kept for each host.
pub(crate) const POOL_PER_HOST: usize = 16;

/// When the compile cache, in bytes and files, begins to forget what was not used for long.
pub(crate) const CACHE_BYTES: u64 = 256 * MIB as u64;

/// See [`CACHE_BYTES`].
pub(crate) const CACHE_FILES: u64 = 256;
