//! Microsoft.Storage: accounts and their shares by Resource Manager, the shares' files by Azure Files' own API, and the shares
//! as containers mount them.

mod accounts;
mod names;
mod options;
mod place;
mod plane;
mod share;
mod shares;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sockerless_executor::MountSource;

use crate::arm::{Answer, Call};
use crate::error::{ArmError, Result};
use crate::server::Simulator;
pub use accounts::make as make_account;
pub use options::MountOptions;
pub use plane::error::FileError;
pub use plane::metadata::SCHEMA;
pub use plane::{is_files, serve};

/// Where the shares lie: `files/ACCOUNT/SHARE`.
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Opens the folder in a state folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(state: &Path) -> std::io::Result<Self> {
        let root = state.join("files");
        std::fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// The folder of a share, whose names were checked.
    pub fn share(&self, account: &str, share: &str) -> PathBuf {
        self.root.join(account.to_ascii_lowercase()).join(share)
    }

    /// The folder of an account.
    pub fn account(&self, account: &str) -> PathBuf {
        self.root.join(account.to_ascii_lowercase())
    }

    /// Whether a key opens an account.
    ///
    /// # Errors
    /// The database's.
    pub fn has_key(&self, simulator: &Simulator, account: &str, key: &str) -> Result<bool> {
        let Some(found) = accounts::by_name(simulator, account)? else { return Ok(false) };
        Ok(found["_keys"].as_array().into_iter().flatten().any(|known| known == key))
    }

    /// Whether an account has a share.
    ///
    /// # Errors
    /// The database's.
    pub fn has_share(&self, simulator: &Simulator, account: &str, share: &str) -> Result<bool> {
        Ok(shares::find(simulator, account, share)?.is_some())
    }

    /// A folder of a share, to be mounted; it is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn mount(
        &self,
        account: &str,
        share: &str,
        sub_path: &str,
        options: MountOptions,
    ) -> std::io::Result<MountSource> {
        let root = self.share(account, share);
        let folder = if sub_path.is_empty() { root } else { place::resolve(&root, sub_path)?.path };
        std::fs::create_dir_all(&folder)?;
        Ok(MountSource::Served(Arc::new(share::Share::new(folder, options))))
    }
}

/// A storage account's key.
pub fn new_key() -> String {
    STANDARD.encode(rand::random::<[u8; 64]>())
}

/// Answers a method of the provider.
pub async fn call(method: &str, call: Call) -> Result<Answer> {
    match method {
        "storage_accounts_create" => accounts::put(&call),
        "storage_accounts_delete" => accounts::delete(&call),
        "storage_accounts_get_properties" => accounts::get(&call),
        "storage_accounts_list" | "storage_accounts_list_by_resource_group" => accounts::list(&call),
        "storage_accounts_list_keys" => accounts::list_keys(&call),
        "storage_accounts_regenerate_key" => accounts::regenerate_key(&call),
        "file_services_list" => shares::services(&call),
        "file_services_get_service_properties" => shares::service(&call),
        "file_services_set_service_properties" => shares::set_service(&call),
        "file_shares_create" => shares::put(&call),
        "file_shares_update" => shares::patch(&call),
        "file_shares_get" => shares::get(&call),
        "file_shares_delete" => shares::delete(&call),
        "file_shares_list" => shares::list(&call),
        _ => Err(ArmError::internal(format!("the method {method} is in the tables and not served"))),
    }
}
