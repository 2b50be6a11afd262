//! All numbers of the daemon's own.

use std::time::Duration;

/// How long the simulator may take to start or to end: it lays out its state, and ends the containers that run in it.
pub const SIMULATOR_PATIENCE: Duration = Duration::from_secs(20);

/// From one look at the simulator's ready file to the next; the daemon waits for it at its own start.
pub const SIMULATOR_LOOK: Duration = Duration::from_millis(5);

/// Lines of the simulator's log that an error quotes.
pub const SIMULATOR_TAIL: usize = 8;

/// How long a daemon may take to say that it is there before a subcommand takes it for gone.
pub const GREETING: Duration = Duration::from_secs(5);

/// Seconds that the doctor's test container may take to call back once the cloud says that it runs.
pub const DOCTOR_PATIENCE: u64 = 60;

/// The port on which the daemon listens for containers in a cloud unless the configuration says otherwise; next to Docker's
/// 2375 and 2376.
pub const CALLBACK_PORT: u16 = 2377;
