//! What is mounted into a container: read from what a client asked for, kept with the container.
//!
//! The precedence is dockerd's: `--volumes-from` first, which `-v` replaces, which `--mount` must not contradict; a volume that
//! the image (or `-v PATH` alone) declares stands where nothing else does.

mod bind;
mod typed;

use std::{borrow::Cow, collections::BTreeMap};

use bollard_stubs::models::{ContainerConfig, HostConfig, MountPoint, MountPointTypeEnum};
use serde::{Deserialize, Serialize};
use sockerless_ports::backend::VolumeDriver;

use crate::{Error, ErrorKind, Result, containers::clean};

/// How mounts of one side show on the other, in the words of a mode.
const PROPAGATIONS: [&str; 6] = ["shared", "slave", "private", "rshared", "rslave", "rprivate"];

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mounted {
    pub source: Source,
    /// Absolute, without a slash at its end.
    pub destination: String,
    pub read_only: bool,
    /// As the user wrote it after the second colon; what inspect shows.
    pub mode: String,
    /// An empty volume gets what the image has at the destination.
    pub copy: bool,
    /// A folder of the volume, relative.
    pub subpath: Option<String>,
    /// Where a path of the client's machine led when the container was created: links resolved. None in older records, and for
    /// all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<String>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Source {
    /// A volume by name.
    Volume(String),
    /// An anonymous volume, by the name that it got: a part of the container's own file system.
    ///
    /// The cloud's file systems of memory would be mounted empty, hide what the image has there, and be gone with the job; as a part
    /// of the container's own its data is saved with that, as Docker's anonymous volumes last as long as their container.
    Own(String),
    /// A path of the client's machine.
    Bind(String),
    /// This daemon's socket, by the path that was asked for: its API is served there.
    Socket(String),
}

impl Mounted {
    /// A volume of the container's own.
    fn anonymous(destination: String) -> Self {
        Self {
            source: Source::Own(hex::encode(rand::random::<[u8; 32]>())),
            destination,
            read_only: false,
            mode: String::new(),
            copy: true,
            subpath: None,
            real: None,
        }
    }

    /// The name of the volume that is mounted.
    pub fn volume(&self) -> Option<&str> {
        match &self.source {
            Source::Volume(name) | Source::Own(name) => Some(name),
            Source::Bind(_) | Source::Socket(_) => None,
        }
    }

    /// The driver of the volume, if it is one. `usual` is that of the container's backend.
    pub fn driver<'a>(&self, usual: &'a VolumeDriver) -> Cow<'a, VolumeDriver> {
        match self.source {
            Source::Volume(_) => Cow::Borrowed(usual),
            _ => Cow::Owned(VolumeDriver::default()),
        }
    }

    /// As inspect and list show it (Docker API 1.24 and later). `usual` is the driver of the container's backend.
    pub fn model(&self, usual: &VolumeDriver) -> MountPoint {
        let (typ, source) = match &self.source {
            Source::Volume(name) | Source::Own(name) => {
                (MountPointTypeEnum::VOLUME, self.driver(usual).place(name))
            }
            Source::Bind(path) | Source::Socket(path) => (MountPointTypeEnum::BIND, path.clone()),
        };
        let name = self.volume().map(str::to_owned);
        let driver = name.is_some().then(|| self.driver(usual).name.clone());
        let asked = || self.mode.split(',').find(|word| PROPAGATIONS.contains(word));
        let propagation = match typ {
            MountPointTypeEnum::BIND => asked().unwrap_or("rprivate"),
            _ => "",
        };
        MountPoint {
            typ: Some(typ),
            name,
            source: Some(source),
            destination: Some(self.destination.clone()),
            driver,
            mode: Some(self.mode.clone()),
            rw: Some(!self.read_only),
            propagation: Some(propagation.into()),
        }
    }
}

/// What a container gets, in the order of the destinations. `config` is merged with the image's already; `others` are the
/// mounts of the containers that `--volumes-from` names, by the words used there.
///
/// Errors: 400 in dockerd's words.
pub(crate) fn read(
    config: &ContainerConfig,
    host: &HostConfig,
    others: impl Fn(&str) -> Result<Vec<Mounted>>,
) -> Result<Vec<Mounted>> {
    let mut mounts = BTreeMap::<String, Mounted>::new();
    for wish in host.volumes_from.iter().flatten() {
        let (container, read_only) = from(wish)?;
        for mounted in others(container)? {
            let read_only = mounted.read_only || read_only;
            // What was an empty volume there is one no more.
            mounts.insert(mounted.destination.clone(), Mounted { read_only, copy: false, ..mounted });
        }
    }
    let mut asked = BTreeMap::new();
    for bind in host.binds.iter().flatten() {
        once(&mut asked, bind::parse(bind)?)?;
    }
    for mount in host.mounts.iter().flatten() {
        if let Some(mounted) = typed::read(mount)? {
            once(&mut asked, mounted)?;
        }
    }
    mounts.extend(asked);
    let memory = |path: &str| host.tmpfs.iter().flatten().any(|(other, _)| clean(other) == path);
    let typed_memory =
        |path: &str| host.mounts.iter().flatten().any(|mount| typed::is_memory_at(mount, path));
    for path in config.volumes.iter().flatten() {
        let destination = destination(path).map_err(|why| invalid(path, &why))?;
        if !memory(&destination) && !typed_memory(&destination) {
            mounts.entry(destination.clone()).or_insert_with(|| Mounted::anonymous(destination));
        }
    }
    Ok(mounts.into_values().collect())
}

fn once(asked: &mut BTreeMap<String, Mounted>, mounted: Mounted) -> Result<()> {
    if asked.contains_key(&mounted.destination) {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("Duplicate mount point: {}", mounted.destination),
        ));
    }
    asked.insert(mounted.destination.clone(), mounted);
    Ok(())
}

/// `CONTAINER[:ro|rw]`.
fn from(wish: &str) -> Result<(&str, bool)> {
    match wish.split_once(':') {
        _ if wish.is_empty() => Err(Error::new(ErrorKind::Invalid, "volumes-from cannot be an empty string")),
        None => Ok((wish, false)),
        Some((container, mode)) => {
            let known = |part: &str| matches!(part, "ro" | "rw" | "z" | "Z");
            if mode.split(',').all(known) {
                Ok((container, mode.split(',').any(|part| part == "ro")))
            } else {
                Err(Error::new(ErrorKind::Invalid, format!("invalid mode for volumes-from: {mode:?}")))
            }
        }
    }
}

fn invalid(spec: &str, why: &str) -> Error {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    Error::new(ErrorKind::Invalid, format!("invalid volume specification: '{spec}'{why}"))
}

/// A path inside the container. Errors: the words for what is wrong with it.
fn destination(path: &str) -> std::result::Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!("invalid mount path: '{path}' mount path must be absolute"));
    }
    match clean(path) {
        root if root == "/" => Err("destination can't be '/'".to_owned()),
        path => Ok(path),
    }
}

#[cfg(test)]
mod tests;
