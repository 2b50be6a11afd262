//! Shares.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::Call;
use super::error::{FileError, Result};
use super::xml::escaped;
use crate::storage::{names, place, shares};
use crate::time;

fn xml(body: String) -> Response {
    let head = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>";
    ([(header::CONTENT_TYPE, "application/xml")], format!("{head}{body}")).into_response()
}

fn properties(doc: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let modified = doc["properties"]["lastModifiedTime"].as_str().and_then(|text| text.parse().ok());
    vec![
        ("etag", text(&doc["etag"])),
        ("last-modified", time::http(modified.unwrap_or_else(time::now))),
        ("x-ms-share-quota", doc["properties"]["shareQuota"].to_string()),
        ("x-ms-access-tier", text(&doc["properties"]["accessTier"])),
    ]
}

fn with(status: StatusCode, fields: Vec<(&'static str, String)>) -> Response {
    let mut response = status.into_response();
    for (name, value) in fields {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// `PUT /S?restype=share`
pub fn create(call: &Call) -> Result<Response> {
    if !names::is_share(&call.share) {
        return Err(FileError::resource_name());
    }
    if shares::find(&call.simulator, call.account_name(), &call.share)?.is_some() {
        let message = "The specified share already exists.";
        return Err(FileError::new(StatusCode::CONFLICT, "ShareAlreadyExists", message));
    }
    let mut wanted = json!({});
    if let Some(quota) = call.header("x-ms-share-quota") {
        wanted["shareQuota"] =
            json!(quota.parse::<i64>().map_err(|_| FileError::header("x-ms-share-quota"))?);
    }
    let (doc, _) = shares::make(&call.simulator, &call.account, &call.share, &wanted)?;
    Ok(with(StatusCode::CREATED, properties(&doc)))
}

/// `DELETE /S?restype=share`
pub fn delete(call: &Call) -> Result<Response> {
    match shares::remove(&call.simulator, &call.account, &call.share)? {
        true => Ok(StatusCode::ACCEPTED.into_response()),
        false => Err(FileError::no_share()),
    }
}

/// `GET /S?restype=share`
pub fn get(call: &Call) -> Result<Response> {
    let doc =
        shares::find(&call.simulator, call.account_name(), &call.share)?.ok_or_else(FileError::no_share)?;
    Ok(with(StatusCode::OK, properties(&doc)))
}

/// `GET /S?restype=share&comp=stats`
pub fn stats(call: &Call) -> Result<Response> {
    shares::find(&call.simulator, call.account_name(), &call.share)?.ok_or_else(FileError::no_share)?;
    let used = place::usage(&call.root())?;
    Ok(xml(format!("<ShareStats><ShareUsageBytes>{used}</ShareUsageBytes></ShareStats>")))
}

/// `GET /?comp=list`: all at once.
pub fn list(call: &Call) -> Result<Response> {
    let prefix = call.parameter("prefix");
    let mut body = String::new();
    for doc in shares::all(&call.simulator, call.account_name())? {
        let name = doc["name"].as_str().unwrap_or_default();
        if name.starts_with(prefix) {
            body.push_str(&format!(
                "<Share><Name>{}</Name><Properties><Etag>{}</Etag><Quota>{}</Quota></Properties></Share>",
                escaped(name),
                escaped(doc["etag"].as_str().unwrap_or_default()),
                doc["properties"]["shareQuota"]
            ));
        }
    }
    Ok(xml(format!(
        "<EnumerationResults ServiceEndpoint=\"{}/files/{}/\"><Prefix>{}</Prefix><Shares>{body}</Shares><NextMarker \
         /></EnumerationResults>",
        call.simulator.info.http,
        call.account_name(),
        escaped(prefix)
    )))
}
