//! `docker commit`: a layer over an image.

use serde_json::{Value, json};
use sockerless_ports::registry::{Archive, CommitImage, Image, ImageError};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::{
    catalog::Entry,
    digest,
    images::{Images, blocking, now},
    layer::Layer,
    manifest::{self, ConfigFile, Descriptor},
    reference::Reference,
};

/// The tar of nothing: a layer of which only the history speaks.
const EMPTY: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// Fields of a configuration that belong to one image alone.
const OWN: [&str; 7] =
    ["author", "comment", "container", "container_config", "docker_version", "id", "parent"];

impl Images {
    /// See the port's `commit`.
    pub(crate) async fn commit_layer(
        &self,
        archive: Archive,
        request: CommitImage,
    ) -> Result<Image, ImageError> {
        let name = request.name.as_deref().map(Reference::parse).transpose()?;
        if name.as_ref().is_some_and(|name| name.digest.is_some()) {
            return Err(ImageError::Invalid("refusing to create a tag with a digest reference".into()));
        }
        let parent = self
            .catalog
            .get(&request.parent)
            .ok_or_else(|| ImageError::NotFound(format!("No such image: {}", request.parent)))?;
        let mut reader = SyncIoBridge::new(StreamReader::new(archive));
        let blobs = self.blobs.clone();
        let layer =
            blocking(move || Layer::read(&mut reader, &blobs)).await.map_err(|error| match error {
                // Nobody's archive is malformed here.
                ImageError::Invalid(words) => ImageError::Internal(words),
                other => other,
            })?;
        let diff_id = layer.diff_id.clone().filter(|diff_id| diff_id != EMPTY);

        let created = now();
        let config = config(&parent.config, &request, diff_id.as_deref(), &created)?;
        let mut layers = parent.parsed()?.layers;
        layers.extend(diff_id.is_some().then(|| layer.descriptor()));
        layers.iter_mut().for_each(plain);
        let (_, manifest) = manifest::build(config.as_bytes(), layers.clone())?;
        let parsed = ConfigFile::parse(config.as_bytes()).map_err(ImageError::Internal)?;
        let mut image = parsed.image(digest::of(config.as_bytes()), digest::of(manifest.as_bytes()), &layers);
        image.tags.extend(name.as_ref().and_then(Reference::familiar_tag));
        if name.is_some() {
            image.last_tagged = created;
        }
        let own = match parent.local {
            true => Vec::new(),
            false => [parent.own.clone(), vec![layer.digest.clone()]].concat(),
        };
        let entry = Entry {
            image,
            manifest,
            media_type: manifest::OCI_MANIFEST.to_owned(),
            config,
            local: parent.local,
            origin: None,
            base: parent.source().cloned(),
            own,
        };
        let change = self.catalog.change().await;
        // While nobody could take it away: what the new image needs is the parent's until it is put down.
        if self.catalog.get(&request.parent).is_none() {
            return Err(ImageError::NotFound(format!("No such image: {}", request.parent)));
        }
        let blobs = self.blobs.clone();
        blocking(move || blobs.keep(&layer.file, &layer.digest)).await?;
        change.put(entry).await
    }
}

/// The parent's configuration with what is new.
fn config(
    parent: &str,
    request: &CommitImage,
    diff_id: Option<&str>,
    created: &str,
) -> Result<String, ImageError> {
    let unreadable =
        |why: &str| ImageError::Internal(format!("the configuration of {}: {why}", request.parent));
    let mut file: Value = serde_json::from_str(parent).map_err(|error| unreadable(&error.to_string()))?;
    let fields = file.as_object_mut().ok_or_else(|| unreadable("it is no object"))?;
    fields.retain(|name, _| !OWN.contains(&name.as_str()));
    let mut step = json!({ "created": created, "created_by": request.created_by });
    for (name, text) in [("author", &request.author), ("comment", &request.comment)] {
        if !text.is_empty() {
            fields.insert(name.into(), text.as_str().into());
            step[name] = text.as_str().into();
        }
    }
    if diff_id.is_none() {
        step["empty_layer"] = true.into();
    }
    fields.insert("created".into(), created.into());
    fields.insert(
        "config".into(),
        serde_json::to_value(&request.config).map_err(|e| unreadable(&e.to_string()))?,
    );
    let list = |value: &mut Value| match value {
        Value::Array(list) => std::mem::take(list),
        _ => Vec::new(),
    };
    let mut history = fields.get_mut("history").map(list).unwrap_or_default();
    history.push(step);
    fields.insert("history".into(), history.into());
    let mut diff_ids =
        fields.get_mut("rootfs").and_then(|rootfs| rootfs.get_mut("diff_ids")).map(list).unwrap_or_default();
    diff_ids.extend(diff_id.map(Value::from));
    fields.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": diff_ids }));
    Ok(file.to_string())
}

/// In a manifest of OCI's a layer has OCI's type.
fn plain(layer: &mut Descriptor) {
    if layer.media_type == "application/vnd.docker.image.rootfs.diff.tar.gzip" {
        layer.media_type = manifest::OCI_LAYER.to_owned();
    }
}
