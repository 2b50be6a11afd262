//! `docker create`: it stores; nothing happens in a cloud.

use std::sync::Arc;

use bollard_stubs::models::ContainerCreateResponse;
use jiff::Timestamp;
use sockerless_ports::registry::{Image, ImageError};

use super::{
    defaults, health, log_options, merge, names, service,
    spec::{ContainerRecord, Spec},
    table::Entry,
    validate,
    warnings::{self, Wishes},
};
use crate::{
    CreateRequest, Engine, Error, ErrorKind, Result,
    error::needs_agent,
    images::{Reference, is_id},
    life::State,
    networks, publish,
    volumes::mounts,
};

impl Engine {
    /// `POST /containers/create`. Durable when it returns.
    ///
    /// Errors: 400 for what is malformed (also an unknown runtime), 404 for an image that is not here, 409
    /// for a name in use, 501 for what this version cannot do.
    pub async fn create(&self, request: CreateRequest) -> Result<ContainerCreateResponse> {
        let engine = self.shared()?;
        // Boxed: the models are large, and this future is part of every request's.
        self.complete(Box::pin(async move { engine.create_now(request).await })).await
    }

    async fn create_now(&self, request: CreateRequest) -> Result<ContainerCreateResponse> {
        let CreateRequest { name, platform, mut config, host, networking } = request;
        let name = name.filter(|name| !name.is_empty()).map(|name| names::parse(&name)).transpose()?;
        validate::config(&config)?;
        validate::host(&host)?;
        if config.image.as_deref().unwrap_or_default().is_empty()
            && [&config.cmd, &config.entrypoint].iter().all(|words| words.as_ref().is_none_or(Vec::is_empty))
        {
            return Err(Error::new(ErrorKind::Invalid, "no command specified"));
        }
        let backend = match host.runtime.as_deref() {
            None | Some("") => self.default_backend.clone(),
            Some(runtime) => self.cloud(runtime)?.name.clone(),
        };
        let cloud = Arc::clone(self.cloud(&backend)?);
        let named = config.image.clone().unwrap_or_default();
        let image = self.image_for(&named, platform.as_deref()).await?;

        let wishes = Wishes { config: &config, host: &host, image: &image.config };
        warnings::refuse(&wishes)?;
        let mut warnings = warnings::warn(&wishes, &cloud.manifest());
        // Asking the cloud may fail or take its time; create needs neither.
        let platform = platform_of(&image);
        if let Some(sources) = cloud.known_sources()
            && !sources.platforms.is_empty()
            && !sources.platforms.contains(&platform)
        {
            let offered = sources.platforms.join(", ");
            warnings.push(format!(
                "The requested image's platform ({platform}) does not match what the backend {backend} runs ({offered})"
            ));
        }

        let id = hex::encode(rand::random::<[u8; 32]>());
        let timeout = match validate::timeout(&config)? {
            Some(asked) => Some(asked.as_secs()).filter(|seconds| *seconds > 0),
            // It runs until it is stopped.
            None if service::asked(&config)? => None,
            None => self.options.timeout.map(|timeout| timeout.as_secs()),
        };
        let longest = cloud.manifest().limits.max_timeout_seconds;
        if timeout.is_some_and(|timeout| timeout > longest) {
            warnings.push(format!(
                "the backend {backend} ends a container after {longest} seconds at the latest"
            ));
        }
        let mut host = defaults::host(host, &self.options, &backend);
        let networking = match self.share_stack(&mut host, &mut config, &backend)? {
            Some(none) => none,
            None => self.membership(&mut host, networking, &config)?,
        };
        log_options::check(host.log_config.as_ref())?;
        let config = defaults::config(merge::merge(config, &image.config), &id[..12]);
        let (path, args) = merge::command(&config)?;
        let mut mounts = mounts::read(&config, &host, |container| self.shared_mounts(container))?;
        self.find_sockets(&mut mounts)?;
        self.check_gateway(&host)?;
        let mut spec = Spec {
            created: Timestamp::now(),
            image: named,
            image_id: image.id,
            image_manifest: image.manifest_digest,
            os: image.os,
            host,
            backend,
            config,
            networking,
            path,
            args,
            timeout: timeout.map(|timeout| timeout.min(longest)),
            mounts,
            id,
        };
        service::check(&spec, &cloud.manifest(), self.link.callback_url().is_some())?;
        self.check_binds(&mut spec).await?;
        let spec = Arc::new(spec);
        let asked = spec.host.mounts.as_deref().unwrap_or_default();
        self.have_volumes(&spec.mounts, &spec.backend, asked).await?;
        self.check_synced(&spec.mounts)?;
        warnings.extend(self.check_size(&spec)?);
        if self.link.callback_url().is_none() {
            if !publish::wanted(&spec).is_empty() {
                return Err(needs_agent("published ports (-p, -P)"));
            }
            if !networks::sockets(&spec).is_empty() {
                return Err(needs_agent("the daemon's socket in a container"));
            }
            let lost = [
                (spec.open_stdin(), "standard input (-i)"),
                (health::check(&spec).is_some(), "health checks"),
            ];
            warnings
                .extend(lost.iter().filter(|(wanted, _)| *wanted).map(|(_, what)| needs_agent(what).message));
        }
        let entry = self.add(spec, name).await?;
        warnings.extend(self.warn_of_pod(&entry.view()));
        self.make_room(&entry.view()).await;
        self.events.container(&entry, &entry.view().name, "create", &[]);
        Ok(ContainerCreateResponse { id: entry.id().to_owned(), warnings })
    }

    async fn add(&self, spec: Arc<Spec>, name: Option<String>) -> Result<Arc<Entry>> {
        let name = match name {
            Some(name) => {
                self.containers.reserve(&name, &spec.id).map_err(|holder| name_in_use(&name, &holder))?;
                name
            }
            None => {
                let mut attempt = 0;
                loop {
                    let name = names::random(attempt);
                    if self.containers.reserve(&name, &spec.id).is_ok() {
                        break name;
                    }
                    attempt += 1;
                }
            }
        };
        let state = State::default();
        let kept = match ContainerRecord::put(&spec, &name, &state) {
            Ok(change) => self.commit(vec![change]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            self.containers.release(&name, &spec.id);
            return Err(error);
        }
        let entry = Arc::new(Entry::new(spec, name, state));
        self.containers.insert(Arc::clone(&entry));
        Ok(entry)
    }

    /// The image that a container is made of, here already.
    async fn image_for(&self, named: &str, platform: Option<&str>) -> Result<Image> {
        let wording = if is_id(named) || self.images.names().resolve(named).is_some() {
            named.to_owned()
        } else {
            Reference::parse(named)?.with_tag()
        };
        let image = self.registry.find(named).await.map_err(|error| match error {
            ImageError::NotFound(_) => Error::new(ErrorKind::NotFound, format!("No such image: {wording}")),
            other => other.into(),
        })?;
        let actual = platform_of(&image);
        if let Some(platform) = platform.filter(|platform| !platform.is_empty())
            && !matches_platform(platform, &image)
        {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "image with reference {named} was found but its platform ({actual}) does not match the specified \
                     platform ({platform})"
                ),
            ));
        }
        Ok(image)
    }
}

/// dockerd's 409, which clients match.
pub(crate) fn name_in_use(name: &str, holder: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove \
             (or rename) that container to be able to reuse that name."
        ),
    )
}

fn platform_of(image: &Image) -> String {
    let variant = if image.variant.is_empty() { String::new() } else { format!("/{}", image.variant) };
    format!("{}/{}{variant}", image.os, image.architecture)
}

/// `linux/amd64`, `amd64`, `linux`; a variant counts only when both name one.
fn matches_platform(wanted: &str, image: &Image) -> bool {
    let architecture = |name: &str| match name {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        name => name.to_owned(),
    };
    let parts: Vec<&str> = wanted.split('/').collect();
    match parts.as_slice() {
        [one] => *one == image.os || architecture(one) == image.architecture,
        [os, arch] => *os == image.os && architecture(arch) == image.architecture,
        [os, arch, variant] => {
            let variant = image.variant.is_empty() || *variant == image.variant;
            *os == image.os && architecture(arch) == image.architecture && variant
        }
        _ => false,
    }
}
