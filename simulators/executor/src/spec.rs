//! What a task is and what happens to it.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::SystemTime};

use bytes::Bytes;

use crate::{pod::Pod, served::Serve};

/// One container to run.
#[derive(Debug, Clone, Default)]
pub struct TaskSpec {
    /// Unique among the tasks that have not told their last event: `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`.
    pub id: String,
    /// Reference by tag or digest; `busybox` means `docker.io/library/busybox:latest`.
    pub image: String,
    /// Replaces the image's ENTRYPOINT (and drops its CMD); empty: the image's.
    pub command: Vec<String>,
    /// Replaces the image's CMD; empty: the image's, unless `command` is set.
    pub args: Vec<String>,
    /// Added to the image's; a later one of the same name wins.
    pub env: Vec<(String, String)>,
    /// Has to exist in the image, unless it may be made. None: the image's WORKDIR, or `/`.
    pub working_dir: Option<String>,
    /// A working directory that is missing is made, as runc does (`prepareRootfs`); gVisor does not.
    pub make_working_dir: bool,
    /// Thousandths of a processor; None: no limit.
    pub cpu_millis: Option<u32>,
    /// Memory limit in bytes; None: no limit.
    pub memory_bytes: Option<u64>,
    /// In this order, a later one may lie inside an earlier one.
    pub mounts: Vec<TaskMount>,
    /// The bounding set, with or without `CAP_`: `CHOWN`, `NET_BIND_SERVICE`. Root in the
    /// container has exactly these.
    pub capabilities: Vec<String>,
    /// None: `localhost`, as Cloud Run has it.
    pub hostname: Option<String>,
    /// Whose network and shared folders it has. None: its own.
    pub pod: Option<Pod>,
}

/// Something mounted into a container.
#[derive(Debug, Clone)]
pub struct TaskMount {
    /// Absolute path in the container; made if it is missing.
    pub path: String,
    /// What appears there.
    pub source: MountSource,
    /// Writes are refused.
    pub read_only: bool,
}

/// What backs a mount.
#[derive(Debug, Clone)]
pub enum MountSource {
    /// A folder of this machine.
    Directory(PathBuf),
    /// An empty tmpfs.
    Memory {
        /// Most bytes that it holds; None: half of the machine's memory.
        size: Option<u64>,
    },
    /// A folder of the task's pod, empty at first: the same for all of the pod's tasks that name it. It is on disk.
    Shared(String),
    /// A FUSE file system that the server answers for; needs /dev/fuse.
    Served(Arc<dyn Serve>),
}

/// What happens to a task, in order. The last one is `Exited` or `Failed`; then the channel closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEvent {
    /// The image is not on this machine and is fetched.
    Pulling,
    /// The command runs.
    Started {
        /// Its process id on this machine (1 in the container).
        pid: u32,
        /// The task's own address.
        address: IpAddr,
    },
    /// The container wrote something; a chunk is no line.
    Output {
        /// To stderr instead of stdout.
        stderr: bool,
        /// When it was read.
        time: SystemTime,
        /// At most 64 KiB.
        bytes: Bytes,
    },
    /// The command ended. Exactly one of code and signal is set.
    Exited {
        /// What it passed to `exit`.
        exit_code: Option<i32>,
        /// The number of the signal that ended it.
        signal: Option<i32>,
        /// The kernel killed something in the container for the memory limit.
        out_of_memory: bool,
    },
    /// The command never ran.
    Failed {
        /// Why, for a program.
        reason: FailureReason,
        /// Why, for a person.
        message: String,
    },
}

/// Why a task's command never ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum FailureReason {
    /// The registry has no such image (or, as some registries say it, one may not know).
    ImageNotFound,
    /// The registry wants a login, or another one.
    ImageUnauthorized,
    /// The image has no linux/amd64 variant.
    ImagePlatform,
    /// Manifest, configuration or a layer is broken, or not what its digest says.
    ImageInvalid,
    /// The registry cannot be reached, or answers with an error of its own.
    ImageUnavailable,
    /// A mount could not be made.
    MountFailed,
    /// The image's USER is not in its passwd or group file.
    UserNotFound,
    /// The working directory does not exist or is none.
    WorkingDirectory,
    /// No such executable (also: its interpreter is missing).
    CommandNotFound,
    /// It exists and may not be executed.
    CommandNotExecutable,
    /// It is no program for this machine (exec format error).
    ExecFormat,
    /// It was stopped before it had started.
    Cancelled,
    /// A fault of this machine or of the executor.
    Internal,
}
