//! The protocol's numbers: both ends rely on them.

use crate::request::Request;

/// Payload of one data frame, bytes: large enough that headers and system calls do not count, small enough that a
/// stream does not hold up the others, and that a message stays below 128 KiB: musl's allocator, which the agent has,
/// maps and unmaps anything larger, and so pays a page fault for every 4 KiB of output.
pub const DATA: usize = 96 << 10;

/// Size of one control message, bytes. The largest is a launch: the kernel takes 2 MiB of arguments and environment, and
/// JSON may escape characters.
pub const CONTROL: usize = 8 << 20;

/// Size that the frames of one WebSocket message are gathered up to, bytes, control messages aside.
pub const MESSAGE: usize = DATA + 4096;

/// Channels of one run at once: a hello lists them all.
pub const CHANNELS: usize = 4096;

/// What an agent tells of things left out of an archive, bytes of names and paths, each counted with [`LEFT_OUT_EACH`] more:
/// an image has a dozen or two that an ordinary user may not read.
pub const LEFT_OUT: usize = 64 << 10;

/// What else is told of each, bytes.
pub const LEFT_OUT_EACH: usize = 200;

/// One record of a list of files, bytes: two paths of the kernel's longest, 4,096 bytes, and what goes with them.
pub const LISTED: usize = 16 << 10;

/// What names of one [`Request::Pick`] or [`Request::Remove`] may come to, bytes, [`NAME_EACH`] more counted for each: with
/// escapes in JSON that stays below [`CONTROL`].
pub const NAMES: usize = 1 << 20;

/// What is counted for each name beside its own bytes.
pub const NAME_EACH: usize = 8;

/// Connections that one container may have to others at once, and others to it.
pub const CONNECTIONS: usize = 4096;

/// What an agent takes of a connection between containers before its process has read it, bytes.
pub const MESH_INPUT: u32 = 256 << 10;

/// What a receiver takes on a process's output before it acknowledges, bytes.
pub const OUTPUT_WINDOW: u32 = 4 << 20;

/// What the agent takes for standard input before the process has read it, bytes.
pub const INPUT_WINDOW: u32 = 256 << 10;

/// Each end says something at least this often, milliseconds.
pub const HEARTBEAT_MS: u64 = 5_000;

/// An end that was silent for this long is dead, milliseconds: two heartbeats may be late.
pub const SILENCE_MS: u64 = 15_000;

/// What a receiver takes on a channel before it acknowledges, bytes: in each direction, by what the channel is for.
pub struct Windows {
    /// Of the input, towards the agent.
    pub input: u32,
    /// Of each output.
    pub output: u32,
    /// Whether there is a second output.
    pub errors: bool,
}

/// The windows of a channel for a request.
pub const fn windows(request: &Request) -> Windows {
    match request {
        Request::Exec(exec) => Windows { input: INPUT_WINDOW, output: OUTPUT_WINDOW, errors: !exec.tty },
        // Many at once, each with little under way.
        Request::Reach(reach) => Windows { input: MESH_INPUT, output: reach.window, errors: false },
        // As much as output: with 30 ms to a cloud and back that is 140 MB/s.
        Request::Get { .. }
        | Request::Export { .. }
        | Request::Walk
        | Request::Changed
        | Request::Scan { .. }
        | Request::Sync(_)
        | Request::Pick { .. } => Windows { input: 0, output: OUTPUT_WINDOW, errors: false },
        // Each of the transfers that an agent has under way may fill it: 32 MiB. Twice as much made nothing faster.
        Request::Put(_) => Windows { input: 2 << 20, output: 0, errors: false },
        Request::Stat { .. }
        | Request::Remove { .. }
        | Request::Processes
        | Request::Sample
        | Request::Freeze
        | Request::Thaw => Windows { input: 0, output: 0, errors: false },
    }
}
