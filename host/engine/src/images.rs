//! Images.

use bollard_stubs::models::{
    HistoryResponseItem, ImageDeleteResponseItem, ImageInspect, ImagePruneResponse, ImageSummary,
};
use futures_util::stream::BoxStream;
use sockerless_ports::registry::{Archive, ImportRequest, ProgressEvent};

use crate::{Engine, Filters, PullImage, Result};

/// What a long work on images tells while it goes on; an error ends it.
pub type ProgressStream = BoxStream<'static, Result<ProgressEvent>>;

#[allow(unused_variables, clippy::unused_async, missing_docs)]
impl Engine {
    /// Errors that are known at once (a malformed name, an image that does not exist, a refused
    /// login) come as `Err`, so that they get a status of their own; later ones in the stream.
    pub async fn pull_image(&self, request: PullImage) -> Result<ProgressStream> {
        todo!()
    }
    pub async fn load_images(&self, archive: Archive) -> Result<ProgressStream> {
        todo!()
    }
    pub async fn import_image(
        &self,
        archive: Archive,
        request: ImportRequest,
    ) -> Result<ProgressStream> {
        todo!()
    }
    pub async fn images(&self, all: bool, filters: &Filters) -> Result<Vec<ImageSummary>> {
        todo!()
    }
    pub async fn inspect_image(&self, reference: &str) -> Result<ImageInspect> {
        todo!()
    }
    pub async fn image_history(&self, reference: &str) -> Result<Vec<HistoryResponseItem>> {
        todo!()
    }
    pub async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<()> {
        todo!()
    }
    pub async fn remove_image(
        &self,
        reference: &str,
        force: bool,
        prune: bool,
    ) -> Result<Vec<ImageDeleteResponseItem>> {
        todo!()
    }
    pub async fn prune_images(&self, filters: &Filters) -> Result<ImagePruneResponse> {
        todo!()
    }
}
