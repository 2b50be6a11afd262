//! Entra's token endpoint, and the registry's own.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::Audience;
use super::identities::{app, machine};
use super::tokens::{Standing, issue, standing};
use crate::error::ArmError;
use crate::server::Simulator;
use crate::{ids, limits, time};

/// Where a registry gives a token of its own for one of Entra's.
const EXCHANGE: &str = "/oauth2/exchange";

/// Whether a path is of Entra, of a registry's token server or an identity endpoint.
pub fn is_auth(path: &str) -> bool {
    path.starts_with("/metadata/identity/")
        || path == "/msi/token"
        || path == "/common/discovery/instance"
        || path == EXCHANGE
        || path.ends_with("/oauth2/v2.0/token")
        || path.ends_with("/oauth2/token")
        || path.ends_with("/.well-known/openid-configuration")
}

/// Token endpoints and what leads to them.
pub async fn serve(simulator: &Simulator, base: &str, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["metadata", "identity", "oauth2", "token"]) => {
            machine(simulator, request.headers(), &query)
        }
        (&Method::POST, ["oauth2", "exchange"]) => exchange(simulator, request).await,
        (&Method::GET, ["msi", "token"]) => app(simulator, request.headers(), &query),
        (&Method::GET, ["common", "discovery", "instance"]) => Json(json!({
            "tenant_discovery_endpoint": format!("{base}/{}/v2.0/.well-known/openid-configuration", simulator.config.tenant),
            "api-version": "1.1",
            "metadata": [],
        }))
        .into_response(),
        (&Method::GET, [tenant, .., ".well-known", "openid-configuration"]) => Json(json!({
            "issuer": format!("{base}/{tenant}/v2.0"),
            "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
            "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        }))
        .into_response(),
        (&Method::POST, [tenant, "oauth2", .., "token"]) => {
            let tenant = (*tenant).to_owned();
            entra(simulator, &tenant, request).await
        }
        _ => ArmError::not_found("NotFound", format!("{path} is no path of an identity endpoint."))
            .into_response(),
    }
}

/// `POST /{tenant}/oauth2/v2.0/token`
async fn entra(simulator: &Simulator, tenant: &str, request: Request<Body>) -> Response {
    let body = match axum::body::to_bytes(request.into_body(), limits::TOKEN_BODY).await {
        Ok(body) => body,
        Err(error) => return refusal("invalid_request", 900_144, &error.to_string()),
    };
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if tenant != simulator.config.tenant {
        return refusal("invalid_request", 90_002, &format!("Tenant '{tenant}' not found."));
    }
    if field("grant_type") != "client_credentials" {
        let message = format!("Unsupported grant type '{}'.", field("grant_type"));
        return refusal("unsupported_grant_type", 70_003, &message);
    }
    if field("client_id") != simulator.info.client_id {
        let message =
            format!("Application with identifier '{}' was not found in the directory.", field("client_id"));
        return refusal("unauthorized_client", 700_016, &message);
    }
    if field("client_assertion").is_empty() {
        if field("client_secret") != simulator.info.client_secret {
            return refusal("invalid_client", 7_000_215, "Invalid client secret provided.");
        }
    } else if let Err(why) = assertion(field("client_assertion")) {
        return refusal("invalid_client", 700_027, &why);
    }
    let scope = if field("scope").is_empty() { field("resource") } else { field("scope") };
    let Some(audience) = Audience::of(simulator, scope) else {
        let message = format!("The resource principal named {scope} was not found in the tenant.");
        return refusal("invalid_resource", 500_011, &message);
    };
    match issue(simulator, audience) {
        Ok((token, life)) => Json(json!({
            "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token,
        }))
        .into_response(),
        Err(error) => error.into_response(),
    }
}

/// `POST /oauth2/exchange`, as Container Registry has it.
async fn exchange(simulator: &Simulator, request: Request<Body>) -> Response {
    let refused = |message: &str| {
        let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": message}]});
        (StatusCode::UNAUTHORIZED, Json(body)).into_response()
    };
    let Ok(body) = axum::body::to_bytes(request.into_body(), limits::TOKEN_BODY).await else {
        return refused("the body is too long");
    };
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("grant_type") != "access_token" || field("service") != simulator.info.registry {
        return refused("grant_type and service are to be access_token and the registry's name");
    }
    let good = match standing(simulator, field("access_token")) {
        Ok(Standing::Good(audience)) => audience.is_none_or(|audience| audience == Audience::Arm.word()),
        Ok(_) => false,
        Err(error) => return ArmError::from(error).into_response(),
    };
    if !good {
        return refused(
            "authentication required, visit https://aka.ms/acr/authorization for more information.",
        );
    }
    match issue(simulator, Audience::Registry) {
        Ok((token, _)) => Json(json!({"refresh_token": token})).into_response(),
        Err(error) => error.into_response(),
    }
}

/// A workload's assertion. Its signature is taken on trust: the simulator has no copy of anybody's public keys.
fn assertion(text: &str) -> std::result::Result<(), String> {
    let mut parts = text.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("Client assertion is not a JSON Web Token.".to_owned());
    };
    let claims: Value = URL_SAFE_NO_PAD
        .decode(claims)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or("Client assertion cannot be read.")?;
    match claims["exp"].as_i64() {
        Some(expires) if expires > time::now().as_second() => Ok(()),
        _ => Err("Client assertion is not within its valid time range.".to_owned()),
    }
}

fn refusal(error: &str, number: u32, description: &str) -> Response {
    let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let body = json!({
        "error": error,
        "error_description": format!("AADSTS{number}: {description}"),
        "error_codes": [number],
        "timestamp": time::seconds(time::now()),
        "trace_id": ids::uuid(),
        "correlation_id": ids::uuid(),
    });
    (status, Json(body)).into_response()
}
