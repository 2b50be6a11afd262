//! The output of a container without agent: pulled from the cloud's log, page by page.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use sockerless_ports::{
    backend::{self, JobHandle},
    link::{Output, RunId},
};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use super::{Cloud, retry::Backoff};
use crate::{Engine, tuning};

/// The task that reads a log.
pub(super) struct Pump {
    ended: oneshot::Sender<()>,
    task: JoinHandle<Option<()>>,
}

impl Pump {
    /// The job has ended: returns when its last lines are kept.
    pub async fn drain(self) {
        // An error here and there means that the task is gone, which is as good.
        let _ = self.ended.send(());
        let _ = self.task.await;
    }

    /// Nobody cares any more.
    pub fn abort(&self) {
        self.task.abort();
    }
}

/// A reader of a job's log in the cloud. It begins at the beginning, also after a restart of the daemon, and
/// skips what is kept already: lines come in the same order every time.
pub(super) struct CloudLog {
    run: RunId,
    handle: JobHandle,
    cursor: Option<String>,
    next: Instant,
    /// Bytes still to skip, by output; not there until it is looked up.
    skip: HashMap<Output, u64>,
    backoff: Backoff,
}

impl CloudLog {
    pub fn new(run: RunId, handle: JobHandle) -> Self {
        let backoff = Backoff::new(tuning::BACKOFF.1);
        Self { run, handle, cursor: None, next: Instant::now(), skip: HashMap::new(), backoff }
    }

    /// Reads in a task of its own until it is told that the job has ended.
    pub fn follow(mut self, engine: &Arc<Engine>, cloud: &Arc<Cloud>) -> Pump {
        let (ended, mut end) = oneshot::channel();
        let (engine, cloud) = (Arc::clone(engine), Arc::clone(cloud));
        let task = Arc::clone(&engine).spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    _ = &mut end => break,
                    () = tokio::time::sleep_until(self.next) => drop(self.pull(&engine, &cloud).await),
                }
            }
            self.drain(&engine, &cloud).await;
        });
        Pump { ended, task }
    }

    /// After the job's end: keeps what still comes, until nothing has for as long as clouds' logs lag, and takes a last look
    /// at the end of that time even if the provider asks for a longer pause.
    async fn drain(&mut self, engine: &Engine, cloud: &Cloud) {
        let mut end = Instant::now() + tuning::LOG_LAG;
        loop {
            if self.pull(engine, cloud).await {
                end = Instant::now() + tuning::LOG_LAG;
            } else if Instant::now() >= end {
                return;
            }
            tokio::time::sleep_until(self.next.min(end)).await;
        }
    }

    /// Reads a page; true if there was a line in it.
    async fn pull(&mut self, engine: &Engine, cloud: &Cloud) -> bool {
        match cloud.backend.logs(&self.handle, self.cursor.as_deref(), tuning::LOG_PAGE).await {
            Ok(page) => {
                self.backoff = Backoff::new(tuning::BACKOFF.1);
                let more = page.entries.len() >= tuning::LOG_PAGE as usize;
                let some = !page.entries.is_empty();
                if self.keep(engine, page.entries).await.is_none() {
                    // Begin again: what was kept is skipped.
                    self.cursor = None;
                    self.skip.clear();
                    self.next = Instant::now() + self.backoff.pause(None);
                    return false;
                }
                self.cursor = Some(page.next);
                let pause =
                    if more { Duration::ZERO } else { Duration::from_millis(page.poll_after_ms.into()) };
                self.next = Instant::now() + pause;
                some
            }
            Err(error) => {
                tracing::warn!(run = %self.run, %error, "the cloud's log cannot be read");
                self.next = Instant::now() + self.backoff.pause(error.retry_after_ms);
                false
            }
        }
    }

    async fn keep(&mut self, engine: &Engine, entries: Vec<backend::CloudLogEntry>) -> Option<()> {
        for entry in entries {
            let output = if entry.stderr { Output::Stderr } else { Output::Stdout };
            let mut line = Bytes::from([entry.line, b"\n".to_vec()].concat());
            let kept = match self.skip.get(&output) {
                Some(left) => *left,
                None => engine
                    .logs
                    .length(&self.run, output)
                    .await
                    .inspect_err(|error| warn(&self.run, error))
                    .ok()?,
            };
            let skipped = usize::try_from(kept).unwrap_or(usize::MAX).min(line.len());
            self.skip.insert(output, kept - skipped as u64);
            let rest = line.split_off(skipped);
            if !rest.is_empty() {
                engine
                    .logs
                    .append(&self.run, output, rest)
                    .await
                    .inspect_err(|error| warn(&self.run, error))
                    .ok()?;
            }
        }
        Some(())
    }
}

fn warn(run: &RunId, error: &sockerless_ports::logs::LogError) {
    tracing::warn!(%run, %error, "output cannot be kept");
}
