//! Which containers have a volume.

use std::sync::Arc;

use super::{Mounted, Volume, mounts::Source};
use crate::{Engine, Error, ErrorKind, Result, containers::Entry};

impl Engine {
    /// What `--volumes-from` takes of a container.
    ///
    /// Errors: 404; 501 for a volume that is part of its container's own file system.
    pub(crate) fn shared_mounts(&self, container: &str) -> Result<Vec<Mounted>> {
        let entry = self.containers.find(container)?;
        let own = entry.spec.mounts.iter().find(|mounted| matches!(mounted.source, Source::Own(_)));
        match own {
            Some(mounted) => {
                let words = format!(
                    "--volumes-from {container}: the anonymous volume at {} is part of that container and cannot be shared; give it a name",
                    mounted.destination
                );
                Err(Error::new(ErrorKind::Unsupported, words))
            }
            None => Ok(entry.spec.mounts.clone()),
        }
    }

    /// Anonymous volumes: those of all containers.
    pub(super) fn own_volumes(&self) -> Vec<Volume> {
        let entries = self.containers.all();
        let own = |entry: &Arc<Entry>| {
            let names = entry.spec.mounts.iter().filter_map(|mounted| match &mounted.source {
                Source::Own(name) => Some(Volume::own(name, &entry.spec)),
                Source::Volume(_) | Source::Bind(_) | Source::Socket(_) => None,
            });
            names.collect::<Vec<_>>()
        };
        entries.iter().flat_map(own).collect()
    }

    /// Containers that mount the volume, whether they run or not.
    pub(crate) fn users(&self, volume: &str) -> Vec<Arc<Entry>> {
        let mounts =
            |entry: &Arc<Entry>| entry.spec.mounts.iter().any(|mounted| mounted.volume() == Some(volume));
        self.containers.all().into_iter().filter(mounts).collect()
    }
}
