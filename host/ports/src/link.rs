//! Agents' connections, as the engine sees them.
//!
//! An agent serves one *run*: one start of one container. It dials the daemon, proves with a
//! ticket that it is the one that was awaited, and from then on carries what is interactive.
//! The line may break and come back at any time; nothing here is lost or doubled by that.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sockerless_agent_wire::request::{End, Health, HealthCheck, Reply, Request};
pub use sockerless_agent_wire::{
    datagrams, environment, limits, listing,
    mesh::{Catching, MeshNetwork, MeshView, Rung},
    request, sync,
};

pub use sockerless_agent_wire::mesh::{Reach, Target};

/// What the engine asks of agents. All calls concern an admitted run.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// The address that agents dial (`ws://…` or `wss://…`); none when the operator gave none,
    /// in which case containers run without an agent.
    fn callback_url(&self) -> Option<String>;

    /// Awaits a run's agent, or its return: nobody else is let in. Replaces an admission of the same run.
    fn admit(&self, admission: Admission, events: Arc<dyn AgentEvents>);

    /// Forgets a run; its connection is closed.
    fn dismiss(&self, run: &RunId);

    /// Whether the run's agent is connected at this moment.
    fn is_connected(&self, run: &RunId) -> bool;

    /// Sends to the process's standard input; returns once the line has taken it, which is when
    /// the process has read enough of what came before (flow control).
    async fn write_stdin(&self, run: &RunId, bytes: Bytes) -> Result<(), LinkError>;

    /// Closes the process's standard input after all that was written.
    async fn close_stdin(&self, run: &RunId) -> Result<(), LinkError>;

    /// Sends a signal to the process. Delivered also when the line is down for a moment.
    async fn signal(&self, run: &RunId, signal: i32) -> Result<(), LinkError>;

    /// Sets the size of the process's terminal.
    async fn resize(&self, run: &RunId, size: TerminalSize) -> Result<(), LinkError>;

    /// Asks the run's agent for something, before, while or after its process runs. Returns with the agent's reply. Waits
    /// while the line is down; who does not want to wait for ever drops the future, which takes the request back.
    async fn open(&self, run: &RunId, request: Request) -> Result<(Reply, Box<dyn Channel>), LinkError>;

    /// Finds an exec of a run that an earlier daemon opened, by its id; what it wrote and nobody acknowledged comes again.
    /// Waits until the agent is there. Errors: [`LinkError::Closed`] when the agent does not know it.
    async fn adopt(&self, run: &RunId, exec: &str) -> Result<Box<dyn Channel>, LinkError>;

    /// The agent of a run that has ended shall do another one of the same container in its place, over the same line: `next`
    /// is admitted, and its agent will ask for a launch as a new one does. The old run is dismissed once that happens.
    /// Delivered also when the line is down for a moment. What the old run's channels did ends.
    fn succeed(&self, run: &RunId, next: Admission, events: Arc<dyn AgentEvents>) -> Result<(), LinkError>;

    /// Gives the link what it asks about networks; once, before any run is admitted. Without it no container reaches
    /// another.
    fn join(&self, mesh: Arc<dyn Mesh>);

    /// A run's [`Mesh::view`] may have changed: it is asked for anew, and told to the run's agent if it has. Returns at
    /// once. Of no effect for a run that is not admitted, and not needed for a launch, before which it is asked for anyway.
    fn refresh(&self, run: &RunId);
}

/// Who may reach whom: what the engine knows of networks. The questions are answered from memory, at once: they are asked
/// by whatever serves an agent's line, for each connection. The link holds no lock of its own meanwhile.
#[async_trait]
pub trait Mesh: Send + Sync + 'static {
    /// Whom a run's container may reach. Empty for a run that is on no network.
    ///
    /// Asked before the run's launch, when its agent's line comes up, and after [`Link::refresh`].
    fn view(&self, run: &RunId) -> MeshView;

    /// Who has an address, as seen by a run whose process wants to connect there. What the agent claims is of no matter:
    /// `from` is the run that its line has proved to be. This is the place where networks are kept apart.
    fn route(&self, from: &RunId, to: Ipv4Addr) -> Route;

    /// The socket of the daemon's own API, for a run into whose container it is mounted; none for every other: this is the
    /// place where that is decided, whatever the agent claims.
    fn api(&self, _from: &RunId) -> Option<PathBuf> {
        None
    }

    /// A run's agent tells how it catches connections. Told with the other events of the run, in order; again on each line.
    async fn catching(&self, run: &RunId, catching: Catching);
}

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To this run, which may be the one that asks.
    To {
        /// The run.
        run: RunId,
        /// The address of the run that asks, in the network that both are on.
        from: Ipv4Addr,
    },
    /// Out of the mesh: to this address, as seen from the daemon's machine.
    Outside(IpAddr),
    /// It is a gateway's, that is the daemon's own, and nothing is to be had there.
    Closed,
    /// Nobody has that address now, though it is one of a network that the run is on.
    Nobody,
    /// It is no address of a network that the run is on: its agent has no business there.
    Foreign,
}

/// One request under way. Bytes survive a cut of the line. Dropping it ends what it does; an exec's process alone goes on,
/// and its output is then thrown away.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// The next bytes of its outputs, in the order in which they came; none when all have ended. What was read before
    /// counts as dealt with: only then the agent sends more.
    async fn read(&self) -> Option<(Output, Bytes)>;

    /// Sends bytes; returns once the line has taken them (flow control). Errors: the other end takes no more.
    async fn write(&self, bytes: Bytes) -> Result<(), LinkError>;

    /// No more bytes will be sent.
    fn finish(&self);

    /// Sets the size of an exec's terminal.
    fn resize(&self, size: TerminalSize);

    /// Waits for the end, which comes after all output was read.
    async fn end(&self) -> Result<End, LinkError>;
}

/// What agents tell the engine. For one run calls come in order, one at a time.
#[async_trait]
pub trait AgentEvents: Send + Sync + 'static {
    /// The ticket was presented together with a secret of the agent's making. Returns after the
    /// secret's hash is durable: from then on only who knows the secret may return.
    async fn bound(&self, run: &RunId, secret: Digest) -> Result<(), Refusal>;

    /// Waits until an agent that has nothing to do yet can be told what: [`Self::launch`] follows. Of an agent that is there
    /// before its container is started this lasts. May be broken off at any time, and is asked again on the next line.
    async fn wanted(&self, _run: &RunId) {}

    /// The agent has nothing to do yet and asks for it. None: there is nothing (any more), and it is to stay until it is
    /// dismissed.
    async fn launch(&self, run: &RunId) -> Result<Option<Launch>, Refusal>;

    /// The process runs.
    async fn started(&self, run: &RunId, pid: u32);

    /// The process could not be started: Docker's exit code for it (126, 127) and its words.
    async fn failed(&self, run: &RunId, failure: LaunchFailure);

    /// How many bytes of an output are kept already; asked when the line comes (back) up.
    async fn kept(&self, run: &RunId, output: Output) -> u64;

    /// Bytes of an output, of which the first has the offset. Returns once they are kept:
    /// that is what the agent's acknowledgement means. Never called with a gap or an overlap.
    async fn output(&self, run: &RunId, output: Output, offset: u64, bytes: Bytes) -> Result<(), Refusal>;

    /// The process ended and all its output has been given to `output`.
    async fn exited(&self, run: &RunId, exit: Exit);

    /// The health check has new results. Only the last state counts; it is told again after a cut.
    async fn health(&self, run: &RunId, health: Health);

    /// The cloud has told the agent of an ended run to go (SIGTERM): it stays for a few seconds more.
    async fn leaving(&self, run: &RunId);

    /// The line came up (again) or is down.
    async fn line(&self, run: &RunId, up: bool);
}

/// One start of one container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId {
    /// 64 hexadecimal digits.
    pub container: String,
    /// Counts the container's starts from 1.
    pub generation: u32,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.container, self.generation)
    }
}

/// A SHA-256.
pub type Digest = [u8; 32];

/// Who may connect as the agent of a run.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The run.
    pub run: RunId,
    /// Hash of the one-time ticket that the job was given.
    pub ticket: Digest,
    /// Hash of the agent's secret, once it is bound.
    pub secret: Option<Digest>,
}

/// Why the engine turns an agent away; it ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// The process to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// `NAME=value`, complete: nothing of the agent's own environment is added.
    pub env: Vec<String>,
    /// Absolute; made when missing.
    pub working_dir: String,
    /// Docker's `user[:group]`, by name or number; none for the one the agent has.
    pub user: Option<String>,
    /// Supplementary groups (`--group-add`).
    pub groups: Vec<String>,
    /// The process gets a terminal.
    pub tty: bool,
    /// Standard input is open until it is closed; otherwise it is empty.
    pub stdin: bool,
    /// The terminal's first size.
    pub size: Option<TerminalSize>,
    /// The host name to set, where that is permitted.
    pub hostname: Option<String>,
    /// Paths that are to be memory file systems, with Docker's tmpfs options.
    pub tmpfs: Vec<(String, String)>,
    /// Paths in the container at which the daemon's API is served, by a unix socket of the agent's.
    #[serde(default)]
    pub sockets: Vec<String>,
    /// To be run beside the process.
    pub health: Option<HealthCheck>,
}

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

impl From<TerminalSize> for sockerless_agent_wire::Size {
    fn from(size: TerminalSize) -> Self {
        Self { columns: size.columns, rows: size.rows }
    }
}

/// One of a process's outputs. A terminal's is `Stdout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// As a shell tells it: 128 + signal for one that a signal ended.
    pub code: i32,
    /// The signal, if it was one.
    pub signal: Option<i32>,
    /// The kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Milliseconds since 1970, by the container's clock.
    pub time: u64,
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchFailure {
    /// 126 when it cannot be executed, 127 when it is not there, 128 otherwise.
    pub code: i32,
    /// In the words of dockerd's runtime.
    pub message: String,
}

/// Why a call to an agent failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The run was not admitted, or was dismissed.
    #[error("no agent is expected for this container")]
    Unknown,
    /// The process has ended, or its input was closed.
    #[error("the process does not take this any more")]
    Closed,
}
