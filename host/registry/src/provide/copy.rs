//! Copying an image into a repository, skipping what is there.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use sockerless_ports::registry::{ImageError, Progress, ProgressEvent};
use tokio_util::io::ReaderStream;

use super::unusable;
use crate::{
    catalog::Entry,
    client::{Fault, Place},
    digest,
    images::Images,
    manifest::Descriptor,
    tuning,
};

/// A blob on its way.
pub(crate) type Blob = stream::BoxStream<'static, Result<Bytes, std::io::Error>>;

impl Images {
    /// Layers first, then the configuration, then the manifest: what names something comes after it.
    pub(super) async fn copy(
        &self,
        entry: &Arc<Entry>,
        to: &Place,
        progress: &Progress,
    ) -> Result<(), ImageError> {
        let manifest = entry.parsed()?;
        let mut once = HashSet::new();
        stream::iter(manifest.layers.iter().filter(|layer| once.insert(&layer.digest)).map(Ok))
            .try_for_each_concurrent(tuning::COPIES, |layer| self.copy_layer(entry, layer, to, progress))
            .await?;
        let refused = |fault: Fault| unusable(to, &fault.plain());
        let config = Bytes::from(entry.config.clone());
        self.push_blob(to, &manifest.config.digest, config).await.map_err(refused)?;
        self.push_manifest(to, &entry.media_type, &entry.manifest.clone().into()).await.map_err(refused)
    }

    /// A blob that is in memory.
    pub(super) async fn push_blob(&self, to: &Place, digest: &str, bytes: Bytes) -> Result<(), Fault> {
        if self.client.has(to, &format!("blobs/{digest}")).await? {
            return Ok(());
        }
        match self.client.begin_upload(to, digest, None).await? {
            Some(url) => {
                let size = bytes.len() as u64;
                self.client.upload(to, &url, size, stream::iter([Ok(bytes)])).await
            }
            None => Ok(()),
        }
    }

    /// A manifest, of which all else is there.
    pub(super) async fn push_manifest(&self, to: &Place, kind: &str, bytes: &Bytes) -> Result<(), Fault> {
        // A tag keeps the manifest from being cleaned up as untagged.
        let tag = digest::of(bytes).replace(':', "-");
        self.client.put_manifest(to, &tag, kind, bytes).await
    }

    async fn copy_layer(
        &self,
        entry: &Entry,
        layer: &Descriptor,
        to: &Place,
        progress: &Progress,
    ) -> Result<(), ImageError> {
        let short =
            layer.digest.trim_start_matches("sha256:").get(..tuning::SHORT_ID).unwrap_or_default().to_owned();
        let tell =
            |status: &str, bytes| ProgressEvent { id: Some(short.clone()), status: status.into(), bytes };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let _nobody = progress.send(tell("Preparing", None)).await;
            match self.try_layer(entry, layer, to, progress, &short).await {
                Ok(copied) => {
                    self.copies.note(to, &layer.digest);
                    let status = if copied { "Pushed" } else { "Layer already exists" };
                    let _nobody = progress.send(tell(status, None)).await;
                    return Ok(());
                }
                Err(Failure::To(fault)) if !fault.is_transient() || attempt == tuning::ATTEMPTS => {
                    return Err(unusable(to, &fault.plain()));
                }
                Err(Failure::From(error, transient)) if !transient || attempt == tuning::ATTEMPTS => {
                    return Err(error);
                }
                Err(failure) => {
                    tracing::info!(layer = layer.digest, attempt, ?failure, "copying a layer again");
                    tokio::time::sleep(tuning::ATTEMPT_PAUSE * attempt).await;
                }
            }
        }
    }

    /// Gives whether bytes had to be sent.
    async fn try_layer(
        &self,
        entry: &Entry,
        layer: &Descriptor,
        to: &Place,
        progress: &Progress,
        short: &str,
    ) -> Result<bool, Failure> {
        if self.client.has(to, &format!("blobs/{}", layer.digest)).await? {
            return Ok(false);
        }
        let plain = || self.client.begin_upload(to, &layer.digest, None);
        let url = match self.mountable(entry, layer, to) {
            Some(from) => {
                let mounting = to.clone().mounting(&from);
                match self.client.begin_upload(&mounting, &layer.digest, Some(&from)).await {
                    // Who may write here need not be allowed to read there.
                    Err(Fault::Answer { status: 401 | 403 | 404, .. }) => plain().await?,
                    other => other?,
                }
            }
            None => plain().await?,
        };
        let Some(url) = url else { return Ok(false) };
        let (blob, broke) = self.open_layer(entry, layer).await?;
        let total = layer.size;
        let (mut sent, mut told) = (0, 0);
        let (progress, id) = (progress.clone(), short.to_owned());
        let counted = blob.inspect_ok(move |part| {
            sent += part.len() as u64;
            if sent - told >= tuning::PROGRESS_EVERY || sent == total {
                told = sent;
                let status = "Pushing".to_owned();
                // A full channel may miss one of many.
                let _nobody = progress.try_send(ProgressEvent {
                    id: Some(id.clone()),
                    status,
                    bytes: Some((sent, total)),
                });
            }
        });
        match self.client.upload(to, &url, layer.size, counted).await {
            Ok(()) => Ok(true),
            // When the source broke, the target can only complain about what it did not get.
            Err(fault) => Err(match broke.lock().ok().and_then(|mut broke| broke.take()) {
                Some(source) => Failure::From(ImageError::Unavailable(source.words()), source.is_transient()),
                None => Failure::To(fault),
            }),
        }
    }

    /// Another repository of the target's registry that has the blob.
    fn mountable(&self, entry: &Entry, layer: &Descriptor, to: &Place) -> Option<String> {
        let origin = entry.source().filter(|_| !entry.has(&layer.digest));
        let same = origin.filter(|origin| self.places.push(&origin.registry, "", None).base == to.base);
        let known = self
            .copies
            .seen(&to.base, &layer.digest)
            .or_else(|| same.map(|origin| origin.repository.clone()));
        known.filter(|repository| *repository != to.repository)
    }

    /// The layer's bytes, from disk or from where the image came from; and what broke it, if something did.
    pub(crate) async fn open_layer(
        &self,
        entry: &Entry,
        layer: &Descriptor,
    ) -> Result<(Blob, Broke), Failure> {
        let broke = Broke::default();
        if entry.has(&layer.digest) {
            let path = self.blobs.path(&layer.digest).map_err(Failure::fatal)?;
            let file = tokio::fs::File::open(&path)
                .await
                .map_err(|e| Failure::fatal(ImageError::Internal(format!("{}: {e}", path.display()))))?;
            return Ok((ReaderStream::with_capacity(file, 256 << 10).boxed(), broke));
        }
        let Some(origin) = entry.source() else {
            return Err(Failure::fatal(ImageError::Internal(format!(
                "{}: its layers are nowhere",
                entry.image.id
            ))));
        };
        let login = self.login_for(origin);
        let gone = origin.login && login.is_none();
        let mut last = None;
        for place in self.places.pull(&origin.registry, &origin.repository, login) {
            match self.client.blob_stream(&place, &layer.digest).await {
                Ok(blob) => return Ok((guarded(blob, Arc::clone(&broke)), broke)),
                Err(fault) => last = Some(fault),
            }
        }
        let fault = last.unwrap_or_else(|| Fault::Nonsense("no registry to ask".into()));
        let mut text =
            format!("layer {} of {}/{}: {}", layer.digest, origin.registry, origin.repository, fault.words());
        if gone {
            text.push_str(
                " (the image was pulled with a login, which the daemon keeps in memory only and has lost with its \
                 restart: pull the image again)",
            );
        }
        let transient = fault.is_transient();
        Err(Failure::From(
            match fault.plain() {
                ImageError::Denied(_) => ImageError::Denied(text),
                _ => ImageError::Unavailable(text),
            },
            transient,
        ))
    }
}

/// What went wrong at the source while the target was being written.
pub(crate) type Broke = Arc<std::sync::Mutex<Option<Fault>>>;

fn guarded(blob: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static, broke: Broke) -> Blob {
    blob.map_err(move |fault| {
        let text = fault.words();
        if let Ok(mut broke) = broke.lock() {
            *broke = Some(fault);
        }
        std::io::Error::other(text)
    })
    .boxed()
}

/// Which side failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The target.
    To(Fault),
    /// The source, and whether another attempt may help.
    From(ImageError, bool),
}

impl Failure {
    fn fatal(error: ImageError) -> Self {
        Self::From(error, false)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::To(fault)
    }
}
