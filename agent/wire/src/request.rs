//! What the daemon can ask of an agent beside running the container's process.
//!
//! A request opens a *channel*: the agent answers once with a [`Reply`]; bytes may go both ways, as the request says; at
//! the end the agent says how it went ([`End`]). These types are data alone. The daemon's side uses them as they are
//! (`sockerless_ports::link`), so that each thing is described once.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Size, mesh::Reach};

/// What a channel is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Request {
    /// Runs one more process. Reply: [`Reply::Started`] or [`Reply::Unstarted`]. Input: standard input; outputs: standard
    /// output (a terminal's, too) and standard error. End: [`End::Exited`].
    Exec(Box<Exec>),
    /// Looks at a path. Reply: [`Reply::Stat`].
    Stat {
        /// As the client gave it; taken from `/`.
        path: String,
    },
    /// Reads a path as a tar stream, as `GET /containers/{id}/archive` has it. Reply: [`Reply::Stat`].
    ///
    /// In all archives: what the agent's user may not read is left out, and the archive is whole without it
    /// ([`End::Partial`]). What shrinks, or cannot be read on while it is read, is filled with zeros, and the end is a fault
    /// that names it.
    Get {
        /// As the client gave it; taken from `/`.
        path: String,
    },
    /// Unpacks a tar stream (the input), as `PUT /containers/{id}/archive` has it. Reply: [`Reply::Ready`] if the
    /// directory is there; end when everything is unpacked.
    Put(Put),
    /// The whole file system as a tar stream, without what is mounted into it (`docker export`). Reply: [`Reply::Ready`].
    Export {
        /// Directories that are as good as mounted: the container's own volumes. Absolute.
        except: Vec<String>,
    },
    /// Lists the whole file system, without what is mounted into it: one JSON [`Entry`] in a line. Reply: [`Reply::Ready`].
    Walk,
    /// A tar stream of everything that is newer than the agent, without what is mounted. Reply: [`Reply::Ready`].
    Changed,
    /// Lists a path, whose links are followed, and everything below it, without what is mounted there: records of
    /// [`crate::listing`]. Reply: [`Reply::Ready`].
    Scan {
        /// Absolute.
        path: String,
        /// What is not listed, with all below it: from the path on.
        except: Vec<Name>,
    },
    /// Reads things below a directory as a tar stream, each by itself: what is in a directory is not read with it. What is
    /// not there is left out. Names in the archive are those asked for. Reply: [`Reply::Ready`].
    Pick {
        /// A directory; absolute.
        path: String,
        /// From the directory on, one before what is in it.
        names: Vec<Name>,
    },
    /// Removes things below a directory, in the order given. What is not there is removed already; a directory that is not
    /// empty, or is a mount, stays. Reply: [`Reply::Ready`] when that is done.
    Remove {
        /// A directory; absolute.
        path: String,
        /// From the directory on, what is in a directory before it.
        names: Vec<Name>,
    },
    /// Brings a synced volume in, or back. Reply: [`Reply::Ready`]; then blanks while something moves, and a
    /// [`crate::sync::Synced`] as JSON.
    Sync(Box<crate::sync::Sync>),
    /// Connects to a port that the container's processes listen on, for a process of another container or for a client of a
    /// published port. Reply: [`Reply::Ready`] once the connection is there. TCP: the connection's bytes both ways; the end of
    /// either direction is passed on by itself (half-close). UDP: each datagram both ways as its length (`u16`, big endian)
    /// and its bytes. From version 2.
    Reach(Reach),
    /// Lists the container's processes without the agent's own. Reply: [`Reply::Processes`].
    Processes,
    /// What the container uses at this moment. Reply: [`Reply::Sample`].
    Sample,
    /// Stops every process of the container, those that are being started, too (`docker pause`). Reply: [`Reply::Ready`].
    Freeze,
    /// Lets them go on. Reply: [`Reply::Ready`].
    Thaw,
}

/// A process beside the container's own (`docker exec`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The exec's id (64 hexadecimal digits): a daemon that was restarted finds it again by that.
    pub id: String,
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// `NAME=value`, complete. `HOME` and `TERM` are added as for the container's process.
    pub env: Vec<String>,
    /// Absolute; empty for `/`. Must exist.
    pub working_dir: String,
    /// Docker's `user[:group]`; none for the one that the agent has.
    pub user: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// With a terminal.
    pub tty: bool,
    /// With standard input; otherwise it is empty.
    pub stdin: bool,
    /// The terminal's first size.
    pub size: Option<Size>,
}

/// Where and how to unpack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// A directory, as the client gave it; taken from `/`.
    pub path: String,
    /// `noOverwriteDirNonDir`: a directory must not replace what is none, nor the reverse.
    pub keep_kind: bool,
    /// All belongs to whom the archive names: dockerd's way; for `copyUIDGID` the engine has put the container's user into
    /// the archive. Otherwise all belongs to the agent's user, which is also so where that is not root and may not give
    /// files away.
    pub owners: bool,
    /// The stream is an OCI layer: `.wh.` entries delete.
    pub layer: bool,
    /// Links are made as they are, wherever they lead. Otherwise, as in dockerd, a relative one may not lead out of the
    /// directory.
    #[serde(default)]
    pub any_links: bool,
}

/// A path below another one: bytes, nearly always text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name(pub Vec<u8>);

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with('\0') => serializer.serialize_str(text),
            // No name has a zero in it, unless somebody made it up.
            _ => serializer.serialize_str(&format!("\0{}", hex::encode(&self.0))),
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix('\0') {
            Some(digits) => hex::decode(digits).map(Self).map_err(D::Error::custom),
            None => Ok(Self(text.into_bytes())),
        }
    }
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A stream.
    Tcp,
    /// Datagrams.
    Udp,
}

/// The answer to a request; the first thing that is said on its channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Reply {
    /// The process runs.
    Started {
        /// Its number in the container.
        pid: u32,
    },
    /// The process could not be started. Nothing follows.
    Unstarted {
        /// 127 when the program is not there, 126 for everything else (dockerd, `ContainerExecStart`).
        code: i32,
        /// In the words of dockerd's runtime, from behind "unable to start container process: "; of a user or group that
        /// is not known ("unable to find …"), in dockerd's own.
        message: String,
    },
    /// What the path is.
    Stat(PathStat),
    /// The processes.
    Processes {
        /// In the order of their numbers.
        list: Vec<ProcessInfo>,
    },
    /// What the container uses.
    Sample(Box<Sample>),
    /// Done, or bytes may go now.
    Ready,
    /// It cannot be done. Nothing follows.
    Failed(Fault),
}

/// How a channel ended. Said after all output has been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum End {
    /// The process ended, as a shell tells it: 128 + signal for one that a signal ended.
    Exited {
        /// The code.
        code: i32,
    },
    /// All went well.
    Done,
    /// An archive is whole, with its end, but for what the agent's user may not read.
    Partial {
        /// Why the first of it could not be read.
        fault: Fault,
        /// What is not in it. As many as [`crate::limits::LEFT_OUT`] allows.
        left_out: Vec<LeftOut>,
        /// How many more there are.
        more: u64,
    },
    /// It could not be done to the end.
    Failed(Fault),
}

/// Something that an archive was to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The name that it would have in the archive.
    pub name: String,
    /// What it is. A directory itself is in the archive; what is in it is not ([`Entry::closed`]).
    #[serde(flatten)]
    pub entry: Entry,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind of thing went wrong.
    pub kind: FaultKind,
    /// For the user, in dockerd's words where it has some.
    pub message: String,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The path, user or program is not there.
    NotFound,
    /// What was sent cannot be used (a broken archive, say).
    Invalid,
    /// The agent's user may not do that.
    Forbidden,
    /// What is there forbids it (a directory in the place of a file, say).
    Conflict,
    /// Nobody listens on the port.
    Refused,
    /// The container's machine cannot do that.
    Unsupported,
    /// Anything else.
    Internal,
}

/// What a path is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    /// The last part of the path, `/` for the root.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// `st_mode`: kind and permissions.
    pub mode: u32,
    /// When it was changed, nanoseconds since 1970.
    pub modified: i64,
    /// Where a symbolic link leads; within the container and absolute, as dockerd has it.
    pub link: String,
}

/// One entry of a file system, for [`Request::Walk`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Absolute.
    pub path: String,
    /// `st_mode`: kind and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes, for files.
    pub size: u64,
    /// When it was changed, whole seconds since 1970.
    pub modified: i64,
    /// Where a symbolic link leads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link: String,
    /// Its metadata or content was touched since the agent began (`st_ctime`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recent: bool,
    /// What is below it is not listed: something is mounted there, or the agent's user may not look into it. So what the
    /// image has there is not taken for removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its number.
    pub pid: i32,
    /// Its parent's; 0 for one whose parent is the agent.
    pub parent: i32,
    /// Process group.
    pub group: i32,
    /// Session.
    pub session: i32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// The user's name in the container's `/etc/passwd`; the number where there is none.
    pub user: String,
    /// The state's letter, as in `/proc/PID/stat`.
    pub state: char,
    /// The terminal's name (`pts/0`); empty for none.
    pub tty: String,
    /// When it began, milliseconds since 1970.
    pub started: u64,
    /// Time used in user mode, milliseconds.
    pub user_time: u64,
    /// Time used by the kernel for it, milliseconds.
    pub system_time: u64,
    /// Address space, bytes.
    pub virtual_bytes: u64,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Nice value.
    pub nice: i32,
    /// Threads.
    pub threads: u32,
    /// `comm`.
    pub name: String,
    /// Arguments; empty for a kernel thread or a zombie.
    pub command: Vec<String>,
}

/// What a container uses, as Docker's stats need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub time: u64,
    /// Time of all processors used by the container, nanoseconds.
    pub cpu_total: u64,
    /// … in user mode.
    pub cpu_user: u64,
    /// … by the kernel.
    pub cpu_system: u64,
    /// Time that all processors of the machine have spent, nanoseconds.
    pub machine_cpu: u64,
    /// Processors.
    pub cpus: u32,
    /// Periods, periods that were throttled, nanoseconds of throttling.
    pub throttling: [u64; 3],
    /// Bytes, the page cache included.
    pub memory: u64,
    /// Bytes; the machine's memory when there is no limit.
    pub memory_limit: u64,
    /// Names and values as in the cgroup's `memory.stat`.
    pub memory_detail: Vec<(String, u64)>,
    /// Processes and threads.
    pub pids: u64,
    /// Their limit; 0 for none.
    pub pids_limit: u64,
    /// Input and output of block devices: major, minor, operation (`read`, `write`), bytes.
    pub block: Vec<(u64, u64, String, u64)>,
    /// Network interfaces but the loopback.
    pub networks: Vec<Interface>,
}

/// What went through a network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Received: bytes, packets, errors, dropped.
    pub received: [u64; 4],
    /// Sent: bytes, packets, errors, dropped.
    pub sent: [u64; 4],
}

/// A health check that the agent runs (Docker's `HEALTHCHECK`). Durations in milliseconds, Docker's defaults filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Program and arguments; a `CMD-SHELL` test has its shell before it.
    pub argv: Vec<String>,
    /// Between two probes.
    pub interval: u64,
    /// A probe may take this long.
    pub timeout: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Failures do not count that long after the start.
    pub start_period: u64,
    /// Between two probes in the start period.
    pub start_interval: u64,
}

/// Where a health check stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// So far.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// Counts the probes of this run.
    pub probes: u64,
    /// The last five.
    pub log: Vec<Probe>,
}

/// Docker's words for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Not known yet.
    #[default]
    Starting,
    /// The last probe succeeded.
    Healthy,
    /// Too many failed in a row.
    Unhealthy,
}

/// One probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Milliseconds since 1970.
    pub start: u64,
    /// Milliseconds since 1970.
    pub end: u64,
    /// 0 healthy, 1 unhealthy, -1 when it took too long or could not be run.
    pub code: i32,
    /// At most 4,096 bytes of its output.
    pub output: String,
}
