//! From the generated guest traits to those of the SDK.

use std::{marker::PhantomData, rc::Rc};

use crate::{
    Dns, Jobs, Plugin, Result, Storage,
    bindings::exports::sockerless::backend::{
        dns as wit_dns, jobs as wit_jobs, plugin as wit_plugin, storage as wit_storage,
    },
    dns::{AddressRecord, Zone, ZonePage},
    jobs::{Handle, JobStatus, LogPage, Page, Spec},
    plugin::{Check, ImageSources, Manifest, report},
    storage::{BlobInfo, BlobPage, MountRequest, PreparedMount, Volume, VolumePage, VolumeUsage},
    wasi::Daemon,
};

/// What [`export!`](crate::export) exports.
pub struct Component<P>(PhantomData<P>);

fn plugin<P: Plugin>() -> Result<P> {
    P::new(Rc::new(Daemon))
}

impl<P: Plugin> wit_plugin::Guest for Component<P> {
    fn describe() -> Manifest {
        P::describe()
    }
    fn configure() -> Result<()> {
        plugin::<P>().map(drop)
    }
    fn images() -> Result<ImageSources> {
        plugin::<P>()?.images()
    }
    fn doctor() -> Vec<Check> {
        report::<P>(Rc::new(Daemon))
    }
}

impl<P: Plugin> wit_jobs::Guest for Component<P> {
    fn create(spec: Spec) -> Result<Handle> {
        Jobs::create(&plugin::<P>()?, spec)
    }
    fn start(handle: Handle) -> Result<Handle> {
        Jobs::start(&plugin::<P>()?, handle)
    }
    fn status(handles: Vec<Handle>) -> Result<Vec<JobStatus>> {
        Jobs::status(&plugin::<P>()?, handles)
    }
    fn stop(handle: Handle, grace_seconds: u32) -> Result<Handle> {
        Jobs::stop(&plugin::<P>()?, handle, grace_seconds)
    }
    fn delete(handle: Handle) -> Result<()> {
        Jobs::delete(&plugin::<P>()?, handle)
    }
    fn list(owner: String, cursor: Option<String>) -> Result<Page> {
        Jobs::list(&plugin::<P>()?, owner, cursor)
    }
    fn logs(handle: Handle, cursor: Option<String>, limit: u32) -> Result<LogPage> {
        Jobs::logs(&plugin::<P>()?, handle, cursor, limit)
    }
}

impl<P: Plugin> wit_dns::Guest for Component<P> {
    fn ensure_zone(zone: Zone) -> Result<()> {
        Dns::ensure_zone(&plugin::<P>()?, zone)
    }
    fn delete_zone(zone: String) -> Result<()> {
        Dns::delete_zone(&plugin::<P>()?, zone)
    }
    fn upsert(zone: String, record: AddressRecord) -> Result<()> {
        Dns::upsert(&plugin::<P>()?, zone, record)
    }
    fn remove(zone: String, name: String) -> Result<()> {
        Dns::remove_record(&plugin::<P>()?, zone, name)
    }
    fn records(zone: String) -> Result<Vec<AddressRecord>> {
        Dns::records(&plugin::<P>()?, zone)
    }
    fn list(owner: String, cursor: Option<String>) -> Result<ZonePage> {
        Dns::zones(&plugin::<P>()?, owner, cursor)
    }
}

impl<P: Plugin> wit_storage::Guest for Component<P> {
    fn create(volume: Volume) -> Result<()> {
        Storage::create_volume(&plugin::<P>()?, volume)
    }
    fn remove(owner: String, name: String) -> Result<()> {
        Storage::remove_volume(&plugin::<P>()?, owner, name)
    }
    fn list(owner: String, cursor: Option<String>) -> Result<VolumePage> {
        Storage::volumes(&plugin::<P>()?, owner, cursor)
    }
    fn usage(owner: String, name: String) -> Result<VolumeUsage> {
        Storage::usage(&plugin::<P>()?, owner, name)
    }
    fn mount(request: MountRequest) -> Result<PreparedMount> {
        Storage::mount(&plugin::<P>()?, request)
    }
    fn put(path: String, content: Vec<u8>) -> Result<()> {
        Storage::put(&plugin::<P>()?, path, content)
    }
    fn get(path: String, offset: u64, length: u32) -> Result<Vec<u8>> {
        Storage::get(&plugin::<P>()?, path, offset, length)
    }
    fn stat(path: String) -> Result<Option<BlobInfo>> {
        Storage::stat(&plugin::<P>()?, path)
    }
    fn delete(path: String) -> Result<()> {
        Storage::delete_blob(&plugin::<P>()?, path)
    }
    fn blobs(prefix: String, cursor: Option<String>) -> Result<BlobPage> {
        Storage::blobs(&plugin::<P>()?, prefix, cursor)
    }
}
