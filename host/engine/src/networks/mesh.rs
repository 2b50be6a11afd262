//! What the link asks about networks.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Weak,
};

use async_trait::async_trait;
use sockerless_ports::link::{Catching, Mesh, MeshView, Route, RunId};

use super::locked;
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
            // A container that is on any network may be connected to another while it runs.
            catch: !networks.is_empty(),
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
