//! What volumes need of a container's image: its content where a volume is mounted, and the directory to have it in.

use std::sync::Arc;

use sockerless_ports::{
    link::{
        RunId,
        request::{Put, Request},
    },
    registry::Archive,
};

use super::{
    agent::Problem,
    emit::Plan,
    member::Meta,
    path::{absolute, join},
    tree::Node,
};
use crate::{Engine, ErrorKind, Result, containers::Entry};

impl Engine {
    /// What the image has in a directory, named as it is there. None when that is nothing, or is no directory.
    ///
    /// Errors: the image or its layers are out of reach.
    pub(crate) async fn image_content(&self, entry: &Entry, directory: &str) -> Result<Option<Archive>> {
        let tree = self.image_tree(&entry.spec.image_id).await?;
        let Ok(found) = tree.find_followed(&absolute(directory)) else { return Ok(None) };
        if found.node.children.is_empty() {
            return Ok(None);
        }
        let mut plan = Plan::default();
        for (name, node) in &found.node.children {
            plan.add_all(name.to_vec(), node);
        }
        Ok(Some(plan.emit(Arc::new(self.image_sources(entry).await?))))
    }

    /// Unpacks into a directory of a run that has not begun. Errors: the agent's.
    pub(crate) async fn fill(&self, run: &RunId, directory: &str, content: Archive) -> Result<()> {
        let put = Put {
            path: directory.to_owned(),
            keep_kind: false,
            owners: true,
            layer: false,
            any_links: false,
        };
        self.send(run, Request::Put(put), content).await.map_err(Problem::plain)
    }

    /// Makes a directory, with those above it, where the image has none and the container's user may. Errors: the agent's, with
    /// the directory.
    pub(crate) async fn have_directory(&self, entry: &Entry, run: &RunId, directory: &str) -> Result<()> {
        let tree = self.image_tree(&entry.spec.image_id).await?;
        // A path through something else than directories fails where it is mounted, or used.
        let Ok(names) = tree.follow(absolute(directory).as_bytes()) else { return Ok(()) };
        let mut plan = Plan::default();
        let mut lacking = false;
        for depth in 1..=names.len() {
            let above = || names.iter().take(depth).map(AsRef::as_ref);
            if tree.get(above()).is_none() {
                lacking = true;
                plan.add(join(above()), &Arc::new(Node::new(Meta::directory())));
            }
        }
        if !lacking {
            return Ok(());
        }
        let archive = plan.emit(Arc::new(self.image_sources(entry).await?));
        match self.fill(run, "/", archive).await {
            // dockerd makes it as root; the agent has the rights of the image's user, and a container is better without.
            Err(error) if error.kind == ErrorKind::Forbidden => {
                tracing::warn!(%run, directory, %error, "a volume's directory is missing: the container's user may not make it");
                Ok(())
            }
            made => {
                made.map_err(|error| error.prefixed(&format!("the directory {directory} could not be made")))
            }
        }
    }
}
