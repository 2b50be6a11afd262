//! `docker login`: whether a registry takes a login, in dockerd's words.

use reqwest::{Method, RequestBuilder, StatusCode};
use sockerless_ports::registry::{ImageError, Login};

use super::{
    Client, Fault,
    auth::{self, Challenge},
    challenge, fault,
};

impl Client {
    /// Asks for the registry's root at `base`, and once more with what its challenge wants. A registry that wants nothing
    /// takes any login, as with dockerd. Gives the token server's refresh token, empty for none.
    ///
    /// Errors: `Denied` for a login that is refused; `Unavailable` for everything else.
    pub async fn login(&self, base: &str, login: &Login) -> Result<String, ImageError> {
        let url = format!("{base}/v2/");
        let asked = fault::request(&Method::GET, &url);
        let get = || self.http(&url).get(&url);
        let send = async |request: RequestBuilder| {
            let answer = request.send().await;
            answer.map_err(|e| ImageError::Unavailable(Fault::line(&Method::GET, &url, &e).words()))
        };
        let first = send(get()).await?;
        let challenge = challenge(&first).filter(|_| first.status() == StatusCode::UNAUTHORIZED);
        let Some(challenge) = challenge else { return verdict(&url, first.status()).map(|()| String::new()) };
        let (request, identity) = match challenge {
            Challenge::Basic if login.username.is_empty() || login.password.is_empty() => {
                return Err(ImageError::Unavailable(format!("{asked}: no basic auth credentials")));
            }
            Challenge::Basic => (get().basic_auth(&login.username, Some(&login.password)), None),
            Challenge::Bearer { realm, service } => {
                let refused = |fault: Fault| {
                    let words = format!("{asked}: {}", fault.reason());
                    match fault {
                        Fault::Answer { status: 401, .. } => ImageError::Denied(words),
                        _ => ImageError::Unavailable(words),
                    }
                };
                let http = self.http(&realm);
                let token = auth::fetch(http, &realm, service.as_deref(), "", Some(login), true);
                let mut token = token.await.map_err(refused)?;
                let identity = token.refresh_token.take();
                (get().bearer_auth(token.value().map_err(refused)?), identity)
            }
        };
        verdict(&url, send(request).await?.status())?;
        Ok(identity.unwrap_or_default())
    }
}

fn verdict(url: &str, status: StatusCode) -> Result<(), ImageError> {
    let words =
        || format!("login attempt to {url} failed with status: {}", fault::status_line(status.as_u16()));
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED => Err(ImageError::Denied(words())),
        _ => Err(ImageError::Unavailable(words())),
    }
}
