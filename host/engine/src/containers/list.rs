//! `docker ps`.

use std::sync::Arc;

use bollard_stubs::models::{
    ContainerSummary, ContainerSummaryHostConfig, ContainerSummaryNetworkSettings, ContainerSummaryStateEnum,
};
use jiff::Timestamp;
use sockerless_ports::backend::VolumeDriver;

use super::{Spec, filters::ListFilters, inspect::mounts, network, status, summary::Source};
use crate::{Engine, Error, ErrorKind, ListRequest, Result, life::Phase, publish, tuning};

impl Engine {
    /// `GET /containers/json`, newest first, out of memory.
    ///
    /// Errors: 400 for an unknown filter or value, 404 for a `before` or `since` that does not exist.
    pub fn list(&self, request: &ListRequest) -> Result<Listing> {
        let images = self.images.names();
        let filters = ListFilters::parse(&request.filters, &self.containers, &images)?;
        let all = request.all || request.limit.is_some_and(|limit| limit > 0) || filters.imply_all();
        let entries = self.containers.newest();
        let now = Timestamp::now();
        let matching = entries
            .iter()
            .map(|entry| (entry, entry.view()))
            .filter(|(entry, view)| (all || view.state.is_up()) && filters.matches(entry, view));
        let limit = request.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let mut json = Vec::with_capacity(entries.len() * tuning::SUMMARY);
        json.push(b'[');
        for (entry, view) in matching.take(limit) {
            if json.len() > 1 {
                json.push(b',');
            }
            let source = Source { view, images: Arc::clone(&images), size: request.size };
            let model =
                |source: &Source| summary(&entry.spec, source, &self.volume_driver(&entry.spec.backend));
            entry.summary.append(source, now, &mut json, model).map_err(|error| {
                Error::new(ErrorKind::Internal, format!("container {}: {error}", entry.id()))
            })?;
        }
        json.push(b']');
        Ok(Listing { json })
    }
}

/// The answer to a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// A JSON array of the API's `ContainerSummary`.
    pub json: Vec<u8>,
}

/// Without `status`, which depends on the clock.
fn summary(spec: &Spec, source: &Source, driver: &VolumeDriver) -> ContainerSummary {
    let Source { view, images, size } = source;
    // A name that was given to another image since would mislead.
    let named = images.resolve(&spec.image).is_none_or(|id| id == spec.image_id);
    let state = match status::word(&view.state) {
        "created" => ContainerSummaryStateEnum::CREATED,
        "running" => ContainerSummaryStateEnum::RUNNING,
        "paused" => ContainerSummaryStateEnum::PAUSED,
        "restarting" => ContainerSummaryStateEnum::RESTARTING,
        "exited" => ContainerSummaryStateEnum::EXITED,
        "removing" => ContainerSummaryStateEnum::REMOVING,
        _ => ContainerSummaryStateEnum::DEAD,
    };
    ContainerSummary {
        id: Some(spec.id.clone()),
        names: Some(vec![format!("/{}", view.name)]),
        image: Some(if named { spec.image.clone() } else { spec.image_id.clone() }),
        image_id: Some(spec.image_id.clone()),
        image_manifest_descriptor: None,
        command: Some(status::command(spec)),
        created: Some(spec.created.as_second()),
        ports: Some(if view.state.phase == Phase::Running {
            publish::listed(spec, &view.state.ports)
        } else {
            Vec::new()
        }),
        size_rw: None,
        size_root_fs: size.then(|| images.size(&spec.image_id)).flatten(),
        labels: Some(spec.config.labels.clone().unwrap_or_default()),
        state: Some(state),
        status: None,
        host_config: Some(ContainerSummaryHostConfig {
            network_mode: Some(network::mode(&view.spec).to_owned()),
            annotations: spec.host.annotations.clone(),
        }),
        network_settings: Some(ContainerSummaryNetworkSettings { networks: Some(network::endpoints(view)) }),
        mounts: Some(mounts(spec, driver)),
    }
}
