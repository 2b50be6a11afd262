//! Cloud Storage, JSON API v1.

mod batch;
mod buckets;
mod content;
mod copies;
mod error;
mod fuse;
pub mod index;
mod layout;
mod list;
mod multipart;
mod objects;
mod resources;
mod upload;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::db::Database;
use crate::run::MountOptions;
use crate::server::Simulator;
use crate::{auth, limits, schema, time};
use content::Files;
use error::{Result, StorageError};
use fuse::Objects;
pub use fuse::Volume;
pub use layout::Materialised;
use layout::Mounts;

/// Numbers for objects' generations: microseconds, never the same twice.
#[derive(Debug, Default)]
pub struct Generations(AtomicI64);

impl Generations {
    /// The next one.
    pub fn next(&self) -> i64 {
        let now = time::now().as_microsecond();
        let last = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(now.max(last + 1)));
        now.max(last.unwrap_or_default() + 1)
    }
}

/// What Cloud Storage keeps beside the database.
pub struct Storage {
    db: Arc<Database>,
    files: Files,
    mounts: Mounts,
    generations: Arc<Generations>,
    sessions: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Storage {
    /// Opens the folders below a state folder.
    pub fn open(db: Arc<Database>, state: &Path) -> std::io::Result<Self> {
        let folder = state.join("storage");
        Ok(Self {
            db,
            files: Files::open(&folder)?,
            mounts: Mounts::open(&folder.join("mounts"))?,
            generations: Arc::default(),
            sessions: Mutex::default(),
        })
    }

    /// A generation for a new object.
    fn generation(&self) -> i64 {
        self.generations.next()
    }

    /// A bucket, or what lies below a folder of it, as a file system.
    ///
    /// # Errors
    /// A sentence: no such bucket, or no such folder in the mount.
    pub fn volume(
        &self,
        bucket: &str,
        options: &MountOptions,
        sub_path: &str,
    ) -> std::result::Result<Arc<Volume>, String> {
        let sql = |error: rusqlite::Error| error.to_string();
        if index::bucket(&self.db.lock(), bucket).map_err(sql)?.is_none() {
            return Err(layout::no_bucket(bucket));
        }
        let folders: Vec<&str> =
            [options.only_dir.as_str(), sub_path].into_iter().map(|part| part.trim_matches('/')).collect();
        let mut prefix = String::new();
        for folder in folders.into_iter().filter(|folder| !folder.is_empty()) {
            prefix.push_str(folder);
            prefix.push('/');
        }
        let objects = Objects {
            db: self.db.clone(),
            files: self.files.clone(),
            generations: self.generations.clone(),
            bucket: bucket.to_owned(),
            prefix,
        };
        if !sub_path.is_empty() && !objects.any_below("").map_err(|error| format!("{error:?}"))? {
            return Err(layout::no_folder(sub_path));
        }
        Ok(Arc::new(Volume::new(objects, options.clone())))
    }

    /// Waits for the sole right to write to an upload session.
    async fn session(&self, id: &str) -> OwnedMutexGuard<()> {
        let session = {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.retain(|_, session| Arc::strong_count(session) > 1);
            sessions.entry(id.to_owned()).or_default().clone()
        };
        session.lock_owned().await
    }
}

/// Answers a call.
pub(crate) async fn serve(simulator: Arc<Simulator>, request: Request<Body>) -> Response {
    if let Err(error) = auth::check(&simulator, request.headers()) {
        return StorageError::from(error).into_response();
    }
    let path = request.uri().path();
    if path == "/batch" || path.starts_with("/batch/storage/") {
        return batch::serve(&simulator, request).await;
    }
    route(&simulator, request).await.unwrap_or_else(IntoResponse::into_response)
}

fn no_method(path: &str) -> StorageError {
    StorageError::new(
        StatusCode::NOT_FOUND,
        "notFound",
        format!("No method of Cloud Storage that is simulated answers at {path}."),
    )
}

async fn route(simulator: &Simulator, request: Request<Body>) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let (uploads, rest) = if let Some(rest) = path.strip_prefix("/upload/storage/v1/") {
        (true, rest)
    } else if let Some(rest) = path.strip_prefix("/resumable/upload/storage/v1/") {
        (true, rest)
    } else if let Some(rest) = path.strip_prefix("/download/storage/v1/") {
        (false, rest)
    } else if let Some(rest) = path.strip_prefix("/storage/v1/") {
        (false, rest)
    } else {
        return Err(no_method(path));
    };
    let names: Vec<String> = rest
        .trim_end_matches('/')
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let method = &parts.method;
    if uploads {
        return match (names.as_slice(), method) {
            (["b", bucket, "o"], &Method::POST | &Method::PUT | &Method::DELETE) => {
                upload::upload(simulator, bucket, query, method, &parts.headers, body).await
            }
            _ => Err(no_method(path)),
        };
    }
    let id = method_id(method, &names).ok_or_else(|| no_method(path))?;
    let id = format!("storage.{id}");
    let api = schema::storage();
    let query = api.query(&id, Some(query))?;
    let bytes = axum::body::to_bytes(body, limits::JSON_BODY)
        .await
        .map_err(|_| StorageError::invalid("The request's body is too large or ended early."))?;
    let body = api.request(&id, "resource", &bytes)?;
    // A patch removes fields by `null`, which the checked body has lost.
    let raw: Value =
        if id.ends_with("patch") { serde_json::from_slice(&bytes).unwrap_or_default() } else { body.clone() };
    match (names.as_slice(), method) {
        (["b"], &Method::POST) => buckets::insert(simulator, &query, &body),
        (["b"], _) => buckets::list(simulator, &query),
        (["b", bucket], &Method::GET) => buckets::get(simulator, bucket, &query),
        (["b", bucket], &Method::DELETE) => buckets::delete(simulator, bucket, &query),
        (["b", bucket], method) => buckets::change(simulator, bucket, &query, &raw, method == Method::PUT),
        (["b", bucket, "o"], _) => list::list(simulator, bucket, &query),
        (["b", bucket, "o", name], &Method::GET) => {
            let media = query.text("alt") == Some("media");
            objects::get(simulator, bucket, name, &query, &parts.headers, media).await
        }
        (["b", bucket, "o", name], &Method::DELETE) => objects::delete(simulator, bucket, name, &query).await,
        (["b", bucket, "o", name], method) if method != Method::POST => {
            objects::change(simulator, bucket, name, &query, &raw, method == Method::PUT)
        }
        (["b", bucket, "o", name, "compose"], _) => {
            copies::compose(simulator, (bucket, name), &query, &body).await
        }
        (["b", bucket, "o", name, "copyTo", "b", other, "o", to], _) => {
            copies::copy(simulator, (bucket, name), (other, to), &query, &body).await
        }
        (["b", bucket, "o", name, "rewriteTo", "b", other, "o", to], _) => {
            copies::rewrite(simulator, (bucket, name), (other, to), &query, &body).await
        }
        _ => Err(no_method(path)),
    }
}

/// The method's id in the discovery document, behind `storage.`.
fn method_id(method: &Method, names: &[&str]) -> Option<&'static str> {
    Some(match (method.as_str(), names) {
        ("GET", ["b"]) => "buckets.list",
        ("POST", ["b"]) => "buckets.insert",
        ("GET", ["b", _]) => "buckets.get",
        ("DELETE", ["b", _]) => "buckets.delete",
        ("PATCH", ["b", _]) => "buckets.patch",
        ("PUT", ["b", _]) => "buckets.update",
        ("GET", ["b", _, "o"]) => "objects.list",
        ("GET", ["b", _, "o", _]) => "objects.get",
        ("DELETE", ["b", _, "o", _]) => "objects.delete",
        ("PATCH", ["b", _, "o", _]) => "objects.patch",
        ("PUT", ["b", _, "o", _]) => "objects.update",
        ("POST", ["b", _, "o", _, "compose"]) => "objects.compose",
        ("POST", ["b", _, "o", _, "copyTo", "b", _, "o", _]) => "objects.copy",
        ("POST", ["b", _, "o", _, "rewriteTo", "b", _, "o", _]) => "objects.rewrite",
        _ => return None,
    })
}
