//! Where a container's files are at this moment.

use std::sync::Arc;

use sockerless_ports::link::RunId;

use super::disk::PieceKind;
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::Entry,
    error::needs_agent,
    life::{Phase, State},
    supervisor::run_id,
};

/// Who has a container's files.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// The agent of this run, and nobody else: the container runs.
    Agent(RunId),
    /// The agent of this run if it is still there; else the daemon.
    Lingering(RunId),
    /// The daemon: image, saved layer, and what was copied in.
    Kept,
}

impl Engine {
    /// Errors: 404 for a container that is gone, 409 for one that is being removed, 501 without an agent that could look.
    pub(super) async fn place(&self, entry: &Arc<Entry>, what: &str) -> Result<Place> {
        let view = entry.view();
        let state = &view.state;
        match state.phase {
            Phase::Removed => {
                Err(Error::new(ErrorKind::NotFound, format!("No such container: {}", entry.id())))
            }
            Phase::Removing => Err(Error::new(
                ErrorKind::Conflict,
                format!("removal of container {} is already in progress", entry.id()),
            )),
            // Without an agent nobody knows what the container does, or did, to its files.
            _ if ran_without_agent(state) => Err(needs_agent(what)),
            _ if state.is_live() => Ok(Place::Agent(run_id(entry, state.generation))),
            Phase::Created => Ok(Place::Kept),
            _ if self.saved_generation(entry).await? == Some(state.serves) => Ok(Place::Kept),
            _ => Ok(Place::Lingering(run_id(entry, state.serves))),
        }
    }

    /// The generation at whose end the saved layer was taken.
    pub(super) async fn saved_generation(&self, entry: &Entry) -> Result<Option<u32>> {
        Ok(self.pieces(entry).await?.first().and_then(|piece| match piece.kind {
            PieceKind::Layer { generation } => Some(generation),
            PieceKind::Put(_) => None,
        }))
    }

    /// Whether what the last run did to the files is lost: its agent went before anybody could save it.
    pub(super) async fn is_lost(&self, entry: &Entry) -> Result<bool> {
        let launched = entry.view().state.launched;
        Ok(launched > 0 && self.saved_generation(entry).await? < Some(launched))
    }
}

fn ran_without_agent(state: &State) -> bool {
    !state.agent && (state.is_live() || state.launched > 0)
}

/// What is said where a part of the truth is lost.
pub(super) fn lost(entry: &Entry) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "what container {} did to its files in its last run is lost: its agent ended before they could be saved",
            entry.id()
        ),
    )
}
