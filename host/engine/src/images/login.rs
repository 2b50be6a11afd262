//! `docker login`.

use bollard_stubs::models::SystemAuthResponse;
use sockerless_ports::registry::{ImageError, Login};

use crate::{Engine, Error, ErrorKind, Result};

impl Engine {
    /// `POST /auth`: asks the registry whether it takes the login. The daemon keeps nothing of it.
    ///
    /// Errors: 401 when the registry refuses, 400 for an address that names none, 500 when it cannot be asked.
    pub async fn login(&self, login: Login) -> Result<SystemAuthResponse> {
        let identity = self.registry.login(login).await.map_err(|error| match error {
            ImageError::Denied(words) => Error::new(ErrorKind::Unauthorized, words),
            other => other.into(),
        })?;
        Ok(SystemAuthResponse { status: "Login Succeeded".into(), identity_token: Some(identity) })
    }
}
