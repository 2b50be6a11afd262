//! Pulling: manifest and configuration.

use sockerless_ports::registry::{Image, ImageError, Login, Progress, ProgressEvent, PullRequest};

use crate::{
    catalog::{Entry, Origin},
    client::{Fault, Place, Raw, media_type},
    images::{Images, now},
    manifest::{ConfigFile, Document, Manifest},
    platform::Platform,
    reference::Reference,
};

impl Images {
    /// See the port.
    pub(crate) async fn pull_image(
        &self,
        request: PullRequest,
        progress: Progress,
    ) -> Result<Image, ImageError> {
        let reference = Reference::parse(&request.reference)?;
        let wanted = request.platform.as_deref().map(Platform::parse).transpose()?;
        let login = request.login.filter(|login| *login != Login::default());
        tell(&progress, Some(reference.target()), format!("Pulling from {}", reference.repository)).await;

        let places = self.places.pull(&reference.registry, &reference.repository, login.clone());
        let (place, top) = self.first_manifest(&places, &reference).await?;
        let (raw, manifest) = self.manifest_for(place, &reference, top.clone(), wanted.as_ref()).await?;
        let config = match self.client.blob(place, &manifest.config.digest).await {
            Ok(config) => config,
            Err(fault) => return Err(fault.of_pull(&reference)),
        };
        let unreadable = |why: String| ImageError::Unavailable(format!("{reference}: {why}"));
        let file = ConfigFile::parse(&config).map_err(unreadable)?;
        if let Some(wanted) = &wanted {
            let actual = Platform {
                os: file.os.clone(),
                architecture: file.architecture.clone(),
                variant: file.variant.clone().unwrap_or_default(),
            };
            if !wanted.takes(&actual.os, &actual.architecture, &actual.variant) {
                return Err(ImageError::NotFound(format!(
                    "image with reference {reference} was found but its platform ({actual}) does not match the \
                     specified platform ({wanted})"
                )));
            }
        }
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec())
                .map_err(|_| unreadable("manifest or configuration is not UTF-8".into()))
        };
        let mut image = file.image(manifest.config.digest.clone(), raw.digest.clone(), &manifest.layers);
        image.digests = vec![format!("{}@{}", reference.familiar_name(), top.digest)];
        if reference.digest.is_none() {
            image.tags.extend(reference.familiar_tag());
        }
        image.last_tagged = now();
        let entry = Entry {
            manifest: text(&raw.bytes)?,
            media_type: media_type(&raw, &manifest.media_type),
            config: text(&config)?,
            local: false,
            origin: Some(Origin {
                registry: reference.registry.clone(),
                repository: reference.repository.clone(),
                digest: raw.digest,
                login: login.is_some(),
            }),
            base: None,
            own: Vec::new(),
            image,
        };
        self.remember_login(&reference.registry, login);

        let change = self.catalog.change().await;
        let before = self.catalog.find(&reference.to_string()).ok();
        let fresh = before.is_none_or(|before| before.image.id != entry.image.id);
        let image = change.put(entry).await?;
        drop(change);
        let what = if fresh { "Downloaded newer image for" } else { "Image is up to date for" };
        tell(&progress, None, format!("Digest: {}", top.digest)).await;
        tell(&progress, None, format!("Status: {what} {reference}")).await;
        Ok(image)
    }

    /// From the first place that has it; the last one is the registry itself.
    async fn first_manifest<'a>(
        &self,
        places: &'a [Place],
        reference: &Reference,
    ) -> Result<(&'a Place, Raw), ImageError> {
        let mut last = Fault::Nonsense(format!("{reference}: no registry to ask"));
        for place in places {
            match self.client.manifest(place, reference.target()).await {
                Ok(raw) => return Ok((place, raw)),
                Err(fault) => {
                    tracing::debug!(registry = place.base, error = fault.words(), "no manifest");
                    last = fault;
                }
            }
        }
        Err(last.of_pull(reference))
    }

    /// The platform's manifest, of a list or alone.
    async fn manifest_for(
        &self,
        place: &Place,
        reference: &Reference,
        mut raw: Raw,
        wanted: Option<&Platform>,
    ) -> Result<(Raw, Manifest), ImageError> {
        let platform = wanted.unwrap_or(&self.config.platform);
        // A list in a list is allowed; deeper ones are not in use.
        for _depth in 0..3 {
            match Document::parse(&raw.bytes, &reference.to_string())? {
                Document::Manifest(manifest) => return Ok((raw, manifest)),
                Document::Index(index) => {
                    let chosen = platform.choose(&index.manifests).ok_or_else(|| {
                        ImageError::NotFound(format!(
                            "no matching manifest for {platform} in the manifest list entries"
                        ))
                    })?;
                    raw = self
                        .client
                        .manifest(place, &chosen.digest)
                        .await
                        .map_err(|fault| fault.of_pull(reference))?;
                }
            }
        }
        Err(ImageError::Unavailable(format!("{reference}: lists of manifests within lists, without end")))
    }
}

/// Tells progress; nobody need listen.
pub(crate) async fn tell(progress: &Progress, id: Option<&str>, status: String) {
    let _nobody = progress.send(ProgressEvent { id: id.map(str::to_owned), status, bytes: None }).await;
}
