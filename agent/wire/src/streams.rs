//! Stream numbers.

/// The connection's own conversation; as an acknowledged "offset" it counts the daemon's commands.
pub const CONTROL: u32 = 0;
/// The process's standard input, towards the agent.
pub const STDIN: u32 = 1;
/// Standard output, or the terminal's.
pub const STDOUT: u32 = 2;
/// Standard error.
pub const STDERR: u32 = 3;
/// The first number for streams that are opened as they are needed.
pub const DYNAMIC: u32 = 16;
