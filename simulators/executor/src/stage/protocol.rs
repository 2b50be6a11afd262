//! What the executor, a keeper and an init say to each other: JSON, one message per line, over a
//! socket that is the stage's standard input. The end of the socket means that the other is gone.

use std::{
    io::{self, Read, Write},
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    path::PathBuf,
};

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{cgroup::CgroupPlan, spec::FailureReason};

/// To a keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToKeeper {
    /// First: how to prepare itself.
    Prepare(Prepare),
    /// Somebody has connected the network namespace.
    Connected,
    /// Run this.
    Start(Box<Plan>),
    /// Send a signal to the command.
    Signal(i32),
}

/// From a keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromKeeper {
    /// The network namespace is there and waits to be connected.
    Unshared,
    /// Waits for `Start`.
    Ready,
    /// The command runs under this process id.
    Started(u32),
    /// The command never ran.
    Failed(StageFailure),
    /// The command ended.
    Exited {
        /// Exit code.
        code: Option<i32>,
        /// Or signal.
        signal: Option<i32>,
        /// The memory limit took a victim.
        out_of_memory: bool,
    },
}

/// From an init: nothing after `Executing` means that it became the command.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// Everything is in place; the next thing is execve.
    Executing,
    /// It is not going to run.
    Failed(StageFailure),
}

/// Why a stage gave up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StageFailure {
    /// For a program.
    pub reason: FailureReason,
    /// For a person.
    pub message: String,
}

impl StageFailure {
    pub(crate) fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(crate) fn internal(context: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::new(FailureReason::Internal, format!("{context}: {error}"))
    }
}

/// How a keeper prepares itself before it knows the task.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepare {
    /// The program to start as init.
    pub program: PathBuf,
    /// To enter first, as `/proc/PID/ns/user`.
    pub user_namespace: Option<PathBuf>,
    /// How the network namespace is connected.
    pub network: NetworkPlan,
}

/// How a network namespace is connected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum NetworkPlan {
    /// By a veth pair to a bridge of this machine.
    Bridge {
        /// The bridge's name.
        bridge: String,
        /// Name of the pair's end at the bridge.
        port: String,
        /// The task's address.
        address: Ipv4Addr,
        /// The bridge's address.
        gateway: Ipv4Addr,
    },
    /// By the executor, from outside, after `Unshared`.
    Outside,
}

/// A task in all detail.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The executor's state folder.
    pub state: PathBuf,
    /// Name of the task's folder below `tasks`.
    pub task: String,
    /// Names below `layers`, topmost first.
    pub layers: Vec<String>,
    /// The command with its arguments; never empty.
    pub argv: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// The image's USER.
    pub user: String,
    /// Absolute.
    pub working_dir: String,
    /// It is made if it is missing.
    pub make_working_dir: bool,
    /// Of the UTS namespace.
    pub hostname: String,
    /// Content of /etc/hosts.
    pub hosts: String,
    /// Content of /etc/resolv.conf.
    pub resolv_conf: String,
    /// In order.
    pub mounts: Vec<PlanMount>,
    /// Bits of the bounding set.
    pub capabilities: u64,
    /// In a user namespace: overlay attributes are of the `user` class.
    pub rootless: bool,
    /// Limits.
    pub cgroup: CgroupPlan,
    /// The network namespace to enter, as `/proc/PID/ns/net`; none to stay in the keeper's.
    pub network: Option<PathBuf>,
}

/// A mount of a plan.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlanMount {
    /// In the container.
    pub path: String,
    /// A file or folder of this machine; None: memory, or served.
    pub source: Option<PathBuf>,
    /// The socket at which a FUSE mount is handed over to its server.
    pub served: Option<PathBuf>,
    /// Of the memory, in bytes.
    pub size: Option<u64>,
    /// Writes are refused.
    pub read_only: bool,
}

/// One end of the line, for a stage (blocking).
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Takes over standard input, which becomes /dev/null.
    pub(crate) fn from_stdin() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(Self::new(stream))
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(crate) fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// Blocks for the next message; None at the end.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// A message that is here already.
    pub(crate) fn buffered<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        Ok(Some(serde_json::from_slice(&line)?))
    }

    /// Reads once; 0 at the end.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Gives the container's output pipes up, so that their readers see the end in time.
pub(crate) fn release_output() -> io::Result<()> {
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}
