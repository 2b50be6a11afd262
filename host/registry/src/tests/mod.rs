//! The whole crate against a registry that runs in the test.

mod archives;
mod bundle;
mod hub;
mod kept;
mod layers;
mod load;
mod logins;
mod names;
mod provide;
mod pull;

use std::sync::Arc;

use sockerless_ports::registry::{Image, ImageError, Login, ProgressEvent, PullRequest, Registry};
use tokio::sync::mpsc;

use crate::{Images, ImagesConfig, NoLogins};
use kept::Kept;

/// A daemon's images in a folder of their own.
pub struct Bench {
    pub images: Arc<Images>,
    pub store: Arc<Kept>,
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(ImagesConfig::default()).await
    }

    pub async fn with(config: ImagesConfig) -> Self {
        let (store, folder) = (Arc::new(Kept::default()), tempfile::tempdir().unwrap());
        let images = Images::open(folder.path(), store.clone(), Arc::new(NoLogins), config).await.unwrap();
        Self { images, store, folder }
    }

    /// The daemon ends and starts again.
    pub async fn reopened(self) -> Self {
        let Self { store, folder, .. } = self;
        let images = Images::open(folder.path(), store.clone(), Arc::new(NoLogins), ImagesConfig::default())
            .await
            .unwrap();
        Self { images, store, folder }
    }

    pub async fn pull(&self, reference: &str) -> Result<Image, ImageError> {
        self.pull_as(reference, None, None).await.map(|(image, _)| image)
    }

    pub async fn pull_as(
        &self,
        reference: &str,
        platform: Option<&str>,
        login: Option<Login>,
    ) -> Result<(Image, Vec<String>), ImageError> {
        let request = PullRequest { reference: reference.into(), platform: platform.map(Into::into), login };
        let (progress, mut told) = mpsc::channel(100);
        let image = self.images.pull(request, progress).await?;
        let mut all = Vec::new();
        while let Some(ProgressEvent { id, status, .. }) = told.recv().await {
            all.push(id.map_or(status.clone(), |id| format!("{id}: {status}")));
        }
        Ok((image, all))
    }

    pub fn blobs(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("blobs/sha256")).unwrap().count()
    }

    pub fn staged(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("staging")).unwrap().count()
    }
}

pub fn silent() -> mpsc::Sender<ProgressEvent> {
    mpsc::channel(1).0
}

pub fn login(username: &str, password: &str) -> Login {
    Login { username: username.into(), password: password.into(), ..Login::default() }
}
