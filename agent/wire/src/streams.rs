//! Stream numbers.
//!
//! Each channel has four: its number times four, and one of [`INPUT`], [`OUTPUT`] and [`ERRORS`]. The process's own standard
//! streams are those of channel 0.

/// The connection's own conversation; as an acknowledged "offset" it counts the daemon's commands.
pub const CONTROL: u32 = 0;
/// The process's standard input, towards the agent.
pub const STDIN: u32 = 1;
/// Standard output, or the terminal's.
pub const STDOUT: u32 = 2;
/// Standard error.
pub const STDERR: u32 = 3;

/// A channel's input, towards the agent.
pub const INPUT: u32 = 1;
/// A channel's output.
pub const OUTPUT: u32 = 2;
/// A channel's second output.
pub const ERRORS: u32 = 3;

/// The largest number of a channel.
pub const MOST: u32 = u32::MAX >> 2;

/// Channels that the agent opens have this number or a larger one; the daemon's have smaller ones.
pub const OF_AGENT: u32 = 1 << 29;

/// The stream of a channel: `kind` is one of [`INPUT`], [`OUTPUT`], [`ERRORS`].
pub const fn of(channel: u32, kind: u32) -> u32 {
    channel << 2 | kind
}

/// The channel and the kind of a stream.
pub const fn split(stream: u32) -> (u32, u32) {
    (stream >> 2, stream & 3)
}
