//! Every number of this crate: times, sizes and limits, each with its unit and its reason.

use std::{net::Ipv4Addr, time::Duration};

use sockerless_ports::logs::Bounds;

use crate::Subnet;

/// Bytes: the agent's own share of a container's memory. It idles below 10 MiB and buffers
/// a little output for each stream.
pub const AGENT_MEMORY: u64 = 32 * 1024 * 1024;

/// dockerd's smallest `--memory`, in bytes.
pub const MIN_MEMORY: i64 = 6 * 1024 * 1024;

/// dockerd's `ShmSize`, in bytes.
pub const SHM_SIZE: i64 = 64 * 1024 * 1024;

/// Seconds between SIGTERM and SIGKILL when nobody says otherwise, as in dockerd.
pub const STOP_GRACE: u64 = 10;

/// How long SIGKILL through the agent may take to show before the cloud is asked to end the job.
pub const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long `docker kill` waits for the end, as dockerd does: these ten seconds, and two for the second try.
pub const KILLED: Duration = Duration::from_secs(12);

/// How long `rm -f` waits for the end of a container before it removes it all the same; the job is
/// deleted in the background.
pub const REMOVE_PATIENCE: Duration = Duration::from_secs(10);

/// How long an agent may need to dial back once its job runs. It starts within a second; a name
/// server or a connection through a private network may take most of a minute.
pub const AGENT_PATIENCE: Duration = Duration::from_secs(120);

/// How long an agent that was told to go gets for it, before its job is deleted.
pub const FAREWELL: Duration = Duration::from_secs(5);

/// How long a request to an agent waits for its answer: a line that broke is noticed within 15 s and comes back a few
/// seconds later; no client wants to wait much longer without a word.
pub const LINE_PATIENCE: Duration = Duration::from_secs(30);

/// How long a terminal's size waits for an exec that is being started, as in dockerd.
pub const EXEC_READY: Duration = Duration::from_secs(10);

/// How long an exec is shown after its end; dockerd's own sweep finds it after 5 to 10 minutes.
pub const EXEC_KEPT: Duration = Duration::from_secs(300);

/// An exec that runs for longer than this has its process's number kept. Most are over before.
pub const EXEC_SETTLED: Duration = Duration::from_secs(1);

/// Between two health checks when nobody says otherwise, as in dockerd.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(30);
/// The same while the container may still be starting.
pub const HEALTH_START_INTERVAL: Duration = Duration::from_secs(5);
/// How long a health check may take when nobody says otherwise, as in dockerd.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(30);
/// Health checks that fail in a row make a container unhealthy, as in dockerd.
pub const HEALTH_RETRIES: u32 = 3;

/// Between two answers of `docker stats`, as in dockerd.
pub const STATS_PERIOD: Duration = Duration::from_secs(1);

/// How long the job of a trial may take to be deleted before the trial ends without that.
pub const TRIAL_CLEANING: Duration = Duration::from_secs(30);
/// Between two looks whether it is.
pub const TRIAL_LOOK: Duration = Duration::from_millis(50);

/// How long the agent of an ended container stays by default: long enough for a CI job's next stage, and to look at what went
/// wrong. The cloud bills that time as if the container ran.
pub const LINGER: Duration = Duration::from_secs(600);

/// How long an agent is kept at least for the start that follows a `restart`, which comes at once if at all.
pub const RESTART_HOLD: Duration = Duration::from_secs(30);

/// How long the agent of an ended run may need to take on the next one before another job is made. It takes milliseconds;
/// a line that is cut comes back within half a minute.
pub const SUCCEED_PATIENCE: Duration = Duration::from_secs(45);

/// How often a volume is tried to be brought back before the container's end is told without it.
pub const VOLUME_TRIES: u32 = 3;

/// How long a synced volume's storage keeps what its last two versions do not need: longer than any turn of an agent takes
/// that asks for a version in vain, since its daemon is gone.
pub const VOLUME_KEEP: Duration = Duration::from_secs(3600);

/// How long a synced volume's turn may go without anything that moves before it is given up; as long as something does, it may
/// take what it needs. A pack of 32 MiB is sent on its way at once: a line with 60 KB/s needs as long for it.
pub const SYNC_STALL: Duration = Duration::from_secs(600);

/// How long what a container has changed to be saved: gigabytes over a slow line.
pub const SAVE_PATIENCE: Duration = Duration::from_secs(1800);

/// How long an agent may need to freeze or thaw its container's processes.
pub const FREEZE_PATIENCE: Duration = Duration::from_secs(10);

/// First and longest pause between two tries of a call to a cloud.
pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How long a start is retried while the cloud is unavailable. Clients of CI systems wait 120 s.
pub const START_PATIENCE: Duration = Duration::from_secs(90);

/// Longest pause between two tries of deleting a job: nobody waits for it.
pub const DELETE_BACKOFF: Duration = Duration::from_secs(300);

/// So many transient failures in a row open the circuit of an operation.
pub const BREAKER_FAILURES: u32 = 5;

/// How long an open circuit lets nothing through but one try.
pub const BREAKER_PAUSE: Duration = Duration::from_secs(10);

/// When to ask for a job's status again while the cloud does not say.
pub const POLL: Duration = Duration::from_secs(1);

/// When to ask while the agent is connected: only for what the agent cannot tell, as that the cloud ended the job.
pub const POLL_CONNECTED: Duration = Duration::from_secs(20);

/// Jobs due within this time are asked for together.
pub const POLL_SLACK: Duration = Duration::from_millis(100);

/// Jobs in one status call: plugins fan out within a call, and their memory is limited.
pub const POLL_BATCH: usize = 100;

/// How long a backend's answer about image sources holds; settings change with a new plugin only.
pub const SOURCES_AGE: Duration = Duration::from_secs(60);

/// Added to a job's longest run for its `expires`: queueing, and time to look at what went wrong.
pub const EXPIRY_MARGIN: Duration = Duration::from_secs(24 * 3600);

/// Entries in one page of a cloud's log.
pub const LOG_PAGE: u32 = 1000;

/// After the end of a job its log in the cloud is read until nothing has come for so long, whatever the backend says of its lag.
pub const LOG_QUIET: Duration = Duration::from_secs(5);

/// After the end of a job whose log could not be read once yet, it is tried for so long: a minute's throttling is waited for.
pub const LOG_UNREAD: Duration = Duration::from_secs(60);

/// So much of the output that an agent has delivered has to be in the cloud's log, too, for what comes after it there to be taken:
/// bytes, and lines.
pub const LOG_PROOF: usize = 64 * 1024;
/// See [`LOG_PROOF`].
pub const LOG_PROOF_LINES: u64 = 1000;

/// The log driver `local`, as in dockerd: bytes of a file and number of files.
pub const LOCAL_LOG: Bounds = Bounds { file_bytes: 20_000_000, files: 5 };

/// The log of a container with the driver `none`: what clients that are attached have read is dropped soon.
pub const LOG_BUFFER: Bounds = Bounds { file_bytes: 1024 * 1024, files: 2 };

/// Volumes whose use is asked for at once.
pub const USAGES: usize = 16;

/// What a connection to a published port may have under way towards the client, bytes: a fifth faster than half of it; many at
/// once are to have little each.
pub const PUBLISHED: u32 = 512 << 10;

/// How long a connection to a published port waits for the agent to make it: a line that is down comes back within
/// seconds, and a client that waits longer has given up.
pub const DIAL_PATIENCE: Duration = Duration::from_secs(10);

/// Connections to a published port that may wait to be taken; the kernel's own limit comes first.
pub const BACKLOG: i32 = 4096;

/// How long to wait when a connection cannot be taken, mostly because there are too many open files.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A client of a published port that says nothing for this long is asked whether it is still there, as dockerd's proxy does.
pub const KEEPALIVE: Duration = Duration::from_secs(15);

/// Bytes to read at once from a client of a published port: a good part of what a channel may have under way.
pub const COPY: usize = 64 * 1024;

/// Bytes: no datagram is larger.
pub const DATAGRAM: usize = 64 * 1024;

/// How long a client of a UDP port is remembered after its last datagram, as by dockerd's proxy.
pub const UDP_IDLE: Duration = Duration::from_secs(90);

/// Clients of one UDP port at a time; datagrams of more are dropped, so that forged addresses cost little.
pub const UDP_SESSIONS: usize = 1024;

/// Datagrams of one client that wait for the line; more are dropped.
pub const UDP_QUEUE: usize = 64;

/// The ports out of which one is taken when any will do: the kernel's own range, as in dockerd.
pub const ANY_PORT: (u16, u16) = (32_768, 60_999);

/// Events that are remembered for `docker events --since`.
pub const EVENTS_KEPT: usize = 1000;

/// Events that a slow reader may lag behind before it misses some.
pub const EVENTS_BUFFER: usize = 4096;

/// Messages of progress between a worker and a slow client.
pub const PROGRESS_BUFFER: usize = 64;

/// Tries to find a free random name before a number is appended.
pub const NAME_TRIES: usize = 6;

/// How often clouds are compared with the state while the daemon runs: for jobs whose making was given up
/// without an answer.
pub const RECONCILE: Duration = Duration::from_secs(900);

/// Bytes of a container in a list, about: so much is set aside for each, so that the list is not moved as it grows.
pub const SUMMARY: usize = 1280;

/// Bytes of a container's files that the daemon keeps unless the operator says otherwise: more than a build leaves behind,
/// less than a disk has.
pub const FILES_LIMIT: u64 = 20 << 30;

/// Bytes of one bind mount that are sent into a container unless the operator says otherwise: they go over the line before each
/// start in a new job, and where the cloud's disk is memory they take it from the container's.
pub const BIND_SIZE: u64 = 1 << 30;

/// The file in a bind mount's directory that says what of it stays at home.
pub const BIND_IGNORE: &str = ".sockerlessignore";

/// Bind mounts are merged no more often than this.
pub const BIND_PERIOD: Duration = Duration::from_secs(1);

/// How long one bind mount may take to be sent, brought back or merged, the wait for other containers with the same files included,
/// and how long a container's mounts wait for what else is done with them: gigabytes over a slow line.
pub const BIND_PATIENCE: Duration = Duration::from_secs(1800);

/// Files and directories that each side of a bind mount may hold, and bytes of their names and of links' targets: the daemon has
/// one to two KB of memory for each, and a container could list without end.
pub const BIND_LISTED: usize = 1_000_000;
/// See [`BIND_LISTED`].
pub const BIND_LISTED_BYTES: usize = 256 << 20;

/// Directories within each other in a bind mount: one descriptor is open for each while a list is made.
pub const BIND_DEPTH: usize = 256;

/// Bytes of files that may be beside those that they replace, before they do: a checkout of many small files goes in one, and
/// a disk that is nearly full is not filled up for it.
pub const BIND_WAITING: u64 = 256 << 20;

/// Bytes of a name, in every file system that counts.
pub const BIND_NAME: usize = 255;

/// Bytes of files that are read or written at once.
pub const FILE_PIECE: usize = 256 * 1024;

/// Such pieces that may wait between two threads: memory for each copy under way.
pub const FILE_PIECES: usize = 4;

/// Paths that a line of the log names of what an agent may not read.
pub const UNREAD_SHOWN: usize = 20;

/// Files of images whose lists are held in memory, about 200 bytes each.
pub const TREE_NODES: usize = 300_000;

/// Bytes of a file that the daemon itself reads in a container: `/etc/passwd` and `/etc/group`.
pub const SMALL_FILE: u64 = 1 << 20;

/// The networks of the user's come out of here unless the operator says otherwise: what dockerd begins with, too.
pub const NETWORK_POOL: Subnet = Subnet::around(Ipv4Addr::new(172, 18, 0, 0), 16);

/// Bits of the prefix of a network's subnet: 253 containers on each of 256 networks.
pub const NETWORK_PREFIX: u8 = 24;

/// Seconds that a resolver may keep a container's address: containers come and go.
pub const RECORD_TTL: u32 = 10;

/// Records of one zone that are changed at once.
pub const RECORDS_AT_ONCE: usize = 4;

/// How long a client that removes a network waits while its zone cannot be deleted; then that goes on without it.
pub const REMOVAL_PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts to delete the zone of a removed network, each with its own tries.
pub const REMOVAL_PAUSE: Duration = Duration::from_secs(30);

/// Between two rounds of telling agents of their neighbours: changes that come meanwhile go together.
pub const NEIGHBOURS_PAUSE: Duration = Duration::from_millis(20);

/// Containers in one job: the most that a cloud with sidecars has in an instance, by its documentation, which is more than
/// another cloud's.
pub const POD_MEMBERS: usize = 10;
/// An agent of a pod whose line is down for so long while those of others are up is taken for lost: longer than an agent's
/// longest pause between two attempts, and shorter than what it waits for the daemon.
pub const MEMBER_LOST: Duration = Duration::from_secs(120);
