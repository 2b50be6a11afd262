//! `docker network connect` and `disconnect`, of containers that run and of those that do not.

use std::{collections::HashMap, sync::Arc};

use bollard_stubs::models::{EndpointSettings, NetworkingConfig};

use super::{
    HOST, Joined, NONE,
    membership::{PRIVATE, SHARED, sanitised, settings_of},
    not_found,
};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{ContainerRecord, Entry, Spec, View},
    life::{Phase, State},
    supervisor::run_id,
};

const HOST_STAYS: &str = "container cannot be disconnected from host network or connected to host network";

impl Engine {
    /// `POST /networks/{id}/connect`. A container that runs has its address when this returns; both is durable.
    ///
    /// Errors: 404 for either, 403 for one that is on it and for an address in use, 400 for what `host` and `none` do not
    /// go together with.
    pub async fn connect_network(
        &self,
        reference: &str,
        container: &str,
        settings: EndpointSettings,
    ) -> Result<()> {
        let entry = self.found(container)?;
        let (engine, reference) = (self.shared()?, reference.to_owned());
        let work = async move { engine.connect_now(&reference, &entry, settings).await };
        self.complete(Box::pin(work)).await
    }

    async fn connect_now(
        &self,
        reference: &str,
        entry: &Arc<Entry>,
        settings: EndpointSettings,
    ) -> Result<()> {
        let _gate = entry.gate.lock().await;
        let before = entry.view();
        check_alive(&before)?;
        let network = self.networks.table().find_usable(reference)?.clone();
        if crate::pods::shares_with(&before.spec).is_some() {
            return invalid(SHARED);
        }
        let mut all = settings_of(&before.spec);
        if network.name == HOST {
            return invalid(HOST_STAYS);
        }
        if all.contains_key(HOST) {
            return invalid(SHARED);
        }
        if (network.name == NONE || all.contains_key(NONE))
            && !all.is_empty()
            && !all.contains_key(&network.name)
        {
            return invalid(PRIVATE);
        }
        let joined = before.state.has_joined();
        if joined && before.state.active().iter().any(|endpoint| endpoint.network == network.id) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("endpoint with name {} already exists in network {}", before.name, network.name),
            ));
        }
        all.insert(network.name.clone(), sanitised(settings)?);
        let spec = with_networks(&before.spec, all);
        // Another network may have had that name when the container was there last.
        let mut state = before.state.clone();
        state.joined.endpoints.retain(|endpoint| endpoint.name != network.name);
        let mut meant = View { name: before.name.clone(), spec, state };
        // Checked also for a container that does not run, as far as it can be.
        let want = self.want(&meant, &network.name)?;
        if joined {
            let generation = meant.state.generation;
            let endpoints = self.networks.table().extend(entry.id(), generation, &want)?;
            meant.state.joined = Joined { generation, endpoints };
        }
        self.keep(entry, &before, meant).await?;
        if joined {
            self.network_event_of(&network.id, "connect", Some(entry.id()));
            self.networks_changed([network.id]);
            self.link.refresh(&run_id(entry, before.state.generation));
        }
        Ok(())
    }

    /// `POST /networks/{id}/disconnect`. With `force` also of a container that is not there (any more).
    ///
    /// Errors: 404 for either, 500 in dockerd's words for one that is not on it, 400 for `host`.
    pub async fn disconnect_network(&self, reference: &str, container: &str, force: bool) -> Result<()> {
        let entry = match self.found(container) {
            Err(error) if force && error.kind == ErrorKind::NotFound => {
                self.networks.table().find(reference)?;
                return Err(Error::new(ErrorKind::NotFound, format!("endpoint {container} not found")));
            }
            found => found?,
        };
        let (engine, reference) = (self.shared()?, reference.to_owned());
        let work = async move { engine.disconnect_now(&reference, &entry).await };
        self.complete(Box::pin(work)).await
    }

    async fn disconnect_now(&self, reference: &str, entry: &Arc<Entry>) -> Result<()> {
        let _gate = entry.gate.lock().await;
        let before = entry.view();
        check_alive(&before)?;
        let mut all = settings_of(&before.spec);
        let network =
            self.networks.table().find(reference).map(|network| (network.id.clone(), network.name.clone()));
        let (id, name) = match network {
            Ok(known) => known,
            // A container that does not run may be meant for a network that is not there.
            Err(_) if !before.state.is_live() && all.contains_key(reference) => {
                (String::new(), reference.to_owned())
            }
            Err(_) => return Err(not_found(reference)),
        };
        if name == HOST {
            return invalid(HOST_STAYS);
        }
        if all.remove(&name).is_none() {
            let the = if before.state.is_live() { "" } else { "the " };
            return Err(Error::new(
                ErrorKind::Internal,
                format!("container {} is not connected to {the}network {name}", entry.id()),
            ));
        }
        let spec = with_networks(&before.spec, all);
        let mut state = before.state.clone();
        let active = before.state.active().iter().find(|endpoint| endpoint.name == name).cloned();
        state.joined.endpoints.retain(|endpoint| endpoint.name != name);
        self.keep(entry, &before, View { name: before.name.clone(), spec, state }).await?;
        if let Some(endpoint) = active {
            self.networks.table().withdraw(entry.id(), &endpoint.network);
            self.networks_changed([endpoint.network]);
            self.link.refresh(&run_id(entry, before.state.generation));
        }
        self.network_event_of(&id, "disconnect", Some(entry.id()));
        Ok(())
    }

    /// Makes the change durable and shows it; or gives back what it took.
    async fn keep(&self, entry: &Entry, before: &View, after: View) -> Result<()> {
        let kept = match ContainerRecord::put(&after.spec, &after.name, &after.state) {
            Ok(change) => self.commit(vec![change]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            let had = |id: &str| before.state.active().iter().any(|endpoint| endpoint.network == id);
            for endpoint in after.state.active().iter().filter(|endpoint| !had(&endpoint.network)) {
                self.networks.table().withdraw(entry.id(), &endpoint.network);
            }
            return Err(error);
        }
        entry.publish(after);
        Ok(())
    }

    fn found(&self, container: &str) -> Result<Arc<Entry>> {
        if container.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "invalid name or ID supplied: \"\""));
        }
        self.containers.find(container)
    }
}

fn with_networks(spec: &Arc<Spec>, all: std::collections::BTreeMap<String, EndpointSettings>) -> Arc<Spec> {
    let all: HashMap<String, EndpointSettings> = all.into_iter().collect();
    let networking = NetworkingConfig { endpoints_config: Some(all) };
    Arc::new(Spec { networking, ..(**spec).clone() })
}

fn check_alive(view: &View) -> Result<()> {
    let State { phase, .. } = view.state;
    if matches!(phase, Phase::Removing | Phase::Removed | Phase::Dead) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "container {} is marked for removal and cannot be connected or disconnected to the network",
                view.spec.id
            ),
        ));
    }
    Ok(())
}

fn invalid<T>(message: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, message))
}
