//! The images that are known, in memory and in the store.

mod entry;
mod find;
mod remove;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use sockerless_ports::{
    registry::{Image, ImageError},
    store::{Change, Kind, Record, Store, StoreError},
};
use tokio::sync::{Mutex, MutexGuard};

pub use entry::{Entry, Origin};

use crate::reference::Reference;

/// All images.
pub struct Catalog {
    store: Arc<dyn Store>,
    known: RwLock<Known>,
    /// Changes one after the other; also held while blobs are added or swept.
    gate: Mutex<()>,
}

/// The images, and their ids by name.
#[derive(Debug, Clone, Default)]
pub struct Known {
    entries: BTreeMap<String, Arc<Entry>>,
    tags: HashMap<String, String>,
    digests: HashMap<String, String>,
}

impl Known {
    fn index(&mut self) {
        self.tags.clear();
        self.digests.clear();
        for (id, entry) in &self.entries {
            self.tags.extend(entry.image.tags.iter().map(|tag| (tag.clone(), id.clone())));
            self.digests.extend(entry.image.digests.iter().map(|digest| (digest.clone(), id.clone())));
        }
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("known", &self.known).finish_non_exhaustive()
    }
}

/// The right to change the catalog.
pub struct Changing<'a> {
    catalog: &'a Catalog,
    _gate: MutexGuard<'a, ()>,
}

impl Catalog {
    /// Reads all records.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, ImageError> {
        let mut known = Known::default();
        for record in store.load(Kind::Image).await.map_err(failed)? {
            let entry: Entry = serde_json::from_str(&record.content).map_err(|e| {
                ImageError::Internal(format!("the record of image {} cannot be read: {e}", record.key))
            })?;
            known.entries.insert(record.key, Arc::new(entry));
        }
        known.index();
        Ok(Self { store, known: RwLock::new(known), gate: Mutex::default() })
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        // Replaced as a whole, so it is whole.
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them.
    pub fn list(&self) -> Vec<Image> {
        self.known().entries.values().map(|entry| entry.image.clone()).collect()
    }

    /// By id.
    pub fn get(&self, id: &str) -> Option<Arc<Entry>> {
        self.known().entries.get(id).cloned()
    }

    /// All blobs that images need.
    pub fn blobs(&self) -> Result<HashSet<String>, ImageError> {
        let known = self.known();
        known.entries.values().try_fold(HashSet::new(), |mut all, entry| {
            all.extend(entry.blobs()?);
            Ok(all)
        })
    }

    /// Waits for the right to change it.
    pub async fn change(&self) -> Changing<'_> {
        Changing { catalog: self, _gate: self.gate.lock().await }
    }
}

impl Changing<'_> {
    /// Adds an image, or renews it: its names are added to those it has, and taken from others.
    pub async fn put(&self, mut entry: Entry) -> Result<Image, ImageError> {
        if let Some(old) = self.catalog.get(&entry.image.id) {
            let new = std::mem::replace(&mut entry.image.tags, old.image.tags.clone());
            add(&mut entry.image.tags, new);
            let new = std::mem::replace(&mut entry.image.digests, old.image.digests.clone());
            add(&mut entry.image.digests, new);
            entry.origin = entry.origin.or_else(|| old.origin.clone());
            if entry.image.last_tagged.is_empty() {
                entry.image.last_tagged.clone_from(&old.image.last_tagged);
            }
            // What is on disk is not given up for what is far away.
            if old.local && !entry.local {
                let Entry { manifest, media_type, local, .. } = &*old;
                entry.manifest.clone_from(manifest);
                entry.media_type.clone_from(media_type);
                entry.local = *local;
                entry.image.manifest_digest.clone_from(&old.image.manifest_digest);
                entry.image.size = old.image.size;
                entry.image.history.clone_from(&old.image.history);
            }
        }
        let mut known = self.catalog.known().clone();
        let mut touched = vec![entry.image.id.clone()];
        for tag in &entry.image.tags {
            let Some(holder) = known.tags.get(tag).filter(|id| **id != entry.image.id) else { continue };
            if let Some(other) = known.entries.get_mut(holder) {
                Arc::make_mut(other).image.tags.retain(|t| t != tag);
                touched.push(holder.clone());
            }
        }
        let image = entry.image.clone();
        known.entries.insert(image.id.clone(), Arc::new(entry));
        self.commit(known, &touched).await?;
        Ok(image)
    }

    /// Writes the records of these images and then shows them to everybody.
    async fn commit(&self, mut known: Known, touched: &[String]) -> Result<(), ImageError> {
        let mut changes = Vec::new();
        for id in touched {
            changes.push(match known.entries.get(id) {
                Some(entry) => {
                    let content = serde_json::to_string(&**entry).map_err(|e| {
                        ImageError::Internal(format!("writing the record of image {id}: {e}"))
                    })?;
                    Change::Put(Kind::Image, Record { key: id.clone(), content })
                }
                None => Change::Delete(Kind::Image, id.clone()),
            });
        }
        self.catalog.store.commit(changes).await.map_err(failed)?;
        known.index();
        *self.catalog.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Gives an image another name.
    pub async fn tag(&self, image: &str, name: &Reference, now: String) -> Result<Image, ImageError> {
        let tag = name
            .familiar_tag()
            .ok_or_else(|| ImageError::Invalid("refusing to create a tag with a digest reference".into()))?;
        let entry = self.catalog.find(image)?;
        let mut entry = (*entry).clone();
        add(&mut entry.image.tags, vec![tag]);
        entry.image.last_tagged = now;
        self.put(entry).await
    }
}

fn add(names: &mut Vec<String>, new: Vec<String>) {
    for name in new {
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

fn failed(error: StoreError) -> ImageError {
    ImageError::Internal(error.to_string())
}
