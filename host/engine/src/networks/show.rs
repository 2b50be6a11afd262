//! Networks as `docker network ls` and `inspect` show them.

use std::collections::HashMap;

use bollard_stubs::models::{ConfigReference, Network as Model, NetworkContainer};

use super::{Network, filters::ListFilters, not_found};
use crate::{Engine, Filters, Result};

/// Why a removed network is still there.
const LABEL_CLEANUP: &str = "sockerless.cleanup";
/// Why its records in the cloud are not up to date.
const LABEL_RECORDS: &str = "sockerless.records";

/// Containers by network.
type Attached = HashMap<String, HashMap<String, NetworkContainer>>;

impl Engine {
    /// `GET /networks`, in the order of their names.
    ///
    /// Errors: 400 for an unknown filter or value.
    pub fn networks(&self, filters: &Filters) -> Result<Vec<Model>> {
        let filters = ListFilters::parse(filters)?;
        let mut attached = self.attached();
        let mut all: Vec<Model> = Vec::new();
        for network in self.all_networks() {
            let labels = self.labels(&network);
            let containers = attached.remove(&network.id).unwrap_or_default();
            if filters.matches(&network, |key| labels.get(key).cloned(), !containers.is_empty()) {
                all.push(model(network, labels, containers));
            }
        }
        all.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(all)
    }

    /// `GET /networks/{id}`: by name, id or the beginning of an id. `scope`: none or `local` for all that there are.
    ///
    /// Errors: 404, 400 for a beginning that several ids have.
    pub fn inspect_network(&self, reference: &str, scope: Option<&str>) -> Result<Model> {
        if scope.is_some_and(|scope| scope != "local") {
            return Err(not_found(reference));
        }
        let network = self.networks.table().find(reference)?.clone();
        let containers = self.attached().remove(&network.id).unwrap_or_default();
        let labels = self.labels(&network);
        Ok(model(network, labels, containers))
    }

    fn all_networks(&self) -> Vec<Network> {
        self.networks.table().all().cloned().collect()
    }

    /// The user's labels, and what the user has to know.
    fn labels(&self, network: &Network) -> HashMap<String, String> {
        let mut labels = network.labels.clone();
        if let Some(reason) = &network.cleanup {
            labels.insert(LABEL_CLEANUP.into(), reason.clone());
        }
        if let Some(trouble) = self.networks.table().trouble(&network.id) {
            labels.insert(LABEL_RECORDS.into(), trouble.clone());
        }
        labels
    }

    fn attached(&self) -> Attached {
        let mut all = Attached::new();
        for entry in self.containers.all() {
            let view = entry.view();
            for endpoint in view.state.active() {
                let address = endpoint.address.map(|address| format!("{address}/{}", endpoint.prefix));
                let shown = NetworkContainer {
                    name: Some(view.name.clone()),
                    endpoint_id: Some(endpoint.id.clone()),
                    mac_address: Some(endpoint.mac.clone()),
                    ipv4_address: Some(address.unwrap_or_default()),
                    ipv6_address: Some(String::new()),
                };
                all.entry(endpoint.network.clone()).or_default().insert(entry.id().to_owned(), shown);
            }
        }
        all
    }
}

fn model(
    network: Network,
    labels: HashMap<String, String>,
    containers: HashMap<String, NetworkContainer>,
) -> Model {
    Model {
        name: Some(network.name),
        id: Some(network.id),
        created: Some(network.created.to_string()),
        scope: Some("local".into()),
        driver: Some(network.driver),
        enable_ipv4: Some(true),
        enable_ipv6: Some(false),
        ipam: Some(network.ipam),
        internal: Some(network.internal),
        attachable: Some(network.attachable),
        ingress: Some(false),
        config_from: Some(ConfigReference { network: Some(String::new()) }),
        config_only: Some(false),
        containers: Some(containers),
        options: Some(network.options),
        labels: Some(labels),
        peers: None,
    }
}
