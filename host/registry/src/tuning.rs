//! Every number of this crate, with its unit and reason.

use std::time::Duration;

/// Until a registry must have accepted a connection.
pub const CONNECT: Duration = Duration::from_secs(15);

/// How long a registry may be silent in the middle of an answer.
pub const SILENCE: Duration = Duration::from_secs(60);

/// Bytes of a manifest. The distribution specification asks registries to take 4 MiB.
pub const MAX_MANIFEST: usize = 4 << 20;

/// Bytes of an image's configuration.
pub const MAX_CONFIG: usize = 8 << 20;

/// Bytes of an error's or a token's answer.
pub const MAX_ANSWER: usize = 1 << 20;

/// Bytes of one JSON file in an archive.
pub const MAX_JSON: u64 = 8 << 20;

/// Bytes of all JSON files in an archive, which are held in memory while it is read.
pub const MAX_JSON_SUM: u64 = 64 << 20;

/// Life of a token that does not state one: what the token specification says.
pub const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// A token is not used this long before its end: a request takes time to arrive.
pub const TOKEN_MARGIN: Duration = Duration::from_secs(10);

/// Layers that are copied at once.
pub const COPIES: usize = 4;

/// Attempts at copying a layer when the line breaks.
pub const ATTEMPTS: u32 = 3;

/// Wait before the next attempt, times the number of attempts made.
pub const ATTEMPT_PAUSE: Duration = Duration::from_millis(500);

/// How long an image is taken to be where the cloud was last told to pull it from: clean-up policies of
/// registries work in days, and a start that fails has it looked for again.
pub const PROVIDED_FOR: Duration = Duration::from_secs(300);

/// Level of gzip: layers are compressed once and sent once, so time counts more than bytes.
pub const GZIP_LEVEL: u32 = 1;

/// Level of gzip for images of the host's own, which are pushed once and pulled with every start: gzip's own default, since more
/// saves a hundredth and takes twice the time.
pub const BUNDLE_GZIP_LEVEL: u32 = 6;

/// Bytes between two messages of progress for a layer.
pub const PROGRESS_EVERY: u64 = 1 << 20;

/// Digits of a short id, as Docker shows it.
pub const SHORT_ID: usize = 12;

/// Pieces of a saved archive that may wait for a slow reader; a piece is as large as a read of a disk or of a network.
pub const SAVE_PIECES: usize = 4;
