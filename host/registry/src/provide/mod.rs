//! Making an image available to a cloud.

mod bundle;
mod copy;

pub(crate) use copy::Failure;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use sockerless_ports::{
    backend::ImageSources,
    registry::{ImageError, Login, Progress},
};
use tokio::sync::Mutex as AsyncMutex;

use crate::{
    catalog::{Entry, Origin},
    client::Place,
    config::Logins,
    images::Images,
    reference::Reference,
    tuning,
};

/// Which image for which cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Task {
    image: String,
    direct: Vec<String>,
    repository: Option<String>,
}

/// Where images are for clouds, and what is being copied now.
pub struct Copies {
    logins: Arc<dyn Logins>,
    /// Who comes second waits for the first, and finds its answer.
    answers: Mutex<HashMap<Task, Arc<AsyncMutex<Option<Answer>>>>>,
    /// For each registry and blob a repository that has it.
    seen: Mutex<HashMap<(String, String), String>>,
}

#[derive(Debug, Clone)]
struct Answer {
    reference: String,
    checked: Instant,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies").field("answers", &self.answers).finish_non_exhaustive()
    }
}

impl Copies {
    /// None yet.
    pub fn new(logins: Arc<dyn Logins>) -> Self {
        Self { logins, answers: Mutex::default(), seen: Mutex::default() }
    }

    fn answer(&self, task: Task) -> Arc<AsyncMutex<Option<Answer>>> {
        Arc::clone(self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry(task).or_default())
    }

    fn forget(&self, image: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|task, _| task.image != image);
    }

    fn seen(&self, base: &str, digest: &str) -> Option<String> {
        let key = (base.to_owned(), digest.to_owned());
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn note(&self, place: &Place, digest: &str) {
        let key = (place.base.clone(), digest.to_owned());
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key, place.repository.clone());
    }
}

impl Images {
    /// See the port.
    pub(crate) async fn provide_image(
        &self,
        id: &str,
        sources: &ImageSources,
        progress: &Progress,
    ) -> Result<String, ImageError> {
        let entry = self.catalog.get(id).map_or_else(|| self.catalog.find(id), Ok)?;
        let task = Task {
            image: entry.image.id.clone(),
            direct: sources.direct.clone(),
            repository: sources.repository.clone(),
        };
        let slot = self.copies.answer(task);
        let mut answer = slot.lock().await;
        if let Some(answer) = answer.as_ref().filter(|answer| answer.checked.elapsed() < tuning::PROVIDED_FOR)
        {
            return Ok(answer.reference.clone());
        }
        let reference = self.make_available(&entry, sources, progress).await?;
        *answer = Some(Answer { reference: reference.clone(), checked: Instant::now() });
        Ok(reference)
    }

    /// See the port.
    pub(crate) fn forget_image(&self, id: &str) {
        self.copies.forget(id);
    }

    async fn make_available(
        &self,
        entry: &Arc<Entry>,
        sources: &ImageSources,
        progress: &Progress,
    ) -> Result<String, ImageError> {
        if let Some(origin) = &entry.origin
            && self.is_direct(origin, sources).await
        {
            return Ok(format!("{}/{}@{}", origin.registry, origin.repository, origin.digest));
        }
        let Some(repository) = &sources.repository else {
            let name = entry.image.tags.first().unwrap_or(&entry.image.id);
            return Err(ImageError::Invalid(format!(
                "the cloud cannot pull image {name} by itself, and there is no repository to copy it to: set the \
                 backend's setting `repository` to one that it can pull from (registry/path)"
            )));
        };
        let target = target(repository, entry)?;
        let place = self.to_write(&target, sources).await?;
        let digest = &entry.image.manifest_digest;
        let is_there = self.client.has(&place, &format!("manifests/{digest}")).await;
        if !is_there.map_err(|fault| unusable(&place, &fault.plain()))? {
            self.copy(entry, &place, progress).await?;
        }
        Ok(format!("{}/{}@{digest}", target.registry, target.repository))
    }

    /// A repository of a backend's, as whoever may write there.
    async fn to_write(&self, target: &Reference, sources: &ImageSources) -> Result<Place, ImageError> {
        let login = match &sources.credential {
            Some(credential) => self.login_of(credential, &target.registry).await?,
            None => None,
        };
        Ok(self.places.push(&target.registry, &target.repository, login))
    }

    /// A backend's login, asked for again while its provider is in trouble.
    async fn login_of(&self, credential: &str, registry: &str) -> Result<Option<Login>, ImageError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.copies.logins.login(credential, registry).await {
                Err(ImageError::Unavailable(error)) if attempt < tuning::ATTEMPTS => {
                    tracing::info!(registry, attempt, error, "asking for a registry's login again");
                    tokio::time::sleep(tuning::ATTEMPT_PAUSE * attempt).await;
                }
                answer => return answer,
            }
        }
    }

    /// Whether the cloud can pull from where the image came from.
    async fn is_direct(&self, origin: &Origin, sources: &ImageSources) -> bool {
        let whole = format!("{}/{}", origin.registry, origin.repository);
        if sources.repository.as_ref().is_some_and(|r| {
            whole.strip_prefix(r.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }) {
            return true;
        }
        let fits = |pattern: &String| match pattern.strip_prefix('*') {
            Some(suffix) => origin.registry.ends_with(suffix),
            None => origin.registry == *pattern,
        };
        if !sources.direct.iter().any(fits) {
            return false;
        }
        // Clients send the login they have for a registry with every pull: it need not have been necessary.
        !origin.login || self.is_public(origin).await
    }

    async fn is_public(&self, origin: &Origin) -> bool {
        let anonymous = self.places.pull(&origin.registry, &origin.repository, None);
        let Some(place) = anonymous.last() else { return false };
        match self.client.has(place, &format!("manifests/{}", origin.digest)).await {
            Ok(found) => found,
            Err(fault) => {
                tracing::debug!(
                    registry = origin.registry,
                    error = fault.words(),
                    "not to be had without a login"
                );
                false
            }
        }
    }

    /// The login for the image's origin, if one was used.
    fn login_for(&self, origin: &Origin) -> Option<Login> {
        origin.login.then(|| self.remembered_login(&origin.registry)).flatten()
    }
}

/// Where the copy goes: the image's path below the repository.
fn target(repository: &str, entry: &Entry) -> Result<Reference, ImageError> {
    let name = match (&entry.origin, entry.image.tags.first()) {
        (Some(origin), _) if !entry.local => origin.repository.clone(),
        (_, Some(tag)) => Reference::parse(tag)?.repository,
        _ => "images".to_owned(),
    };
    below(repository, &name)
}

fn below(repository: &str, name: &str) -> Result<Reference, ImageError> {
    Reference::parse(&format!("{}/{name}", repository.trim_end_matches('/'))).map_err(|e| {
        ImageError::Invalid(format!(
            "the backend's setting `repository` ({repository:?}) names no repository: {e}"
        ))
    })
}

fn unusable(place: &Place, error: &ImageError) -> ImageError {
    let text = format!("the backend's repository {}/{}: {error}", place.base, place.repository);
    match error {
        ImageError::Denied(_) => ImageError::Denied(text),
        _ => ImageError::Unavailable(text),
    }
}
