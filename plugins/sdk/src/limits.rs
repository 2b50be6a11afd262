//! All numbers of the SDK.

/// Milliseconds for a connection to a provider: the host pools them, so it is rarely spent.
pub const CONNECT_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds until a provider begins to answer. No call of the contract waits for a
/// long-running operation, so a longer silence is a fault.
pub const FIRST_BYTE_TIMEOUT_MS: u64 = 60_000;
/// Milliseconds between two pieces of an answer.
pub const BETWEEN_BYTES_TIMEOUT_MS: u64 = 30_000;
/// Bytes of an answer that are read unless the request says otherwise.
pub const RESPONSE_BYTES: usize = 16 << 20;
/// Bytes that one read from the host asks for.
pub const READ_BYTES: u64 = 64 << 10;
/// Requests of one `send_all` that are under way at a time.
pub const REQUESTS_IN_FLIGHT: usize = 8;
/// Characters of a provider's answer that an error message quotes when it is not understood.
pub const QUOTED_CHARS: usize = 300;
