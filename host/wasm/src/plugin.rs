//! A loaded plugin, which can be replaced while calls go on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use sockerless_ports::backend::{
    AddressRecord, Backend, BlobInfo, Check, Dns, Error, ImageSources, JobHandle, JobSpec, JobStatus, Jobs,
    Labels, LogPage, Manifest, Mount, MountRequest, Page, Result, Storage, Usage, Volume, Zone,
};
use tokio::sync::Mutex;

use crate::{
    contract::Guest,
    host::{Component, PluginHost, PluginOptions},
};

/// A plugin. Calls run concurrently, each in an instance of its own.
pub struct Plugin {
    host: PluginHost,
    name: Arc<str>,
    options: PluginOptions,
    current: ArcSwap<Loaded>,
    /// One swap at a time.
    swapping: Mutex<()>,
}

/// A component that passed its probes.
pub(crate) struct Loaded {
    pub(crate) guest: Arc<dyn Guest>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) digest: String,
}

impl Plugin {
    pub(crate) fn new(host: PluginHost, name: Arc<str>, options: PluginOptions, loaded: Loaded) -> Self {
        Self { host, name, options, current: ArcSwap::from_pointee(loaded), swapping: Mutex::default() }
    }

    /// The name that the operator uses for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `sha256:…` of the component that new calls go to.
    pub fn digest(&self) -> String {
        self.current.load().digest.clone()
    }

    /// Replaces the component: loads and probes the new one, then sends new calls to it. Calls that
    /// are under way end in the old one, which goes with the last of them.
    ///
    /// # Errors
    /// As `PluginHost::load`; the old component stays then.
    pub async fn swap(&self, component: impl Into<Component>) -> Result<()> {
        let _turn = self.swapping.lock().await;
        let loaded =
            self.host.prepare(&self.name, component.into(), &self.options).await.map_err(|error| {
                let message = format!("{}; the component that was there stays in place", error.message);
                Error { message, ..error }
            })?;
        tracing::info!(
            plugin = %self.name, version = %loaded.manifest.version, digest = %loaded.digest,
            "the component was replaced"
        );
        self.current.store(Arc::new(loaded));
        Ok(())
    }

    fn guest(&self) -> Arc<dyn Guest> {
        Arc::clone(&self.current.load().guest)
    }
}

#[async_trait]
impl Backend for Plugin {
    fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.current.load().manifest)
    }

    async fn images(&self) -> Result<ImageSources> {
        self.guest().images().await
    }

    async fn doctor(&self) -> Result<Vec<Check>> {
        self.guest().doctor().await
    }
}

#[async_trait]
impl Jobs for Plugin {
    async fn create(&self, spec: &JobSpec) -> Result<JobHandle> {
        self.guest().create(spec).await
    }

    async fn start(&self, handle: &JobHandle) -> Result<JobHandle> {
        self.guest().start(handle).await
    }

    async fn status(&self, handles: &[JobHandle]) -> Result<Vec<JobStatus>> {
        self.guest().status(handles).await
    }

    async fn stop(&self, handle: &JobHandle, grace_seconds: u32) -> Result<JobHandle> {
        self.guest().stop(handle, grace_seconds).await
    }

    async fn delete(&self, handle: &JobHandle) -> Result<()> {
        self.guest().delete(handle).await
    }

    async fn list(&self, owner: &str, cursor: Option<&str>) -> Result<Page<(JobStatus, Labels)>> {
        self.guest().list(owner, cursor).await
    }

    async fn logs(&self, handle: &JobHandle, cursor: Option<&str>, limit: u32) -> Result<LogPage> {
        self.guest().logs(handle, cursor, limit).await
    }
}

#[async_trait]
impl Dns for Plugin {
    async fn ensure_zone(&self, zone: &Zone) -> Result<()> {
        self.guest().ensure_zone(zone).await
    }

    async fn delete_zone(&self, zone: &str) -> Result<()> {
        self.guest().delete_zone(zone).await
    }

    async fn upsert(&self, zone: &str, record: &AddressRecord) -> Result<()> {
        self.guest().upsert(zone, record).await
    }

    async fn remove_record(&self, zone: &str, name: &str) -> Result<()> {
        self.guest().remove_record(zone, name).await
    }

    async fn records(&self, zone: &str) -> Result<Vec<AddressRecord>> {
        self.guest().records(zone).await
    }

    async fn zones(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Zone>> {
        self.guest().zones(owner, cursor).await
    }
}

#[async_trait]
impl Storage for Plugin {
    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        self.guest().create_volume(volume).await
    }

    async fn remove_volume(&self, owner: &str, name: &str) -> Result<()> {
        self.guest().remove_volume(owner, name).await
    }

    async fn volumes(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Volume>> {
        self.guest().volumes(owner, cursor).await
    }

    async fn usage(&self, owner: &str, name: &str) -> Result<Usage> {
        self.guest().usage(owner, name).await
    }

    async fn mount(&self, request: &MountRequest) -> Result<Mount> {
        self.guest().mount(request).await
    }

    async fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        self.guest().put(path, content).await
    }

    async fn get(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>> {
        self.guest().get(path, offset, length).await
    }

    async fn stat(&self, path: &str) -> Result<Option<BlobInfo>> {
        self.guest().stat(path).await
    }

    async fn delete_blob(&self, path: &str) -> Result<()> {
        self.guest().delete_blob(path).await
    }

    async fn blobs(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<BlobInfo>> {
        self.guest().blobs(prefix, cursor).await
    }
}
