//! `docker events`: the last ones from memory, then what comes.

mod filter;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use bollard_stubs::models::{EventActor, EventMessage, EventMessageScopeEnum, EventMessageTypeEnum};
use futures_util::{StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::{Engine, EventsRequest, Result, containers::Entry, tuning};

/// Collects events and hands them out.
pub(crate) struct Hub {
    kept: Mutex<VecDeque<EventMessage>>,
    live: broadcast::Sender<EventMessage>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { kept: Mutex::default(), live: broadcast::Sender::new(tuning::EVENTS_BUFFER) }
    }
}

impl Hub {
    /// An event of a container: its labels, image and name, and more by action.
    pub fn container(&self, entry: &Entry, name: &str, action: &str, more: &[(&str, String)]) {
        let spec = &entry.spec;
        let mut attributes: HashMap<String, String> = spec.config.labels.clone().unwrap_or_default();
        attributes.insert("image".into(), spec.image.clone());
        attributes.insert("name".into(), name.to_owned());
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.emit(EventMessageTypeEnum::CONTAINER, action, &spec.id, attributes);
    }

    /// An event of a network; of `connect` and `disconnect` with the container's id.
    pub fn network(&self, action: &str, id: &str, name: &str, driver: &str, container: Option<&str>) {
        let mut attributes =
            HashMap::from([("name".to_owned(), name.to_owned()), ("type".to_owned(), driver.to_owned())]);
        attributes.extend(container.map(|id| ("container".to_owned(), id.to_owned())));
        self.emit(EventMessageTypeEnum::NETWORK, action, id, attributes);
    }

    /// An event of an image.
    pub fn image(
        &self,
        action: &str,
        id: &str,
        name: &str,
        labels: impl IntoIterator<Item = (String, String)>,
    ) {
        let mut attributes: HashMap<String, String> = labels.into_iter().collect();
        attributes.insert("name".into(), name.to_owned());
        self.emit(EventMessageTypeEnum::IMAGE, action, id, attributes);
    }

    /// An event of a volume.
    pub fn volume(&self, action: &str, name: &str, attributes: &[(&str, &str)]) {
        let attributes =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.emit(EventMessageTypeEnum::VOLUME, action, name, attributes);
    }

    /// A prune has ended.
    pub fn prune(&self, kind: &str, reclaimed: u64) {
        let kind = match kind {
            "image" => EventMessageTypeEnum::IMAGE,
            "volume" => EventMessageTypeEnum::VOLUME,
            "network" => EventMessageTypeEnum::NETWORK,
            _ => EventMessageTypeEnum::CONTAINER,
        };
        self.emit(kind, "prune", "", HashMap::from([("reclaimed".to_owned(), reclaimed.to_string())]));
    }

    fn emit(&self, typ: EventMessageTypeEnum, action: &str, id: &str, attributes: HashMap<String, String>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        let message = EventMessage {
            typ: Some(typ),
            action: Some(action.to_owned()),
            actor: Some(EventActor { id: Some(id.to_owned()), attributes: Some(attributes) }),
            scope: Some(EventMessageScopeEnum::LOCAL),
            time: Some(now.as_second()),
            time_nano: i64::try_from(now.as_nanosecond()).ok(),
        };
        if kept.len() == tuning::EVENTS_KEPT {
            kept.pop_front();
        }
        kept.push_back(message.clone());
        // Nobody listening is no error. Sent while locked, so that a subscriber misses and doubles nothing.
        let _ = self.live.send(message);
    }

    fn subscribe(&self) -> (Vec<EventMessage>, broadcast::Receiver<EventMessage>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.iter().cloned().collect(), self.live.subscribe())
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.live.receiver_count()
    }
}

impl Engine {
    /// `GET /events`. With `until` the stream ends there.
    ///
    /// Errors: 400 for an unknown filter.
    pub fn events(&self, request: EventsRequest) -> Result<BoxStream<'static, EventMessage>> {
        let filter = filter::EventFilter::parse(&request.filters)?;
        let nanoseconds =
            |time| Timestamp::try_from(time).ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        let since = request.since.and_then(nanoseconds);
        let until = request.until.and_then(nanoseconds);
        let (kept, live) = self.events.subscribe();
        let kept = kept.into_iter().filter(move |event| {
            // Without a beginning or an end only what is to come counts.
            (since.is_some() || until.is_some())
                && since.is_none_or(|since| event.time_nano.is_some_and(|time| time >= since))
        });
        let live = stream::unfold(live, |mut live| async move {
            loop {
                match live.recv().await {
                    Ok(event) => return Some((event, live)),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "a reader of events is too slow")
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        let end = async move {
            match request.until {
                Some(until) => {
                    let left = until.duration_since(std::time::SystemTime::now()).unwrap_or_default();
                    tokio::time::sleep(left).await;
                }
                None => std::future::pending().await,
            }
        };
        let closing = self.closing().clone().cancelled_owned();
        let live = live.take_until(async move {
            tokio::select! { () = end => {}, () = closing => {} }
        });
        // What is kept comes out whole, even when its end is past.
        let events = stream::iter(kept).chain(live).filter(move |event| {
            let early = until.is_none_or(|until| event.time_nano.is_some_and(|time| time <= until));
            std::future::ready(early && filter.matches(event))
        });
        Ok(events.boxed())
    }
}
