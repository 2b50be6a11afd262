//! Volumes of a container that is being started: into its job, and filled before its process begins.

use std::sync::Arc;

use sockerless_ports::{
    backend::{JobContainer, JobVolume, MountPoint, MountRequest, MountSource, VolumeSource},
    link::RunId,
};

use super::{Mounted, Volume, mounts::Source};
use crate::{
    Engine, Error, Result,
    containers::{Entry, Spec},
};

impl Engine {
    /// Adds what a backend's storage keeps for the container to its job. A volume whose data was taken away by force is made
    /// anew.
    ///
    /// Errors: the provider's words with what was tried.
    pub(crate) async fn mount_volumes(
        &self,
        spec: &Spec,
        container: &mut JobContainer,
        volumes: &mut Vec<JobVolume>,
    ) -> Result<()> {
        self.mount_binds(spec, container, volumes).await?;
        let cloud = self.cloud(&spec.backend)?;
        for (index, mounted) in spec.mounts.iter().enumerate() {
            let Some(volume) = self.kept_volume(mounted, &spec.backend).await? else { continue };
            let renew = cloud.is_doubtful(&volume.name);
            let request = MountRequest {
                source: MountSource::Volume(volume.name.clone()),
                owner: self.owner.clone(),
                read_only: mounted.read_only,
                executable: true,
                renew,
            };
            let mount = cloud.call("mount", || cloud.backend.mount(&request)).await.map_err(|error| {
                Error::from(error).prefixed(&format!("{}: volume mount {}", cloud.name, volume.name))
            })?;
            if renew {
                cloud.trust(&volume.name);
            }
            if volume.is_synced() {
                self.mount_synced(spec, index, mount, container, volumes).await?;
                continue;
            }
            let name = format!("volume-{index}");
            container.mounts.push(MountPoint {
                volume: name.clone(),
                path: mounted.destination.clone(),
                sub_path: mounted.subpath.clone(),
                read_only: mounted.read_only,
            });
            volumes.push(JobVolume { name, source: VolumeSource::Storage(mount) });
        }
        Ok(())
    }

    /// The volume, if a backend keeps it.
    async fn kept_volume(&self, mounted: &Mounted, backend: &str) -> Result<Option<Arc<Volume>>> {
        let Source::Volume(name) = &mounted.source else { return Ok(None) };
        let (options, labels) = Default::default();
        self.named_volume(name, None, options, labels, Some(backend)).await.map(Some)
    }

    /// Gives an empty volume what the image has in its place, as Docker does, and has the directory of one that lives in the
    /// container itself. To be called before what is kept of the container's files is put back.
    ///
    /// Errors: the image is out of reach, the agent or the backend fails.
    pub(crate) async fn fill_volumes(&self, entry: &Entry, run: &RunId) -> Result<()> {
        let driver = self.volume_driver(&entry.spec.backend);
        for mounted in &entry.spec.mounts {
            let name = match &mounted.source {
                Source::Bind(_) | Source::Socket(_) => continue,
                Source::Own(name) => {
                    self.have_directory(entry, run, &mounted.destination).await?;
                    name
                }
                Source::Volume(name) => {
                    if mounted.copy && !mounted.read_only && mounted.subpath.is_none() {
                        self.seed(entry, run, name, mounted).await?;
                    }
                    name
                }
            };
            self.events.volume(
                "mount",
                name,
                &[
                    ("container", entry.id()),
                    ("destination", &mounted.destination),
                    ("driver", &mounted.driver(&driver).name),
                    ("read/write", if mounted.read_only { "false" } else { "true" }),
                ],
            );
        }
        Ok(())
    }

    async fn seed(&self, entry: &Entry, run: &RunId, name: &str, mounted: &Mounted) -> Result<()> {
        let destination = &mounted.destination;
        // Two containers that start at once do not both find it empty.
        let _gate = self.volumes.gate(name).await;
        let Some(volume) = self.volumes.get(name) else { return Ok(()) };
        // On the container's own disk the image's files are there already.
        if volume.is_synced()
            && (volume.version.is_some() || self.needs_room(&entry.spec, mounted).await?.is_none())
        {
            return Ok(());
        }
        let Some(content) = self.image_content(entry, destination).await? else { return Ok(()) };
        if !volume.is_synced() && self.volume_usage(&volume).await?.files > 0 {
            return Ok(());
        }
        let filled = self.fill(run, destination, content).await;
        filled.map_err(|error| {
            error.prefixed(&format!("the volume {name} could not be filled with what the image has"))
        })
    }
}
