//! Who may use the registry that stands in for Azure Container Registry.

use http::HeaderMap;
use sockerless_simulator_common::registry::Access;

use crate::auth;
use crate::server::Simulator;

impl Access for Simulator {
    fn admits(&self, headers: &HeaderMap) -> rusqlite::Result<bool> {
        auth::check_registry(self, headers)
    }

    /// A registry of Azure's takes any name.
    fn admits_name(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn base(&self) -> String {
        self.info.http.clone()
    }

    /// The user of tokens, as `az acr login` names it.
    fn user(&self) -> &'static str {
        "00000000-0000-0000-0000-000000000000"
    }
}
