//! What the link asks about networks.

use std::{net::Ipv4Addr, path::PathBuf, sync::Weak};

use async_trait::async_trait;
use sockerless_ports::link::{Catching, Mesh, MeshNetwork, MeshView, Route, RunId, Rung};

use super::record::BRIDGE;
use crate::{
    Engine,
    containers::{Spec, mesh_rung},
    locks::lock,
};

/// The engine, as the link knows it: it may be gone before the link.
pub(super) struct Neighbourhood(pub Weak<Engine>);

#[async_trait]
impl Mesh for Neighbourhood {
    fn view(&self, run: &RunId) -> MeshView {
        let Some(engine) = self.0.upgrade() else { return MeshView::default() };
        let networks = engine.fabric().networks(run);
        let Some(entry) = engine.containers.get(&run.container) else { return MeshView::default() };
        let view = engine.stack_of(&entry.view());
        // Refused at create where it cannot be read. A network namespace of its own would take a container out of its pod.
        let rung = match engine.is_in_pod(run) {
            true => Some(Rung::Seccomp),
            false => mesh_rung(&entry.spec.config).unwrap_or_default(),
        };
        let gateway = networks.first().map(|network| network.gateway);
        MeshView {
            catch: catch(&view.spec, &networks) || gateway.is_some() && engine.options.host_gateway.is_some(),
            hosts: engine.hosts_of(&view.spec, gateway),
            name_servers: view.spec.host.dns.iter().flatten().filter_map(|text| text.parse().ok()).collect(),
            search: view.spec.host.dns_search.clone().unwrap_or_default(),
            resolver_options: view.spec.host.dns_options.clone().unwrap_or_default(),
            own_names: own_names(&view.spec),
            rung,
            pod: engine.pod_addresses(run),
            networks,
        }
    }

    fn route(&self, from: &RunId, to: Ipv4Addr) -> Route {
        let Some(engine) = self.0.upgrade() else { return Route::Foreign };
        match (engine.fabric().route(from, to), engine.options.host_gateway) {
            (Route::Closed, Some(address)) => Route::Outside(address),
            (route, _) => route,
        }
    }

    fn api(&self, from: &RunId) -> Option<PathBuf> {
        self.0.upgrade()?.api_of(from)
    }

    async fn catching(&self, run: &RunId, catching: Catching) {
        let Catching { rung, warning } = &catching;
        match rung {
            _ if warning.is_empty() => {}
            // What setuid programs lose: on a cloud that is so for every container.
            Rung::Seccomp => {
                tracing::debug!(%run, warning, "the network has a price for the container's processes")
            }
            _ => tracing::warn!(%run, ?rung, warning, "not all connections between containers work"),
        }
        if let Some(engine) = self.0.upgrade() {
            lock(&engine.networks.catching).insert(run.container.clone(), catching);
        }
    }
}

/// Catching takes something from every process: a little time, and setuid programs from who is not root. So a container gets it
/// that has somebody to reach: on a network of the user's, by a link, or under names of its own. One on `bridge` alone that is
/// connected live gets it for what is started then.
fn catch(spec: &Spec, networks: &[MeshNetwork]) -> bool {
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let host = &spec.host;
    networks.iter().any(|network| network.name != BRIDGE)
        || some(&host.links)
        || some(&host.extra_hosts)
        || some(&host.dns)
}

/// What a container calls itself: with its domain name first, as dockerd writes it into `/etc/hosts`.
fn own_names(spec: &Spec) -> Vec<String> {
    let host = spec.hostname();
    let domain = spec.config.domainname.as_deref().filter(|domain| !domain.is_empty());
    domain.map(|domain| format!("{host}.{domain}")).into_iter().chain([host.to_owned()]).collect()
}
