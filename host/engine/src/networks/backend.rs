//! Which backend a network, or a volume, belongs to: all on a network are containers of one.

use std::collections::HashMap;

use crate::{Engine, Error, ErrorKind, Result, containers::View};

/// The option of `docker network create` and `docker volume create` that names the backend, instead of the default.
pub(crate) const BACKEND_OPTION: &str = "sockerless.backend";

impl Engine {
    /// The backend that something is to belong to, by the options that it is made with. Errors: 400 for a name that no
    /// backend has.
    pub(crate) fn chosen_backend(&self, options: &HashMap<String, String>) -> Result<String> {
        match options.get(BACKEND_OPTION) {
            None => Ok(self.default_backend.clone()),
            Some(name) => self.cloud(name).map(|cloud| cloud.name.clone()).map_err(|_| {
                let known: Vec<&str> = self.clouds.keys().map(String::as_str).collect();
                let message =
                    format!("{BACKEND_OPTION}: there is no backend {name}; there are: {}", known.join(", "));
                Error::new(ErrorKind::Invalid, message)
            }),
        }
    }

    /// Errors: 501 for a container of another backend than the network's.
    pub(super) fn check_backend(&self, view: &View, reference: &str) -> Result<()> {
        let table = self.networks.table();
        // That there is none is told by whoever looks for it.
        let Ok(network) = table.find_usable(reference) else { return Ok(()) };
        let own = &view.spec.backend;
        match network.backend.as_ref().filter(|backend| *backend != own) {
            None => Ok(()),
            Some(backend) => {
                let message = format!(
                    "the network {} belongs to the backend {backend}: a container of the backend {own} cannot be on it; make one \
                     with --opt {BACKEND_OPTION}={own}",
                    network.name
                );
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }
}
