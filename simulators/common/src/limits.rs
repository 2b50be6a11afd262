//! Every number of what the simulators share, with its unit and where it comes from.

use std::time::Duration;

/// Manifest of an image, bytes (the distribution specification's recommendation).
pub const MANIFEST: usize = 4 << 20;
/// Body of a login, bytes.
pub const LOGIN: usize = 1 << 20;
/// How long a registry's token is good, as it says.
pub const TOKEN_LIFE: Duration = Duration::from_secs(3_599);
/// Bytes copied per step between files and sockets.
pub const COPY_BLOCK: usize = 256 << 10;
/// Body of a fault that is asked for, bytes.
pub const FAULT: usize = 64 << 10;
