//! Names of images in memory, for lists and filters that must not wait. Every change of an image goes
//! through the engine, which refreshes this.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use sockerless_ports::{Registry, registry::Image};

use super::reference::Reference;

/// The images, as of the last change.
#[derive(Default)]
pub(crate) struct ImageIndex(RwLock<Arc<Names>>);

/// Ids by name.
#[derive(Default)]
pub(crate) struct Names {
    /// Tags and digests in familiar form.
    by_name: HashMap<String, String>,
    ids: Vec<String>,
    /// Bytes, by id.
    sizes: HashMap<String, u64>,
}

impl ImageIndex {
    pub async fn refresh(&self, registry: &dyn Registry) {
        let mut names = Names::default();
        for Image { id, tags, digests, size, .. } in registry.list().await {
            for name in tags.into_iter().chain(digests) {
                let name = Reference::parse(&name).map(|reference| reference.with_tag()).unwrap_or(name);
                names.by_name.insert(name, id.clone());
            }
            names.sizes.insert(id.clone(), size);
            names.ids.push(id);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
    }

    pub fn names(&self) -> Arc<Names> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Names {
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// Bytes of an image; none for one that is not here any more.
    pub fn size(&self, id: &str) -> Option<i64> {
        i64::try_from(*self.sizes.get(id)?).ok()
    }

    /// The id that a name stands for now.
    pub fn id_of(&self, name: &str) -> Option<&str> {
        let familiar = Reference::parse(name).ok()?.with_tag();
        self.by_name.get(&familiar).map(String::as_str)
    }

    /// By name, id, or the beginning of an id of which there is just one.
    pub fn resolve(&self, text: &str) -> Option<&str> {
        if let Some(id) = self.id_of(text) {
            return Some(id);
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.is_empty() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut matches =
            self.ids.iter().filter(|id| id.strip_prefix("sha256:").is_some_and(|id| id.starts_with(hex)));
        match (matches.next(), matches.next()) {
            (Some(id), None) => Some(id),
            _ => None,
        }
    }
}
