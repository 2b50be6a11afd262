//! Who may use the registry that stands in for Artifact Registry.

use http::HeaderMap;
pub use sockerless_simulator_common::registry::{Access, Registry, serve};

use crate::auth;
use crate::server::Simulator;

impl Access for Simulator {
    fn admits(&self, headers: &HeaderMap) -> rusqlite::Result<bool> {
        auth::check_registry(self, headers)
    }

    /// Repositories begin with a project, as Artifact Registry's do.
    fn admits_name(&self, name: &str) -> Result<(), String> {
        let project = name.split('/').next().unwrap_or_default();
        if self.config.projects.iter().any(|known| known == project) && name.contains('/') {
            return Ok(());
        }
        Err(format!(
            "Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource \"{name}\" (or it may not exist): \
             a repository's name is PROJECT/REPOSITORY/IMAGE, of the project {}.",
            self.info.project
        ))
    }

    fn base(&self) -> String {
        self.info.google.clone()
    }

    fn user(&self) -> &'static str {
        "oauth2accesstoken"
    }
}
