//! Microsoft's clouds: who gives tokens in each, and what for.

use serde::Deserialize;

/// One of the clouds that are apart from each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AzureCloud {
    /// Azure.
    #[default]
    Public,
    /// Azure operated by 21Vianet in China.
    China,
    /// Azure Government of the United States.
    UsGovernment,
}

/// What of a cloud the host has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// Microsoft Entra.
    pub authority: String,
    /// Azure Resource Manager.
    pub arm: String,
    /// The audience of Log Analytics.
    pub logs: &'static str,
}

/// The audience of all storage accounts; the same in every cloud.
const STORAGE: &str = "https://storage.azure.com";

/// What a token is for, when the plugin names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Azure Resource Manager.
    Arm,
    /// The data planes of storage accounts.
    Storage,
    /// Queries of Log Analytics.
    Logs,
}

impl Audience {
    /// By the credential's name: `azure-arm`, `azure-storage`, `azure-logs`.
    pub fn of(credential: &str) -> Self {
        match credential.rsplit('-').next() {
            Some("storage") => Self::Storage,
            Some("logs") => Self::Logs,
            _ => Self::Arm,
        }
    }
}

impl Places {
    /// Those of a cloud, with what the operator has elsewhere.
    pub fn new(cloud: AzureCloud, authority: Option<&str>, arm: Option<&str>) -> Self {
        // https://learn.microsoft.com/azure/china/resources-developer-guide, …/azure-government/compare-azure-government-global-azure
        let (usual, manager, logs) = match cloud {
            AzureCloud::Public => (
                "https://login.microsoftonline.com",
                "https://management.azure.com",
                "https://api.loganalytics.io",
            ),
            AzureCloud::China => (
                "https://login.chinacloudapi.cn",
                "https://management.chinacloudapi.cn",
                "https://api.loganalytics.azure.cn",
            ),
            AzureCloud::UsGovernment => (
                "https://login.microsoftonline.us",
                "https://management.usgovcloudapi.net",
                "https://api.loganalytics.us",
            ),
        };
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        Self { authority: plain(authority.unwrap_or(usual)), arm: plain(arm.unwrap_or(manager)), logs }
    }

    /// The scope of a token, as Entra wants it.
    pub fn scope(&self, audience: Audience) -> String {
        let audience = match audience {
            Audience::Arm => &self.arm,
            Audience::Storage => STORAGE,
            Audience::Logs => self.logs,
        };
        format!("{audience}/.default")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_audience_in_each_cloud() {
        let public = Places::new(AzureCloud::Public, None, None);
        assert_eq!(public.scope(Audience::of("azure-arm")), "https://management.azure.com/.default");
        assert_eq!(public.scope(Audience::of("azure-storage")), "https://storage.azure.com/.default");
        let china = Places::new(AzureCloud::China, None, None);
        assert_eq!(china.scope(Audience::of("azure-logs")), "https://api.loganalytics.azure.cn/.default");
        let own = Places::new(AzureCloud::UsGovernment, Some("https://login.stack.local/"), None);
        assert_eq!(own.authority, "https://login.stack.local");
        assert_eq!(own.scope(Audience::Arm), "https://management.usgovcloudapi.net/.default");
    }
}
