//! The networks when the daemon starts.

use std::sync::Arc;

use sockerless_ports::store::Kind;

use super::{BRIDGE, HOST, NONE, Network, mesh::Neighbourhood};
use crate::{Engine, Error, ErrorKind, Result};

impl Engine {
    /// Loads the networks, makes those that are always there the first time, and gives the containers that run the addresses
    /// that they had. After the containers, and before anybody can start one.
    pub(crate) async fn reopen_networks(self: &Arc<Self>) -> Result<()> {
        let mut known = Vec::new();
        for record in self.store().load(Kind::Network).await? {
            let network: Network = serde_json::from_str(&record.content).map_err(|error| {
                let message = format!("the record of network {} cannot be read: {error}", record.key);
                Error::new(ErrorKind::Internal, message)
            })?;
            known.push(network);
        }
        let missing = [BRIDGE, HOST, NONE].map(Network::builtin);
        let missing: Vec<Network> = missing
            .into_iter()
            .filter(|network| !known.iter().any(|known| known.builtin && known.name == network.name))
            .collect();
        self.commit(missing.iter().map(Network::put).collect::<Result<_>>()?).await?;
        known.extend(missing);
        {
            let mut table = self.networks.table();
            for network in &known {
                table.insert(network.clone());
            }
            for entry in self.containers.all() {
                let view = entry.view();
                if view.state.has_joined() {
                    table.restore(entry.id(), view.state.generation, view.state.active().to_vec());
                }
            }
        }
        for network in known {
            if network.cleanup.is_some() {
                self.finish_removal(network);
            } else {
                self.look_after_zone(&network, false);
            }
        }
        self.link.join(Arc::new(Neighbourhood(self.weak())));
        self.spawn(Arc::clone(self).tell_neighbours());
        Ok(())
    }
}
