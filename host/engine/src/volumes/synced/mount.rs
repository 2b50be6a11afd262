//! What a synced volume needs of the container's job: the storage where only the agent looks, and a directory to live in.

use sockerless_ports::backend::{JobContainer, JobVolume, Mount, MountPoint, VolumeSource};

use super::STORES;
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::Spec,
    error::needs_agent,
    volumes::{Mounted, mounts::Source},
};

impl Engine {
    /// Adds the volume to its container's job.
    ///
    /// Errors: 501 without an agent; the image is out of reach.
    pub(crate) async fn mount_synced(
        &self,
        spec: &Spec,
        index: usize,
        mount: Mount,
        container: &mut JobContainer,
        volumes: &mut Vec<JobVolume>,
    ) -> Result<()> {
        let Some(mounted) = spec.mounts.get(index) else { return Ok(()) };
        if self.link.callback_url().is_none() {
            return Err(needs_agent("a synced volume"));
        }
        let name = format!("volume-{index}");
        container.mounts.push(MountPoint {
            volume: name.clone(),
            path: store(index),
            sub_path: None,
            read_only: mounted.read_only,
        });
        volumes.push(JobVolume { name, source: VolumeSource::Storage(mount) });
        if let Some(source) = self.needs_room(spec, mounted).await? {
            let name = format!("local-{index}");
            let path = mounted.destination.clone();
            container.mounts.push(MountPoint {
                volume: name.clone(),
                path,
                sub_path: None,
                read_only: false,
            });
            volumes.push(JobVolume { name, source });
        }
        Ok(())
    }

    /// Errors: 501 for a synced volume without an agent.
    pub(crate) fn check_synced(&self, mounts: &[Mounted]) -> Result<()> {
        let is_synced = |mounted: &Mounted| match &mounted.source {
            Source::Volume(name) => self.volumes.get(name).is_some_and(|volume| volume.is_synced()),
            _ => false,
        };
        if self.link.callback_url().is_none() && mounts.iter().any(is_synced) {
            return Err(needs_agent("a synced volume"));
        }
        // The storage must not be in anybody's way.
        let taken = |mounted: &&Mounted| mounted.destination.starts_with(STORES);
        match mounts.iter().find(taken) {
            Some(mounted) => Err(Error::new(
                ErrorKind::Invalid,
                format!("{}: the agent has its own files there", mounted.destination),
            )),
            None => Ok(()),
        }
    }

    /// Where the directory is to be if the agent, which has the rights of the image's user, could not have it on the container's own
    /// disk; none if it can, or if the cloud has nothing else.
    pub(crate) async fn needs_room(&self, spec: &Spec, mounted: &Mounted) -> Result<Option<VolumeSource>> {
        let Some(source) = self.cloud(&spec.backend)?.manifest().features.empty_volume(None) else {
            return Ok(None);
        };
        let needed = !self.runs_as_root(spec).await? && !self.is_writable(spec, mounted).await?;
        Ok(needed.then_some(source))
    }
}

/// Where the storage of the container's mount with this number is.
pub(super) fn store(index: usize) -> String {
    format!("{STORES}/{index}")
}
