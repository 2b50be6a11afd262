//! How the agent comes into the containers of a job: images are never rebuilt for it.

use std::collections::BTreeMap;

use bytes::Bytes;
use sockerless_ports::{
    Registry,
    backend::{
        self, Error, ErrorCode, ImageSources, JobContainer, JobSpec, JobVolume, Mount, MountPoint,
        MountRequest, MountSource, VolumeSource,
    },
    link::environment,
    registry::Bundle,
};

use super::{Cloud, cloud::from_image};
use crate::AgentBinary;

/// Where the agent is in every container.
pub(crate) const AGENT: &str = "/.sockerless/sockerless-agent";
/// The folder of that.
const FOLDER: &str = "/.sockerless";
/// Where it is in an image of its own: not below the folder, which the volume hides.
const IN_IMAGE: &str = "/sockerless-agent";
/// What the agent's volume is called, and the container that fills it. No other one of a job is.
const NAME: &str = "agent";

/// Where a cloud's jobs get the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// From a mount of the backend's blobs.
    Mount(Mount),
    /// From an image, which copies it into an empty volume before the containers start.
    Image(String),
}

impl Delivery {
    /// Has the agent in the cloud: as an image where the backend takes such a thing and has a place for it, else among its
    /// blobs.
    ///
    /// Errors: the provider's, or the repository's.
    pub async fn make(
        cloud: &Cloud,
        registry: &dyn Registry,
        agent: &AgentBinary,
        owner: &str,
    ) -> backend::Result<Self> {
        let bytes = agent.bytes().await.map_err(|error| {
            Error::new(ErrorCode::Internal, format!("the agent's executable cannot be read: {error}"))
        })?;
        let features = cloud.manifest().features;
        if features.init_containers && features.scratch_volumes {
            let sources = cloud.sources().await?;
            if sources.repository.is_some() {
                return publish(registry, Bytes::from_owner(bytes), &sources).await.map(Self::Image);
            }
        }
        let folder = format!("agent/{}", agent.sha256);
        let path = format!("{folder}/sockerless-agent");
        let there = cloud.call("stat", || cloud.backend.stat(&path)).await?;
        // A size that differs is a write that was cut off.
        if there.is_none_or(|blob| blob.size != bytes.len() as u64) {
            cloud.call("put", || cloud.backend.put(&path, &bytes)).await?;
        }
        let request = MountRequest {
            source: MountSource::Blobs(folder),
            owner: owner.to_owned(),
            read_only: true,
            executable: true,
            renew: false,
        };
        cloud.call("mount", || cloud.backend.mount(&request)).await.map(Self::Mount)
    }

    /// Brings the agent into every container of a job.
    pub fn bring(self, spec: &mut JobSpec) {
        let point =
            |read_only| MountPoint { volume: NAME.into(), path: FOLDER.into(), sub_path: None, read_only };
        let (source, read_only) = match self {
            Self::Mount(mount) => (VolumeSource::Storage(mount), true),
            // Not every cloud has scratch space that some may write to and others only read. The agent closes the folder.
            Self::Image(image) => {
                spec.init.push(JobContainer {
                    name: NAME.into(),
                    image,
                    command: vec![IN_IMAGE.into()],
                    args: vec![environment::INSTALL.into(), AGENT.into()],
                    mounts: vec![point(false)],
                    ..JobContainer::default()
                });
                (VolumeSource::Scratch(None), false)
            }
        };
        spec.volumes.push(JobVolume { name: NAME.into(), source });
        for container in &mut spec.containers {
            container.mounts.push(point(read_only));
        }
    }
}

async fn publish(registry: &dyn Registry, agent: Bytes, sources: &ImageSources) -> backend::Result<String> {
    let bundle = Bundle {
        name: "sockerless-agent".into(),
        programs: BTreeMap::from([(IN_IMAGE.to_owned(), agent)]),
        entrypoint: vec![IN_IMAGE.into()],
    };
    registry.publish(&bundle, sources).await.map_err(|error| {
        let error = from_image(error);
        Error { message: format!("putting the agent's image into the registry: {}", error.message), ..error }
    })
}
