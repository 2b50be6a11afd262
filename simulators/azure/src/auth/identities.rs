//! Managed identities: of a machine at its metadata server, and of an app at its own endpoint.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Audience;
use super::tokens::issue;
use crate::server::Simulator;
use crate::time;

/// `GET /metadata/identity/oauth2/token`: a virtual machine's identity.
pub fn machine(simulator: &Simulator, headers: &HeaderMap, query: &BTreeMap<String, String>) -> Response {
    let flagged = headers.get("Metadata").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    if !flagged || headers.contains_key("X-Forwarded-For") {
        return identity_error("invalid_request", "Required metadata header not specified");
    }
    identity(simulator, query, |token, life| {
        let now = time::now().as_second();
        json!({
            "access_token": token, "client_id": simulator.info.client_id, "expires_in": life.to_string(),
            "ext_expires_in": life.to_string(), "expires_on": (now + life).to_string(), "not_before": now.to_string(),
            "resource": query.get("resource"), "token_type": "Bearer",
        })
    })
}

/// `GET /msi/token`: a container app's identity.
pub fn app(simulator: &Simulator, headers: &HeaderMap, query: &BTreeMap<String, String>) -> Response {
    let header = headers.get("X-IDENTITY-HEADER").map(http::HeaderValue::as_bytes);
    if header != Some(simulator.info.identity_header.as_bytes()) {
        return (
            StatusCode::FORBIDDEN,
            Json(json!({"statusCode": 403, "message": "The identity header is missing or wrong."})),
        )
            .into_response();
    }
    identity(simulator, query, |token, life| {
        json!({
            "access_token": token, "client_id": simulator.info.client_id,
            "expires_on": (time::now().as_second() + life).to_string(),
            "resource": query.get("resource"), "token_type": "Bearer",
        })
    })
}

fn identity(
    simulator: &Simulator,
    query: &BTreeMap<String, String>,
    answer: impl Fn(&str, i64) -> Value,
) -> Response {
    if query.get("api-version").is_none_or(String::is_empty) {
        return identity_error("invalid_request", "Required query variable 'api-version' is missing");
    }
    let Some(resource) = query.get("resource") else {
        return identity_error("invalid_request", "Required query variable 'resource' is missing");
    };
    let Some(audience) = Audience::of(simulator, resource) else {
        let message = format!("The resource principal named {resource} was not found in the tenant.");
        return identity_error("invalid_resource", &message);
    };
    match issue(simulator, audience) {
        Ok((token, life)) => Json(answer(&token, life)).into_response(),
        Err(error) => error.into_response(),
    }
}

fn identity_error(error: &str, description: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": description}))).into_response()
}
