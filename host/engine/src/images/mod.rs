//! Images: the registry's, as clients see them, with who uses them.

mod index;
mod inspect;
mod list;
mod login;
mod progress;
mod reference;
mod remove;

use futures_util::stream::BoxStream;
use sockerless_ports::registry::{ImageError, ProgressEvent};

pub(crate) use index::{ImageIndex, Names};
pub(crate) use reference::{Reference, is_id};

use crate::{Error, ErrorKind, Result};

/// What a long work on images tells while it goes on; an error ends it.
pub type ProgressStream = BoxStream<'static, Result<ProgressEvent>>;

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        let kind = match &error {
            ImageError::Invalid(_) => ErrorKind::Invalid,
            // dockerd answers 404 to a pull that is refused: it does not tell what exists.
            ImageError::NotFound(_) | ImageError::Denied(_) => ErrorKind::NotFound,
            ImageError::Conflict(_) => ErrorKind::Conflict,
            ImageError::Unavailable(_) | ImageError::Internal(_) => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
