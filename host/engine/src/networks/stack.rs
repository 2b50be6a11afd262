//! The network stack of another container (`--network container:X`): both are in one job, a pod, of which X is the root.

use std::collections::HashMap;

use bollard_stubs::models::{ContainerConfig, HostConfig, NetworkingConfig};
use sockerless_ports::link::RunId;

use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Table as Containers, View},
    life::{Event, Phase},
    pods::shares_with,
    supervisor::run_id,
};

const MODE: &str = "container:";

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, message.into()))
}

impl Engine {
    /// Whether a new container is to have the network stack of another: then its mode names that by id, it has the other's
    /// host name, and no networks of its own.
    ///
    /// Errors: 400 in dockerd's words for what does not go together with that, 404 for a container that is not there, 501 for one
    /// that is in a job already.
    pub(crate) fn share_stack(
        &self,
        host: &mut HostConfig,
        config: &mut ContainerConfig,
        backend: &str,
    ) -> Result<Option<NetworkingConfig>> {
        let Some(other) = host.network_mode.as_deref().and_then(|mode| mode.strip_prefix(MODE)) else {
            return Ok(None);
        };
        check_conflicts(host, config)?;
        let entry = self.containers.find(other)?;
        let view = self.stack_of(&entry.view());
        let able = self.cloud(backend)?.manifest().features.sidecars && self.link.callback_url().is_some();
        if !able || view.spec.backend != backend || view.state.is_live() || view.state.is_up() {
            return Err(self.stack_out_of_reach(entry.id()));
        }
        config.hostname = Some(view.spec.hostname().to_owned());
        host.network_mode = Some(format!("{MODE}{}", entry.id()));
        Ok(Some(NetworkingConfig { endpoints_config: Some(HashMap::new()) }))
    }

    /// A container that shares another's stack was created: if the agent of the other's last run lingers in a job without a
    /// place for this one, the next start is in another job, with what is saved of this one.
    pub(crate) async fn make_room(&self, view: &View) {
        if shares_with(&view.spec).is_none() {
            return;
        }
        let root = self.stack_of(view);
        if let Some(entry) =
            self.containers.get(&root.spec.id).filter(|entry| entry.view().state.linger.is_some())
        {
            self.report(&entry, Event::Resized).await;
        }
    }

    /// Before a start. Errors, in dockerd's words: whose stack it has does not run.
    pub(super) fn check_stack(&self, view: &View) -> Result<()> {
        let Some(id) = shares_with(&view.spec) else { return Ok(()) };
        let other = self.containers.find(id)?;
        if other.id() == view.spec.id {
            return Err(Error::new(ErrorKind::Conflict, format!("cannot join own network: {id}")));
        }
        let state = &other.view().state;
        let message = match state.phase {
            Phase::Running => return Ok(()),
            Phase::Restarting => format!("Container {id} is restarting, wait until the container is running"),
            _ => format!("cannot join network of a non running container: {id}"),
        };
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// The networks whose neighbours hear of a start of this container: its own, or those of whose stack it has.
    pub(super) fn networks_around(&self, view: &View) -> Vec<String> {
        let root = self.stack_of(view);
        root.state.active().iter().map(|endpoint| endpoint.network.clone()).collect()
    }
}

/// The runs that have the network stack of another container, by the id of that.
pub(super) fn guests(containers: &Containers) -> HashMap<String, Vec<RunId>> {
    let mut all: HashMap<String, Vec<RunId>> = HashMap::new();
    for entry in containers.all() {
        let Some(mut root) = shares_with(&entry.spec).and_then(|id| containers.get(id)) else { continue };
        while let Some(next) = shares_with(&root.spec).and_then(|id| containers.get(id)) {
            root = next;
        }
        let state = &entry.view().state;
        if state.is_live() {
            all.entry(root.id().to_owned()).or_default().push(run_id(&entry, state.generation));
        }
    }
    all
}

/// What the other has, this one cannot have otherwise. dockerd's words, in its order.
fn check_conflicts(host: &HostConfig, config: &ContainerConfig) -> Result<()> {
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if config.hostname.as_deref().is_some_and(|name| !name.is_empty()) {
        return invalid("conflicting options: hostname and the network mode");
    }
    if some(&host.links) {
        return invalid(
            "conflicting options: container type network can't be used with links. This would result in undefined behavior",
        );
    }
    if some(&host.dns) {
        return invalid("conflicting options: dns and the network mode");
    }
    if some(&host.extra_hosts) {
        return invalid("conflicting options: custom host-to-IP mapping and the network mode");
    }
    if config.mac_address.as_deref().is_some_and(|mac| !mac.is_empty()) {
        return invalid("conflicting options: mac-address and the network mode");
    }
    if host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty())
        || host.publish_all_ports == Some(true)
    {
        return invalid("conflicting options: port publishing and the container type network mode");
    }
    if config.exposed_ports.as_ref().is_some_and(|ports| !ports.is_empty()) {
        return invalid("conflicting options: port exposing and the container type network mode");
    }
    Ok(())
}
