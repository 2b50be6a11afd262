//! Who calls: a shared key's signature, or a bearer token.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, header};
use ring::hmac;
use serde_json::Value;

use super::error::{FileError, Result};
use crate::auth::{self, Audience};
use crate::server::Simulator;
use crate::{limits, time};

/// Checks a request's `Authorization`.
///
/// # Errors
/// 401 without one, 403 for a wrong one.
pub fn check(simulator: &Simulator, account: &Value, parts: &Parts) -> Result<()> {
    let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, secret)) = given.and_then(|given| given.split_once(' ')) else {
        let challenge = format!(
            "Bearer authorization_uri={}/{}/oauth2/authorize resource_id=https://storage.azure.com",
            simulator.info.azure, simulator.config.tenant
        );
        let message = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
        return Err(FileError::challenged(message, challenge));
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        auth::check(simulator, &parts.headers, Audience::Storage)
            .map_err(|error| FileError::unauthenticated(&error.message))?;
        let intent = parts.headers.get("x-ms-file-request-intent").and_then(|value| value.to_str().ok());
        if intent != Some("backup") {
            let message = "An HTTP header that's mandatory for this request is not specified: x-ms-file-request-intent.";
            return Err(FileError::bad("MissingRequiredHeader", message));
        }
        return Ok(());
    }
    if !scheme.eq_ignore_ascii_case("sharedkey") {
        return Err(FileError::unauthenticated(&format!("The scheme {scheme} is not simulated.")));
    }
    signature(account, parts, secret)
}

fn signature(account: &Value, parts: &Parts, secret: &str) -> Result<()> {
    let name = account["name"].as_str().unwrap_or_default();
    let given = match secret.split_once(':') {
        Some((who, signature)) if who == name => STANDARD.decode(signature.trim()).ok(),
        _ => None,
    };
    let given =
        given.ok_or_else(|| FileError::unauthenticated("The account or the signature is malformed."))?;
    fresh(&parts.headers)?;
    let text = string_to_sign(name, parts);
    let good = account["_keys"].as_array().into_iter().flatten().filter_map(Value::as_str).any(|key| {
        let Ok(key) = STANDARD.decode(key) else { return false };
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes(), &given).is_ok()
    });
    if good {
        return Ok(());
    }
    Err(FileError::unauthenticated(&format!(
        "The MAC signature found in the HTTP request is not the same as any computed signature. Server used following string to \
         sign: '{text}'."
    )))
}

/// Signed requests are good for a quarter of an hour.
fn fresh(headers: &HeaderMap) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let stated = text("x-ms-date").or_else(|| text("date"));
    let stated = stated.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    let stated = stated.ok_or_else(|| FileError::unauthenticated("The date is missing or malformed."))?;
    let age = (time::now().as_second() - stated.timestamp().as_second()).unsigned_abs();
    if age > limits::SIGNED_AGE.as_secs() {
        return Err(FileError::unauthenticated("The date header in the request is incorrect."));
    }
    Ok(())
}

/// The text that a shared key signs (Storage's "Authorize with Shared Key", version 2015-02-21 and later).
pub fn string_to_sign(account: &str, parts: &Parts) -> String {
    let value =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let length = match value("content-length") {
        "0" => "",
        length => length,
    };
    // The date stands among the canonical headers.
    let date = if value("x-ms-date").is_empty() { value("date") } else { "" };
    let mut lines = [
        parts.method.as_str(),
        value("content-encoding"),
        value("content-language"),
        length,
        value("content-md5"),
        value("content-type"),
        date,
        value("if-modified-since"),
        value("if-match"),
        value("if-none-match"),
        value("if-unmodified-since"),
        value("range"),
    ]
    .join("\n");
    let own: BTreeMap<&str, &str> = parts
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim()))
        .collect();
    for (name, value) in own {
        lines.push_str(&format!("\n{name}:{value}"));
    }
    lines.push_str(&format!("\n/{account}{}", parts.uri.path()));
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        query.entry(name.to_ascii_lowercase()).or_default().push(value.into_owned());
    }
    for (name, mut values) in query {
        values.sort_unstable();
        lines.push_str(&format!("\n{name}:{}", values.join(",")));
    }
    lines
}
