//! `GET /events`

use std::time::SystemTime;

use axum::{Router, extract::State, routing::get};
use bollard_stubs::models::{EventMessage, EventMessageTypeEnum};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use sockerless_engine::EventsRequest;

use crate::{App, errors::ApiError, extract::Params, respond, respond::Answer, time};

pub fn routes() -> Router<App> {
    Router::new().route("/events", get(events))
}

async fn events(State(daemon): State<App>, params: Params) -> Answer {
    let now = SystemTime::now();
    let point = |name| params.text(name).map(|text| time::parse(text, now)).transpose();
    let (since, until) = (point("since")?, point("until")?);
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        return Err(ApiError::invalid(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            params.text("since").unwrap_or_default(),
            params.text("until").unwrap_or_default()
        )));
    }
    let events = daemon.events(EventsRequest { since, until, filters: params.filters()? })?;
    Ok(respond::json_stream(events.filter_map(async |event| line(&event))))
}

/// An event with the three names from before API 1.22, which clients still read.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(flatten)]
    event: &'a EventMessage,
}

fn line(event: &EventMessage) -> Option<Bytes> {
    let old = matches!(event.typ, Some(EventMessageTypeEnum::CONTAINER | EventMessageTypeEnum::IMAGE));
    let actor = event.actor.as_ref().filter(|_| old);
    let attributes = actor.and_then(|actor| actor.attributes.as_ref());
    let line = Line {
        status: event.action.as_deref().filter(|_| old),
        id: actor.and_then(|actor| actor.id.as_deref()).filter(|id| !id.is_empty()),
        from: attributes
            .filter(|_| event.typ == Some(EventMessageTypeEnum::CONTAINER))
            .and_then(|attributes| attributes.get("image"))
            .map(String::as_str),
        event,
    };
    match serde_json::to_vec(&line) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            Some(bytes.into())
        }
        Err(error) => {
            tracing::error!(%error, "an event cannot be written as JSON");
            None
        }
    }
}
