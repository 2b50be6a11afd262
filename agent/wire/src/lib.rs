//! The protocol between the agent in a container and the daemon.
//!
//! One WebSocket per agent, dialled by the agent. Each binary message holds one or more [`Frame`]s. Everything is
//! multiplexed by stream: stream 0 is the connection's own conversation ([`FromAgent`], [`FromDaemon`]), 1 to 3 are the
//! process's standard streams, all others belong to *channels*: those that the daemon opens ([`FromDaemon::Open`]), one for
//! each [`request::Request`], and those that the agent opens ([`FromAgent::Connect`]), one for each connection to another
//! container. Whoever opened a channel closes it; the other end keeps it until then.
//!
//! A stream is a sequence of bytes, counted from the beginning of the stream's life, not of the connection's: the line may
//! break at any byte. The sender keeps what is not acknowledged in an [`Outbox`]; the receiver's [`Inbox`] knows what it
//! expects. When the line is back, both ends exchange offsets and go on from there, so no byte is lost, doubled or
//! reordered. Acknowledged means *dealt with* (kept on disk, read by the process), not merely received; the credit beside
//! the acknowledgement says how many bytes may follow it.
//!
//! Here is no input or output and no clock: pure data and state machines that both ends share.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod datagrams;
pub mod environment;
mod frame;
mod inbox;
mod key;
pub mod limits;
pub mod listing;
pub mod mesh;
mod message;
mod outbox;
mod pieces;
pub mod request;
pub mod streams;
pub mod sync;
mod turns;

pub use frame::{Frame, FrameError, Frames};
pub use inbox::Inbox;
pub use key::Key;
pub use message::{FromAgent, FromDaemon, Hello, Launch, Position, Resumed, Size, Versions};
pub use outbox::Outbox;
pub use pieces::Pieces;
pub use turns::Turns;

/// The versions of the protocol that this build speaks.
///
/// To change the protocol: raise `max`, keep what older versions mean, and let both ends look at the agreed version.
/// `Hello`, `Welcome` and `Refused` only ever gain optional fields, since they are read before a version is agreed.
pub const VERSIONS: Versions = Versions { min: 1, max: 2 };

/// The first version with the mesh: to a peer that speaks an older one nothing of it is said.
pub const MESH: u32 = 2;

/// Where the agent connects.
pub const PATH: &str = "/agent/v1";

/// The peer broke a rule of the protocol; the connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Bytes are missing before those that came.
    #[error("bytes from {expected} to {offset} are missing")]
    Gap {
        /// What should have come.
        expected: u64,
        /// What came.
        offset: u64,
    },
    /// More was sent than the credit allowed.
    #[error("bytes up to {end} were sent where {allowed} were allowed")]
    Overrun {
        /// Where the bytes end.
        end: u64,
        /// Where they had to.
        allowed: u64,
    },
    /// The stream had ended elsewhere.
    #[error("the stream ended at {end}, {offset} is beyond or contradicts that")]
    Ended {
        /// Where the stream ended.
        end: u64,
        /// What was said now.
        offset: u64,
    },
    /// Something was acknowledged that was never sent.
    #[error("{offset} was acknowledged, only {sent} were sent")]
    Unsent {
        /// What was acknowledged.
        offset: u64,
        /// What was sent.
        sent: u64,
    },
    /// The peer asks for bytes that it had acknowledged.
    #[error("the peer asks for bytes from {offset}, but had acknowledged {acknowledged}")]
    Forgotten {
        /// Where it wants to go on.
        offset: u64,
        /// What it had acknowledged.
        acknowledged: u64,
    },
    /// A frame for a stream that is not open.
    #[error("there is no stream {0}")]
    NoStream(u32),
    /// A frame that this end never receives, or not now.
    #[error("unexpected {0}")]
    Unexpected(&'static str),
    /// A message that cannot be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
}
