//! The task of one run: brings its job up, looks after it, and deletes it when its generation is over.
//! Whatever it was doing when the daemon died can be read from its intent.

use std::sync::Arc;

use sockerless_ports::{
    backend::{self, ErrorCode, JobHandle, JobStatus, Phase},
    link::RunId,
};
use tokio::{sync::watch, time::Instant};

use super::{
    Agents, Cloud, Command, Intent, Run,
    cloud_logs::CloudLog,
    run::{Orders, pass_signals},
    run_id,
};
use crate::{
    Engine, Error, Result,
    containers::{Entry, View, log_bounds},
    life::{self, Event, Report},
    tuning,
};

/// Tells when a generation is over.
#[derive(Clone)]
struct Over {
    view: watch::Receiver<Arc<View>>,
    generation: u32,
}

impl Over {
    fn is_over(&self) -> bool {
        self.view.borrow().state.ended >= self.generation
    }

    async fn wait(&mut self) {
        let generation = self.generation;
        // The sender lives as long as the entry that the task holds.
        let _ = self.view.wait_for(|view| view.state.ended >= generation).await;
    }
}

impl Engine {
    /// Starts a run's task; with an intent it goes on where that stands.
    pub(crate) fn supervise(self: &Arc<Self>, entry: Arc<Entry>, generation: u32, intent: Option<Intent>) {
        let id = run_id(&entry, generation);
        if let Some(intent) = &intent {
            self.runs.know_job(&intent.job);
        }
        let fresh = intent.is_none();
        let (run, orders) = Run::new(id, intent);
        self.runs.insert(&run);
        let engine = Arc::clone(self);
        self.spawn(async move {
            let over = Over { view: entry.subscribe(), generation };
            let ready = if fresh { engine.make_ready(&entry, generation).await } else { Ok(()) };
            let handle = match ready {
                Ok(()) => Box::pin(engine.look_after(&entry, &run, orders, over)).await,
                // Nothing has been made, and nothing will be.
                Err(error) => {
                    engine.report(&entry, Event::StartFailed { generation, message: error.message }).await;
                    Attempt::None
                }
            };
            engine.farewell(&run).await;
            engine.retire(&run, handle).await;
        });
    }

    /// What a start needs of this machine, in dockerd's words where it cannot be had: a log, and ports.
    async fn make_ready(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) -> Result<()> {
        log_bounds(&entry.spec)?;
        self.publish(entry, generation).await
    }

    /// Deletes the job of a run whose container does not need it any more, or is gone.
    pub(crate) fn clean_up(self: &Arc<Self>, intent: Intent) {
        self.runs.know_job(&intent.job);
        let (run, _) = Run::new(intent.run.clone(), Some(intent));
        let engine = Arc::clone(self);
        self.spawn(async move { engine.retire(&run, Attempt::Unknown).await });
    }

    async fn look_after(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        run: &Arc<Run>,
        orders: Orders,
        mut over: Over,
    ) -> Attempt {
        let Orders { mut commands, signals } = orders;
        let generation = over.generation;
        let fail = |error: Error| Event::StartFailed { generation, message: error.message };
        if run.intent.lock().await.is_none() {
            let intent = tokio::select! {
                biased;
                () = over.wait() => return Attempt::None,
                intent = self.intend(entry, &run.id) => intent,
            };
            match intent {
                Ok(intent) => *run.intent.lock().await = Some(intent),
                Err(error) => {
                    self.report(entry, fail(error)).await;
                    return Attempt::None;
                }
            }
        }
        run.admit(self.link.as_ref(), Arc::new(Agents::new(self.weak()))).await;
        let Some(intent) = run.intent.lock().await.clone() else { return Attempt::None };
        let cloud = match self.cloud(&intent.backend) {
            Ok(cloud) => Arc::clone(cloud),
            Err(error) => {
                tracing::error!(job = intent.job, %error, "a job's backend is not configured any more; its agent may still report");
                over.wait().await;
                return Attempt::Unknown;
            }
        };
        self.spawn(pass_signals(Arc::clone(&self.link), run.id.clone(), signals));
        let handle = match intent.handle.clone() {
            Some(handle) if handle.started => handle,
            _ => match self.bring_up(&cloud, run, &intent, &over).await {
                Ok(handle) => handle,
                Err((attempt, error)) => {
                    cloud.forget(&entry.spec.image_id).await;
                    if let Some(error) = error {
                        self.report(entry, fail(error.into())).await;
                    }
                    if over.is_over() {
                        return attempt;
                    }
                    // The answers were lost, but the job is there: its process runs already.
                    match self.find_job(&cloud, &intent.job).await {
                        Ok(Some(handle)) => handle,
                        Ok(None) | Err(_) => {
                            over.wait().await;
                            return attempt;
                        }
                    }
                }
            },
        };
        self.watch(&cloud, run, handle.clone());
        let mut log = intent
            .ticket
            .is_none()
            .then(|| CloudLog::new(run.id.clone(), handle.clone()).follow(self, &cloud));
        let mut overdue: Option<Instant> = None;
        loop {
            let patience = async {
                match overdue {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = over.wait() => break,
                Some(command) = commands.recv() => match command {
                    Command::Stop { grace } => self.stop_job(&cloud, handle.clone(), grace),
                    Command::Status(status) => {
                        if let Err(error) = run.keep_handle(self, &status.handle).await {
                            tracing::error!(job = handle.name, %error, "a job's handle could not be kept");
                        }
                        let waits = intent.ticket.is_some() && !*run.line.borrow() && status.phase == Phase::Running;
                        if waits && entry.view().state.phase == life::Phase::Starting {
                            overdue.get_or_insert_with(|| Instant::now() + self.options.agent_patience);
                        }
                        if status.phase.is_final()
                            && let Some(log) = log.take()
                        {
                            log.drain().await;
                        }
                        self.heed(entry, generation, &status).await;
                    }
                },
                () = patience => {
                    overdue = None;
                    let state = entry.view();
                    if state.state.phase == life::Phase::Starting && !*run.line.borrow() {
                        self.report(entry, fail(self.no_agent())).await;
                    }
                }
            }
        }
        if let Some(log) = log {
            log.abort();
        }
        cloud.poller.unwatch(&handle.name);
        Attempt::Latest
    }

    /// Writes down what is going to be done, before it is.
    async fn intend(&self, entry: &Arc<Entry>, run: &RunId) -> Result<Intent> {
        let intent = self.prepare(entry, run).await?;
        self.runs.know_job(&intent.job);
        if let Err(error) = self.commit(vec![intent.put()?]).await {
            self.runs.forget_job(&intent.job);
            return Err(error);
        }
        Ok(intent)
    }

    /// Makes the job and starts it. Errors: with what is to be deleted, and nothing to report when the
    /// generation is over already.
    async fn bring_up(
        &self,
        cloud: &Cloud,
        run: &Run,
        intent: &Intent,
        over: &Over,
    ) -> std::result::Result<JobHandle, (Attempt, Option<backend::Error>)> {
        let mut handle = match (&intent.handle, &intent.spec) {
            (Some(handle), _) => handle.clone(),
            (None, Some(_)) if over.is_over() => return Err((Attempt::None, None)),
            (None, Some(spec)) => {
                // A call in flight is never given up: what it did would not be known.
                let wanted = over.clone();
                let create = || async {
                    if wanted.is_over() {
                        return Err(backend::Error::new(
                            ErrorCode::Conflict,
                            "the container is not wanted any more",
                        ));
                    }
                    cloud.backend.create(spec).await
                };
                match cloud.call("create", create).await {
                    Ok(handle) => handle,
                    Err(_) if over.is_over() => return Err((Attempt::Unknown, None)),
                    Err(error) => return Err((Attempt::after(&error), Some(error))),
                }
            }
            (None, None) => return Err((Attempt::Unknown, None)),
        };
        let kept = |error: Error| backend::Error::new(ErrorCode::Internal, error.message);
        run.keep_handle(self, &handle)
            .await
            .map_err(|error| (Attempt::Known(handle.clone()), Some(kept(error))))?;
        if !handle.started && !over.is_over() {
            let before = handle.clone();
            handle = cloud
                .call("start", || cloud.backend.start(&before))
                .await
                .map_err(|error| (Attempt::Known(before.clone()), Some(error)))?;
            run.keep_handle(self, &handle)
                .await
                .map_err(|error| (Attempt::Known(handle.clone()), Some(kept(error))))?;
        }
        Ok(handle)
    }

    async fn heed(&self, entry: &Arc<Entry>, generation: u32, status: &JobStatus) {
        self.report(entry, Event::Cloud { generation, report: Report::from(status) }).await;
    }

    fn stop_job(self: &Arc<Self>, cloud: &Arc<Cloud>, handle: JobHandle, grace: u32) {
        let cloud = Arc::clone(cloud);
        self.spawn(async move {
            let stopped = cloud.call("stop", || cloud.backend.stop(&handle, grace)).await;
            match stopped {
                Ok(_) => cloud.poller.hurry(&handle.name),
                Err(error) => tracing::error!(job = handle.name, %error, "the cloud does not end a job"),
            }
        });
    }

    fn no_agent(&self) -> Error {
        let url = self.link.callback_url().unwrap_or_default();
        Error::new(
            crate::ErrorKind::Internal,
            format!(
                "the container's job runs, but its agent did not connect to {url} within {} seconds: \
                 check that the callback address can be reached from the cloud",
                self.options.agent_patience.as_secs()
            ),
        )
    }

    /// Lets the agent go, and hang up before its job is deleted.
    async fn farewell(&self, run: &Run) {
        let mut line = run.line.subscribe();
        self.link.dismiss(&run.id);
        let _ = tokio::time::timeout(tuning::FAREWELL, line.wait_for(|up| !up)).await;
        self.runs.remove(&run.id);
    }

    /// Deletes the job and forgets the intent.
    async fn retire(&self, run: &Run, attempt: Attempt) {
        let Some(intent) = run.intent.lock().await.clone() else { return };
        let Ok(cloud) = self.cloud(&intent.backend) else {
            tracing::error!(
                job = intent.job,
                backend = intent.backend,
                "a job cannot be deleted: its backend is not configured any more"
            );
            return;
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
                    return;
                }
            },
        };
        if let Some(handle) = handle {
            let deleted =
                cloud.insist("delete", tuning::DELETE_BACKOFF, || cloud.backend.delete(&handle)).await;
            if let Err(error) = deleted
                && error.code != ErrorCode::NotFound
            {
                tracing::error!(job = intent.job, %error, "a job cannot be deleted; it is tried again when the daemon starts");
                return;
            }
        }
        match self.commit(vec![intent.delete()]).await {
            Ok(()) => self.runs.forget_job(&intent.job),
            Err(error) => tracing::error!(job = intent.job, %error, "an intent could not be forgotten"),
        }
    }

    /// Looks a job up by name among all that this daemon owns.
    async fn find_job(&self, cloud: &Cloud, job: &str) -> backend::Result<Option<JobHandle>> {
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
enum Attempt {
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
    fn after(error: &backend::Error) -> Self {
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
