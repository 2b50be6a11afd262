//! Records in SQLite: one writer, group commit, durable before the reply.

mod lock;
mod schema;
mod writer;

use std::{path::Path, sync::Arc, sync::mpsc, thread};

use async_trait::async_trait;
use sockerless_ports::store::{Change, Kind, Record, Store, StoreError};
use tokio::sync::oneshot;

use writer::Request;

/// The daemon's records.
///
/// A thread of its own holds the only connection. What waits while it writes becomes the next
/// transaction, so that many concurrent commits share one `fsync`.
#[derive(Debug)]
pub struct Records {
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<thread::JoinHandle<()>>,
}

impl Records {
    /// Opens the database file, making it and its directory if they are not there.
    ///
    /// Takes a lock beside it (`<path>.lock`) that lasts as long as the value. Errors: another daemon
    /// holds the lock (its process id is named); the file was written by a newer version; it is
    /// damaged; the file system's word.
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<Self>, StoreError> {
        let path = path.as_ref();
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|e| StoreError(format!("cannot make the directory {}: {e}", directory.display())))?;
        }
        let lock = lock::Lock::take(path)?;
        let connection = schema::open(path)?;
        let (requests, inbox) = mpsc::channel();
        let name = path.display().to_string();
        let writer = thread::Builder::new()
            .name("records".into())
            .spawn(move || {
                writer::run(connection, &inbox, &name);
                drop(lock);
            })
            .map_err(|e| StoreError(format!("cannot start the thread that writes: {e}")))?;
        Ok(Arc::new(Self { requests: Some(requests), writer: Some(writer) }))
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError("the thread that writes has stopped".into());
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.send(request(reply)).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

#[async_trait]
impl Store for Records {
    async fn load(&self, kind: Kind) -> Result<Vec<Record>, StoreError> {
        self.ask(|reply| Request::Load(kind, reply)).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Commit(changes, reply)).await
    }
}

impl Drop for Records {
    /// Waits for what was asked, so that the lock is free when this returns.
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes records panicked");
        }
    }
}

#[cfg(test)]
mod tests;
