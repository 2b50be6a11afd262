//! The end of a job.

use std::sync::Arc;

use sockerless_ports::backend::{self, ErrorCode, JobHandle};

use super::{Cloud, Intent, Run};
use crate::{Engine, Error, tuning};

impl Engine {
    /// Tells the agent to go, and waits for a while until it has: a job that ends by itself looks better in the cloud than
    /// one that is deleted under way. One in which a process may run is not waited for.
    pub(super) async fn farewell(&self, run: &Arc<Run>) {
        for id in self.runs.remove(run) {
            self.link.dismiss(&id);
        }
        if !*run.busy.borrow() {
            let mut line = run.line.subscribe();
            let _ = tokio::time::timeout(tuning::FAREWELL, line.wait_for(|up| !up)).await;
        }
    }

    /// Deletes the job and forgets the intent.
    pub(super) async fn retire(&self, run: &Arc<Run>, attempt: Attempt) {
        if let Some(intent) = run.ledger().get().await
            && !self.dissolve(&intent, attempt, std::slice::from_ref(run)).await
        {
            return;
        }
        self.runs.leave(run);
    }

    /// Deletes a job, with what is kept of it. `runs` are those whose processes may run there. True when it is gone.
    pub(crate) async fn dissolve(&self, intent: &Intent, attempt: Attempt, runs: &[Arc<Run>]) -> bool {
        if !self.erase_job(runs, intent, attempt).await {
            return false;
        }
        match self.commit(vec![intent.delete()]).await {
            Ok(()) => self.runs.forget_job(&intent.job),
            Err(error) => tracing::error!(job = intent.job, %error, "an intent could not be forgotten"),
        }
        true
    }

    /// True when the job is gone.
    async fn erase_job(&self, runs: &[Arc<Run>], intent: &Intent, attempt: Attempt) -> bool {
        let Ok(cloud) = self.cloud(&intent.backend) else {
            tracing::error!(
                job = intent.job,
                backend = intent.backend,
                "a job cannot be deleted: its backend is not configured any more"
            );
            return false;
        };
        cloud.poller.unwatch(&intent.job);
        let handle = match (attempt, &intent.handle) {
            (Attempt::Known(handle), _) => Some(handle),
            (Attempt::None, None) => None,
            (_, Some(handle)) => Some(handle.clone()),
            (Attempt::Unknown | Attempt::Latest, None) => match self.find_job(cloud, &intent.job).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(job = intent.job, %error, "a job cannot be looked up; it is tried again when the daemon starts");
                    return false;
                }
            },
        };
        let Some(handle) = handle else { return true };
        if runs.iter().any(|run| *run.busy.borrow()) {
            if let Err(error) = self.end_job(cloud, &handle).await {
                tracing::error!(job = intent.job, %error, "a job cannot be ended; it is tried again when the daemon starts");
                return false;
            }
            for run in runs {
                run.busy.send_replace(false);
            }
        }
        let deleted = cloud.insist("delete", tuning::DELETE_BACKOFF, || cloud.backend.delete(&handle)).await;
        match deleted {
            Err(error) if error.code != ErrorCode::NotFound => {
                tracing::error!(job = intent.job, %error, "a job cannot be deleted; it is tried again when the daemon starts");
                false
            }
            _ => true,
        }
    }

    /// Returns when the cloud says that a job has ended. A client may wait for that to start the container anew.
    async fn end_job(&self, cloud: &Cloud, handle: &JobHandle) -> backend::Result<()> {
        let asked = std::slice::from_ref(handle);
        cloud.insist("stop", tuning::BACKOFF.1, || cloud.backend.stop(handle, 0)).await?;
        loop {
            let statuses = cloud.insist("status", tuning::BACKOFF.1, || cloud.backend.status(asked)).await?;
            if statuses.first().is_none_or(|status| status.phase.is_final()) {
                return Ok(());
            }
            tokio::time::sleep(tuning::POLL).await;
        }
    }

    /// Looks a job up by name among all that this daemon owns.
    pub(crate) async fn find_job(&self, cloud: &Cloud, job: &str) -> backend::Result<Option<JobHandle>> {
        let mut cursor: Option<String> = None;
        loop {
            let list = || cloud.backend.list(&self.owner, cursor.as_deref());
            let page = cloud.insist("list", tuning::DELETE_BACKOFF, list).await?;
            if let Some((status, _)) = page.items.into_iter().find(|(status, _)| status.handle.name == job) {
                return Ok(Some(status.handle));
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(None),
            }
        }
    }
}

/// How far the making of a job came.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The cloud has heard of nothing.
    None,
    /// It may have made the job.
    Unknown,
    /// It has.
    Known(JobHandle),
    /// It has, and its latest handle is in the intent.
    Latest,
}

impl Attempt {
    /// What an error of `create` says.
    pub fn after(error: &backend::Error) -> Self {
        match error.code {
            ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Internal => Self::Unknown,
            _ => Self::None,
        }
    }
}

impl From<backend::Error> for Error {
    fn from(error: backend::Error) -> Self {
        use crate::ErrorKind;
        let kind = match error.code {
            ErrorCode::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.message)
    }
}
