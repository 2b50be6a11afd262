//! Which image a user means.

use std::sync::Arc;

use sockerless_ports::registry::ImageError;

use super::{Catalog, Entry, Known};
use crate::{digest, reference::Reference};

impl Catalog {
    /// By id, name, digest or the beginning of an id, in this order.
    pub fn find(&self, text: &str) -> Result<Arc<Entry>, ImageError> {
        self.known().find(text)
    }
}

impl Known {
    pub(super) fn find(&self, text: &str) -> Result<Arc<Entry>, ImageError> {
        let hex = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        if let Some(digits) = text.strip_prefix("sha256:") {
            if !hex(digits) {
                return Err(ImageError::Invalid("invalid reference format".into()));
            }
            return self.by_prefix(digits)?.or_else(|| self.by_manifest(text)).ok_or_else(|| missing(text));
        }
        if digest::is_digits(text) {
            return self.by_prefix(text)?.ok_or_else(|| missing(text));
        }
        let reference = Reference::parse(text)?;
        if let Some(entry) = self.by_name(&reference) {
            return Ok(entry);
        }
        if hex(text)
            && let Some(entry) = self.by_prefix(text)?
        {
            return Ok(entry);
        }
        Err(missing(&reference.to_string()))
    }

    /// By tag, or by the digest when there is one.
    pub(super) fn by_name(&self, reference: &Reference) -> Option<Arc<Entry>> {
        let id = match reference.familiar_digest() {
            Some(digest) => self.digests.get(&digest),
            None => self.tags.get(&reference.familiar_tag()?),
        };
        id.and_then(|id| self.entries.get(id)).cloned()
    }

    fn by_prefix(&self, digits: &str) -> Result<Option<Arc<Entry>>, ImageError> {
        let prefix = format!("sha256:{digits}");
        let mut fitting = self.entries.range(prefix.clone()..).take_while(|(id, _)| id.starts_with(&prefix));
        match (fitting.next(), fitting.next()) {
            (Some((first, _)), Some((second, _))) => Err(ImageError::Invalid(format!(
                "image id {digits} is ambiguous: it begins both {first} and {second}"
            ))),
            (first, _) => Ok(first.map(|(_, entry)| Arc::clone(entry))),
        }
    }

    fn by_manifest(&self, digest: &str) -> Option<Arc<Entry>> {
        self.entries.values().find(|entry| entry.image.manifest_digest == digest).cloned()
    }
}

fn missing(what: &str) -> ImageError {
    ImageError::NotFound(format!("No such image: {what}"))
}
