//! Every number of this crate: times, sizes and limits, each with its unit and its reason.

/// Bytes: the agent's own share of a container's memory. It idles below 10 MiB and buffers
/// a little output for each stream.
pub const AGENT_MEMORY: u64 = 32 * 1024 * 1024;
