//! Log Analytics: the console's lines, and the queries that find them.

mod kql;
mod output;
mod rows;
mod store;

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use sockerless_simulator_common::{Database, Profile};
use tokio::sync::{mpsc, oneshot};

use crate::auth::{self, Audience};
use crate::error::ArmError;
use crate::ids;
use crate::limits;
use crate::server::Simulator;
pub use output::{ContainerLog, Origin};

/// The logs.
pub struct Logs {
    db: Arc<Database>,
    profile: Profile,
    sender: mpsc::Sender<Message>,
}

/// To the writer.
enum Message {
    Rows(Vec<store::Row>),
    /// Answered when all before it is in the database.
    Flush(oneshot::Sender<()>),
}

impl Logs {
    /// Opens the logs in a state folder and starts their writer; within a runtime.
    ///
    /// # Errors
    /// The database's.
    pub fn open(state: &Path, profile: Profile) -> rusqlite::Result<Self> {
        let db = Arc::new(Database::open(&state.join("logs.db"), &[store::SCHEMA])?);
        let (sender, receiver) = mpsc::channel(limits::LOG_QUEUE);
        tokio::spawn(write(db.clone(), receiver));
        Ok(Self { db, profile, sender })
    }

    /// The log of a container.
    pub fn container(&self, origin: &Origin, name: &str, image: &str) -> ContainerLog {
        ContainerLog::new(origin, name, image, self.profile, self.sender.clone())
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

/// The one writer: a batch is a transaction.
async fn write(db: Arc<Database>, mut receiver: mpsc::Receiver<Message>) {
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Rows(rows) => {
                let db = db.clone();
                match tokio::task::spawn_blocking(move || store::add(&db, &rows)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "log rows are lost"),
                    Err(error) => tracing::error!(%error, "log rows are lost"),
                }
            }
            Message::Flush(done) => {
                // Who asked may have gone.
                let _ = done.send(());
            }
        }
    }
}

/// What a query is refused with.
#[derive(Debug)]
pub struct QueryError {
    /// `SyntaxError`, `SemanticError`, `BadArgumentError`.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
}

/// The words of the engine below, one deeper: its own number stands beside the sentence.
const INNERMOST: [(&str, &str, &str); 2] = [
    ("SemanticError", "A semantic error occurred.", "SEM0100"),
    ("SyntaxError", "A recognition error occurred in the query.", "SYN0002"),
];

impl QueryError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        let below = INNERMOST.iter().find(|(code, _, _)| *code == self.code);
        let inner = match below {
            Some((code, message, number)) => json!({
                "code": code, "message": message, "innererror": {"code": number, "message": self.message},
            }),
            None => json!({"code": self.code, "message": self.message}),
        };
        let body = json!({"error": {
            "message": "The request had some invalid properties",
            "code": "BadArgumentError",
            "correlationId": ids::uuid(),
            "innererror": inner,
        }});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

/// `POST` or `GET /v1/workspaces/{id}/query`
pub async fn serve(simulator: Arc<Simulator>, request: Request<Body>) -> Response {
    if let Err(error) = auth::check(&simulator, request.headers(), Audience::Logs) {
        return error.into_response();
    }
    let (parts, body) = request.into_parts();
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    let ["v1", "workspaces", workspace, "query"] = path.as_slice() else {
        return ArmError::not_found("PathNotFoundError", "The requested path does not exist").into_response();
    };
    if *workspace != simulator.info.workspace {
        let message = format!("The workspace could not be found: '{workspace}'");
        return ArmError::not_found("WorkspaceNotFoundError", message).into_response();
    }
    let body = match axum::body::to_bytes(body, limits::JSON_BODY).await {
        Ok(body) => body,
        Err(error) => return QueryError::new("BadArgumentError", error.to_string()).into_response(),
    };
    let (query, timespan) = match asked(&parts, &body) {
        Ok(asked) => asked,
        Err(error) => return error.into_response(),
    };
    simulator.logs.flush().await;
    let db = simulator.logs.db.clone();
    let environment = simulator.info.environment.clone();
    let work = move || -> Result<Value, QueryError> {
        let query = kql::parse(&query)?;
        rows::answer(&db, &query, timespan.as_deref(), &environment)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(error)) => error.into_response(),
        Err(error) => ArmError::internal(format!("the query failed: {error}")).into_response(),
    }
}

/// Query and timespan of a request.
fn asked(parts: &http::request::Parts, body: &[u8]) -> Result<(String, Option<String>), QueryError> {
    let bad = |message: &str| QueryError::new("BadArgumentError", message);
    if parts.method == Method::GET {
        let raw = parts.uri.query().unwrap_or_default();
        let find = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(raw.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        return Ok((find("query").ok_or_else(|| bad("The query is missing"))?, find("timespan")));
    }
    let body: Value =
        serde_json::from_slice(body).map_err(|error| bad(&format!("The body is no JSON: {error}")))?;
    let Some(fields) = body.as_object() else { return Err(bad("The body is no object")) };
    if let Some(other) = fields.keys().find(|name| !["query", "timespan"].contains(&name.as_str())) {
        return Err(bad(&format!("The field '{other}' is not simulated: 'query' and 'timespan' are")));
    }
    let query = fields.get("query").and_then(Value::as_str).ok_or_else(|| bad("The query is missing"))?;
    Ok((query.to_owned(), fields.get("timespan").and_then(Value::as_str).map(str::to_owned)))
}
