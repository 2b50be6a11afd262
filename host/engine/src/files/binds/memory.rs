//! Where the container's user could not have a mount's directory: an empty file system of the cloud's, in memory if it has that,
//! which everybody may write to.

use sockerless_ports::backend::{JobContainer, JobVolume, MountPoint};

use super::{binds, source::Wanted};
use crate::{Engine, Result, containers::Spec, files::path::absolute, volumes::Mounted};

impl Engine {
    /// Adds what the bind mounts of a container need of such file systems to its job. The agent has the rights of the image's user: where
    /// that is root, or owns the directory, it needs none.
    ///
    /// Errors: the image is out of reach.
    pub(crate) async fn mount_binds(
        &self,
        spec: &Spec,
        container: &mut JobContainer,
        volumes: &mut Vec<JobVolume>,
    ) -> Result<()> {
        let directories: Vec<_> = binds(spec).filter(|(_, _, wanted)| is_directory(wanted)).collect();
        let features = self.cloud(&spec.backend)?.manifest().features;
        let Some(source) = features.empty_volume(None) else { return Ok(()) };
        if directories.is_empty() || self.runs_as_root(spec).await? {
            return Ok(());
        }
        for (index, mounted, _) in directories {
            if self.is_writable(spec, mounted).await? {
                continue;
            }
            let name = format!("bind-{index}");
            container.mounts.push(MountPoint {
                volume: name.clone(),
                path: mounted.destination.clone(),
                sub_path: None,
                read_only: false,
            });
            volumes.push(JobVolume { name, source: source.clone() });
        }
        Ok(())
    }

    pub(crate) async fn runs_as_root(&self, spec: &Spec) -> Result<bool> {
        let image = self.registry.find(&spec.image_id).await?;
        let user = image.config.user.split(':').next().unwrap_or_default();
        Ok(matches!(user, "" | "root" | "0"))
    }

    /// Whether the image has the directory for somebody else than root: for whom is seldom said by number.
    pub(crate) async fn is_writable(&self, spec: &Spec, mounted: &Mounted) -> Result<bool> {
        let tree = self.image_tree(&spec.image_id).await?;
        let found = tree.find_followed(&absolute(&mounted.destination));
        Ok(found.is_ok_and(|found| {
            let meta = &found.node.meta;
            found.node.is_directory() && (meta.mode & 0o002 != 0 || meta.uid != 0)
        }))
    }
}

/// What is not there is made as one.
fn is_directory(wanted: &Wanted) -> bool {
    !wanted.real.as_ref().unwrap_or(&wanted.source).is_file()
}
