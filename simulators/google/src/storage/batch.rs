//! `POST /batch/storage/v1`: up to a hundred calls in one.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};

use super::error::{Result, StorageError};
use super::{multipart, route};
use crate::server::Simulator;
use crate::{ids, limits};

/// One call of a batch.
struct Part {
    /// `Content-ID`, which the answer repeats.
    id: Option<String>,
    request: Request<Body>,
}

/// Answers a batch: its calls one after the other, each with an answer of its own.
pub async fn serve(simulator: &Simulator, request: Request<Body>) -> Response {
    match answer(simulator, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(simulator: &Simulator, request: Request<Body>) -> Result<Response> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary =
        multipart::boundary(kind).ok_or_else(|| StorageError::invalid("The batch has no boundary."))?;
    let body = axum::body::to_bytes(request.into_body(), limits::JSON_BODY)
        .await
        .map_err(|_| StorageError::invalid("The batch is too large."))?;
    let parts = split(&body, &boundary)?;
    if parts.len() > limits::BATCH_CALLS {
        let message = format!("The batch request has more than {} calls.", limits::BATCH_CALLS);
        return Err(StorageError::invalid(message));
    }
    let outer = format!("batch_{}", ids::secret());
    let mut text = Vec::new();
    for part in parts {
        let response = route(simulator, part.request).await.unwrap_or_else(IntoResponse::into_response);
        write(&mut text, &outer, part.id.as_deref(), response).await?;
    }
    text.extend_from_slice(format!("--{outer}--\r\n").as_bytes());
    let kind = format!("multipart/mixed; boundary={outer}");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn write(text: &mut Vec<u8>, boundary: &str, id: Option<&str>, response: Response) -> Result<()> {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, limits::JSON_BODY)
        .await
        .map_err(|_| StorageError::invalid("An answer does not fit into a batch."))?;
    let mut head = format!("--{boundary}\r\nContent-Type: application/http\r\n");
    if let Some(id) = id {
        let id = id.trim_start_matches('<').trim_end_matches('>');
        head.push_str(&format!("Content-ID: <response-{id}>\r\n"));
    }
    head.push_str(&format!("\r\nHTTP/1.1 {}\r\n", parts.status));
    for (name, value) in &parts.headers {
        if let Ok(value) = value.to_str()
            && name != header::CONTENT_LENGTH
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(&body);
    text.extend_from_slice(b"\r\n");
    Ok(())
}

fn split(body: &Bytes, boundary: &str) -> Result<Vec<Part>> {
    let text = std::str::from_utf8(body).map_err(|_| StorageError::invalid("The batch is not UTF-8."))?;
    // Python's clients end lines with a bare newline.
    let text = text.replace("\r\n", "\n");
    let text = format!("\n{text}");
    let delimiter = format!("\n--{boundary}");
    let mut parts = Vec::new();
    for piece in text.split(&delimiter).skip(1) {
        if piece.starts_with("--") {
            break;
        }
        parts.push(parse(piece)?);
    }
    Ok(parts)
}

fn parse(piece: &str) -> Result<Part> {
    let bad = || StorageError::invalid("A part of the batch is no HTTP request.");
    let (head, call) = piece.trim_start_matches('\n').split_once("\n\n").ok_or_else(bad)?;
    let id = fields(head)
        .find(|(name, _)| name.eq_ignore_ascii_case("content-id"))
        .map(|(_, value)| value.to_owned());
    let call = call.trim_start_matches('\n');
    let (head, body) = call.split_once("\n\n").unwrap_or((call, ""));
    let (line, head) = head.split_once('\n').unwrap_or((head, ""));
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err(bad()) };
    // The target may be a whole address; only its path counts here.
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body.trim_end_matches('\n').to_owned()))
        .map_err(|_| bad())?;
    for (name, value) in fields(head) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            request.headers_mut().insert(name, value);
        }
    }
    Ok(Part { id, request })
}

fn fields(head: &str) -> impl Iterator<Item = (&str, &str)> {
    head.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()))
}
