//! Asks a backend for the status of all its live jobs in one call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sockerless_ports::backend::{self, ErrorCode, JobHandle};
use tokio::{sync::Notify, time::Instant};

use super::{Cloud, Command, Run, retry::Backoff};
use crate::{Engine, tuning};

/// The jobs of a backend that are looked at.
#[derive(Default)]
pub(crate) struct Poller {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By job name.
    watched: HashMap<String, Watched>,
    running: bool,
}

struct Watched {
    handle: JobHandle,
    /// Of a pod's job several.
    runs: Vec<Arc<Run>>,
    due: Instant,
    /// It is asked for with so many at most, itself among them: fewer when an answer failed that may have failed for it.
    most: usize,
    /// How long it is let be when it fails alone.
    backoff: Backoff,
}

impl Poller {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No longer looks at a job.
    pub fn unwatch(&self, job: &str) {
        self.state().watched.remove(job);
    }

    /// The same, for one run: others may still care.
    pub fn unwatch_for(&self, job: &str, run: &Arc<Run>) {
        let mut state = self.state();
        if let Some(watched) = state.watched.get_mut(job) {
            watched.runs.retain(|known| !Arc::ptr_eq(known, run));
            if watched.runs.is_empty() {
                state.watched.remove(job);
            }
        }
    }

    /// Looks at a job at once: something changed that only the cloud can explain.
    pub fn hurry(&self, job: &str) {
        if let Some(watched) = self.state().watched.get_mut(job) {
            watched.due = Instant::now();
        }
        self.changed.notify_one();
    }

    fn next_due(&self) -> Option<Instant> {
        self.state().watched.values().map(|watched| watched.due).min()
    }

    /// What is due, the longest first: so those of a call that failed come after all others.
    fn due(&self, now: Instant) -> Vec<(JobHandle, Vec<Arc<Run>>)> {
        let state = self.state();
        let mut due: Vec<_> =
            state.watched.values().filter(|watched| watched.due <= now + tuning::POLL_SLACK).collect();
        due.sort_by_key(|watched| watched.due);
        let (mut batch, mut most) = (Vec::new(), tuning::POLL_BATCH);
        for watched in due {
            if batch.len() < most.min(watched.most) {
                most = most.min(watched.most);
                batch.push((watched.handle.clone(), watched.runs.clone()));
            }
        }
        batch
    }

    /// Puts off those of a call that failed; one that was asked for alone by pauses of its own. If the call may have failed for
    /// one of them, half as many at most are asked for together from now on: so that one is soon alone.
    fn failed(&self, batch: &[(JobHandle, Vec<Arc<Run>>)], pause: Duration, error: &backend::Error) {
        let mut state = self.state();
        for (handle, _) in batch {
            let Some(watched) = state.watched.get_mut(&handle.name) else { continue };
            let own = if batch.len() == 1 { watched.backoff.pause(error.retry_after_ms) } else { pause };
            watched.due = Instant::now() + own;
            if may_be_ones(error) {
                watched.most = batch.len().div_ceil(2);
            }
        }
    }

    /// Of a job whose status came.
    fn put_off(&self, job: &str, pause: Duration, handle: JobHandle) {
        if let Some(watched) = self.state().watched.get_mut(job) {
            watched.due = Instant::now() + pause;
            watched.handle = handle;
            watched.most = tuning::POLL_BATCH;
            watched.backoff = Backoff::new(tuning::BACKOFF.1);
        }
    }
}

impl Engine {
    /// Looks at a job from now on, and tells its run what the cloud says.
    /// The first look is after a while: an agent is faster to tell that it is there.
    pub(super) fn watch(&self, cloud: &Arc<Cloud>, run: &Arc<Run>, handle: JobHandle) {
        let mut state = cloud.poller.state();
        let watched = state.watched.entry(handle.name.clone()).or_insert_with(|| Watched {
            handle,
            runs: Vec::new(),
            due: Instant::now() + tuning::POLL,
            most: tuning::POLL_BATCH,
            backoff: Backoff::new(tuning::BACKOFF.1),
        });
        watched.runs.push(Arc::clone(run));
        let first = !std::mem::replace(&mut state.running, true);
        drop(state);
        cloud.poller.changed.notify_one();
        if first {
            let cloud = Arc::clone(cloud);
            self.spawn(async move { poll(&cloud).await });
        }
    }
}

async fn poll(cloud: &Cloud) {
    let poller = &cloud.poller;
    // While no call succeeds, the pauses between calls grow, whatever jobs they are for: what fails for all is not asked for each.
    let (mut backoff, mut held) = (Backoff::new(tuning::BACKOFF.1), Instant::now());
    loop {
        let changed = poller.changed.notified();
        match poller.next_due() {
            None => {
                changed.await;
                continue;
            }
            Some(due) => tokio::select! {
                () = tokio::time::sleep_until(due.max(held)) => {}
                () = changed => continue,
            },
        }
        let batch = poller.due(Instant::now());
        let handles: Vec<_> = batch.iter().map(|(handle, _)| handle.clone()).collect();
        match cloud.backend.status(&handles).await {
            Ok(statuses) => {
                backoff = Backoff::new(tuning::BACKOFF.1);
                for ((handle, runs), status) in batch.iter().zip(statuses) {
                    let asked = status.poll_after_ms.map(|ms| Duration::from_millis(ms.into()));
                    let pause = asked.unwrap_or(tuning::POLL);
                    let connected = runs.iter().all(|run| *run.line.borrow());
                    let pause = if connected { pause.max(tuning::POLL_CONNECTED) } else { pause };
                    // One that has ended is asked for again only if its run still cares by then.
                    let pause = if status.phase.is_final() { tuning::POLL_CONNECTED } else { pause };
                    poller.put_off(&handle.name, pause, status.handle.clone());
                    for run in runs {
                        run.command(Command::Status(Box::new(status.clone())));
                    }
                }
            }
            Err(error) => {
                let (pause, jobs) = (backoff.pause(error.retry_after_ms), batch.len());
                held = Instant::now() + pause;
                poller.failed(&batch, pause, &error);
                tracing::warn!(backend = cloud.name, %error, code = %error.code, jobs, ?pause, "the cloud does not tell how its jobs are");
            }
        }
    }
}

/// Whether a call may have failed for one of its jobs: an error concerns the call as a whole (`wit/jobs.wit`), and the others'
/// statuses must not be lost by it. A cloud that is down, throttles, or does not know us is so for all.
fn may_be_ones(error: &backend::Error) -> bool {
    let of_all = error.code.is_transient()
        || matches!(error.code, ErrorCode::Unauthenticated | ErrorCode::PermissionDenied)
        || error.provider_status.is_some_and(|status| status >= 500);
    !of_all && error.retry_after_ms.is_none()
}
