//! Control messages.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    FrameError, Key,
    mesh::{Catching, Connected, MeshView, Target},
    request::{End, Health, HealthCheck, Reply, Request},
};

/// A range of versions of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub min: u32,
    /// The newest.
    pub max: u32,
}

impl Versions {
    /// The newest that both speak.
    pub fn agree(self, other: Self) -> Option<u32> {
        let newest = self.max.min(other.max);
        (newest >= self.min && newest >= other.min).then_some(newest)
    }
}

/// Where a receiver stands in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The stream.
    pub stream: u32,
    /// The byte that it expects.
    pub offset: u64,
    /// How many it takes from there on.
    pub credit: u32,
}

/// The first message of each connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What the agent speaks.
    pub versions: Versions,
    /// The agent's release, for the log.
    pub software: String,
    /// `<container id>.<generation>`.
    pub run: String,
    /// The one-time ticket; left out once the agent was welcomed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Key>,
    /// What the agent made up; it is bound to the run with the ticket, and proves the agent from then on.
    pub secret: Key,
    /// The agent has nothing to do yet.
    pub idle: bool,
    /// Where the agent stands in the streams towards it.
    pub streams: Vec<Position>,
    /// The last of the daemon's numbered commands that the agent has carried out; 0 for none.
    pub commands: u64,
    /// The session that the channels belong to: what the last welcome said; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// The channels that the agent has: their numbers, and where it stands in their inputs (offset, credit).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<(u32, u64, u32)>,
}

/// A channel that the daemon goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Its number.
    pub channel: u32,
    /// The daemon has the reply.
    pub replied: bool,
    /// Where the daemon stands in the channel's outputs (offset, credit); none if it does not know where they begin, since
    /// it adopts the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<[(u64, u32); 2]>,
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromAgent {
    /// Who it is; first.
    Hello(Box<Hello>),
    /// The process runs. Said on each connection.
    Started {
        /// Its number in the container.
        pid: u32,
    },
    /// The process could not be started. Said on each connection until confirmed.
    Failed {
        /// Docker's exit code for it.
        code: i32,
        /// In the runtime's words.
        message: String,
    },
    /// The process ended, and all its output was acknowledged. Said on each connection until confirmed.
    Exited {
        /// 128 + signal for one that a signal ended.
        code: i32,
        /// The signal, if it was one.
        signal: Option<i32>,
        /// The kernel ended it for want of memory.
        out_of_memory: bool,
        /// Milliseconds since 1970.
        time: u64,
    },
    /// The answer on a channel. Said again until the daemon has it.
    Opened {
        /// The channel.
        channel: u32,
        /// The answer.
        reply: Reply,
        /// Where the agent stands in the input (offset, credit).
        input: (u64, u32),
        /// The oldest bytes of both outputs that the agent has: not 0 when an exec is adopted.
        outputs: [u64; 2],
    },
    /// A channel's work is over; its outputs are as long as their last frames say. Said again until it is closed.
    Ended {
        /// The channel.
        channel: u32,
        /// How it went.
        end: End,
    },
    /// Where the health check stands. Said when that has changed, and on each connection.
    Health(Health),
    /// The process has ended and the cloud wants the agent to go: it stays for a few seconds more. Said on each connection.
    Leaving,
    /// Opens a channel to another container. Said again to a daemon that does not know of it. From version 2.
    Connect {
        /// Its number, at least [`crate::streams::OF_AGENT`], that of no other channel of the session.
        channel: u32,
        /// Where to.
        target: Target,
    },
    /// Opens a channel to this daemon's API: bytes both ways, the end of either passed on by itself. For a process that
    /// connects to the daemon's socket, where that is mounted into the container. Everything else is as with
    /// [`Self::Connect`]. From version 2.
    ConnectApi {
        /// Its number, at least [`crate::streams::OF_AGENT`], that of no other channel of the session.
        channel: u32,
    },
    /// The agent wants no more of a channel that it opened; nothing is said on it any more. Before the daemon has said that
    /// the other end is gone, this breaks it off. From version 2.
    HangUp {
        /// The channel.
        channel: u32,
    },
    /// How connections are caught. Said when that is known, and on each connection. From version 2.
    Catching(Catching),
}

/// What the daemon says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromDaemon {
    /// The answer to a hello.
    Welcome {
        /// The version to speak.
        version: u32,
        /// Where the daemon stands in the streams towards it.
        streams: Vec<Position>,
        /// Whose the channels are: a daemon that was restarted has another session, and none of the old one's channels.
        #[serde(default)]
        session: u64,
        /// The channels that the daemon goes on with; all others are closed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        channels: Vec<Resumed>,
    },
    /// The agent is not wanted.
    Refused {
        /// Why, for the log.
        reason: String,
        /// It may be wanted in a while: a daemon that has just started may not know it yet.
        again: bool,
    },
    /// What to start. An agent that has started something ignores it.
    Launch(Box<Launch>),
    /// Send a signal to the process. Acknowledged by its number on the control stream.
    Signal {
        /// Counts the run's commands from 1.
        number: u64,
        /// The signal.
        signal: i32,
    },
    /// Set the terminal's size. Repeated after a cut.
    Resize(Size),
    /// The end that the agent reported is known for good.
    Confirmed,
    /// Opens a channel. Said again to an agent that does not know of it.
    Open {
        /// Its number, from 1, that of no other channel of the session.
        channel: u32,
        /// What for.
        request: Box<Request>,
    },
    /// Opens a channel to an exec that another session, or a closed channel, has left. Answered as [`Self::Open`] is.
    Adopt {
        /// Its number.
        channel: u32,
        /// The exec's id.
        exec: String,
    },
    /// The daemon wants no more of a channel. What it does ends; an exec alone goes on, without its output.
    Close {
        /// The channel.
        channel: u32,
        /// The daemon knows how it ended: an exec may be forgotten.
        known: bool,
    },
    /// Set the size of an exec's terminal. Repeated after a cut.
    ResizeChannel {
        /// The channel.
        channel: u32,
        /// The size.
        size: Size,
    },
    /// The run is over and the daemon wants another one in its place: the agent says hello for that, on this connection.
    Successor {
        /// `<container id>.<generation>`.
        run: String,
    },
    /// Whom the container may reach. Said before a launch, when it changes, and on each connection. From version 2.
    Mesh(Box<MeshView>),
    /// The answer on a channel that the agent opened. Said again until the agent hangs up. From version 2.
    Connected {
        /// The channel.
        channel: u32,
        /// The answer.
        outcome: Connected,
    },
    /// The other end of a channel that the agent opened is gone. What came before counts. Said again until the agent hangs
    /// up. From version 2.
    Disconnected {
        /// The channel.
        channel: u32,
        /// It was broken off: what has come need not be all.
        reset: bool,
    },
}

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// The process to run: the same as the daemon's own, see `sockerless_ports::link::Launch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// `NAME=value`, complete.
    pub env: Vec<String>,
    /// Absolute; made when missing. Empty for `/`.
    pub working_dir: String,
    /// `user[:group]`, by name or number.
    pub user: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// With a terminal.
    pub tty: bool,
    /// With standard input.
    pub stdin: bool,
    /// The terminal's first size.
    pub size: Option<Size>,
    /// To set where that is permitted.
    pub hostname: Option<String>,
    /// Paths and options of memory file systems.
    pub tmpfs: Vec<(String, String)>,
    /// Paths at which the daemon's API is served ([`FromAgent::ConnectApi`]), instead of whatever the image has there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<String>,
    /// To be run beside the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
}

/// Reads a control message.
fn parse<T: DeserializeOwned>(json: &Bytes) -> Result<T, FrameError> {
    serde_json::from_slice(json).map_err(|error| FrameError::Message(error.to_string()))
}

impl FromAgent {
    /// Reads it from a control frame.
    pub fn parse(json: &Bytes) -> Result<Self, FrameError> {
        parse(json)
    }
}

impl FromDaemon {
    /// Reads it from a control frame.
    pub fn parse(json: &Bytes) -> Result<Self, FrameError> {
        parse(json)
    }
}

#[cfg(test)]
mod tests {
    use super::Versions;

    #[test]
    fn the_newest_common_version_is_agreed_on() {
        let v = |min, max| Versions { min, max };
        assert_eq!(v(1, 3).agree(v(2, 5)), Some(3));
        assert_eq!(v(2, 5).agree(v(1, 3)), Some(3));
        assert_eq!(v(1, 1).agree(v(1, 1)), Some(1));
        assert_eq!(v(1, 1).agree(v(2, 3)), None);
        assert_eq!(v(4, 5).agree(v(2, 3)), None);
    }
}
