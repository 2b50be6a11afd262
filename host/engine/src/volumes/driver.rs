//! How volumes are named by what keeps them: each backend says it of its own.

use sockerless_ports::backend::VolumeDriver;

use super::Volume;
use crate::{Engine, Error, ErrorKind, Result};

impl Engine {
    /// The driver of a backend's volumes; dockerd's own for a backend that is not there any more.
    pub(crate) fn volume_driver(&self, backend: &str) -> VolumeDriver {
        self.cloud(backend).map(|cloud| cloud.manifest().volumes.clone()).unwrap_or_default()
    }

    /// The driver of a volume; an anonymous one is a part of its container, whatever that runs on.
    pub(super) fn driver_of(&self, volume: &Volume) -> VolumeDriver {
        match self.volumes.get(&volume.name) {
            Some(_) => self.volume_driver(&volume.backend),
            None => VolumeDriver::default(),
        }
    }

    /// The backend that a new volume belongs to by the driver that is asked for: the default one if the driver is its own, else the
    /// first that has it; none when any serves, or none has it.
    pub(super) fn backend_of_driver(&self, driver: Option<&str>) -> Option<String> {
        let driver = named(driver)?;
        let has = |backend: &&String| self.volume_driver(backend).name == driver;
        std::iter::once(&self.default_backend).chain(self.clouds.keys()).find(has).cloned()
    }

    /// Errors: 404 in dockerd's words for a driver that a backend does not have.
    pub(super) fn check_driver(&self, driver: Option<&str>, backend: &str) -> Result<()> {
        match named(driver).filter(|driver| self.volume_driver(backend).name != *driver) {
            None => Ok(()),
            Some(other) => {
                let words = format!("error looking up volume plugin {other}: plugin \"{other}\" not found");
                Err(Error::new(ErrorKind::NotFound, words))
            }
        }
    }

    /// Errors: 409 in dockerd's words for a volume that is there with another driver than the one that is asked for, or with another
    /// backend than one that is named.
    pub(super) fn check_same(
        &self,
        known: &Volume,
        driver: Option<&str>,
        backend: Option<&str>,
    ) -> Result<()> {
        let own = self.volume_driver(&known.backend).name;
        let why = if let Some(other) = backend.filter(|backend| *backend != known.backend) {
            format!(" (the backend {} keeps it, not {other})", known.backend)
        } else if named(driver).is_some_and(|driver| driver != own) {
            String::new()
        } else {
            return Ok(());
        };
        let words = format!("create {}: conflict: volume name must be unique{why}", known.name);
        Err(Error::new(ErrorKind::Conflict, words))
    }
}

/// The driver, if one is named: the CLI says `local` when the user says nothing.
fn named(driver: Option<&str>) -> Option<&str> {
    driver.filter(|driver| !driver.is_empty() && *driver != VolumeDriver::LOCAL)
}
