//! The port, put together.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use async_trait::async_trait;
use sockerless_ports::{
    backend::ImageSources,
    registry::{
        Archive, Bundle, CommitImage, Image, ImageConfig, ImageError, ImageUse, ImportRequest, Loaded, Login,
        Progress, PullRequest, Registry, Removed,
    },
    store::Store,
};

use crate::{
    blobs::Blobs,
    catalog::Catalog,
    client::{Client, Places},
    config::{ImagesConfig, Logins},
    import,
    provide::Copies,
    reference::Reference,
};

/// The images of a daemon.
#[derive(Debug)]
pub struct Images {
    me: Weak<Self>,
    pub(crate) config: ImagesConfig,
    pub(crate) places: Places,
    pub(crate) client: Client,
    pub(crate) catalog: Catalog,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) copies: Copies,
    /// By registry, as given with the last pull. In memory only.
    logins: Mutex<HashMap<String, Login>>,
}

impl Images {
    /// Opens what is kept: records in the store, blobs below the directory (which is made). Blobs that no
    /// record needs are removed. Errors: `Internal` with the file system's or the store's word.
    pub async fn open(
        directory: impl AsRef<Path>,
        store: Arc<dyn Store>,
        logins: Arc<dyn Logins>,
        config: ImagesConfig,
    ) -> Result<Arc<Self>, ImageError> {
        let blobs = Blobs::open(directory.as_ref())?;
        let catalog = Catalog::open(store).await?;
        blobs.sweep(&catalog.blobs()?)?;
        let client = Client::new().map_err(|e| ImageError::Internal(format!("HTTP client: {e}")))?;
        Ok(Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            places: Places::new(&config),
            config,
            client,
            catalog,
            blobs: Arc::new(blobs),
            copies: Copies::new(logins),
            logins: Mutex::default(),
        }))
    }

    /// A counted reference, for tasks. `open` gives out nothing else, so it is there unless it is being dropped.
    pub(crate) fn shared(&self) -> Result<Arc<Self>, ImageError> {
        self.me.upgrade().ok_or_else(|| ImageError::Internal("the daemon is shutting down".into()))
    }

    /// Keeps a login for copying layers later; a pull without one does not forget it.
    pub(crate) fn remember_login(&self, registry: &str, login: Option<Login>) {
        if let Some(login) = login {
            self.logins.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned(), login);
        }
    }

    pub(crate) fn remembered_login(&self, registry: &str) -> Option<Login> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).get(registry).cloned()
    }
}

#[async_trait]
impl Registry for Images {
    async fn pull(&self, request: PullRequest, progress: Progress) -> Result<Image, ImageError> {
        self.pull_image(request, progress).await
    }

    async fn login(&self, login: Login) -> Result<String, ImageError> {
        self.check_login(&login).await
    }

    async fn load(&self, archive: Archive, progress: Progress) -> Result<Vec<Loaded>, ImageError> {
        self.load_archive(archive, progress).await
    }

    async fn import(&self, archive: Archive, request: ImportRequest) -> Result<Image, ImageError> {
        self.import_archive(archive, request).await
    }

    async fn find(&self, reference: &str) -> Result<Image, ImageError> {
        self.catalog.find(reference).map(|entry| entry.image.clone())
    }

    async fn list(&self) -> Vec<Image> {
        self.catalog.list()
    }

    async fn tag(&self, reference: &str, name: &str) -> Result<Image, ImageError> {
        let name = Reference::parse(name)?;
        if name.digest.is_some() {
            return Err(ImageError::Invalid("refusing to create a tag with a digest reference".into()));
        }
        self.catalog.change().await.tag(reference, &name, now()).await
    }

    async fn remove(
        &self,
        reference: &str,
        force: bool,
        in_use: &[ImageUse],
    ) -> Result<Vec<Removed>, ImageError> {
        let change = self.catalog.change().await;
        let removed = change.remove(reference, force, in_use).await?;
        if removed.iter().any(|what| matches!(what, Removed::Deleted(_))) {
            let (blobs, needed) = (Arc::clone(&self.blobs), self.catalog.blobs()?);
            blocking(move || blobs.sweep(&needed)).await?;
        }
        drop(change);
        Ok(removed)
    }

    async fn provide(
        &self,
        id: &str,
        sources: &ImageSources,
        progress: Progress,
    ) -> Result<String, ImageError> {
        self.provide_image(id, sources, &progress).await
    }

    fn forget(&self, id: &str) {
        self.forget_image(id);
    }

    async fn publish(&self, bundle: &Bundle, sources: &ImageSources) -> Result<String, ImageError> {
        self.publish_bundle(bundle, sources).await
    }

    async fn layer(&self, id: &str, layer: usize) -> Result<Archive, ImageError> {
        self.layer_bytes(id, layer).await
    }

    fn changed(&self, mut config: ImageConfig, changes: &[String]) -> Result<ImageConfig, ImageError> {
        import::apply(&mut config, changes)?;
        Ok(config)
    }

    async fn commit(&self, layer: Archive, request: CommitImage) -> Result<Image, ImageError> {
        self.commit_layer(layer, request).await
    }

    async fn save(&self, references: &[String]) -> Result<Archive, ImageError> {
        self.save_images(references)
    }
}

/// RFC 3339.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// Runs it where waiting for a disk hinders nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(ImageError::Internal(format!("a worker ended early: {e}"))))
}
