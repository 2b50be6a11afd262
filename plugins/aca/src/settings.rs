//! The operator's settings, read and checked.

use sockerless_plugin_sdk::{Host, Result, Settings};

use crate::{
    clouds::{CLOUDS, Cloud},
    limits,
    manifest::{self, ARM, LOGS, STORAGE},
};

/// What all calls need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `/subscriptions/S/resourceGroups/G`.
    pub group: String,
    /// Resource id of the environment.
    pub environment: String,
    /// Region.
    pub location: String,
    /// Resource id of the storage account.
    pub account: String,
    /// Id of the Log Analytics workspace.
    pub workspace: Option<String>,
    /// The table with the containers' output.
    pub log_table: LogTable,
    /// Milliseconds from a line's writing until Log Analytics has it, at most.
    pub log_lag_ms: u32,
    /// Resource id of the private DNS zone.
    pub dns_zone: Option<String>,
    /// Registry and path for images.
    pub repository: Option<String>,
    /// What pulls from there.
    pub registry_identity: Option<String>,
    /// Identity of the containers.
    pub identity: Option<String>,
    /// What reads secrets for containers.
    pub secret_identity: Option<String>,
    /// Workload profile.
    pub workload_profile: Option<String>,
    /// Seconds that a container runs at most, unless it says otherwise.
    pub timeout_seconds: Option<u64>,
    /// Share for blobs.
    pub share: String,
    /// Share whose folders are volumes.
    pub volume_share: Option<String>,
    /// Files are written with the daemon's own identity instead of the account's key.
    pub by_identity: bool,
    /// Where the environment reads the account's key: secret, identity.
    pub key_vault: Option<(String, String)>,
    /// The cloud.
    pub cloud: Cloud,
    /// Azure Resource Manager.
    pub arm: String,
    /// The storage account's files.
    pub files: String,
    /// Log Analytics.
    pub logs: String,
}

/// A table of console logs: with Log Analytics as the destination a column's name carries its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTable {
    /// `ContainerAppConsoleLogs_CL`.
    Typed,
    /// `ContainerAppConsoleLogs`.
    Plain,
}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    /// `invalid-argument` that names the setting.
    pub fn read(host: &dyn Host) -> Result<Self> {
        let manifest = manifest::manifest();
        let settings = Settings::new(host, &manifest);
        let subscription = settings.required("subscription_id")?;
        if !is_guid(&subscription) {
            return Err(settings.bad(
                "subscription_id",
                &subscription,
                "a GUID, as `az account show` has it",
            ));
        }
        let group = settings.required("resource_group")?;
        if !is_segment(&group, 90) {
            return Err(settings.bad("resource_group", &group, "the name of a resource group"));
        }
        let group = format!("/subscriptions/{subscription}/resourceGroups/{group}");
        let location = settings.required("location")?.to_ascii_lowercase().replace(' ', "");
        if !location.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            return Err(settings.bad("location", &location, "a region like westeurope"));
        }
        let resource = |name: &str, kind: &str| resource(&settings, &group, name, kind);
        let environment = resource("environment", "Microsoft.App/managedEnvironments")?;
        let account = resource("storage_account", "Microsoft.Storage/storageAccounts")?;
        let (Some(environment), Some(account)) = (environment, account) else {
            settings.required("environment")?;
            settings.required("storage_account")?;
            return Err(settings.bad("storage_account", "", "the name of a storage account"));
        };
        let dns_zone = resource("dns_zone", "Microsoft.Network/privateDnsZones")?;
        let workspace = settings.get("log_analytics_workspace");
        if let Some(value) = workspace.as_ref().filter(|value| !is_guid(value)) {
            let like =
                "the workspace's id, a GUID (`az monitor log-analytics workspace show --query customerId`)";
            return Err(settings.bad("log_analytics_workspace", value, like));
        }
        let cloud_name = settings.required("cloud")?;
        let Some(cloud) = Cloud::named(&cloud_name) else {
            let like = CLOUDS.map(|cloud| cloud.name).join(", ");
            return Err(settings.bad("cloud", &cloud_name, &format!("one of {like}")));
        };
        let timeout_seconds = settings.parsed::<u64>("timeout", "a number of seconds")?;
        if let Some(value) = timeout_seconds.filter(|t| *t == 0 || *t > limits::TIMEOUT_MAX_SECONDS) {
            return Err(settings.bad("timeout", &value.to_string(), "1 to 604800 seconds"));
        }
        let log_lag = settings.parsed::<u32>("log_lag", "a number of seconds")?.unwrap_or_default();
        if log_lag > limits::LOG_LAG_MAX_SECONDS {
            return Err(settings.bad("log_lag", &log_lag.to_string(), "0 to 3600 seconds"));
        }
        let endpoint = |name: &str, host: String| match settings.get(name) {
            Some(_) => settings.url(name),
            None => Ok(format!("https://{host}")),
        };
        let short = account.rsplit('/').next().unwrap_or_default();
        Ok(Self {
            log_table: log_table(&settings)?,
            log_lag_ms: log_lag * 1000,
            repository: repository(&settings)?,
            registry_identity: identity(&settings, "registry_identity", "system-environment")?,
            identity: identity(&settings, "identity", "")?,
            secret_identity: identity(&settings, "secret_identity", "system-environment")?,
            workload_profile: settings.get("workload_profile"),
            share: share(&settings, "share")?.unwrap_or_else(|| "sockerless".to_owned()),
            volume_share: share(&settings, "volume_share")?,
            by_identity: by_identity(&settings)?,
            key_vault: key_vault(&settings)?,
            arm: endpoint("arm_endpoint", cloud.arm.to_owned())?,
            files: endpoint("files_endpoint", format!("{short}.{}", cloud.files))?,
            logs: endpoint("logs_endpoint", cloud.logs.to_owned())?,
            group,
            environment,
            location,
            account,
            workspace,
            dns_zone,
            timeout_seconds,
            cloud,
        })
    }

    /// The name of the storage account.
    pub fn account_name(&self) -> &str {
        self.account.rsplit('/').next().unwrap_or_default()
    }

    /// The name of the DNS zone: its domain, without a final dot.
    pub fn zone_name(&self) -> Option<&str> {
        self.dns_zone.as_deref()?.rsplit('/').next()
    }

    /// The credential for Azure Resource Manager.
    pub fn arm_credential(&self) -> String {
        self.cloud.credential(ARM, self.cloud.arm)
    }

    /// The credential for queries of logs.
    pub fn logs_credential(&self) -> String {
        self.cloud.credential(LOGS, self.cloud.logs)
    }

    /// The credential for files: a token, or the key of this very account.
    pub fn files_credential(&self) -> String {
        if self.by_identity { STORAGE.to_owned() } else { format!("{STORAGE}; scope={}", self.account) }
    }
}

/// The id of a resource that the operator named, or gave the id of.
fn resource(settings: &Settings<'_>, group: &str, name: &str, kind: &str) -> Result<Option<String>> {
    let Some(value) = settings.get(name) else { return Ok(None) };
    let like = || {
        settings.bad(
            name,
            &value,
            &format!("a name, or /subscriptions/S/resourceGroups/G/providers/{kind}/NAME"),
        )
    };
    if is_segment(&value, 260) {
        return Ok(Some(format!("{group}/providers/{kind}/{value}")));
    }
    let parts: Vec<&str> = value.trim_end_matches('/').split('/').collect();
    let well_formed = matches!(parts.as_slice(), ["", "subscriptions", s, "resourceGroups" | "resourcegroups", g, "providers", provider, what, leaf]
        if is_guid(s) && is_segment(g, 90) && is_segment(leaf, 260) && format!("{provider}/{what}").eq_ignore_ascii_case(kind));
    if well_formed { Ok(Some(value.trim_end_matches('/').to_owned())) } else { Err(like()) }
}

fn identity(settings: &Settings<'_>, name: &str, word: &str) -> Result<Option<String>> {
    let Some(value) = settings.get(name) else { return Ok(None) };
    let id = value.starts_with("/subscriptions/")
        && value.contains("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/");
    if id || (value == word && !word.is_empty()) {
        return Ok(Some(value));
    }
    let or = if word.is_empty() { String::new() } else { format!("{word}, or ") };
    Err(settings.bad(name, &value, &format!("{or}the resource id of a user-assigned identity")))
}

fn log_table(settings: &Settings<'_>) -> Result<LogTable> {
    match settings.required("log_table")?.as_str() {
        "ContainerAppConsoleLogs_CL" => Ok(LogTable::Typed),
        "ContainerAppConsoleLogs" => Ok(LogTable::Plain),
        other => {
            Err(settings.bad("log_table", other, "ContainerAppConsoleLogs_CL or ContainerAppConsoleLogs"))
        }
    }
}

fn by_identity(settings: &Settings<'_>) -> Result<bool> {
    match settings.required("storage_auth")?.as_str() {
        "key" => Ok(false),
        "identity" => Ok(true),
        other => Err(settings.bad("storage_auth", other, "key or identity")),
    }
}

fn key_vault(settings: &Settings<'_>) -> Result<Option<(String, String)>> {
    let Some(value) = settings.get("storage_key_secret") else { return Ok(None) };
    if !value.starts_with("https://") || !value.contains("/secrets/") {
        let like = "a secret's URL like https://VAULT.vault.azure.net/secrets/NAME";
        return Err(settings.bad("storage_key_secret", &value, like));
    }
    let identity =
        identity(settings, "storage_key_identity", "system")?.unwrap_or_else(|| "system".to_owned());
    Ok(Some((value, identity)))
}

fn share(settings: &Settings<'_>, name: &str) -> Result<Option<String>> {
    let value = settings.get(name);
    match &value {
        Some(text) if !is_share(text) => {
            Err(settings.bad(name, text, "a share's name: 3 to 63 of a-z, 0-9 and single hyphens"))
        }
        _ => Ok(value),
    }
}

fn repository(settings: &Settings<'_>) -> Result<Option<String>> {
    let value = settings.get("repository").map(|value| value.trim_end_matches('/').to_owned());
    match &value {
        Some(text) if !is_repository(text) => {
            let like = "a path like myregistry.azurecr.io/containers, without scheme and tag";
            Err(settings.bad("repository", text, like))
        }
        _ => Ok(value),
    }
}

/// 3 to 63 of a-z, 0-9 and hyphens, no hyphen at an end or beside another (Azure Files).
pub fn is_share(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (3..=limits::SHARE_CHARS).contains(&text.len())
        && text.chars().all(good)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

fn is_guid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// One part of a resource's id.
fn is_segment(text: &str, longest: usize) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.()".contains(c);
    (1..=longest).contains(&text.len()) && text.chars().all(good) && !text.ends_with('.')
}

fn is_repository(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-:/".contains(c);
    let (host, path) = text.split_once('/').unwrap_or_default();
    let tagless = !path.contains(':') && !path.split('/').any(str::is_empty);
    !host.is_empty() && text.chars().all(good) && tagless
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::testing::FakeHost;

    use super::*;
    use crate::testing::{GROUP, host};

    fn refusal(name: &str, value: &str) -> String {
        Config::read(&host().setting(name, value)).unwrap_err().message
    }

    #[test]
    fn names_become_ids_and_addresses_follow_from_the_cloud() {
        let config = Config::read(&host()).unwrap();
        assert_eq!(config.environment, format!("{GROUP}/providers/Microsoft.App/managedEnvironments/env"));
        assert_eq!(config.arm, "https://management.azure.com");
        assert_eq!(config.files, "https://acc.file.core.windows.net");
        assert_eq!(config.arm_credential(), "azure-arm");
        assert_eq!(config.files_credential(), format!("azure-storage; scope={}", config.account));
        let china = Config::read(&host().setting("cloud", "china")).unwrap();
        assert_eq!(china.files, "https://acc.file.core.chinacloudapi.cn");
        assert_eq!(china.arm_credential(), "azure-arm; scope=https://management.chinacloudapi.cn/.default");
        assert_eq!(china.logs_credential(), "azure-logs; scope=https://api.loganalytics.azure.cn/.default");
    }

    #[test]
    fn a_resource_of_another_group_is_given_by_its_id() {
        let id = GROUP.replace("resourceGroups/group", "resourceGroups/other")
            + "/providers/Microsoft.App/managedEnvironments/e2";
        let config = Config::read(&host().setting("environment", &id)).unwrap();
        assert_eq!(config.environment, id);
        let account = GROUP.to_owned() + "/providers/Microsoft.Storage/storageAccounts/a2";
        assert!(refusal("environment", &account).contains("`environment`"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_variable() {
        let bare = FakeHost::new().defaults(&manifest::manifest());
        let error = Config::read(&bare).unwrap_err();
        assert!(error.message.contains("SOCKERLESS_ACA_SUBSCRIPTION_ID"), "{}", error.message);
        assert!(refusal("environment", "").contains("SOCKERLESS_ACA_ENVIRONMENT"));
        assert!(refusal("storage_account", "").contains("SOCKERLESS_ACA_STORAGE_ACCOUNT"));
    }

    #[test]
    fn what_cannot_be_right_is_refused_by_name() {
        for (name, value) in [
            ("subscription_id", "my subscription"),
            ("resource_group", "a/b"),
            ("location", "west/europe"),
            ("log_analytics_workspace", "my-workspace"),
            ("log_table", "Syslog"),
            ("repository", "https://x/y"),
            ("repository", "x.azurecr.io/p:tag"),
            ("registry_identity", "me"),
            ("identity", "system-environment"),
            ("share", "Bad_Share"),
            ("volume_share", "a--b"),
            ("storage_auth", "password"),
            ("storage_key_secret", "https://vault/keys/x"),
            ("cloud", "germany"),
            ("timeout", "0"),
            ("log_lag", "soon"),
            ("log_lag", "3601"),
            ("arm_endpoint", "management"),
        ] {
            assert!(refusal(name, value).contains(&format!("`{name}`")), "{name}={value}");
        }
    }
}
