//! What outlives an agent: a container's changes are saved before it goes, and put back before the next process starts.

use std::{
    io::{self, Write},
    sync::Arc,
};

use sockerless_ports::link::{
    RunId,
    request::{Put, Request},
};

use super::{
    agent::Problem,
    changes::Own,
    disk::PieceKind,
    pipe::{blocking, reader},
    view::read_file,
};
use crate::{Engine, Error, ErrorKind, Result, containers::Entry};

impl Engine {
    /// Takes what a container has changed from the agent of its last run, which must have ended, and keeps it durably in the
    /// place of what was kept before. After this has succeeded the daemon answers for the container's files, and whatever is
    /// copied in waits for a new job: the run is to be dismissed, and no other one to succeed it.
    ///
    /// Errors: the agent is gone or fails, the changes are more than the setting `files_limit` allows, the disk fails. Then
    /// everything is as before.
    pub(crate) async fn save_changes(&self, entry: &Arc<Entry>, run: &RunId) -> Result<()> {
        let gate = self.files.gate(entry.id());
        let _gate = gate.lock().await;
        if self.saved_generation(entry).await? == Some(run.generation) {
            return Ok(());
        }
        let mut layer = reader(self.agent_layer(entry, run, Own::Too).await.map_err(Problem::plain)?);
        let (folder, limit, generation) = (self.folder(entry), self.options.files_limit, run.generation);
        blocking(move || {
            let mut draft = folder.draft(limit)?;
            let failed = |error: io::Error| Error::new(ErrorKind::Internal, error.to_string());
            io::copy(&mut layer, &mut draft).and_then(|_| draft.flush()).map_err(failed)?;
            folder.keep_layer(&draft, generation)
        })
        .await
        .map_err(|error| error.prefixed("the container's files could not be saved"))
    }

    /// Puts into the agent of a new job all that is kept of a container's files, in order: the saved layer, and what was
    /// copied in. To be called before the agent's launch is answered.
    ///
    /// Errors: an archive does not fit the image, or the agent is gone.
    pub(crate) async fn restore(&self, entry: &Arc<Entry>, run: &RunId) -> Result<()> {
        let gate = self.files.gate(entry.id());
        let _gate = gate.lock().await;
        for piece in self.pieces(entry).await? {
            let put = match &piece.kind {
                PieceKind::Layer { .. } => {
                    Put { path: "/".into(), keep_kind: false, owners: true, layer: true, any_links: false }
                }
                PieceKind::Put(to) => Put {
                    path: to.path.clone(),
                    keep_kind: to.keep_kind,
                    owners: true,
                    layer: false,
                    any_links: false,
                },
            };
            let shown = put.path.clone();
            let archive = read_file(&piece.file).await?;
            self.send(run, Request::Put(put), archive).await.map_err(|problem| {
                problem.plain().prefixed(&format!("the container's files could not be put into {shown}"))
            })?;
        }
        Ok(())
    }

    /// Removes all that is kept of a container's files.
    pub(crate) async fn forget_files(&self, container: &str) {
        let folder = super::disk::Folder::new(&self.files.root, container);
        let gate = self.files.gate(container);
        let _gate = gate.lock().await;
        let removed = blocking(move || {
            folder.remove().map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
        });
        if let Err(error) = removed.await {
            tracing::warn!(container, %error, "the files kept of a container could not be removed; it is tried again when the daemon starts");
        }
        self.files.forget(container);
    }
}
