//! What the link asks about networks.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Weak,
};

use async_trait::async_trait;
use sockerless_ports::link::{Catching, Mesh, MeshNetwork, MeshView, Route, RunId};

use super::{locked, record::BRIDGE};
use crate::{Engine, containers::Spec};

/// The engine, as the link knows it: it may be gone before the link.
pub(super) struct Neighbourhood(pub Weak<Engine>);

#[async_trait]
impl Mesh for Neighbourhood {
    fn view(&self, run: &RunId) -> MeshView {
        let Some(engine) = self.0.upgrade() else { return MeshView::default() };
        let networks = engine.fabric().networks(run);
        let Some(entry) = engine.containers.get(&run.container) else { return MeshView::default() };
        let view = entry.view();
        let gateway = networks.first().map(|network| network.gateway);
        MeshView {
            catch: catch(&view.spec, &networks),
            hosts: hosts(&view.spec, gateway),
            name_servers: view.spec.host.dns.iter().flatten().filter_map(|text| text.parse().ok()).collect(),
            networks,
        }
    }

    fn route(&self, from: &RunId, to: Ipv4Addr) -> Route {
        self.0.upgrade().map_or(Route::Foreign, |engine| engine.fabric().route(from, to))
    }

    async fn catching(&self, run: &RunId, catching: Catching) {
        if !catching.warning.is_empty() {
            tracing::warn!(%run, rung = ?catching.rung, warning = catching.warning, "not all connections between containers work");
        }
        if let Some(engine) = self.0.upgrade() {
            locked(&engine.networks.catching).insert(run.container.clone(), catching);
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

/// `--add-host`. `host-gateway` is the gateway of the container's first network.
fn hosts(spec: &Spec, gateway: Option<Ipv4Addr>) -> BTreeMap<String, Vec<IpAddr>> {
    let mut all: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for entry in spec.host.extra_hosts.iter().flatten() {
        let Some((name, address)) = entry.split_once([':', '=']) else { continue };
        let address = match address.trim_start_matches('[').trim_end_matches(']') {
            "host-gateway" => gateway.map(IpAddr::V4),
            literal => literal.parse().ok(),
        };
        all.entry(name.to_lowercase()).or_default().extend(address);
    }
    all
}
