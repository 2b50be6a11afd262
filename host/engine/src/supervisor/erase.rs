//! The end of a container's record.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sockerless_ports::store::{Change, Kind, Record};

use crate::{
    Engine, Result,
    containers::{Entry, View},
    life::{Event, Phase, State},
};

/// Key of the note that a log is to be removed.
pub(crate) const LOG_NOTE: &str = "log/";

impl Engine {
    /// Removes record, name and log. Clients that still read the log may do so to its end; a note makes
    /// sure that it is removed after them, even by the next daemon.
    ///
    /// Boxed with its type: a failure is an event again, and the compiler cannot see through that circle.
    pub(crate) fn erase(self: Arc<Self>, entry: Arc<Entry>) -> BoxFuture<'static, ()> {
        Box::pin(self.erase_now(entry))
    }

    async fn erase_now(self: Arc<Self>, entry: Arc<Entry>) {
        if let Err(error) = self.erase_record(&entry).await {
            tracing::error!(container = entry.id(), %error, "a container could not be removed");
            self.report(&entry, Event::EraseFailed { message: error.message }).await;
            return;
        }
        self.forget_files(entry.id()).await;
        let _gate = entry.gate.lock().await;
        self.containers.remove(&entry);
        self.networks.forget(entry.id());
        let before = entry.view();
        let state = State { phase: Phase::Removed, ..before.state.clone() };
        self.events.container(&entry, &before.name, "destroy", &[]);
        entry.publish(View { state, ..(*before).clone() });
    }

    async fn erase_record(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<()> {
        self.keep_seats(entry.id()).await?;
        let mut gone = self.execs.forget(entry.id());
        gone.push(Change::Delete(Kind::Container, entry.id().to_owned()));
        if entry.readers.is_empty() {
            self.logs.remove(entry.id()).await?;
            return self.commit(gone).await;
        }
        let key = format!("{LOG_NOTE}{}", entry.id());
        let note = Record { key, content: "{}".into() };
        gone.push(Change::Put(Kind::Daemon, note));
        self.commit(gone).await?;
        let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
        self.spawn(async move {
            entry.readers.left().await;
            engine.erase_log(entry.id()).await;
        });
        Ok(())
    }

    /// Removes a log that was noted.
    pub(crate) async fn erase_log(&self, container: &str) {
        if let Err(error) = self.logs.remove(container).await {
            tracing::warn!(container, %error, "a log could not be removed; it is tried again when the daemon starts");
            return;
        }
        let note = Change::Delete(Kind::Daemon, format!("{LOG_NOTE}{container}"));
        if let Err(error) = self.commit(vec![note]).await {
            tracing::warn!(container, %error, "a note could not be removed");
        }
    }
}
