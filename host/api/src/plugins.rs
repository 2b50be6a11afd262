//! What `sockerless plugin` asks of the daemon: its backends' components. No part of Docker's API.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// The daemon's backends as components that can be replaced.
#[async_trait]
pub trait Plugins: Send + Sync + 'static {
    /// Those that are loaded, by name.
    fn list(&self) -> Vec<PluginStanding>;

    /// Has them take their components anew, all or the one of this name; none when there is no such backend.
    async fn reload(&self, name: Option<&str>) -> Option<Vec<Reloaded>>;
}

/// A loaded backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStanding {
    /// The name that `--runtime` takes.
    pub name: String,
    /// The file of its component.
    pub component: String,
    /// What calls go to.
    #[serde(flatten)]
    pub build: PluginBuild,
    /// What it may reach, with which credentials.
    pub granted: Vec<PluginGrant>,
    /// What it asks beyond that.
    pub withheld: Vec<PluginGrant>,
}

/// Which component it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginBuild {
    /// The manifest's version.
    pub version: String,
    /// `sha256:…` of the file.
    pub digest: String,
}

/// Hosts that a backend may reach, or wants to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginGrant {
    /// Host name, `*.suffix` or, of a setting, the address in it.
    pub host: String,
    /// The credentials that may go there.
    pub credentials: Vec<String>,
}

/// What came of a reload of one backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The backend.
    pub name: String,
    /// What calls went to.
    pub before: PluginBuild,
    /// What they go to now; the same where nothing has changed, or the new one was refused.
    pub after: PluginBuild,
    /// What the new one asks and is not granted.
    pub withheld: Vec<PluginGrant>,
    /// Why the new one was refused; the old one stays.
    pub error: Option<String>,
}
