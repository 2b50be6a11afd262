//! `docker commit`: an image of a container.

use std::{collections::BTreeMap, sync::Arc};

use bollard_stubs::models::ContainerConfig;
use sockerless_ports::{
    link::{
        RunId,
        request::{Reply, Request},
    },
    registry::{CommitImage, Empty, ImageConfig},
};

use super::agent::Problem;
use crate::{
    CommitContainer, Engine, Error, ErrorKind, Result, containers::Entry, images::Reference, life::Phase,
    supervisor::run_id,
};

impl Engine {
    /// `POST /commit`: makes an image of a container and gives its id.
    ///
    /// Errors: 404, 400 for a malformed name or change, 409 while the container is being removed or when what it changed is
    /// lost, 501 without an agent.
    pub async fn commit_container(&self, request: CommitContainer) -> Result<String> {
        let entry =
            self.containers.find(&request.container).map_err(|error| match request.container.as_str() {
                "" => Error::new(ErrorKind::Invalid, "invalid name or ID supplied: \"\""),
                _ => error,
            })?;
        let refused = match entry.view().state.phase {
            Phase::Dead => Some("Dead"),
            Phase::Removing => Some("being removed"),
            _ => None,
        };
        if let Some(what) = refused {
            let message = format!("You cannot commit container {} which is {what}", entry.id());
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let name = match (request.repository.as_str(), request.tag.as_str()) {
            ("", _) => None,
            (repository, "") => Some(Reference::parse(repository)?.with_tag()),
            (repository, tag) => Some(Reference::parse(&format!("{repository}:{tag}"))?.with_tag()),
        };
        let own = image_config(&entry.spec.config);
        let asked = request.config.as_ref().map_or_else(|| own.clone(), image_config);
        let config = inherit(self.registry.changed(asked, &request.changes)?, own);
        let engine = self.shared()?;
        // To its end even if the client leaves: a container must not stay frozen.
        self.complete(async move { engine.commit_entry(&entry, request, name, config).await }).await
    }

    async fn commit_entry(
        &self,
        entry: &Arc<Entry>,
        request: CommitContainer,
        name: Option<String>,
        config: ImageConfig,
    ) -> Result<String> {
        // Neither another commit nor `docker unpause` may let go on what this one has stopped.
        let alone = if request.pause { Some(entry.freezing.lock().await) } else { None };
        let frozen = if request.pause { self.freeze(entry).await? } else { None };
        let committed = self.commit_now(entry, &request, name.clone(), config).await;
        if let Some(run) = frozen {
            self.thaw(&run).await;
        }
        drop(alone);
        let id = committed?;
        self.images.refresh(self.registry.as_ref()).await;
        let attributes =
            [("comment", request.comment), ("imageID", id.clone()), ("imageRef", name.unwrap_or_default())];
        self.events.container(entry, &entry.view().name, "commit", &attributes);
        Ok(id)
    }

    async fn commit_now(
        &self,
        entry: &Arc<Entry>,
        request: &CommitContainer,
        name: Option<String>,
        config: ImageConfig,
    ) -> Result<String> {
        let layer = self.layer(entry).await?;
        let image = CommitImage {
            parent: entry.spec.image_id.clone(),
            name: name.clone(),
            author: request.author.clone(),
            comment: request.comment.clone(),
            created_by: entry.spec.config.cmd.as_deref().unwrap_or_default().join(" "),
            config,
        };
        let image = self.registry.commit(layer, image).await?;
        if let Some(name) = name {
            self.events.image("tag", &image.id, &name, image.config.labels);
        }
        Ok(image.id)
    }

    /// Stops the processes of a container that runs, so that its files stay as they are. None when there is nothing to let
    /// go on afterwards.
    async fn freeze(&self, entry: &Arc<Entry>) -> Result<Option<RunId>> {
        let view = entry.view();
        if view.state.phase != Phase::Running || !view.state.agent || view.state.paused {
            return Ok(None);
        }
        let run = run_id(entry, view.state.generation);
        match self.agent_ask(&run, Request::Freeze).await {
            Ok((Reply::Ready, _)) => Ok(Some(run)),
            Ok(_) => Err(Problem::Unexpected.plain()),
            Err(Problem::Fault(fault)) => {
                tracing::info!(%run, %fault, "a container is committed while it runs");
                Ok(None)
            }
            Err(problem) => Err(problem.plain()),
        }
    }

    async fn thaw(&self, run: &RunId) {
        if let Err(problem) = self.agent_ask(run, Request::Thaw).await {
            tracing::error!(%run, error = %problem.plain(), "a container cannot be let go on after its commit");
        }
    }
}

/// What of a container's configuration its image gets.
fn image_config(config: &ContainerConfig) -> ImageConfig {
    let set = |keys: &Option<Vec<String>>| -> BTreeMap<String, Empty> {
        keys.iter().flatten().map(|key| (key.clone(), Empty {})).collect()
    };
    ImageConfig {
        user: config.user.clone().unwrap_or_default(),
        exposed_ports: set(&config.exposed_ports),
        env: config.env.clone().unwrap_or_default(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone().unwrap_or_default(),
        labels: config.labels.clone().unwrap_or_default().into_iter().collect(),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        stop_timeout: config.stop_timeout,
        healthcheck: config.healthcheck.as_ref().and_then(|check| serde_json::to_value(check).ok()),
        shell: config.shell.clone(),
        on_build: config.on_build.clone(),
    }
}

/// What was asked for, and the container's own for all that it leaves open: dockerd's rules for a commit.
fn inherit(mut asked: ImageConfig, own: ImageConfig) -> ImageConfig {
    let text = |asked: &mut String, own: String| {
        if asked.is_empty() {
            *asked = own;
        }
    };
    text(&mut asked.user, own.user);
    text(&mut asked.working_dir, own.working_dir);
    text(&mut asked.stop_signal, own.stop_signal);
    for (name, empty) in own.exposed_ports {
        asked.exposed_ports.entry(name).or_insert(empty);
    }
    for (name, empty) in own.volumes {
        asked.volumes.entry(name).or_insert(empty);
    }
    for (name, value) in own.labels {
        asked.labels.entry(name).or_insert(value);
    }
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    for entry in own.env {
        if !asked.env.iter().any(|known| name(known) == name(&entry)) {
            asked.env.push(entry);
        }
    }
    // A new entrypoint comes without the old command.
    if asked.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if asked.cmd.as_ref().is_none_or(Vec::is_empty) {
            asked.cmd = own.cmd;
        }
        asked.entrypoint = asked.entrypoint.or(own.entrypoint);
    }
    asked.healthcheck = asked.healthcheck.or(own.healthcheck);
    asked.stop_timeout = asked.stop_timeout.or(own.stop_timeout);
    asked.shell = asked.shell.or(own.shell);
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<String>> {
        Some(text.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn what_is_left_open_is_the_containers() {
        let own = ImageConfig {
            user: "web".into(),
            env: vec!["A=1".into(), "B=2".into()],
            cmd: words("run it"),
            entrypoint: words("sh -c"),
            ..ImageConfig::default()
        };
        let asked = ImageConfig { env: vec!["B=3".into()], cmd: words("other"), ..ImageConfig::default() };
        let merged = inherit(asked, own.clone());
        assert_eq!(
            (merged.user.as_str(), merged.cmd, merged.entrypoint),
            ("web", words("other"), words("sh -c"))
        );
        assert_eq!(merged.env, ["B=3", "A=1"]);
        let asked = ImageConfig { entrypoint: words("new"), ..ImageConfig::default() };
        assert_eq!(inherit(asked, own.clone()).cmd, None);
        assert_eq!(inherit(own.clone(), own.clone()), own);
    }
}
