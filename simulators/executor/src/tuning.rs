//! Every number of this crate, with unit and reason.

use std::time::Duration;

/// Prepared slots kept ready: covers a burst of `docker run` without paying for namespaces,
/// address and process start (15–30 ms) while the user waits.
pub(crate) const POOL_SIZE: usize = 6;
/// The same for an ordinary user, where each slot also holds a slirp4netns process (3–5 MB).
pub(crate) const POOL_SIZE_ROOTLESS: usize = 4;
/// Slots prepared at the same time: more only makes each of them slower.
pub(crate) const POOL_CONCURRENCY: usize = 4;
/// Until a slot counts as stuck. Two orders above the usual time.
pub(crate) const SLOT_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a slot could not be prepared, so that a lasting fault does not spin.
pub(crate) const POOL_RETRY: Duration = Duration::from_secs(2);

/// Bytes read from a container's output at once: the size of an `Output` event.
pub(crate) const OUTPUT_CHUNK: usize = 64 * 1024;
/// Capacity of the output pipes in bytes: fewer wake-ups at high rates. The kernel's limit for
/// ordinary users is just this.
pub(crate) const PIPE_CAPACITY: i32 = 1024 * 1024;
/// Events between a task and its reader; times `OUTPUT_CHUNK` it bounds what a slow reader holds.
pub(crate) const EVENT_BUFFER: usize = 64;

/// Layers and blobs fetched at the same time per image.
pub(crate) const LAYER_CONCURRENCY: usize = 4;
/// Tries of a request that met a connection error or a 5xx.
pub(crate) const REGISTRY_TRIES: u32 = 3;
/// Pause before the second try; doubles.
pub(crate) const REGISTRY_BACKOFF: Duration = Duration::from_millis(200);
/// Until a registry has to have accepted a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte for so long, a transfer counts as dead.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest manifest, index or image configuration in bytes (registries refuse more than 4 MiB).
pub(crate) const DOCUMENT_LIMIT: u64 = 8 * 1024 * 1024;
/// A token without `expires_in` lives so long (the distribution specification says 60 s).
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(60);
/// A token is not used for its last seconds, which a slow request could outlive.
pub(crate) const TOKEN_MARGIN: Duration = Duration::from_secs(5);

/// Orphaned stages of a killed executor end by themselves; after this they are killed.
pub(crate) const ORPHAN_PATIENCE: Duration = Duration::from_secs(2);
/// Until all tasks have to be gone at shutdown: SIGKILL and the clean-up of their files.
pub(crate) const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an HTTP probe's answer that are read: its first line and some more.
pub(crate) const PROBE_ANSWER: u64 = 4 * 1024;
/// How long a connection into a pod's network may take to be opened: it leads nowhere else than this machine.
pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the executor's networks lie: rarely used by anybody, and no part of Docker's pools.
pub(crate) const NETWORK_POOL: (std::net::Ipv4Addr, u8) = (std::net::Ipv4Addr::new(10, 64, 0, 0), 10);
/// Size of one executor's network: 4,094 addresses.
pub(crate) const NETWORK_PREFIX: u8 = 20;
/// Largest frame of slirp4netns; large ones carry the throughput.
pub(crate) const SLIRP_MTU: &str = "--mtu=65520";

/// Size of /dev/shm in bytes, as container runtimes have it.
pub(crate) const SHM_SIZE: u64 = 64 * 1024 * 1024;
/// Most of the options that one mount call takes: a page, less its terminator.
pub(crate) const MOUNT_OPTIONS_LIMIT: usize = 4095;
/// Hex digits of a layer's digest that name its folder: short enough for 127 layers in one page
/// of mount options, long enough (96 bits) that no two meet.
pub(crate) const LAYER_NAME_DIGITS: usize = 24;
/// Period of the processor quota in microseconds: the kernel's default.
pub(crate) const CPU_PERIOD: u64 = 100_000;
