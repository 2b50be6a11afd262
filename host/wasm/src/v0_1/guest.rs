//! A component of version 0.1, called.

use async_trait::async_trait;
use sockerless_ports::backend::{
    AddressRecord, BlobInfo, Check, Dns, ImageSources, JobHandle, JobSpec, JobStatus, Jobs, Labels, LogPage,
    Manifest, Mount, MountRequest, Page, Result, Storage, Usage, Volume, Zone,
};

use super::bindings::{BackendPre, sockerless::backend::types};
use crate::{call::Calls, contract::Guest, state::State};

/// A component that is ready to be instantiated for each call.
pub(crate) struct Component {
    pre: BackendPre<State>,
    calls: Calls,
}

impl Component {
    /// Binds a component's exports.
    ///
    /// # Errors
    /// An export of the world is missing or has another type.
    pub(crate) fn new(pre: wasmtime::component::InstancePre<State>, calls: Calls) -> wasmtime::Result<Self> {
        Ok(Self { pre: BackendPre::new(pre)?, calls })
    }
}

/// Calls `INTERFACE.FUNCTION(ARGUMENTS)` in a fresh instance, within the time of that limit.
macro_rules! call {
    ($self:ident, $limit:ident, $name:literal, $interface:ident.$function:ident($($argument:expr),*)) => {
        call!($self, $limit, $name, |guest, store| guest.$interface().$function(store $(, $argument)*).await)
    };
    ($self:ident, $limit:ident, $name:literal, |$guest:ident, $store:ident| $body:expr) => {{
        // The store goes first when both are dropped, so that its place is free once it is announced.
        let (call, mut store) = $self.calls.begin($name, $self.calls.shared.limits.$limit).await?;
        call.run(async {
            let $guest = $self.pre.instantiate_async(&mut store).await?;
            let $store = &mut store;
            $body
        })
        .await
    }};
}

#[async_trait]
impl Guest for Component {
    async fn describe(&self) -> Result<Manifest> {
        let manifest = call!(self, probe, "plugin.describe", |guest, store| {
            let manifest = guest.sockerless_backend_plugin().call_describe(store).await?;
            Ok(Ok::<_, types::Error>(manifest))
        })?;
        Ok(manifest.into())
    }

    async fn configure(&self) -> Result<()> {
        call!(self, probe, "plugin.configure", sockerless_backend_plugin.call_configure())
    }

    async fn images(&self) -> Result<ImageSources> {
        let images = call!(self, call, "plugin.images", sockerless_backend_plugin.call_images())?;
        Ok(images.into())
    }

    async fn doctor(&self) -> Result<Vec<Check>> {
        let checks = call!(self, call, "plugin.doctor", |guest, store| {
            let checks = guest.sockerless_backend_plugin().call_doctor(store).await?;
            Ok(Ok::<_, types::Error>(checks))
        })?;
        Ok(checks.into_iter().map(Into::into).collect())
    }
}

#[async_trait]
impl Jobs for Component {
    async fn create(&self, spec: &JobSpec) -> Result<JobHandle> {
        let spec = spec.into();
        Ok(call!(self, call, "jobs.create", sockerless_backend_jobs.call_create(&spec))?.into())
    }

    async fn start(&self, handle: &JobHandle) -> Result<JobHandle> {
        let handle = handle.into();
        Ok(call!(self, call, "jobs.start", sockerless_backend_jobs.call_start(&handle))?.into())
    }

    async fn status(&self, handles: &[JobHandle]) -> Result<Vec<JobStatus>> {
        let handles: Vec<_> = handles.iter().map(Into::into).collect();
        let found = call!(self, call, "jobs.status", sockerless_backend_jobs.call_status(&handles))?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    async fn stop(&self, handle: &JobHandle, grace_seconds: u32) -> Result<JobHandle> {
        let handle = handle.into();
        Ok(call!(self, call, "jobs.stop", sockerless_backend_jobs.call_stop(&handle, grace_seconds))?.into())
    }

    async fn delete(&self, handle: &JobHandle) -> Result<()> {
        let handle = handle.into();
        call!(self, call, "jobs.delete", sockerless_backend_jobs.call_delete(&handle))
    }

    async fn list(&self, owner: &str, cursor: Option<&str>) -> Result<Page<(JobStatus, Labels)>> {
        let cursor = cursor.map(str::to_owned);
        let cursor = cursor.as_ref();
        Ok(call!(self, call, "jobs.list", sockerless_backend_jobs.call_list(owner, cursor))?.into())
    }

    async fn logs(&self, handle: &JobHandle, cursor: Option<&str>, limit: u32) -> Result<LogPage> {
        let handle = handle.into();
        let cursor = cursor.map(str::to_owned);
        let cursor = cursor.as_ref();
        Ok(call!(self, call, "jobs.logs", sockerless_backend_jobs.call_logs(&handle, cursor, limit))?.into())
    }
}

#[async_trait]
impl Dns for Component {
    async fn ensure_zone(&self, zone: &Zone) -> Result<()> {
        let zone = zone.into();
        call!(self, call, "dns.ensure-zone", sockerless_backend_dns.call_ensure_zone(&zone))
    }

    async fn delete_zone(&self, zone: &str) -> Result<()> {
        call!(self, call, "dns.delete-zone", sockerless_backend_dns.call_delete_zone(zone))
    }

    async fn upsert(&self, zone: &str, record: &AddressRecord) -> Result<()> {
        let record = record.into();
        call!(self, call, "dns.upsert", sockerless_backend_dns.call_upsert(zone, &record))
    }

    async fn remove_record(&self, zone: &str, name: &str) -> Result<()> {
        call!(self, call, "dns.remove", sockerless_backend_dns.call_remove(zone, name))
    }

    async fn records(&self, zone: &str) -> Result<Vec<AddressRecord>> {
        let records = call!(self, call, "dns.records", sockerless_backend_dns.call_records(zone))?;
        Ok(records.into_iter().map(Into::into).collect())
    }

    async fn zones(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Zone>> {
        let cursor = cursor.map(str::to_owned);
        let cursor = cursor.as_ref();
        Ok(call!(self, call, "dns.list", sockerless_backend_dns.call_list(owner, cursor))?.into())
    }
}

#[async_trait]
impl Storage for Component {
    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let volume = volume.into();
        call!(self, call, "storage.create", sockerless_backend_storage.call_create(&volume))
    }

    async fn remove_volume(&self, owner: &str, name: &str) -> Result<()> {
        call!(self, call, "storage.remove", sockerless_backend_storage.call_remove(owner, name))
    }

    async fn volumes(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Volume>> {
        let cursor = cursor.map(str::to_owned);
        let cursor = cursor.as_ref();
        Ok(call!(self, call, "storage.list", sockerless_backend_storage.call_list(owner, cursor))?.into())
    }

    async fn usage(&self, owner: &str, name: &str) -> Result<Usage> {
        Ok(call!(self, call, "storage.usage", sockerless_backend_storage.call_usage(owner, name))?.into())
    }

    async fn mount(&self, request: &MountRequest) -> Result<Mount> {
        let request = request.into();
        Ok(call!(self, call, "storage.mount", sockerless_backend_storage.call_mount(&request))?.into())
    }

    async fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        call!(self, transfer, "storage.put", sockerless_backend_storage.call_put(path, content))
    }

    async fn get(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>> {
        call!(self, transfer, "storage.get", sockerless_backend_storage.call_get(path, offset, length))
    }

    async fn stat(&self, path: &str) -> Result<Option<BlobInfo>> {
        let found = call!(self, call, "storage.stat", sockerless_backend_storage.call_stat(path))?;
        Ok(found.map(Into::into))
    }

    async fn delete_blob(&self, path: &str) -> Result<()> {
        call!(self, call, "storage.delete", sockerless_backend_storage.call_delete(path))
    }

    async fn blobs(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<BlobInfo>> {
        let cursor = cursor.map(str::to_owned);
        let cursor = cursor.as_ref();
        Ok(call!(self, call, "storage.blobs", sockerless_backend_storage.call_blobs(prefix, cursor))?.into())
    }
}
