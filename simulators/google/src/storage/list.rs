//! `objects.list`: by prefix, with delimiter, page by page.

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::error::{Result, StorageError};
use super::{buckets, index, resources};
use crate::limits;
use crate::schema::Query;
use crate::server::Simulator;

/// Answers the call.
pub fn list(simulator: &Simulator, bucket: &str, query: &Query) -> Result<Response> {
    for field in ["matchGlob", "filter"] {
        if query.text(field).is_some() {
            let message = format!("This simulator lists objects without {field}; the cloud has it.");
            return Err(StorageError::new(StatusCode::NOT_IMPLEMENTED, "notImplemented", message));
        }
    }
    buckets::find(simulator, bucket)?;
    let prefix = query.text("prefix").unwrap_or_default();
    let delimiter = query.text("delimiter").unwrap_or_default();
    let size = buckets::page_size(query)?;
    let end = query.text("endOffset");
    let start = query.text("startOffset").unwrap_or_default();
    let token = buckets::page_token(query)?;
    // Everything up to the token has been listed, a prefix with all below it.
    let (mut from, mut after) = match token.as_str() {
        "" => (prefix.max(start).to_owned(), false),
        token if !delimiter.is_empty() && token.ends_with(delimiter) => (successor(token), false),
        token => (token.to_owned(), true),
    };
    let db = simulator.db.lock();
    let (mut items, mut prefixes, mut last) = (Vec::new(), Vec::new(), String::new());
    let mut more = false;
    'pages: loop {
        let block = i64::try_from(limits::OBJECT_PAGE).unwrap_or(i64::MAX);
        let found = index::objects(&db, bucket, &from, after, block)?;
        let full = found.len() == limits::OBJECT_PAGE;
        for object in found {
            if !object.name.starts_with(prefix) || end.is_some_and(|end| object.name.as_str() >= end) {
                break 'pages;
            }
            let rest = &object.name[prefix.len()..];
            let folder = rest.find(delimiter).filter(|_| !delimiter.is_empty());
            if items.len() + prefixes.len() == size {
                more = true;
                break 'pages;
            }
            match folder {
                Some(at) => {
                    let folder = object.name[..prefix.len() + at + delimiter.len()].to_owned();
                    if query.flag("includeTrailingDelimiter") && object.name == folder {
                        items.push(resources::object(&object, &simulator.info.google));
                    }
                    (from, after) = (successor(&folder), false);
                    last.clone_from(&folder);
                    prefixes.push(folder);
                    continue 'pages;
                }
                None => {
                    items.push(resources::object(&object, &simulator.info.google));
                    last.clone_from(&object.name);
                    (from, after) = (object.name, true);
                }
            }
        }
        if !full {
            break;
        }
    }
    let mut page = json!({"kind": "storage#objects"});
    if more {
        page["nextPageToken"] = json!(STANDARD.encode(last));
    }
    if !items.is_empty() {
        page["items"] = Value::Array(items);
    }
    if !prefixes.is_empty() {
        page["prefixes"] = json!(prefixes);
    }
    Ok(Json(page).into_response())
}

/// The first name behind all that begin with the given one.
fn successor(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}
