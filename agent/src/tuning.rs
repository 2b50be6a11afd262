//! All numbers of the agent; those that the daemon must know, too, are in `sockerless_agent_wire::limits`.

use std::time::Duration;

/// Exit code when the agent itself cannot do its work, as `docker run` has it.
pub const CANNOT_RUN: i32 = 125;

/// Dialling, TLS and the upgrade together.
pub const DIAL: Duration = Duration::from_secs(10);
/// The daemon's answer to a hello: it may have to wait for its disk.
pub const WELCOME: Duration = Duration::from_secs(15);
/// The first pause before dialling again; doubled from there.
pub const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
pub const PAUSE_MOST: Duration = Duration::from_secs(5);
/// A daemon that does not know this run gets this long to learn of it: it may just have started.
pub const UNWANTED: Duration = Duration::from_secs(60);
/// Without ever having been welcomed there is nothing to do.
pub const NEVER_WELCOMED: Duration = Duration::from_secs(600);

/// After the daemon's socket failed to accept (no file descriptors, say).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One read of the process's output, bytes.
pub const PIECE: usize = 64 << 10;
/// What the kernel holds of a pipe, bytes: fewer switches between process and agent than the default of 64 KiB.
pub const PIPE: i32 = 256 << 10;
/// Output of one stream that waits for acknowledgement while the line is up, bytes.
pub const CONNECTED: usize = 4 << 20;
/// Output of all streams while the line is down, bytes; see `SOCKERLESS_AGENT_BUFFER`.
pub const DISCONNECTED: usize = 64 << 20;
/// The least that can be set for it: what a connection needs anyway.
pub const BUFFER_LEAST: usize = 64 << 10;
/// Output of one stream that waits for the cloud's log, bytes; more is left out of that log.
pub const TEE: usize = 1 << 20;
/// The log is written to in batches: between two looks for more.
pub const TEE_PAUSE: Duration = Duration::from_millis(2);
/// What the cloud's log gets at the end to take the rest.
pub const TEE_END: Duration = Duration::from_secs(2);
/// A log that is not ready (its pipe does not block) is tried again after this.
pub const TEE_RETRY: Duration = Duration::from_millis(10);

/// A message with this much output, bytes, is followed by more.
pub const MUCH: usize = 4 << 10;
/// Output below this is gathered while some is under way, bytes, …
pub const WORTHWHILE: u64 = 128 << 10;
/// … but not for longer than this.
pub const GATHER: Duration = Duration::from_millis(2);
/// Bytes that a stream may send before the next one has its turn.
pub const SHARE: usize = 16 << 10;
/// What was dealt with of a conversation is acknowledged with whatever is said next, but after this time in any case.
pub const LATER: Duration = Duration::from_millis(5);
/// What is said about channels (replies, ends, acknowledgements) is sent in messages of about this size, bytes.
pub const SAID: usize = 32 << 10;
/// What the outputs of all channels may hold before each has to do with little, bytes, …
pub const CHANNELS: usize = 32 << 20;
/// … which is this much, bytes: nobody waits for others to be read.
pub const CHANNEL_LEAST: usize = 64 << 10;
/// Execs that have ended while no daemon had them; older ones are forgotten.
pub const REMEMBERED: usize = 1024;
/// After a restart, a daemon gets this long to ask for the execs of the one before it; then their output is thrown away,
/// lest they wait for ever.
pub const ADOPTION: Duration = Duration::from_secs(60);
/// Room for one read below which a new buffer is taken, bytes.
pub const PIECE_LEAST: usize = 8 << 10;

/// One read of the connection, bytes: a whole message. With a third of it and smaller messages files came in a quarter slower.
pub const READ: usize = sockerless_agent_wire::limits::MESSAGE;

/// After the end, how long the daemon is waited for; see `SOCKERLESS_AGENT_LINGER`.
pub const LINGER: Duration = Duration::from_secs(600);
/// Between two looks at whether processes of others in the same job run, while the daemon is away: short beside
/// [`LINGER`], after which nobody waits any more.
pub const OTHERS_POLL: Duration = Duration::from_secs(5);
/// After the cloud's SIGTERM there are ten seconds until its SIGKILL.
pub const TERMINATED: Duration = Duration::from_secs(9);
/// Between SIGTERM and SIGKILL when the daemon does not want the process any more.
pub const GRACE: Duration = Duration::from_secs(10);
/// What is left of the process's descendants must be gone, and its pipes closed, by then.
pub const REST: Duration = Duration::from_secs(2);
/// Between two looks at that.
pub const REST_POLL: Duration = Duration::from_millis(5);

/// Transfers of files under way at once; more wait. Each has a thread.
pub const TRANSFERS: usize = 16;
/// Threads for what blocks: one for each transfer, and some to start processes.
pub const THREADS: usize = TRANSFERS + 16;
/// Pieces of at most `limits::DATA` bytes between a transfer's thread and the line.
pub const TRANSFER_PIECES: usize = 4;

/// A connection to a process in this container: it is refused at once, or its queue is full.
pub const CONNECT: Duration = Duration::from_secs(10);

/// Datagrams of one exchange with another container that wait on either side; more are lost.
pub const DATAGRAMS: usize = 64;

/// All processes must be stopped within this: one that makes others faster than they are stopped cannot be paused.
pub const FREEZE: Duration = Duration::from_secs(5);
/// Between two looks at them.
pub const FREEZE_POLL: Duration = Duration::from_millis(1);

/// What is kept of a health probe's output, bytes, as in dockerd.
pub const PROBE_OUTPUT: usize = 4096;
/// One read of it, bytes.
pub const PROBE_PIECE: usize = 4 << 10;
/// What a probe left behind may hold its output open no longer.
pub const PROBE_REST: Duration = Duration::from_millis(100);

/// Between two looks at what the container listens on, for others that cannot find out by trying: a port that begins to listen
/// is there for them within a second.
pub const PORTS_POLL: Duration = Duration::from_millis(300);

/// Results of a health check that are kept, as in dockerd.
pub const HEALTH_LOG: usize = 5;
/// The shortest interval of health checks that dockerd takes.
pub const HEALTH_SHORTEST: Duration = Duration::from_millis(1);
/// Health checks that fail in a row make a container unhealthy when no number is given, as in dockerd.
pub const HEALTH_RETRIES: u32 = 3;
