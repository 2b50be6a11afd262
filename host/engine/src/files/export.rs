//! `docker export` and `docker save`.

use std::sync::Arc;

use sockerless_ports::{
    link::{
        LinkError, RunId,
        request::{Reply, Request},
    },
    registry::{Archive, ImageError},
};

use super::{
    agent::Problem,
    changes::{bind_mounts, names, own_volumes},
    emit::Plan,
    place::{Place, lost},
    unread::Lacking,
};
use crate::{Engine, Error, ErrorKind, Result, containers::Entry};

const WHAT: &str = "exporting a container";

impl Engine {
    /// `GET /containers/{id}/export`: the whole file system as a tar, without what is mounted into it. The stream breaks off
    /// with an error when something fails in the middle. What the container's user may not read comes from the image, at the
    /// end; what the image does not have so is left out, with a warning in the log.
    ///
    /// Errors: 404, 409 when the changes of the last run are lost, 501 without an agent.
    pub async fn export(&self, reference: &str) -> Result<Archive> {
        let entry = self.containers.find(reference)?;
        let archive = match self.place(&entry, WHAT).await? {
            Place::Agent(run) => self.agent_export(&entry, &run).await.map_err(Problem::plain)?,
            Place::Lingering(run) => match self.agent_export(&entry, &run).await {
                Err(Problem::Link(LinkError::Unknown)) => self.kept_export(&entry).await?,
                archive => archive.map_err(Problem::plain)?,
            },
            Place::Kept => self.kept_export(&entry).await?,
        };
        self.events.container(&entry, &entry.view().name, "export", &[]);
        Ok(archive)
    }

    async fn agent_export(&self, entry: &Arc<Entry>, run: &RunId) -> std::result::Result<Archive, Problem> {
        let except = own_volumes(entry).chain(bind_mounts(entry)).map(str::to_owned).collect();
        match self.agent_ask(run, Request::Export { except }).await? {
            (Reply::Ready, channel) => self.completed(entry, channel, Lacking::Warned).map_err(Problem::Own),
            _ => Err(Problem::Unexpected),
        }
    }

    async fn kept_export(&self, entry: &Entry) -> Result<Archive> {
        if self.is_lost(entry).await? {
            return Err(lost(entry));
        }
        let mut view = self.view(entry).await?;
        for path in own_volumes(entry) {
            view.tree.clear(&names(path));
        }
        let mut plan = Plan::default();
        plan.add_children(b"", &view.tree.root);
        Ok(plan.emit(view.sources))
    }
}

impl Engine {
    /// `GET /images/get`: an archive with these images, which `docker load` takes.
    ///
    /// Errors: 404 for one that does not exist.
    pub async fn save_images(&self, names: Vec<String>) -> Result<Archive> {
        let mut found = Vec::new();
        for name in &names {
            let image = self.registry.find(name).await.map_err(|error| match error {
                ImageError::NotFound(_) => Error::new(ErrorKind::NotFound, format!("No such image: {name}")),
                other => other.into(),
            })?;
            found.push(image.id);
        }
        let archive = self.registry.save(&names).await?;
        for id in found {
            self.events.image("save", &id, &id, []);
        }
        Ok(archive)
    }
}
