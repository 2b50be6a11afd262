//! `docker image inspect` and `docker history`.

use bollard_stubs::models::{
    DriverData, HealthConfig, HistoryResponseItem, ImageConfig, ImageInspect, ImageInspectMetadata,
    ImageInspectRootFs,
};
use jiff::Timestamp;
use sockerless_ports::registry::{self, Image, ImageError};

use crate::{Engine, Error, ErrorKind, Result};

impl Engine {
    /// `GET /images/{name}/json`.
    ///
    /// Errors: 404.
    pub async fn inspect_image(&self, reference: &str) -> Result<ImageInspect> {
        let image = self.image(reference).await?;
        let non_empty = |text: String| (!text.is_empty()).then_some(text);
        Ok(ImageInspect {
            descriptor: None,
            manifests: None,
            repo_tags: Some(image.tags),
            repo_digests: Some(image.digests),
            parent: Some(String::new()),
            comment: Some(image.comment),
            created: non_empty(image.created),
            docker_version: Some(String::new()),
            author: Some(image.author),
            config: Some(config(image.config)),
            architecture: Some(image.architecture),
            variant: non_empty(image.variant),
            os: Some(image.os),
            os_version: None,
            size: i64::try_from(image.size).ok(),
            virtual_size: None,
            graph_driver: Some(DriverData {
                name: "sockerless".into(),
                data: std::collections::HashMap::new(),
            }),
            root_fs: Some(ImageInspectRootFs { typ: "layers".into(), layers: Some(image.diff_ids) }),
            metadata: Some(ImageInspectMetadata { last_tag_time: non_empty(image.last_tagged) }),
            id: Some(image.id),
        })
    }

    /// `GET /images/{name}/history`, newest first.
    ///
    /// Errors: 404.
    pub async fn image_history(&self, reference: &str) -> Result<Vec<HistoryResponseItem>> {
        let image = self.image(reference).await?;
        let last = image.history.len().saturating_sub(1);
        let steps = image.history.into_iter().enumerate().rev();
        Ok(steps
            .map(|(index, step)| HistoryResponseItem {
                // Only the image itself has an id; its steps have none of their own.
                id: if index == last { image.id.clone() } else { "<missing>".into() },
                created: step.created.parse().unwrap_or(Timestamp::UNIX_EPOCH).as_second(),
                created_by: step.created_by,
                tags: if index == last { image.tags.clone() } else { Vec::new() },
                size: i64::try_from(step.size).unwrap_or(i64::MAX),
                comment: step.comment,
            })
            .collect())
    }

    /// Errors: 404 in dockerd's words, which clients match.
    pub(super) async fn image(&self, reference: &str) -> Result<Image> {
        self.registry.find(reference).await.map_err(|error| match error {
            ImageError::NotFound(_) => {
                Error::new(ErrorKind::NotFound, format!("No such image: {}", worded(reference)))
            }
            other => other.into(),
        })
    }
}

/// As dockerd repeats a name: with its tag.
pub(super) fn worded(reference: &str) -> String {
    match super::Reference::parse(reference) {
        Ok(parsed) if !super::is_id(reference) => parsed.with_tag(),
        _ => reference.to_owned(),
    }
}

fn config(config: registry::ImageConfig) -> ImageConfig {
    let keys = |map: std::collections::BTreeMap<String, registry::Empty>| {
        let keys: Vec<String> = map.into_keys().collect();
        (!keys.is_empty()).then_some(keys)
    };
    let health: Option<HealthConfig> =
        config.healthcheck.and_then(|value| serde_json::from_value(value).ok());
    ImageConfig {
        hostname: Some(String::new()),
        domainname: Some(String::new()),
        user: Some(config.user),
        attach_stdin: Some(false),
        attach_stdout: Some(false),
        attach_stderr: Some(false),
        exposed_ports: keys(config.exposed_ports),
        tty: Some(false),
        open_stdin: Some(false),
        stdin_once: Some(false),
        env: Some(config.env),
        cmd: config.cmd,
        healthcheck: health,
        args_escaped: None,
        image: Some(String::new()),
        volumes: keys(config.volumes),
        working_dir: Some(config.working_dir),
        entrypoint: config.entrypoint,
        network_disabled: None,
        mac_address: None,
        on_build: config.on_build,
        labels: Some(config.labels.into_iter().collect()),
        stop_signal: (!config.stop_signal.is_empty()).then_some(config.stop_signal),
        stop_timeout: config.stop_timeout,
        shell: config.shell,
    }
}
