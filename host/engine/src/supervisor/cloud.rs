//! A backend with what the engine remembers of it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use sockerless_ports::{
    Backend, Registry,
    backend::{self, Error, ErrorCode, ImageSources, Manifest},
    registry::ImageError,
};
use tokio::{sync::Mutex, time::Instant};

use super::{delivery::Delivery, poll::Poller, retry};
use crate::{AgentBinary, containers::Spec, tuning};

/// A backend, by the name that `--runtime` takes.
pub(crate) struct Cloud {
    pub name: String,
    pub backend: Arc<dyn Backend>,
    pub(super) poller: Poller,
    breaker: retry::Breaker,
    sources: Mutex<Option<(Instant, Arc<ImageSources>)>>,
    /// Where jobs get the agent, once it is delivered.
    agent: Mutex<Option<Delivery>>,
    /// Volumes of starts that failed: the next mount renews what the provider was told of them.
    doubtful: SyncMutex<HashSet<String>>,
}

impl Cloud {
    pub fn new(name: String, backend: Arc<dyn Backend>) -> Self {
        Self {
            name,
            backend,
            poller: Poller::default(),
            breaker: retry::Breaker::default(),
            sources: Mutex::default(),
            agent: Mutex::default(),
            doubtful: SyncMutex::default(),
        }
    }

    pub fn manifest(&self) -> Arc<Manifest> {
        self.backend.manifest()
    }

    /// Calls the backend as long as somebody waits at a start.
    pub async fn call<T, F>(&self, operation: &'static str, call: impl FnMut() -> F) -> backend::Result<T>
    where
        F: Future<Output = backend::Result<T>>,
    {
        retry::retry(&self.breaker, operation, Some(tuning::START_PATIENCE), tuning::BACKOFF.1, call).await
    }

    /// Calls the backend until it gives a final answer.
    pub async fn insist<T, F>(
        &self,
        operation: &'static str,
        longest: Duration,
        call: impl FnMut() -> F,
    ) -> backend::Result<T>
    where
        F: Future<Output = backend::Result<T>>,
    {
        retry::retry(&self.breaker, operation, None, longest, call).await
    }

    /// Where images may come from.
    pub async fn sources(&self) -> backend::Result<Arc<ImageSources>> {
        let mut cached = self.sources.lock().await;
        if let Some((asked, sources)) = cached.as_ref()
            && asked.elapsed() < tuning::SOURCES_AGE
        {
            return Ok(Arc::clone(sources));
        }
        let sources = Arc::new(self.call("images", || self.backend.images()).await?);
        *cached = Some((Instant::now(), Arc::clone(&sources)));
        Ok(sources)
    }

    /// The same without asking: none when it is not known, or is being asked for.
    pub fn known_sources(&self) -> Option<Arc<ImageSources>> {
        self.sources.try_lock().ok()?.as_ref().map(|(_, sources)| Arc::clone(sources))
    }

    /// Has the image where the cloud can pull it, and gives the reference for it.
    pub async fn provide(&self, registry: &dyn Registry, image: &str) -> backend::Result<String> {
        let sources = self.sources().await?;
        // Nobody watches this progress; a closed channel does not stop the work.
        let (progress, _) = tokio::sync::mpsc::channel(1);
        registry.provide(image, &sources, progress).await.map_err(from_image)
    }

    /// Has the agent where the cloud's jobs get it.
    pub async fn deliver(
        &self,
        registry: &dyn Registry,
        agent: &AgentBinary,
        owner: &str,
    ) -> backend::Result<Delivery> {
        let mut delivery = self.agent.lock().await;
        if let Some(delivery) = delivery.as_ref() {
            return Ok(delivery.clone());
        }
        let made = Delivery::make(self, registry, agent, owner).await?;
        *delivery = Some(made.clone());
        Ok(made)
    }

    /// After a failed start: somebody may have removed what was provided or delivered, or changed what opens a volume.
    pub async fn forget(&self, registry: &dyn Registry, spec: &Spec) {
        let volumes = spec.volume_names().map(str::to_owned);
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).extend(volumes);
        registry.forget(&spec.image_id);
        *self.agent.lock().await = None;
        *self.sources.lock().await = None;
    }

    /// Whether a start with a volume has failed since it was last mounted.
    pub fn is_doubtful(&self, volume: &str) -> bool {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).contains(volume)
    }

    /// A volume was mounted anew.
    pub fn trust(&self, volume: &str) {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).remove(volume);
    }
}

/// A registry's error as one of the backend's.
pub(super) fn from_image(error: ImageError) -> Error {
    let code = match &error {
        ImageError::Invalid(_) => ErrorCode::InvalidArgument,
        ImageError::NotFound(_) => ErrorCode::NotFound,
        ImageError::Conflict(_) => ErrorCode::Conflict,
        ImageError::Denied(_) => ErrorCode::PermissionDenied,
        ImageError::Unavailable(_) => ErrorCode::Unavailable,
        ImageError::Internal(_) => ErrorCode::Internal,
    };
    Error::new(code, error.to_string())
}
