//! `docker volume create`, and the volumes that a container asks for.

use std::{collections::HashMap, sync::Arc};

use bollard_stubs::models;
use jiff::Timestamp;

use super::{ANONYMOUS, Mounted, Volume, mounts::Source, name};
use crate::{Engine, Error, ErrorKind, Result, networks::BACKEND_OPTION};

/// Options of dockerd's local driver, which say what the kernel is to mount.
const KERNELS: [&str; 3] = ["type", "o", "device"];

impl Engine {
    /// `POST /volumes/create`. The same name again answers the same volume.
    ///
    /// Errors: 400 for a name that none can have or a backend that there is not, 404 for an unknown driver, 409 for a name that the
    /// volume of another driver, or of another backend than the one that is named, has; 501 for options that a cloud's storage has no use for, 500 with the provider's words.
    pub async fn create_volume(&self, request: models::VolumeCreateOptions) -> Result<models::Volume> {
        let engine = self.shared()?;
        let create = async move {
            let models::VolumeCreateOptions { name, driver, driver_opts, labels, cluster_volume_spec } =
                request;
            if cluster_volume_spec.is_some() {
                let words = "cluster volumes: this daemon is not part of a swarm";
                return Err(Error::new(ErrorKind::Unsupported, words));
            }
            let mut labels = labels.unwrap_or_default();
            let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| {
                labels.insert(ANONYMOUS.into(), String::new());
                hex::encode(rand::random::<[u8; 32]>())
            });
            let mut options = driver_opts.unwrap_or_default();
            let driver = driver.as_deref();
            let chosen = engine.chosen_backend(&options)?;
            let asked = options.remove(BACKEND_OPTION).map(|_| chosen.clone());
            let backend = match asked {
                Some(_) => chosen,
                None => engine.backend_of_driver(driver).unwrap_or(chosen),
            };
            let volume = engine.named_volume(&name, driver, options, labels, Some(&backend)).await?;
            engine.check_same(&volume, driver, asked.as_deref())?;
            Ok(volume.model(&engine.volume_driver(&volume.backend)))
        };
        self.complete(create).await
    }

    /// Makes the volume where it is not there.
    pub(super) async fn named_volume(
        &self,
        name: &str,
        driver: Option<&str>,
        options: HashMap<String, String>,
        labels: HashMap<String, String>,
        backend: Option<&str>,
    ) -> Result<Arc<Volume>> {
        let refused = |error: Error| error.prefixed(&format!("create {name}"));
        name::check(name).map_err(refused)?;
        let _gate = self.volumes.gate(name).await;
        if let Some(known) = self.volumes.get(name) {
            self.check_same(&known, driver, None)?;
            return Ok(known);
        }
        let backend = backend.unwrap_or(&self.default_backend).to_owned();
        self.check_driver(driver, &backend)?;
        if let Some(option) = KERNELS.iter().find(|option| options.contains_key(**option)) {
            let words = format!(
                "the option {option}: a volume is kept by the cloud's storage, nothing else can be mounted there"
            );
            return Err(refused(Error::new(ErrorKind::Unsupported, words)));
        }
        let options = super::synced::options(options, self.options.consistency).map_err(refused)?;
        let volume = Volume {
            name: name.to_owned(),
            created: Timestamp::now(),
            labels,
            options,
            backend: backend.clone(),
            version: None,
        };
        let cloud = self.cloud(&backend)?;
        let wanted = volume.for_backend(&self.owner);
        cloud
            .call("create-volume", || cloud.backend.create_volume(&wanted))
            .await
            .map_err(|error| Error::from(error).prefixed(&format!("{backend}: volume create")))?;
        if let Err(error) = self.commit(vec![volume.put()?]).await {
            // Nobody would know of it.
            if let Err(left) = cloud.backend.remove_volume(&self.owner, name).await {
                tracing::error!(volume = name, error = %left, "a volume that could not be recorded stays behind");
            }
            return Err(error);
        }
        self.events.volume("create", name, &[("driver", &cloud.manifest().volumes.name)]);
        Ok(self.volumes.insert(volume))
    }

    /// Has the named volumes of a container that is being created. Labels and driver of `--mount` count for volumes that are
    /// made now.
    ///
    /// Errors: as for [`Engine::create_volume`]; 501 for a volume that another backend keeps.
    pub(crate) async fn have_volumes(
        &self,
        mounts: &[Mounted],
        backend: &str,
        asked: &[models::Mount],
    ) -> Result<()> {
        for mounted in mounts {
            let Source::Volume(name) = &mounted.source else { continue };
            let options = asked
                .iter()
                .find(|mount| mount.source.as_ref() == Some(name))
                .and_then(|mount| mount.volume_options.clone())
                .unwrap_or_default();
            let driver = options.driver_config.unwrap_or_default();
            let (labels, settings) = (options.labels.unwrap_or_default(), driver.options.unwrap_or_default());
            let volume =
                self.named_volume(name, driver.name.as_deref(), settings, labels, Some(backend)).await?;
            if volume.backend != backend {
                let words = format!(
                    "the volume {name} is kept by the backend {}: a container of the backend {backend} cannot mount it",
                    volume.backend
                );
                return Err(Error::new(ErrorKind::Unsupported, words));
            }
        }
        Ok(())
    }
}
