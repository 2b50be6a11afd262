//! Taking names away, and images with their last name.

use std::{collections::HashSet, sync::Arc};

use sockerless_ports::registry::{Image, ImageError, ImageUse, Removed};

use super::{Changing, Known};
use crate::{reference::Reference, tuning};

impl Changing<'_> {
    /// As `docker rmi`. By name: takes the name away, and the image with its last one. By id: all names
    /// of one repository, then the image.
    pub async fn remove(
        &self,
        text: &str,
        force: bool,
        in_use: &[ImageUse],
    ) -> Result<Vec<Removed>, ImageError> {
        let mut known = self.catalog.known().clone();
        let entry = known.find(text)?;
        let id = entry.image.id.clone();
        let named = Reference::parse(text).ok().filter(|name| known.by_name(name).is_some());
        let uses: Vec<&ImageUse> = in_use.iter().filter(|user| user.image == id).collect();
        let mut removed = Vec::new();
        drop(entry);

        let deletes = match &named {
            Some(name) => known.untag(&id, (text, name), force, &uses, &mut removed)?,
            None => {
                known.check_id(&id, force, &uses)?;
                true
            }
        };
        if deletes && let Some(entry) = known.entries.remove(&id) {
            let Image { tags, digests, .. } = &entry.image;
            removed.extend(tags.iter().chain(digests).cloned().map(Removed::Untagged));
            removed.push(Removed::Deleted(id.clone()));
        }
        self.commit(known, &[id]).await?;
        Ok(removed)
    }
}

impl Known {
    /// Takes the name, as the user wrote it and as it is read, away. Gives whether the image goes with it.
    fn untag(
        &mut self,
        id: &str,
        (text, name): (&str, &Reference),
        force: bool,
        uses: &[&ImageUse],
        removed: &mut Vec<Removed>,
    ) -> Result<bool, ImageError> {
        let Some(entry) = self.entries.get_mut(id) else { return Ok(false) };
        let image = &mut Arc::make_mut(entry).image;
        let mut remaining = image.clone();
        let shown = if let Some(digest) = name.familiar_digest() {
            remaining.digests.retain(|d| *d != digest);
            digest
        } else {
            let tag = name.familiar_tag().unwrap_or_default();
            remaining.tags.retain(|t| *t != tag);
            tag
        };
        let mut gone = vec![shown];
        // A digest stands for its repository's tags: it goes with the last of them.
        let repository = name.familiar_name();
        if !remaining.tags.iter().any(|tag| repository_of(tag) == repository) {
            let prefix = format!("{repository}@");
            gone.extend(remaining.digests.iter().filter(|d| d.starts_with(&prefix)).cloned());
            remaining.digests.retain(|d| !d.starts_with(&prefix));
        }
        let last = remaining.tags.is_empty() && remaining.digests.is_empty();
        if last
            && !force
            && let Some(user) = uses.first()
        {
            return Err(ImageError::Conflict(format!(
                "conflict: unable to remove repository reference \"{text}\" (must force) - container {} is using its \
                 referenced image {}",
                short(&user.container),
                short(id)
            )));
        }
        *image = remaining;
        removed.extend(gone.into_iter().map(Removed::Untagged));
        // A running container keeps its image, which then has no name.
        Ok(last && !uses.iter().any(|user| user.running))
    }

    fn check_id(&self, id: &str, force: bool, uses: &[&ImageUse]) -> Result<(), ImageError> {
        let conflict = |how: &str, why: &str| {
            Err(ImageError::Conflict(format!("conflict: unable to delete {} ({how}) - {why}", short(id))))
        };
        if let Some(user) = uses.iter().find(|user| user.running) {
            return conflict(
                "cannot be forced",
                &format!("image is being used by running container {}", short(&user.container)),
            );
        }
        let repositories: HashSet<&str> = self
            .entries
            .get(id)
            .into_iter()
            .flat_map(|e| &e.image.tags)
            .map(|tag| repository_of(tag))
            .collect();
        if !force && repositories.len() > 1 {
            return conflict("must be forced", "image is referenced in multiple repositories");
        }
        match uses.first() {
            Some(user) if !force => conflict(
                "must be forced",
                &format!("image is being used by stopped container {}", short(&user.container)),
            ),
            _ => Ok(()),
        }
    }
}

fn repository_of(tag: &str) -> &str {
    tag.rsplit_once(':').map_or(tag, |(repository, _)| repository)
}

/// A short id.
fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..tuning::SHORT_ID).unwrap_or(digits)
}
