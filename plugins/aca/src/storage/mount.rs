//! What can be mounted: a share, or a folder of one, that the environment knows.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sockerless_plugin_sdk::{Request, Result};

use crate::{ContainerApps, manifest, names};

/// What `storage.mount` prepares and a job's spec carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The environment's storage that may be written to; empty when nobody asked for it.
    #[serde(rename = "w")]
    pub read_write: String,
    /// The environment's storage that may not.
    #[serde(rename = "r")]
    pub read_only: String,
    /// The folder of it, without slashes at its ends; empty for all of it.
    #[serde(rename = "d")]
    pub folder: String,
    /// Options of the mount (CIFS), separated by commas.
    #[serde(rename = "o")]
    pub options: String,
}

impl Mount {
    /// The environment's storage for a mount point. What was prepared for reading alone stays so.
    pub fn storage(&self, read_only: bool) -> &str {
        if (read_only && !self.read_only.is_empty()) || self.read_write.is_empty() {
            &self.read_only
        } else {
            &self.read_write
        }
    }
}

/// `ReadOnly` or `ReadWrite`.
fn mode(read_only: bool) -> &'static str {
    if read_only { "ReadOnly" } else { "ReadWrite" }
}

/// The name under which an environment knows a share.
pub fn storage_name(account: &str, share: &str, read_only: bool) -> String {
    let name = names::shortened(share, 26, account);
    format!("{name}-{}", if read_only { "ro" } else { "rw" })
}

impl ContainerApps {
    /// The id of one of the environment's storages.
    fn storage_id(&self, name: &str) -> String {
        format!("{}/storages/{name}", self.config.environment)
    }

    /// Has the environment know a share, once, or anew with the key of now; gives the name of its storage.
    pub(super) fn known_share(&self, share: &str, read_only: bool, anew: bool) -> Result<String> {
        let name = storage_name(self.config.account_name(), share, read_only);
        let doing = format!("registering the share {share} with the environment");
        let url = self.config.url(&self.storage_id(&name));
        if !anew && self.knows(&url, share, read_only, &doing)? {
            return Ok(name);
        }
        let mut file = json!({
            "accountName": self.config.account_name(),
            "shareName": share,
            "accessMode": mode(read_only),
        });
        match &self.config.key_vault {
            Some((url, identity)) => {
                file["accountKeyVaultProperties"] = json!({"identity": identity, "keyVaultUrl": url});
            }
            // The host puts the key in its place: it never comes here.
            None => {
                file["accountKey"] =
                    json!(self.host.placeholder(manifest::STORAGE, Some(&self.config.account))?);
            }
        }
        let answer = self.send(Request::put(url).json(&json!({"properties": {"azureFile": file}})))?;
        self.check(&doing, &answer)?;
        Ok(name)
    }

    /// Whether what the environment has under that name is the share in that mode.
    fn knows(&self, url: &str, share: &str, read_only: bool, doing: &str) -> Result<bool> {
        let answer = self.send(Request::get(url))?;
        if answer.status == 404 {
            return Ok(false);
        }
        self.check(doing, &answer)?;
        let known: Value = answer.json()?;
        let file = &known["properties"]["azureFile"];
        Ok(file["shareName"] == share && file["accessMode"] == mode(read_only))
    }

    /// Has the environment forget a share, before that goes.
    pub(super) fn forget_share(&self, share: &str) -> Result<()> {
        for read_only in [false, true] {
            let name = storage_name(self.config.account_name(), share, read_only);
            let answer = self.send(Request::delete(self.config.url(&self.storage_id(&name))))?;
            if answer.status != 404 {
                self.check(&format!("having the environment forget the share {share}"), &answer)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_prepared_for_reading_is_never_writable() {
        let reading = Mount { read_only: "ro".into(), ..Mount::default() };
        assert_eq!((reading.storage(true), reading.storage(false)), ("ro", "ro"));
        let both = Mount { read_write: "rw".into(), ..reading };
        assert_eq!((both.storage(true), both.storage(false)), ("ro", "rw"));
        let writing = Mount { read_only: String::new(), ..both };
        assert_eq!(writing.storage(true), "rw");
    }

    #[test]
    fn names_of_storages_fit_and_differ_by_mode_and_account() {
        let name = storage_name("acc", &"x".repeat(63), true);
        assert!(name.len() <= 31 && names::is_job(&name), "{name}");
        assert_ne!(name, storage_name("acc", &"x".repeat(63), false));
        assert_ne!(name, storage_name("acc2", &"x".repeat(63), true));
    }
}
