//! A run's places on networks: taken before anything is made in a cloud, given back at the end.

use std::{net::Ipv4Addr, sync::Arc};

use super::{
    BRIDGE, Joined, Want, is_user_defined,
    membership::{parse_link, settings_of},
};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, Spec, View},
    life::{Announcement, Effect, Event, State},
    locks::lock,
};

impl Engine {
    /// Gives a run its places on the container's networks and shows them; again for the same run it changes nothing.
    ///
    /// Errors, in dockerd's words: 404 for a network that is not there, 400 and 403 for an address that cannot be had.
    pub(crate) async fn join_networks(&self, entry: &Arc<Entry>, generation: u32) -> Result<()> {
        lock(&self.networks.refusals).remove(entry.id());
        loop {
            let view = entry.view();
            let placed = self
                .check_stack(&view)
                .and_then(|()| self.wants(&view))
                .and_then(|wants| self.networks.table().join(entry.id(), generation, &wants));
            let (endpoints, new) = placed.inspect_err(|error| {
                lock(&self.networks.refusals).insert(entry.id().to_owned(), (generation, error.kind));
            })?;
            let joined = Joined { generation, endpoints };
            self.report(entry, Event::Joined { generation, joined: joined.clone() }).await;
            let now = entry.view();
            // It may have been stopped meanwhile, and those who end it found nothing to give back.
            if now.state.ended >= generation {
                self.networks.table().leave(entry.id(), generation);
                return Ok(());
            }
            for endpoint in joined.endpoints.iter().rev().take(new).rev() {
                self.network_event_of(&endpoint.network, "connect", Some(entry.id()));
            }
            self.networks_changed(self.networks_around(&now));
            // It may have been connected elsewhere meanwhile.
            if now.spec.networking == view.spec.networking {
                return Ok(());
            }
        }
    }

    /// Gives a run its places that had none yet when the daemon ended.
    pub(crate) async fn join_again(&self, entry: &Arc<Entry>, generation: u32) {
        if entry.view().state.has_joined() {
            return;
        }
        let Err(error) = self.join_networks(entry, generation).await else { return };
        tracing::warn!(container = entry.id(), %error, "a container cannot be on its networks");
        // Of no effect once its process runs.
        self.report(entry, Event::StartFailed { generation, message: error.message }).await;
    }

    /// A change of a container's life: when a run ends with it, its places are given back before anybody hears of the end.
    /// Gives the networks that it was on, for [`Engine::networks_changed`] once the change is shown.
    pub(crate) fn leave_networks(
        &self,
        entry: &Entry,
        before: &State,
        after: &State,
        effects: &[Effect],
    ) -> Vec<String> {
        if after.ended <= before.ended {
            return Vec::new();
        }
        let left = self.networks.table().leave(entry.id(), after.ended);
        // With an end that is told of, that comes first.
        let dies = effects.iter().any(|effect| matches!(effect, Effect::Announce(Announcement::Die { .. })));
        if !dies {
            for endpoint in &left {
                self.network_event_of(&endpoint.network, "disconnect", Some(entry.id()));
            }
        }
        left.into_iter().map(|endpoint| endpoint.network).collect()
    }

    /// After it was told that a run has ended.
    pub(crate) fn announce_left(&self, entry: &Entry, view: &View) {
        if view.state.joined.generation == view.state.ended {
            for endpoint in &view.state.joined.endpoints {
                self.network_event_of(&endpoint.network, "disconnect", Some(entry.id()));
            }
        }
    }

    /// An event about a network that is there.
    pub(super) fn network_event_of(&self, id: &str, action: &str, container: Option<&str>) {
        let network = self.networks.table().get(id).cloned();
        if let Some(network) = network {
            self.events.network(action, &network.id, &network.name, &network.driver, container);
        }
    }

    /// What the container's settings ask for. Errors: 400 in dockerd's words.
    fn wants(&self, view: &View) -> Result<Vec<Want>> {
        self.check_links(view)?;
        let settings = settings_of(&view.spec);
        settings.keys().map(|key| self.want(view, key)).collect()
    }

    /// What is asked for on one network, by the name in the container's settings.
    pub(super) fn want(&self, view: &View, key: &str) -> Result<Want> {
        let settings = settings_of(&view.spec).remove(key).unwrap_or_default();
        let known = view.state.joined.named(key);
        let network = known.map(|endpoint| endpoint.network.clone()).filter(|_| is_user_defined(key));
        let address = asked(&settings);
        let aliased = settings.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty());
        check_rules(key, address.is_some(), aliased)?;
        self.check_backend(view, network.as_deref().unwrap_or(key))?;
        if address.is_some() {
            let table = self.networks.table();
            let meant = table.find_usable(network.as_deref().unwrap_or(key))?;
            if meant.plan.as_ref().is_none_or(|plan| !plan.configured) {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "user specified IP address is supported only when connecting to networks with user configured subnets",
                ));
            }
        }
        Ok(Want {
            key: key.to_owned(),
            network,
            address,
            preferred: known.and_then(|endpoint| endpoint.address),
            mac: settings.mac_address.map(|mac| mac.to_lowercase().replace('-', ":")),
        })
    }

    /// Links on the default network lead to containers that run there. Errors: in dockerd's words.
    fn check_links(&self, view: &View) -> Result<()> {
        let failed = |message| Err(Error::new(ErrorKind::Internal, message));
        for link in links(&view.spec) {
            let Ok((id, alias)) = parse_link(link) else { continue };
            // A container that is gone has taken its link with it, as in dockerd.
            let Some(other) = self.containers.get(id).map(|entry| entry.view()) else { continue };
            if !settings_of(&other.spec).contains_key(BRIDGE) {
                return failed(format!(
                    "Cannot link to /{}, as it does not belong to the default network",
                    other.name
                ));
            }
            if !other.state.is_live() {
                return failed(format!(
                    "Cannot link to a non running container: /{} AS /{}/{alias}",
                    other.name, view.name
                ));
            }
        }
        Ok(())
    }
}

fn links(spec: &Spec) -> impl Iterator<Item = &String> {
    spec.host.links.iter().flatten()
}

/// The address that a user asks for.
pub(super) fn asked(settings: &bollard_stubs::models::EndpointSettings) -> Option<Ipv4Addr> {
    settings.ipam_config.as_ref()?.ipv4_address.as_deref()?.parse().ok()
}

/// What only networks of the user's have.
fn check_rules(network: &str, addressed: bool, aliased: bool) -> Result<()> {
    let invalid = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
    if is_user_defined(network) {
        return Ok(());
    }
    if addressed {
        return invalid("user specified IP address is supported on user defined networks only");
    }
    if aliased {
        return invalid("network-scoped alias is supported only for containers in user defined networks");
    }
    Ok(())
}
