//! Output that is in the cloud's log alone, pulled page by page: all of a container's that has no agent, and what an agent that
//! went without a word has not delivered.

use std::{
    collections::{HashMap, hash_map::Entry as Place},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use sockerless_ports::{
    backend::{self, ErrorCode, JobHandle, JobStatus, Phase},
    link::{Output, RunId},
    logs::LogError,
};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use super::{Cloud, kept::Kept, retry::Backoff};
use crate::{Engine, tuning};

/// The task that reads a log; it ends when nobody waits for it any more.
pub(super) struct Pump {
    ended: Option<oneshot::Sender<Option<Instant>>>,
    task: JoinHandle<Option<()>>,
}

impl Pump {
    /// The job has ended: returns when its last lines are kept. See [`CloudLog::drain`].
    pub async fn drain(mut self, ended: Option<Instant>) {
        // An error here and there means that the task is gone, which is as good.
        let _ = self.ended.take().map(|end| end.send(ended));
        let _ = (&mut self.task).await;
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A reader of a job's log in the cloud. It begins at the beginning, also after a restart of the daemon, and
/// skips what is kept already: lines come in the same order every time.
pub(super) struct CloudLog {
    run: RunId,
    /// The first of the runs that the job's agent has done, of which `run` is the last; none without an agent.
    first: Option<u32>,
    handle: JobHandle,
    cursor: Option<String>,
    next: Instant,
    /// How late lines may be, as the backend says; none before the first page.
    lag: Option<Duration>,
    /// The backend has no log, or none for us.
    refused: bool,
    /// What is kept already, by output; not there until it is looked up.
    kept: HashMap<Output, Kept>,
    backoff: Backoff,
}

impl CloudLog {
    /// Of a run without an agent.
    pub fn new(run: RunId, handle: JobHandle) -> Self {
        let (next, backoff) = (Instant::now(), Backoff::new(tuning::BACKOFF.1));
        let kept = HashMap::new();
        Self { run, first: None, handle, cursor: None, next, lag: None, refused: false, kept, backoff }
    }

    /// Of a run whose agent is gone, which has done all from `first` on.
    pub fn of_agent(run: RunId, first: u32, handle: JobHandle) -> Self {
        Self { first: Some(first), ..Self::new(run, handle) }
    }

    /// Reads in a task of its own until it is told that the job has ended.
    pub fn follow(mut self, engine: &Arc<Engine>, cloud: &Arc<Cloud>) -> Pump {
        let (ended, mut end) = oneshot::channel();
        let (engine, cloud) = (Arc::clone(engine), Arc::clone(cloud));
        let task = Arc::clone(&engine).spawn(async move {
            let ended = loop {
                tokio::select! {
                    biased;
                    ended = &mut end => break ended.ok().flatten(),
                    () = tokio::time::sleep_until(self.next) => drop(self.pull(&engine, &cloud).await),
                }
            };
            self.drain(&engine, &cloud, ended).await;
        });
        Pump { ended: Some(ended), task }
    }

    /// After the job's end: keeps what still comes until all of it must be there by the backend's word and nothing has come for a
    /// while, and takes a last look then even if the provider asks for a longer pause. Of a job whose end nobody knows
    /// it keeps what there is.
    pub async fn drain(&mut self, engine: &Engine, cloud: &Cloud, ended: Option<Instant>) {
        let mut heard = Instant::now();
        loop {
            let some = self.pull(engine, cloud).await;
            let now = Instant::now();
            if some {
                heard = now;
            }
            let lag = self.lag.unwrap_or(tuning::LOG_UNREAD);
            let end = ended.map_or(now, |ended| (ended + lag).max(heard + tuning::LOG_QUIET));
            if !some && (now >= end || self.refused) {
                return;
            }
            tokio::time::sleep_until(if some && ended.is_none() { self.next } else { self.next.min(end) })
                .await;
        }
    }

    /// Reads a page; true if there was a line in it.
    async fn pull(&mut self, engine: &Engine, cloud: &Cloud) -> bool {
        match cloud.backend.logs(&self.handle, self.cursor.as_deref(), tuning::LOG_PAGE).await {
            Ok(page) => {
                self.backoff = Backoff::new(tuning::BACKOFF.1);
                self.lag = Some(Duration::from_millis(page.lag_ms.into()));
                self.refused = false;
                let more = page.entries.len() >= tuning::LOG_PAGE as usize;
                let some = !page.entries.is_empty();
                if let Err(error) = self.keep(engine, page.entries).await {
                    tracing::warn!(run = %self.run, %error, "output cannot be kept");
                    // Begin again: what was kept is skipped.
                    self.cursor = None;
                    self.kept.clear();
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
                self.refused = !error.code.is_transient() && error.code != ErrorCode::Internal;
                false
            }
        }
    }

    async fn keep(&mut self, engine: &Engine, entries: Vec<backend::CloudLogEntry>) -> Result<(), LogError> {
        for entry in entries {
            let output = if entry.stderr { Output::Stderr } else { Output::Stdout };
            let kept = match self.kept.entry(output) {
                Place::Occupied(known) => known.into_mut(),
                Place::Vacant(place) => {
                    place.insert(Kept::look_up(engine.logs.as_ref(), &self.run, self.first, output).await?)
                }
            };
            let was_sure = kept.is_sure();
            let rest = kept.beyond(&entry.line);
            if was_sure && !kept.is_sure() {
                tracing::warn!(
                    run = %self.run, ?output,
                    "what the agent has left of this output in the cloud's log cannot be told from what it has delivered: the rest is to \
                     be read there alone"
                );
            }
            if !rest.is_empty() {
                engine.logs.append(&self.run, output, Bytes::from(rest)).await?;
            }
        }
        Ok(())
    }
}

/// When a job ended, by this machine's clock; none when nobody knows.
pub(super) fn ended(status: &JobStatus) -> Option<Instant> {
    if status.phase == Phase::Absent {
        return None;
    }
    let now = Instant::now();
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ago = status.finished.map(|time| since_1970.saturating_sub(Duration::from_millis(time)));
    Some(now.checked_sub(ago.unwrap_or_default()).unwrap_or(now))
}
