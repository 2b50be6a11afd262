//! `docker ps`.

use std::{collections::HashMap, sync::Arc};

use bollard_stubs::models::{
    ContainerSummary, ContainerSummaryHostConfig, ContainerSummaryNetworkSettings, ContainerSummaryStateEnum,
    Port,
};
use jiff::Timestamp;

use super::{
    filters::ListFilters,
    inspect::mounts,
    network, ports, status,
    table::{Entry, View},
};
use crate::{Engine, ListRequest, Result};

impl Engine {
    /// `GET /containers/json`, newest first, out of memory.
    ///
    /// Errors: 400 for an unknown filter or value, 404 for a `before` or `since` that does not exist.
    pub fn list(&self, request: &ListRequest) -> Result<Vec<ContainerSummary>> {
        let images = self.images.names();
        let filters = ListFilters::parse(&request.filters, &self.containers, &images)?;
        let all = request.all || request.limit.is_some_and(|limit| limit > 0) || filters.imply_all();
        let mut entries = self.containers.all();
        entries.sort_unstable_by(|a, b| (b.spec.created, &b.spec.id).cmp(&(a.spec.created, &a.spec.id)));
        let now = Timestamp::now();
        // Most containers share a few images, and what a name stands for takes a parser to say.
        let mut meanings: HashMap<&str, Option<&str>> = HashMap::new();
        let matching = entries.iter().map(|entry| (entry, entry.view())).filter(|(entry, view)| {
            (all || status::word(&view.state) == "running") && filters.matches(entry, view)
        });
        let limit = request.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        Ok(matching
            .take(limit)
            .map(|(entry, view)| {
                let name = entry.spec.image.as_str();
                let meaning = *meanings.entry(name).or_insert_with(|| images.resolve(name));
                let size = images.size(&entry.spec.image_id).filter(|_| request.size);
                summary(entry, &view, meaning, size, now)
            })
            .collect())
    }
}

/// `meaning` is the id of the image that the container's image name stands for now.
fn summary(
    entry: &Arc<Entry>,
    view: &View,
    meaning: Option<&str>,
    size: Option<i64>,
    now: Timestamp,
) -> ContainerSummary {
    let spec = &entry.spec;
    let state = match status::word(&view.state) {
        "created" => ContainerSummaryStateEnum::CREATED,
        "running" => ContainerSummaryStateEnum::RUNNING,
        "exited" => ContainerSummaryStateEnum::EXITED,
        "removing" => ContainerSummaryStateEnum::REMOVING,
        _ => ContainerSummaryStateEnum::DEAD,
    };
    // A name that was given to another image since would mislead.
    let named = meaning.is_none_or(|id| id == spec.image_id);
    ContainerSummary {
        id: Some(spec.id.clone()),
        names: Some(vec![format!("/{}", view.name)]),
        image: Some(if named { spec.image.clone() } else { spec.image_id.clone() }),
        image_id: Some(spec.image_id.clone()),
        image_manifest_descriptor: None,
        command: Some(status::command(spec)),
        created: Some(spec.created.as_second()),
        ports: Some(if state == ContainerSummaryStateEnum::RUNNING { exposed(spec) } else { Vec::new() }),
        size_rw: None,
        size_root_fs: size,
        labels: Some(spec.config.labels.clone().unwrap_or_default()),
        state: Some(state),
        status: Some(status::text(&view.state, now)),
        host_config: Some(ContainerSummaryHostConfig {
            network_mode: Some(network::name(spec).to_owned()),
            annotations: spec.host.annotations.clone(),
        }),
        network_settings: Some(ContainerSummaryNetworkSettings {
            networks: Some(network::endpoints(spec, view)),
        }),
        mounts: Some(mounts(spec)),
    }
}

fn exposed(spec: &super::Spec) -> Vec<Port> {
    let parsed = spec.config.exposed_ports.iter().flatten().filter_map(|port| ports::parse(port).ok());
    parsed
        .flat_map(|range| {
            (range.first..=range.last).map(move |port| Port {
                ip: None,
                private_port: port,
                public_port: None,
                typ: Some(range.protocol),
            })
        })
        .collect()
}
