//! Azure's clouds: where their APIs are.

use sockerless_plugin_sdk::url;

/// A cloud, by its setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cloud {
    /// What the setting says.
    pub name: &'static str,
    /// Host of Azure Resource Manager.
    pub arm: &'static str,
    /// What a storage account's Files data plane ends with.
    pub files: &'static str,
    /// Host of Log Analytics queries.
    pub logs: &'static str,
}

/// All of them; the first is meant when none is named.
pub const CLOUDS: [Cloud; 3] = [
    Cloud {
        name: "public",
        arm: "management.azure.com",
        files: "file.core.windows.net",
        logs: "api.loganalytics.io",
    },
    Cloud {
        name: "china",
        arm: "management.chinacloudapi.cn",
        files: "file.core.chinacloudapi.cn",
        logs: "api.loganalytics.azure.cn",
    },
    Cloud {
        name: "us-government",
        arm: "management.usgovcloudapi.net",
        files: "file.core.usgovcloudapi.net",
        logs: "api.loganalytics.us",
    },
];

impl Cloud {
    /// By name.
    pub fn named(name: &str) -> Option<Self> {
        CLOUDS.into_iter().find(|cloud| cloud.name == name)
    }

    /// A credential with the scope that a host of this cloud wants; the daemon knows that of the public one.
    pub fn credential(self, name: &str, host: &str) -> String {
        if self == CLOUDS[0] { name.to_owned() } else { format!("{name}; scope=https://{host}/.default") }
    }
}

/// The host of a URL, for messages.
pub fn host_of(url: &str) -> &str {
    url::parse(url).map_or(url, |parts| parts.authority)
}
