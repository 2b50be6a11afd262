//! Folders, and new names of files and folders.

use std::fs;
use std::path::Path;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::error::{FileError, Result};
use super::xml::escaped;
use super::{Call, files, metadata};
use crate::limits;
use crate::storage::place;

/// The folder of the path.
fn find(call: &Call) -> Result<std::path::PathBuf> {
    let place = call.place()?;
    match fs::symlink_metadata(&place.path) {
        Ok(found) if found.is_dir() => Ok(place.path),
        Ok(_) => Err(FileError::type_mismatch()),
        Err(_) if !place.has_parent => Err(FileError::no_parent()),
        Err(_) => Err(FileError::no_resource()),
    }
}

/// `PUT /S/P?restype=directory`
pub fn create(call: &Call) -> Result<Response> {
    let place = call.place()?;
    if !place.has_parent {
        return Err(FileError::no_parent());
    }
    match fs::create_dir(&place.path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(FileError::exists()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(FileError::no_parent()),
        Err(error) => return Err(error.into()),
    }
    metadata::set(call, &place.path)?;
    let found = fs::metadata(&place.path)?;
    Ok((StatusCode::CREATED, files::properties(&found, "Directory")).into_response())
}

/// `DELETE /S/P?restype=directory`: an empty one.
pub fn delete(call: &Call) -> Result<Response> {
    if call.path.is_empty() {
        return Err(FileError::unsupported());
    }
    let path = find(call)?;
    match fs::remove_dir(&path) {
        Ok(()) => {
            metadata::forget(call, &path)?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
            let message = "The specified directory is not empty.";
            Err(FileError::new(StatusCode::CONFLICT, "DirectoryNotEmpty", message))
        }
        Err(error) => Err(error.into()),
    }
}

/// `GET /S/P?restype=directory`
pub fn get(call: &Call) -> Result<Response> {
    let path = find(call)?;
    let mut headers = files::properties(&fs::metadata(&path)?, "Directory");
    metadata::show(call, &path, &mut headers)?;
    Ok((StatusCode::OK, headers).into_response())
}

/// `GET /S/P?restype=directory&comp=list`
pub fn list(call: &Call) -> Result<Response> {
    let folder = find(call)?;
    let prefix = call.parameter("prefix").to_lowercase();
    let most = match call.parameter("maxresults") {
        "" => limits::LISTING,
        text => text.parse().ok().filter(|most| (1..=limits::LISTING).contains(most)).ok_or_else(|| {
            FileError::bad(
                "OutOfRangeQueryParameterValue",
                "One of the query parameters is out of range: maxresults.",
            )
        })?,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && name.to_lowercase().starts_with(&prefix)
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    let marker = call.parameter("marker");
    names.retain(|name| name.as_str() >= marker);
    let next = names.get(most).cloned().unwrap_or_default();
    names.truncate(most);
    let mut entries = String::new();
    for name in names {
        entries.push_str(&entry(&folder, &name)?);
    }
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"{}/files/{}/\" ShareName=\"{}\" \
         DirectoryPath=\"{}\"><Prefix>{}</Prefix><Marker>{}</Marker><Entries>{entries}</Entries><NextMarker>{}</NextMarker>\
         </EnumerationResults>",
        call.simulator.info.http,
        call.account_name(),
        escaped(&call.share),
        escaped(&call.path),
        escaped(call.parameter("prefix")),
        escaped(marker),
        escaped(&next)
    );
    Ok(([(header::CONTENT_TYPE, "application/xml")], body).into_response())
}

fn entry(folder: &Path, name: &str) -> Result<String> {
    let found = match fs::symlink_metadata(folder.join(name)) {
        Ok(found) => found,
        // Removed meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error.into()),
    };
    let name = escaped(name);
    Ok(if found.is_dir() {
        format!("<Directory><Name>{name}</Name><Properties /></Directory>")
    } else {
        let size = found.len();
        format!(
            "<File><Name>{name}</Name><Properties><Content-Length>{size}</Content-Length></Properties></File>"
        )
    })
}

/// `PUT /S/NEW?comp=rename` with the old name as a URL.
pub fn rename(call: &Call) -> Result<Response> {
    let source =
        call.header("x-ms-file-rename-source").ok_or_else(|| FileError::header("x-ms-file-rename-source"))?;
    let source = source.split('?').next().unwrap_or_default();
    let source = source
        .split_once("://")
        .map_or(source, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let source = percent_encoding::percent_decode_str(source).decode_utf8_lossy().into_owned();
    // The URL names account (unless its host does), share and path.
    let own = format!("{}/", call.share);
    let account = format!("files/{}/", call.account_name());
    let inside = source.trim_start_matches('/');
    let inside = inside.strip_prefix(account.as_str()).unwrap_or(inside);
    let inside =
        inside.strip_prefix(own.as_str()).ok_or_else(|| FileError::header("x-ms-file-rename-source"))?;
    let from = place::resolve(&call.root(), inside).map_err(|_| FileError::resource_name())?.path;
    let to = call.place()?;
    if fs::symlink_metadata(&from).is_err() {
        return Err(FileError::no_resource());
    }
    if !to.has_parent {
        return Err(FileError::no_parent());
    }
    let replace = call.header("x-ms-file-rename-replace-if-exists") == Some("true");
    match fs::symlink_metadata(&to.path) {
        Ok(found) if !replace || found.is_dir() => return Err(FileError::exists()),
        _ => fs::rename(&from, &to.path)?,
    }
    metadata::rename(call, &from, &to.path)?;
    let found = fs::metadata(&to.path)?;
    let kind = if found.is_dir() { "Directory" } else { "File" };
    Ok((StatusCode::OK, files::properties(&found, kind)).into_response())
}
