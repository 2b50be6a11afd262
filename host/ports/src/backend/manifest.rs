//! What a backend is and can do.

use super::VolumeSource;

/// What a backend says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The name that `--runtime` takes.
    pub name: String,
    /// The plugin's own semantic version.
    pub version: String,
    /// Which cloud and which product.
    pub description: String,
    /// The settings that it reads.
    pub settings: Vec<Setting>,
    /// The hosts and credentials that it wants.
    pub http: Vec<HttpGrant>,
    /// What it can do.
    pub features: Features,
    /// How large.
    pub limits: Limits,
    /// The sizes in between, ascending; empty where any can be had.
    pub sizes: Vec<Size>,
    /// How its volumes are shown.
    pub volumes: VolumeDriver,
}

impl Features {
    /// A volume that is empty at first and ends with the job, of at most so many bytes: in memory where the cloud has that, else on
    /// disk. None: it has neither.
    pub fn empty_volume(&self, bytes: Option<u64>) -> Option<VolumeSource> {
        let memory = self.memory_volumes.then_some(VolumeSource::Memory(bytes));
        memory.or_else(|| self.scratch_volumes.then_some(VolumeSource::Scratch(bytes)))
    }
}

/// How Docker's API shows the volumes of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeDriver {
    /// `Driver`.
    pub name: String,
    /// `Mountpoint`, with `{name}` for the volume's.
    pub mountpoint: String,
}

impl VolumeDriver {
    /// What the CLI asks for when the user names none.
    pub const LOCAL: &str = "local";

    /// The `Mountpoint` of a volume.
    pub fn place(&self, volume: &str) -> String {
        self.mountpoint.replace("{name}", volume)
    }
}

impl Default for VolumeDriver {
    /// As dockerd's own volumes.
    fn default() -> Self {
        Self { name: Self::LOCAL.to_owned(), mountpoint: "/var/lib/docker/volumes/{name}/_data".to_owned() }
    }
}

/// One setting of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Name in the configuration file.
    pub name: String,
    /// Environment variable of the daemon.
    pub environment: String,
    /// One sentence.
    pub description: String,
    /// Without it the plugin cannot work.
    pub required: bool,
    /// What holds when it is unset.
    pub default: Option<String>,
}

/// A host that a plugin wants to reach, and with which credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// Host name, `*.suffix`, or `setting:NAME`.
    pub host: String,
    /// Names of credentials.
    pub credentials: Vec<String>,
}

/// What a kind of workload can do; see `feature` in `wit/plugin.wit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Features {
    /// More than one container in a job.
    pub sidecars: bool,
    /// `start` within `create`.
    pub start_on_create: bool,
    /// The image's user can be overridden.
    pub run_as_user: bool,
    /// Capabilities and privileged mode.
    pub privileged: bool,
    /// Read-only root file system.
    pub read_only_root: bool,
    /// In-memory volumes.
    pub memory_volumes: bool,
    /// Empty volumes on local disk.
    pub scratch_volumes: bool,
    /// Containers that end before the others start.
    pub init_containers: bool,
    /// The host name can be chosen.
    pub hostname: bool,
    /// GPU.
    pub accelerators: bool,
    /// Connections from outside.
    pub inbound: bool,
    /// The cloud can freeze a container.
    pub pause: bool,
}

/// How long and how large a container may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest run in seconds.
    pub max_timeout_seconds: u64,
    /// Thousandths of a processor, smallest and largest.
    pub cpu_millis: (u32, u32),
    /// Bytes, smallest and largest.
    pub memory_bytes: (u64, u64),
    /// Seconds between SIGTERM and SIGKILL when the cloud stops a job.
    pub stop_grace_seconds: u32,
    /// Environment variables in one container.
    pub max_env: u32,
}

/// One of the sizes that a cloud has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Bytes that go with them, least and most.
    pub memory_bytes: (u64, u64),
}

/// Which images the cloud can fetch by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSources {
    /// Registries, as host names or `*suffix`.
    pub direct: Vec<String>,
    /// Where all other images are copied to: `registry/path` without a tag.
    pub repository: Option<String>,
    /// The credential for pushing there.
    pub credential: Option<String>,
    /// Platforms that the cloud runs, as `linux/amd64`.
    pub platforms: Vec<String>,
}

/// One finding of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// The outcome.
    pub verdict: Verdict,
    /// What was found.
    pub finding: String,
    /// What to do about it.
    pub remedy: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Works, with a loss.
    Warn,
    /// Does not work.
    Fail,
    /// Not looked at.
    Skip,
}
