//! `docker rmi` and `docker image prune`.

use bollard_stubs::models::{ImageDeleteResponseItem, ImagePruneResponse};
use sockerless_ports::registry::{ImageUse, Removed};

use super::inspect::worded;
use crate::{Engine, Error, ErrorKind, Filters, Result, filters};

impl Engine {
    /// `DELETE /images/{name}`. `_prune` would remove untagged parents as well: nothing is built here, so there are none.
    ///
    /// Errors: 404, 409 while a container or another name needs it.
    pub async fn remove_image(
        &self,
        reference: &str,
        force: bool,
        _prune: bool,
    ) -> Result<Vec<ImageDeleteResponseItem>> {
        let (engine, reference) = (self.shared()?, reference.to_owned());
        self.complete(async move {
            let image = engine.image(&reference).await?;
            let removed = engine.registry.remove(&reference, force, &engine.uses()).await.map_err(
                |error| match error {
                    sockerless_ports::registry::ImageError::NotFound(_) => {
                        Error::new(ErrorKind::NotFound, format!("No such image: {}", worded(&reference)))
                    }
                    other => other.into(),
                },
            )?;
            Ok(engine.removed(&image.id, removed).await)
        })
        .await
    }

    /// `POST /images/prune`: unused images without a name, or with `dangling=false` all unused ones.
    ///
    /// Errors: 400 for an unknown filter.
    pub async fn prune_images(&self, filters: &Filters) -> Result<ImagePruneResponse> {
        filters::accept(filters, &["dangling", "label", "label!", "until"])?;
        let mut filters = filters.clone();
        // dangling=false means all, not only those with a name.
        if filters::flag(&filters, "dangling")? == Some(false) {
            filters.remove("dangling");
        } else {
            filters.insert("dangling".into(), vec!["true".into()]);
        }
        let engine = self.shared()?;
        self.complete(async move {
            let mut deleted = Vec::new();
            let mut reclaimed = 0;
            for (image, _) in engine.matching(&filters).await? {
                let uses = engine.uses();
                if uses.iter().any(|used| used.image == image.id) {
                    continue;
                }
                // By every name, and by id for one without: nothing needs it, so nothing is lost by force.
                match engine.registry.remove(&image.id, true, &uses).await {
                    Ok(removed) => {
                        reclaimed += image.size;
                        deleted.extend(engine.removed(&image.id, removed).await);
                    }
                    Err(error) => tracing::info!(image = image.id, %error, "an image is not pruned"),
                }
            }
            engine.events.prune("image", reclaimed);
            Ok(ImagePruneResponse {
                images_deleted: Some(deleted),
                space_reclaimed: i64::try_from(reclaimed).ok(),
            })
        })
        .await
    }

    /// Which containers need which images.
    fn uses(&self) -> Vec<ImageUse> {
        let entries = self.containers.all();
        let uses = entries.iter().map(|entry| ImageUse {
            image: entry.spec.image_id.clone(),
            container: entry.id().to_owned(),
            running: entry.view().state.is_live() || entry.view().state.is_up(),
        });
        uses.collect()
    }

    async fn removed(&self, id: &str, removed: Vec<Removed>) -> Vec<ImageDeleteResponseItem> {
        self.images.refresh(self.registry.as_ref()).await;
        let items = removed.into_iter().map(|item| match item {
            Removed::Untagged(name) => {
                // dockerd names the image by its id here, not the name that went.
                self.events.image("untag", id, id, []);
                ImageDeleteResponseItem { untagged: Some(name), deleted: None }
            }
            Removed::Deleted(deleted) => {
                if deleted == id {
                    self.events.image("delete", id, id, []);
                }
                ImageDeleteResponseItem { untagged: None, deleted: Some(deleted) }
            }
        });
        items.collect()
    }
}
