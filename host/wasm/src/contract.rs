//! What every version of the contract offers, in the newest version's types.

use async_trait::async_trait;
use sockerless_ports::backend::{Check, Dns, ImageSources, Jobs, Manifest, Result, Storage};

/// A component behind the bindings of the version that it speaks.
#[async_trait]
pub(crate) trait Guest: Jobs + Dns + Storage {
    /// Who it is.
    async fn describe(&self) -> Result<Manifest>;
    /// Checks the settings.
    async fn configure(&self) -> Result<()>;
    /// Where images may come from.
    async fn images(&self) -> Result<ImageSources>;
    /// Looks at the account.
    async fn doctor(&self) -> Result<Vec<Check>>;
}
