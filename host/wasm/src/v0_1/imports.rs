//! What the host does for a guest of version 0.1, beside HTTP.

use sockerless_credentials::CredentialErrorKind;
use wasmtime::{
    Result,
    component::{HasSelf, Linker},
};

use super::bindings::sockerless::backend::{
    config, credentials,
    log::{self, Level},
    types::{self, Error, ErrorCode},
};
use crate::{guest_log, state::State};

/// Offers the imports of version 0.1.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    types::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    config::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    credentials::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    log::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

impl types::Host for State {}

impl config::Host for State {
    fn get(&mut self, name: String) -> Option<String> {
        self.call.powers.settings.get(&name).map(str::to_owned)
    }
}

impl log::Host for State {
    fn write(&mut self, level: Level, message: String) {
        let level = match level {
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        guest_log::write(&self.call, level, &message);
    }
}

impl credentials::Host for State {
    async fn describe(&mut self, name: String) -> std::result::Result<credentials::Info, Error> {
        self.granted(&name)?;
        match self.call.shared.credentials.describe(&name).await {
            Ok(found) => Ok(credentials::Info { source: found.source, principal: found.principal }),
            Err(error) => Err(refusal(
                if error.kind == CredentialErrorKind::Unavailable {
                    ErrorCode::Unavailable
                } else {
                    ErrorCode::Unauthenticated
                },
                error.to_string(),
            )),
        }
    }

    fn placeholder(&mut self, name: String, scope: Option<String>) -> std::result::Result<String, Error> {
        self.granted(&name)?;
        Ok(self.call.shared.placeholders.issue(&name, scope.as_deref()))
    }
}

impl State {
    fn granted(&self, credential: &str) -> std::result::Result<(), Error> {
        if self.call.powers.grants.binds(credential) {
            return Ok(());
        }
        Err(refusal(
            ErrorCode::NotFound,
            format!("the credential {credential:?} is not granted to plugin {}", self.call.plugin),
        ))
    }
}

fn refusal(code: ErrorCode, message: String) -> Error {
    Error { code, message, provider_status: None, retry_after_ms: None }
}
