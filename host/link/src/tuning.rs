//! All numbers of this crate; those that the agent must know, too, are in `sockerless_agent_wire::limits`.

use std::time::Duration;

/// A stranger gets this long for TLS, the upgrade and its hello each.
pub const GREETING: Duration = Duration::from_secs(10);

/// Connections that have not proved themselves, at once; more wait to be accepted.
pub const STRANGERS: usize = 1024;

/// What a message from an agent that has proved itself may measure, bytes: a reply, and frames of streams.
pub const MESSAGE: usize = sockerless_agent_wire::limits::CONTROL + sockerless_agent_wire::limits::MESSAGE;

/// What a stranger may say before it has proved itself, bytes: a request for an upgrade and a hello with as many channels as
/// an agent can have.
pub const STRANGER: usize = 512 << 10;

/// One read of a connection, bytes. Allocated for each, so it is a good part of what an idle agent costs; twice as much made
/// nothing faster.
pub const READ: usize = 12 << 10;

/// Bytes of streams that are put into one message: as many as a frame takes. The socket's buffer keeps this capacity.
pub const INPUT: usize = sockerless_agent_wire::limits::DATA;

/// Output that waits for the engine is gathered into pieces of this size, bytes.
pub const GATHERED: usize = 256 << 10;

/// Pieces from this size on are handed on as they came, bytes: copying them would cost more than a call.
pub const LARGE: usize = 64 << 10;

/// Signals that the agent has not acknowledged; a caller waits when there are more.
pub const COMMANDS: usize = 128;

/// After the listener fails to accept (no file descriptors, say).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A goodbye may take this long.
pub const GOODBYE: Duration = Duration::from_secs(2);

/// Bytes that a stream may send before the next one has its turn.
pub const SHARE: usize = 8 << 10;

/// Channels with this number or a larger one are connections between containers; requests have smaller ones.
pub const RELAYED: u32 = 1 << 28;

/// What was dealt with of connections between containers is acknowledged with whatever is said next, but after this time in
/// any case: an answer is mostly on its way, and a message of its own for each request and each answer would be half of all.
pub const LATER: Duration = Duration::from_millis(5);

/// What one more connection may have under way in each direction, bytes, when a container has so many: on a long way few
/// connections need much, and all together hold no more than 136 MiB.
pub const fn window(connections: usize) -> u32 {
    match connections {
        ..=64 => 512 << 10,
        65..=128 => 256 << 10,
        129..=1024 => 64 << 10,
        _ => 16 << 10,
    }
}

/// What is said about channels (requests, acknowledgements) is sent in messages of about this size, bytes.
pub const SAID: usize = 16 << 10;

/// To connect to somewhere out of the mesh: what is on this machine answers at once.
pub const OUTSIDE: Duration = Duration::from_secs(10);

/// What a connection out of the mesh may have under way towards the agent, bytes.
pub const OUTSIDE_WINDOW: usize = 256 << 10;

/// The largest datagram, bytes.
pub const DATAGRAM: usize = 65_507;
