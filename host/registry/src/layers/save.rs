//! `docker save`: an OCI layout that is Docker's archive, too, as current dockerds write it.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sockerless_ports::registry::{Archive, ImageError};
use tar::{EntryType, Header};
use tokio::sync::mpsc;

use crate::{
    catalog::Entry,
    images::Images,
    manifest::{Descriptor, Manifest},
    provide::Failure,
    reference::Reference,
    tuning,
};

/// Bytes of a block of an archive.
const BLOCK: u64 = 512;

/// An image with the names under which it was asked for.
struct Wanted {
    entry: Arc<Entry>,
    manifest: Manifest,
    tags: BTreeSet<String>,
}

/// An image, and the tag by which it was named.
type Named = (Arc<Entry>, Option<String>);

impl Images {
    /// See the port's `save`. An image that is named without a tag is saved with all its tags.
    pub(crate) fn save_images(&self, references: &[String]) -> Result<Archive, ImageError> {
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for reference in references {
            for (entry, tag) in self.named(reference)? {
                let manifest = entry.parsed()?;
                let tags = BTreeSet::new();
                let id = entry.image.id.clone();
                let image = wanted.entry(id).or_insert(Wanted { entry, manifest, tags });
                image.tags.extend(tag);
            }
        }
        let (pieces, receiver) = mpsc::channel(tuning::SAVE_PIECES);
        let images = self.shared()?;
        tokio::spawn(async move {
            let mut out = Out { pieces };
            if let Err(error) = images.write(wanted.into_values().collect(), &mut out).await {
                // Nobody reads any more: that is why it failed.
                let _ = out.pieces.send(Err(error)).await;
            }
        });
        let archive =
            stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
        Ok(archive.boxed())
    }

    fn named(&self, text: &str) -> Result<Vec<Named>, ImageError> {
        let bare = !text.contains('@') && !text.rsplit('/').next().unwrap_or(text).contains(':');
        if let (true, Ok(reference)) = (bare, Reference::parse(text)) {
            let prefix = format!("{}:", reference.familiar_name());
            let tags: Vec<String> = self
                .catalog
                .list()
                .into_iter()
                .flat_map(|image| image.tags)
                .filter(|tag| tag.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/')))
                .collect();
            if !tags.is_empty() {
                return tags.into_iter().map(|tag| Ok((self.catalog.find(&tag)?, Some(tag)))).collect();
            }
        }
        let entry = self.catalog.find(text)?;
        let tag = Reference::parse(text).ok().and_then(|reference| reference.familiar_tag());
        let tag = tag.filter(|tag| entry.image.tags.contains(tag));
        Ok(vec![(entry, tag)])
    }

    async fn write(&self, wanted: Vec<Wanted>, out: &mut Out) -> io::Result<()> {
        let mut written = HashSet::new();
        for Wanted { entry, manifest, .. } in &wanted {
            for (digest, text) in
                [(&entry.image.manifest_digest, &entry.manifest), (&manifest.config.digest, &entry.config)]
            {
                if written.insert(digest.clone()) {
                    out.small(&blob(digest), text).await?;
                }
            }
            for layer in &manifest.layers {
                if written.insert(layer.digest.clone()) {
                    self.layer(entry, layer, out).await?;
                }
            }
        }
        out.small("index.json", &index(&wanted).to_string()).await?;
        out.small("manifest.json", &list(&wanted).to_string()).await?;
        out.small("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}").await?;
        out.small("repositories", &repositories(&wanted).to_string()).await?;
        out.send(vec![0; 2 * BLOCK as usize].into()).await
    }

    async fn layer(&self, entry: &Entry, layer: &Descriptor, out: &mut Out) -> io::Result<()> {
        let mut bytes = match self.open_layer(entry, layer).await {
            Ok((bytes, _)) => bytes,
            Err(Failure::From(error, _)) => return Err(io::Error::other(error.to_string())),
            Err(Failure::To(fault)) => return Err(io::Error::other(fault.words())),
        };
        out.header(&blob(&layer.digest), layer.size).await?;
        let mut sent = 0;
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            sent += piece.len() as u64;
            out.send(piece).await?;
        }
        if sent != layer.size {
            let words = format!("layer {} has {sent} bytes and not {}", layer.digest, layer.size);
            return Err(io::Error::other(words));
        }
        out.pad(layer.size).await
    }
}

struct Out {
    pieces: mpsc::Sender<io::Result<Bytes>>,
}

impl Out {
    async fn send(&mut self, piece: Bytes) -> io::Result<()> {
        self.pieces.send(Ok(piece)).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    async fn header(&mut self, name: &str, size: u64) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.send(Bytes::copy_from_slice(header.as_bytes())).await
    }

    async fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size.wrapping_neg() % BLOCK).unwrap_or_default();
        if over == 0 { Ok(()) } else { self.send(vec![0; over].into()).await }
    }

    async fn small(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.header(name, text.len() as u64).await?;
        self.send(Bytes::copy_from_slice(text.as_bytes())).await?;
        self.pad(text.len() as u64).await
    }
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn index(wanted: &[Wanted]) -> Value {
    let mut manifests = Vec::new();
    for Wanted { entry, tags, .. } in wanted {
        let plain = json!({
            "mediaType": entry.media_type,
            "digest": entry.image.manifest_digest,
            "size": entry.manifest.len(),
        });
        if tags.is_empty() {
            manifests.push(plain.clone());
        }
        for tag in tags {
            let mut named = plain.clone();
            let whole = Reference::parse(tag).map_or_else(
                |_| tag.clone(),
                |name| format!("{}/{}:{}", name.registry, name.repository, name.target()),
            );
            named["annotations"] = json!({
                "io.containerd.image.name": whole,
                "org.opencontainers.image.ref.name": tag.rsplit(':').next().unwrap_or_default(),
            });
            manifests.push(named);
        }
    }
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    })
}

fn list(wanted: &[Wanted]) -> Value {
    let item = |Wanted { manifest, tags, .. }: &Wanted| {
        let layers: Vec<String> = manifest.layers.iter().map(|layer| blob(&layer.digest)).collect();
        let tags = if tags.is_empty() { Value::Null } else { json!(tags) };
        json!({ "Config": blob(&manifest.config.digest), "RepoTags": tags, "Layers": layers })
    };
    wanted.iter().map(item).collect()
}

/// The oldest form's table of names: repository, tag, last layer.
fn repositories(wanted: &[Wanted]) -> Value {
    let mut table = json!({});
    for Wanted { manifest, tags, .. } in wanted {
        let last = manifest.layers.last().map(|layer| layer.digest.trim_start_matches("sha256:"));
        for tag in tags {
            if let Some((name, tag)) = tag.rsplit_once(':') {
                table[name][tag] = last.into();
            }
        }
    }
    table
}
