//! Cloud Logging API v2: entries and logs.

mod entries;
mod filter;
mod logs;
mod output;
pub mod store;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Method, Request};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::db::Database;
use crate::error::{ApiError, Code, Result};
use crate::profile::Profile;
use crate::quota::PerMinute;
use crate::server::Simulator;
use crate::{auth, limits, schema, time};
pub use output::{Origin, TaskLog};
use store::NewEntry;

/// The logs.
pub struct Logging {
    db: Arc<Database>,
    profile: Profile,
    lists: PerMinute,
    sender: mpsc::Sender<Message>,
    sequence: Arc<AtomicU64>,
}

/// To the writer.
enum Message {
    Entries(Vec<NewEntry>),
    /// Answered when all before it is in the database.
    Flush(oneshot::Sender<()>),
}

impl Logging {
    /// Opens the logs in a state folder and starts their writer; within a runtime.
    pub fn open(state: &Path, profile: Profile, lists_per_minute: u32) -> rusqlite::Result<Self> {
        let db = Arc::new(Database::open(&state.join("logs.db"), &[store::SCHEMA])?);
        let (sender, receiver) = mpsc::channel(limits::LOG_QUEUE);
        let stock = store::stock(&db)?;
        tokio::spawn(write(db.clone(), receiver, stock));
        Ok(Self { db, profile, lists: PerMinute::new(lists_per_minute), sender, sequence: Arc::default() })
    }

    /// The log of a task's output.
    pub fn task(&self, origin: &Origin) -> TaskLog {
        TaskLog::new(origin, self.profile, self.sender.clone(), self.sequence.clone())
    }

    /// Waits until all that was logged is in the database.
    pub async fn flush(&self) {
        let (sender, done) = oneshot::channel();
        // Both fail only when the writer is gone, with the runtime.
        if self.sender.send(Message::Flush(sender)).await.is_ok() {
            let _ = done.await;
        }
    }
}

/// An id that sorts as entries were made: time, then a running number.
fn insert_id(sequence: &AtomicU64) -> String {
    let number = sequence.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff;
    format!("{:016x}{number:08x}", time::to_nanos(time::now()))
}

/// The one writer: a batch is a transaction.
async fn write(db: Arc<Database>, mut receiver: mpsc::Receiver<Message>, mut stock: store::Stock) {
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Entries(entries) => {
                let (db, before) = (db.clone(), stock);
                let outcome = tokio::task::spawn_blocking(move || store::add(&db, &entries, before)).await;
                match outcome {
                    Ok(Ok(after)) => stock = after,
                    Ok(Err(error)) => tracing::error!(%error, "log entries are lost"),
                    Err(error) => tracing::error!(%error, "log entries are lost"),
                }
            }
            Message::Flush(done) => {
                // Who asked may have gone.
                let _ = done.send(());
            }
        }
    }
}

/// Whether a path below `/v2` is Cloud Logging's.
pub fn is_logging(path: &str) -> bool {
    let Some(path) = path.strip_prefix("/v2/") else { return false };
    let mut parts = path.split('/');
    path.starts_with("entries:") || (parts.next() == Some("projects") && parts.nth(1) == Some("logs"))
}

/// Answers a call.
pub(crate) async fn serve(simulator: Arc<Simulator>, request: Request<Body>) -> Response {
    match call(&simulator, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn call(simulator: &Simulator, request: Request<Body>) -> Result<Value> {
    auth::check(simulator, request.headers())?;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches("/v2/").to_owned();
    let names: Vec<&str> = path.split('/').collect();
    let no_method = || {
        ApiError::new(
            Code::NotFound,
            format!("Method not found: {path} is no method of Cloud Logging that is simulated."),
        )
    };
    let id = match (&parts.method, names.as_slice()) {
        (&Method::POST, ["entries:write"]) => "logging.entries.write",
        (&Method::POST, ["entries:list"]) => "logging.entries.list",
        (&Method::GET, ["projects", _, "logs"]) => "logging.projects.logs.list",
        (&Method::DELETE, ["projects", _, "logs", _]) => "logging.projects.logs.delete",
        _ => return Err(no_method()),
    };
    let body = axum::body::to_bytes(body, limits::JSON_BODY).await.map_err(|_| {
        ApiError::new(Code::InvalidArgument, "Request payload size exceeds the limit: 10485760 bytes.")
    })?;
    let api = schema::logging();
    let query = api.query(id, parts.uri.query())?;
    let body = api.request(id, "", &body)?;
    if let ["projects", project, ..] = names.as_slice() {
        simulator.project(project, "logging.googleapis.com")?;
    }
    match id {
        "logging.entries.write" => entries::write(simulator, &body).await,
        "logging.entries.list" => entries::list(simulator, &body).await,
        "logging.projects.logs.list" => logs::list(simulator, names[1], &query),
        _ => logs::delete(simulator, names[1], names[3]),
    }
}
