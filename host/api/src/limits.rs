//! Every number of this crate.

use std::time::Duration;

/// Largest JSON body in bytes: a create request with a thousand variables stays far below.
pub const JSON_BODY: usize = 8 << 20;

/// How many bytes of output go to a client in one write, in bytes. Measured: larger pieces are not faster.
pub const OUTPUT_PIECE: usize = 64 << 10;

/// How many bytes of standard input are read from a client at once, in bytes.
pub const INPUT_PIECE: usize = 32 << 10;

/// How long requests in flight may take to finish once the daemon is to end. Docker's clients wait no longer themselves.
pub const REQUEST_GRACE: Duration = Duration::from_secs(5);

/// How long hijacked connections may go on once the daemon is to end: enough for bytes on the way, not for a session.
pub const HIJACK_GRACE: Duration = Duration::from_secs(1);

/// How long a connection whose output has ended waits for the client to close its side, so that
/// nothing on the way is cut off by a reset.
pub const LINGER: Duration = Duration::from_secs(2);

/// Pause after a failed `accept` (too many open files), so that the loop does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections waiting for `accept`: fifty clients at once must not be refused.
pub const BACKLOG: u32 = 1024;

/// Permissions of the unix socket: owner and group, as dockerd's.
pub const SOCKET_MODE: u32 = 0o660;

/// How long the head of an answer stays the last thing on its connection at least, where that is needed: time for a
/// client to read it, too short to be felt.
pub const HEAD_ALONE: Duration = Duration::from_millis(3);

/// How often it is looked whether the client has read the head, where that can be seen.
pub const HEAD_LOOK: Duration = Duration::from_millis(1);

/// How long that is waited for: a machine under load lets a client wait, but not so long.
pub const HEAD_PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of a refused body that are read all the same, so that its sender gets to read the answer. dockerd reads 256 KiB;
/// a socket's buffers take more.
pub const UNWANTED_BODY: usize = 16 << 20;
