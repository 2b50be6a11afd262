//! A loaded plugin, which can be replaced while calls go on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use sockerless_ports::backend::{
    AddressRecord, Backend, BlobInfo, Check, Dns, Error, HttpGrant, ImageSources, JobHandle, JobSpec,
    JobStatus, Jobs, Labels, LogPage, Manifest, Mount, MountRequest, Page, Result, Storage, Usage, Volume,
    Zone,
};
use tokio::sync::Mutex;

use crate::{
    contract::Guest,
    host::{Component, PluginHost, PluginOptions},
    http::Grants,
    registry,
    state::Powers,
};

/// A plugin. Calls run concurrently, each in an instance of its own.
pub struct Plugin {
    host: PluginHost,
    name: Arc<str>,
    options: PluginOptions,
    first: First,
    current: ArcSwap<Loaded>,
    /// One swap at a time.
    swapping: Mutex<()>,
}

/// A component that passed its probes.
pub(crate) struct Loaded {
    pub(crate) guest: Arc<dyn Guest>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) digest: String,
    pub(crate) powers: Arc<Powers>,
}

/// What the operator has accepted with the component that a plugin began with, and its successors are held to.
pub(crate) struct First {
    /// The manifest's name of the backend.
    pub(crate) name: String,
    pub(crate) grants: Grants,
}

/// What calls of a plugin go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The manifest's version.
    pub version: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// What it may reach, with which credentials.
    pub granted: Vec<HttpGrant>,
    /// What its manifest asks beyond that.
    pub withheld: Vec<HttpGrant>,
}

/// What came of a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// What calls went to.
    pub before: Standing,
    /// What they go to now; the same when the component was there already.
    pub after: Standing,
}

impl Plugin {
    pub(crate) fn new(host: PluginHost, name: Arc<str>, options: PluginOptions, loaded: Loaded) -> Self {
        let first = First { name: loaded.manifest.name.clone(), grants: loaded.powers.grants.clone() };
        let current = ArcSwap::from_pointee(loaded);
        Self { host, name, options, first, current, swapping: Mutex::default() }
    }

    /// The name that the operator uses for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `sha256:…` of the component that new calls go to.
    pub fn digest(&self) -> String {
        self.current.load().digest.clone()
    }

    /// What new calls go to.
    pub fn standing(&self) -> Standing {
        self.current.load().standing()
    }

    /// Replaces the component: loads and probes the new one, then sends new calls to it. Calls that
    /// are under way end in the old one, which goes with the last of them. The same bytes change nothing.
    ///
    /// Settings and the operator's grant stay as they were at the load. Without a grant of the operator's the new component
    /// gets at most what the first one asked.
    ///
    /// # Errors
    /// As `PluginHost::load`, and `InvalidArgument` for another backend's component; the old component stays then.
    pub async fn swap(&self, component: impl Into<Component>) -> Result<Swap> {
        let _turn = self.swapping.lock().await;
        let stays = |error: Error| {
            let message = format!("{}; the component that was there stays in place", error.message);
            Error { message, ..error }
        };
        let before = self.standing();
        let binary = self.host.read(&self.name, component.into()).await.map_err(stays)?;
        if binary.digest == before.digest {
            return Ok(Swap { after: before.clone(), before });
        }
        let prepared = self.host.prepare(&self.name, binary, &self.options, Some(&self.first)).await;
        let loaded = prepared.map_err(stays)?;
        let after = loaded.standing();
        self.current.store(Arc::new(loaded));
        Ok(Swap { before, after })
    }

    fn guest(&self) -> Arc<dyn Guest> {
        Arc::clone(&self.current.load().guest)
    }
}

impl Loaded {
    fn standing(&self) -> Standing {
        Standing {
            version: self.manifest.version.clone(),
            digest: self.digest.clone(),
            granted: self.powers.grants.granted(),
            withheld: self.powers.grants.withheld(),
        }
    }
}

#[async_trait]
impl Backend for Plugin {
    fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.current.load().manifest)
    }

    async fn images(&self) -> Result<ImageSources> {
        let loaded = self.current.load_full();
        let images = loaded.guest.images().await?;
        registry::check(&self.name, &images, &loaded.powers)?;
        Ok(images)
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
