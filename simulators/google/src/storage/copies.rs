//! `objects.copy`, `rewrite` and `compose`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::content::Content;
use super::error::{Result, StorageError};
use super::index::Object;
use super::{objects, resources};
use crate::limits;
use crate::schema::Query;
use crate::server::Simulator;

/// Bucket and name.
pub type Place<'a> = (&'a str, &'a str);

async fn duplicate(
    simulator: &Simulator,
    from: Place<'_>,
    to: Place<'_>,
    query: &Query,
    body: &Value,
) -> Result<Object> {
    let source = objects::find(simulator, from.0, from.1, query, "ifSource")?;
    resources::check_name(to.1)?;
    let changes = resources::settable(body);
    let doc = if changes.is_empty() { source.doc.clone() } else { changes };
    let content = Content {
        file: simulator.storage.files.link(&source.file).await?,
        size: source.size,
        crc32c: source.crc32c,
        md5: source.md5,
    };
    objects::commit(simulator, to, doc, content, query).await
}

/// `objects.copy`
pub async fn copy(
    simulator: &Simulator,
    from: Place<'_>,
    to: Place<'_>,
    query: &Query,
    body: &Value,
) -> Result<Response> {
    let object = duplicate(simulator, from, to, query, body).await?;
    Ok(Json(resources::object(&object, &simulator.info.google)).into_response())
}

/// `objects.rewrite`: always done in one call.
pub async fn rewrite(
    simulator: &Simulator,
    from: Place<'_>,
    to: Place<'_>,
    query: &Query,
    body: &Value,
) -> Result<Response> {
    let object = duplicate(simulator, from, to, query, body).await?;
    let size = object.size.to_string();
    let answer = json!({
        "kind": "storage#rewriteResponse",
        "done": true,
        "objectSize": size,
        "totalBytesRewritten": size,
        "resource": resources::object(&object, &simulator.info.google),
    });
    Ok(Json(answer).into_response())
}

/// `objects.compose`
pub async fn compose(simulator: &Simulator, to: Place<'_>, query: &Query, body: &Value) -> Result<Response> {
    resources::check_name(to.1)?;
    let sources = body["sourceObjects"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    if sources.is_empty() || sources.len() > limits::COMPOSE_SOURCES {
        let message = format!(
            "The number of source components provided ({}) must be between 1 and {}",
            sources.len(),
            limits::COMPOSE_SOURCES
        );
        return Err(StorageError::invalid(message));
    }
    let mut writer = simulator.storage.files.create().await?.without_md5();
    let mut first = Map::new();
    for (index, source) in sources.iter().enumerate() {
        let name = source["name"].as_str().unwrap_or_default();
        let object = objects::find(simulator, to.0, name, &Query::default(), "if")?;
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<i64>().ok());
        if number(&source["generation"]).is_some_and(|wanted| wanted != object.generation) {
            return Err(StorageError::no_object(to.0, name));
        }
        let wanted = number(&source["objectPreconditions"]["ifGenerationMatch"]);
        if wanted.is_some_and(|wanted| wanted != object.generation) {
            return Err(StorageError::precondition());
        }
        writer.append(&simulator.storage.files.object(&object.file)).await?;
        if index == 0 {
            first = object.doc;
        }
    }
    let mut doc = resources::settable(&body["destination"]);
    if let Some(kind) = first.get("contentType") {
        doc.entry("contentType").or_insert(kind.clone());
    }
    doc.insert("componentCount".to_owned(), json!(sources.len()));
    let content = writer.finish().await?;
    let object = objects::commit(simulator, to, doc, content, query).await?;
    Ok(Json(resources::object(&object, &simulator.info.google)).into_response())
}
