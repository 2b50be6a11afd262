//! `POST /auth`, which is `docker login`.

use axum::{Router, body::Body, extract::State, routing::post};
use http::HeaderMap;
use serde::Deserialize;
use sockerless_ports::registry::Login;

use crate::{App, extract, respond, respond::Answer};

pub fn routes() -> Router<App> {
    Router::new().route("/auth", post(auth))
}

/// The API's `AuthConfig`, of which some clients write what they do not have as null.
#[derive(Deserialize)]
struct AuthConfig {
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    serveraddress: Option<String>,
}

async fn auth(State(daemon): State<App>, headers: HeaderMap, body: Body) -> Answer {
    let config: AuthConfig = extract::json(&headers, body).await?.ok_or_else(extract::missing_body)?;
    let login = Login {
        username: config.username.unwrap_or_default(),
        password: config.password.unwrap_or_default(),
        identitytoken: config.identitytoken.unwrap_or_default(),
        serveraddress: config.serveraddress.unwrap_or_default(),
    };
    respond::ok(&daemon.login(login).await?)
}
