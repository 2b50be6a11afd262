//! What went wrong, in dockerd's words and kinds.

use sockerless_ports::link::{
    LinkError,
    request::{Fault, FaultKind},
};

use super::tree::Missing;
use crate::{Error, ErrorKind};

/// Of which container and path the client spoke.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// As the client named it.
    pub container: &'a str,
    /// As the client gave it.
    pub path: &'a str,
}

impl Asked<'_> {
    pub fn not_found(self) -> Error {
        let Self { container, path } = self;
        Error::new(ErrorKind::NotFound, format!("Could not find the file {path} in container {container}"))
    }

    /// What an agent could not do.
    pub fn fault(self, fault: Fault) -> Error {
        match fault.kind {
            FaultKind::NotFound => self.not_found(),
            _ => plain(fault),
        }
    }

    /// A path that leads to nothing.
    pub fn missing(self, missing: Missing) -> Error {
        match missing {
            Missing::NotFound => self.not_found(),
            // As in dockerd all others are the daemon's failures.
            Missing::NotDirectory | Missing::Loop => Error::new(
                ErrorKind::Internal,
                format!("lstat {}: {missing}", super::path::absolute(self.path)),
            ),
        }
    }
}

/// An agent's fault that concerns no path of the client's. As in dockerd most are failures, whoever caused them.
pub(super) fn plain(fault: Fault) -> Error {
    let kind = match fault.kind {
        FaultKind::Forbidden => ErrorKind::Forbidden,
        FaultKind::Unsupported => ErrorKind::Unsupported,
        FaultKind::NotFound
        | FaultKind::Invalid
        | FaultKind::Conflict
        | FaultKind::Refused
        | FaultKind::Internal => ErrorKind::Internal,
    };
    Error::new(kind, fault.message)
}

/// The way to the agent ended.
pub(super) fn gone(error: &LinkError) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the container's agent is out of reach: {error}"))
}

/// An answer that does not belong to the request.
pub(super) fn unexpected() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the container's agent gave an answer that does not belong to the request",
    )
}
