//! The images on this machine: documents and layers by digest.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use oci_spec::distribution::Reference;

use super::{
    ImageConfig, ImageError,
    client::RegistryClient,
    document::{Descriptor, Manifest, Target},
    flight::Flights,
    layer::{Unpack, folder_name},
};
use crate::{config::RegistryAccess, tuning::LAYER_CONCURRENCY};

/// An image that can be run.
#[derive(Debug)]
pub(crate) struct Image {
    pub config: ImageConfig,
    /// Folders below `layers`, topmost first.
    pub layers: Vec<String>,
}

/// Pulls images, each piece once.
#[derive(Debug)]
pub(crate) struct ImageStore {
    state: PathBuf,
    client: RegistryClient,
    unpack: Unpack,
    flights: Flights,
    ready: Mutex<HashMap<String, Arc<Image>>>,
}

/// The layer of an image without any.
const EMPTY: &str = "empty";

impl ImageStore {
    /// Removes what an interrupted pull left.
    pub(crate) async fn open(
        state: &Path,
        registries: BTreeMap<String, RegistryAccess>,
        unpack: Unpack,
    ) -> io::Result<Self> {
        for folder in ["documents", "layers", "blobs"] {
            tokio::fs::create_dir_all(state.join(folder)).await?;
        }
        let mut partial = Vec::new();
        for folder in ["layers", "blobs", "documents"] {
            let mut entries = tokio::fs::read_dir(state.join(folder)).await?;
            while let Some(entry) = entries.next_entry().await? {
                if entry.file_name().to_string_lossy().starts_with("partial-") || folder == "blobs" {
                    partial.push(entry.path());
                }
            }
        }
        let (folders, files): (Vec<_>, Vec<_>) = partial.iter().partition(|path| path.is_dir());
        for file in files {
            tokio::fs::remove_file(file).await?;
        }
        if !folders.is_empty() {
            unpack.remove(&folders.into_iter().map(PathBuf::as_path).collect::<Vec<_>>()).await;
        }
        match tokio::fs::create_dir(state.join("layers").join(EMPTY)).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Ok(Self {
            state: state.to_owned(),
            client: RegistryClient::new(registries).map_err(io::Error::other)?,
            unpack,
            flights: Flights::default(),
            ready: Mutex::default(),
        })
    }

    /// Makes an image ready to run. `pulling` is called at most once, when something has to come
    /// from the registry.
    pub(crate) async fn ensure(
        &self,
        image: &str,
        pulling: impl AsyncFnOnce(),
    ) -> Result<Arc<Image>, ImageError> {
        let reference: Reference = image
            .parse()
            .map_err(|error| ImageError::invalid(format!("{image:?} is no image reference: {error}")))?;
        let digest = self.client.digest(&reference).await?;
        folder_name(&digest)?;
        if let Some(image) = self.known(&digest) {
            return Ok(image);
        }
        let _turn = self.flights.enter(&digest).await;
        if let Some(image) = self.known(&digest) {
            return Ok(image);
        }
        let mut pulling = Some(pulling);
        let image = Arc::new(self.load(&reference, &digest, &mut pulling).await?);
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, Arc::clone(&image));
        Ok(image)
    }

    /// What works on files of the tasks' users.
    pub(crate) fn stages(&self) -> &Unpack {
        &self.unpack
    }

    /// Deletes all layers.
    pub(crate) async fn purge(&self) {
        self.unpack.remove(&[&self.state.join("layers")]).await;
    }

    fn known(&self, digest: &str) -> Option<Arc<Image>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    async fn load(
        &self,
        reference: &Reference,
        digest: &str,
        pulling: &mut Option<impl AsyncFnOnce()>,
    ) -> Result<Image, ImageError> {
        let mut digest = digest.to_owned();
        // An index may lead to an index; deeper is a loop or a joke.
        for _ in 0..3 {
            let bytes = self.document(reference, &digest, true, pulling).await?;
            let manifest: Manifest = serde_json::from_slice(&bytes)
                .map_err(|error| ImageError::invalid(format!("{reference}: manifest: {error}")))?;
            match manifest.target()? {
                Target::Manifest(next) => digest = next,
                Target::Image { config, layers } => {
                    let bytes = self.document(reference, &config.digest, false, pulling).await?;
                    let config = ImageConfig::parse(&bytes)?;
                    let layers = self.layers(reference, &layers, pulling).await?;
                    return Ok(Image { config, layers });
                }
            }
        }
        Err(ImageError::invalid(format!("{reference}: an index that leads to no image")))
    }

    async fn document(
        &self,
        reference: &Reference,
        digest: &str,
        manifest: bool,
        pulling: &mut Option<impl AsyncFnOnce()>,
    ) -> Result<Vec<u8>, ImageError> {
        folder_name(digest)?;
        let path = self.state.join("documents").join(digest.replace(':', "-"));
        if let Ok(bytes) = tokio::fs::read(&path).await {
            return Ok(bytes);
        }
        announce(pulling).await;
        let bytes = if manifest {
            self.client.manifest(reference, digest).await?
        } else {
            self.client.blob(reference, digest).await?
        };
        let partial = path.with_file_name(format!("partial-{}", digest.replace(':', "-")));
        let write = async {
            tokio::fs::write(&partial, &bytes).await?;
            tokio::fs::rename(&partial, &path).await
        };
        write.await.map_err(|error| ImageError::internal(path.display(), error))?;
        Ok(bytes)
    }

    async fn layers(
        &self,
        reference: &Reference,
        layers: &[Descriptor],
        pulling: &mut Option<impl AsyncFnOnce()>,
    ) -> Result<Vec<String>, ImageError> {
        let mut names = Vec::new();
        let mut missing = Vec::new();
        for layer in layers.iter().rev() {
            let name = folder_name(&layer.digest)?;
            // A layer that comes twice counts where it lies topmost; overlayfs takes it once.
            if names.contains(&name) {
                continue;
            }
            if !self.has(&name) {
                missing.push((layer.clone(), name.clone()));
            }
            names.push(name);
        }
        if !missing.is_empty() {
            announce(pulling).await;
        }
        stream::iter(missing)
            .map(|(layer, name)| self.layer(reference, layer, name))
            .buffer_unordered(LAYER_CONCURRENCY)
            .try_collect::<()>()
            .await?;
        if names.is_empty() {
            names.push(EMPTY.to_owned());
        }
        Ok(names)
    }

    fn has(&self, name: &str) -> bool {
        self.state.join("layers").join(name).is_dir()
    }

    async fn layer(&self, reference: &Reference, layer: Descriptor, name: String) -> Result<(), ImageError> {
        // Images that share the layer may be pulled at the same time.
        let _turn = self.flights.enter(&name).await;
        if self.has(&name) {
            return Ok(());
        }
        let blob = self.state.join("blobs").join(&name);
        let result = async {
            self.client.download(reference, &layer, &blob).await?;
            self.unpack.unpack(&blob, &self.state.join("layers"), &name).await
        }
        .await;
        // It is not needed again: the folder is the cache.
        let _ = tokio::fs::remove_file(&blob).await;
        result
    }
}

async fn announce(pulling: &mut Option<impl AsyncFnOnce()>) {
    if let Some(pulling) = pulling.take() {
        pulling().await;
    }
}
