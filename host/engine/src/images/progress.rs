//! Pull, load and import: work that tells how far it is.

use std::future::Future;

use futures_util::{StreamExt, stream};
use sockerless_ports::registry::{
    Archive, Image, ImageError, ImportRequest, Loaded, Progress, ProgressEvent, PullRequest,
};
use tokio::sync::mpsc;

use super::{ProgressStream, Reference};
use crate::{Engine, Error, ErrorKind, PullImage, Result, tuning};

impl Engine {
    /// `POST /images/create` from a registry. The pull goes on when the client goes away.
    ///
    /// Errors that are known at once (a malformed name, an image that does not exist, a refused
    /// login) come as `Err`, so that they get a status of their own; later ones in the stream.
    pub async fn pull_image(&self, request: PullImage) -> Result<ProgressStream> {
        let reference = Reference::parse(&request.reference)?;
        let engine = self.shared()?;
        let name = reference.with_tag();
        self.tell(|progress| async move {
            let PullImage { reference, platform, login } = request;
            let image = engine.registry.pull(PullRequest { reference, platform, login }, progress).await?;
            engine.images.refresh(engine.registry.as_ref()).await;
            engine.events.image("pull", &name, bare(&name), image.config.labels);
            Ok(Vec::new())
        })
        .await
    }

    /// `POST /images/load`. Ends with a line for each image in dockerd's words.
    ///
    /// Errors: 400 for an archive that holds no images, and the like.
    pub async fn load_images(&self, archive: Archive) -> Result<ProgressStream> {
        let engine = self.shared()?;
        self.tell(|progress| async move {
            let loaded = engine.registry.load(archive, progress).await?;
            engine.images.refresh(engine.registry.as_ref()).await;
            for Loaded { id, .. } in &loaded {
                engine.events.image("load", id, id, []);
            }
            let lines = loaded.into_iter().map(|Loaded { id, name }| match name {
                Some(name) => format!("Loaded image: {name}"),
                None => format!("Loaded image ID: {id}"),
            });
            Ok(lines.map(line).collect())
        })
        .await
    }

    /// `POST /images/create` from an archive. Ends with the image's id.
    ///
    /// Errors: 400 for a malformed name or instruction.
    pub async fn import_image(&self, archive: Archive, request: ImportRequest) -> Result<ProgressStream> {
        let engine = self.shared()?;
        self.tell(|_| async move {
            let image: Image = engine.registry.import(archive, request).await?;
            engine.images.refresh(engine.registry.as_ref()).await;
            engine.events.image("import", &image.id, &image.id, []);
            Ok(vec![line(image.id)])
        })
        .await
    }

    /// Runs the work in a task of its own, and waits until it has something to tell.
    async fn tell<F>(&self, work: impl FnOnce(Progress) -> F) -> Result<ProgressStream>
    where
        F: Future<Output = std::result::Result<Vec<ProgressEvent>, ImageError>> + Send + 'static,
    {
        let (progress, mut told) = mpsc::channel(tuning::PROGRESS_BUFFER);
        let task = self.spawn(work(progress));
        let ended = async move {
            match task.await {
                Ok(Some(result)) => result.map_err(Error::from),
                Ok(None) => Err(Error::new(ErrorKind::Unavailable, "the daemon is shutting down")),
                Err(error) => {
                    Err(Error::new(ErrorKind::Internal, format!("a task of the daemon failed: {error}")))
                }
            }
        };
        // dockerd names what it pulls once it has found it. Until then an error can have its own status.
        let mut first: Vec<_> = told.recv().await.into_iter().collect();
        if first.first().is_some_and(|event| event.status.starts_with("Pulling from ")) {
            first.extend(told.recv().await);
            if first.len() == 1 {
                let last = ended.await?;
                return Ok(stream::iter(first.into_iter().chain(last).map(Ok)).boxed());
            }
        }
        if first.is_empty() {
            let last = ended.await?;
            return Ok(stream::iter(last.into_iter().map(Ok)).boxed());
        }
        let rest =
            stream::unfold(told, |mut told| async move { told.recv().await.map(|event| (Ok(event), told)) });
        let last = stream::once(ended).flat_map(|last| {
            stream::iter(match last {
                Ok(lines) => lines.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(stream::iter(first.into_iter().map(Ok)).chain(rest).chain(last).boxed())
    }

    /// `POST /images/{name}/tag`. Without a tag it is `latest`.
    ///
    /// Errors: 400 for a malformed name, 404.
    pub async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<()> {
        let name = if tag.is_empty() { repository.to_owned() } else { format!("{repository}:{tag}") };
        let name = Reference::parse(&name)?;
        if name.digest.is_some() {
            return Err(Error::new(ErrorKind::Invalid, "refusing to create a tag with a digest reference"));
        }
        let name = name.with_tag();
        let (engine, reference) = (self.shared()?, reference.to_owned());
        self.complete(async move {
            let image = engine.registry.tag(&reference, &name).await?;
            engine.images.refresh(engine.registry.as_ref()).await;
            engine.events.image("tag", &image.id, &name, image.config.labels);
            Ok(())
        })
        .await
    }
}

fn line(status: String) -> ProgressEvent {
    ProgressEvent { id: None, status, bytes: None }
}

/// The attribute `name` of dockerd's pull events has no tag.
fn bare(name: &str) -> &str {
    let end = name.rfind('/').map_or(0, |slash| slash + 1);
    let cut = name.find('@').or_else(|| name[end..].find(':').map(|colon| end + colon));
    cut.map_or(name, |cut| &name[..cut])
}
