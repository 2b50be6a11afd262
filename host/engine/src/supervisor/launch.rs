//! The task of one job: brings it up, looks after it, and deletes it when nobody needs it any more.
//! Whatever it was doing when the daemon died can be read from its intent.

use std::sync::Arc;

use sockerless_ports::{
    backend::{self, ErrorCode, JobHandle},
    link::RunId,
};
use tokio::sync::watch;

use super::{
    Agents, Cloud, Intent, Run,
    intent::Ledger,
    retire::Attempt,
    run::{Orders, pass_signals},
};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, View, log_bounds},
    life::Event,
    pods::Seat,
    tuning,
};

/// Tells when the job of a generation is not needed any more.
#[derive(Clone)]
pub(crate) struct Over {
    view: watch::Receiver<Arc<View>>,
    host: u32,
}

impl Over {
    pub fn is_over(&self) -> bool {
        !self.view.borrow().state.needs_job(self.host)
    }

    pub async fn wait(&mut self) {
        let host = self.host;
        // The sender lives as long as the entry that the task holds.
        let _ = self.view.wait_for(|view| !view.state.needs_job(host)).await;
    }
}

/// Where the task of a job begins.
pub(crate) enum From {
    /// There is no job yet.
    Nothing,
    /// There is, or may be, one of its own.
    Intent(Box<Intent>),
    /// It has a place in a pod's.
    Seat(Arc<Seat>),
}

impl Engine {
    /// Starts the task of the job that was, or will be, made for the generation `host`. It goes on from where the job
    /// stands: `generation` is what the job's agent does, `busy` whether a process may run there already.
    pub(crate) fn supervise(
        self: &Arc<Self>,
        entry: Arc<Entry>,
        host: RunId,
        generation: u32,
        from: From,
        busy: bool,
    ) -> Arc<Run> {
        let (intent, seat) = match &from {
            From::Nothing => (None, None),
            From::Intent(intent) => (Some((**intent).clone()), None),
            From::Seat(seat) => (None, Some(seat)),
        };
        let fresh = intent.is_none() && seat.is_none();
        let over = Over { view: entry.subscribe(), host: host.generation };
        if let Some(intent) = &intent {
            self.runs.know_job(&intent.job);
        }
        let (run, orders) = Run::new(host, generation, intent, busy);
        if let Some(seat) = seat {
            run.sit(seat);
            // Before its agent can say anything.
            seat.sit(&run);
        }
        self.runs.insert(&run, generation);
        self.runs.enter(&run);
        let (engine, task) = (Arc::clone(self), Arc::clone(&run));
        self.spawn(async move {
            let ready = if fresh {
                // Another job was to do this run: its doors lead there.
                engine.unpublish(entry.id(), generation).await;
                engine.make_ready(&entry, generation).await
            } else {
                Ok(())
            };
            let attempt = match ready {
                Ok(()) => Box::pin(engine.carry_through(&entry, &task, orders, over)).await,
                // Nothing has been made, and nothing will be.
                Err(error) => {
                    engine.report(&entry, Event::StartFailed { generation, message: error.message }).await;
                    Attempt::None
                }
            };
            if task.seat().is_some() {
                // The job is also that of others.
                return engine.rise(&task).await;
            }
            engine.farewell(&task).await;
            engine.retire(&task, attempt).await;
        });
        run
    }

    /// What a start needs of this machine, in dockerd's words where it cannot be had: a log, and ports.
    pub(super) async fn make_ready(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) -> Result<()> {
        log_bounds(&entry.spec)?;
        self.join_networks(entry, generation).await?;
        self.publish(entry, generation).await
    }

    /// Deletes the job of a run whose container does not need it any more, or is gone.
    pub(crate) fn clean_up(self: &Arc<Self>, intent: Intent) {
        self.runs.know_job(&intent.job);
        let hosts: Vec<RunId> = if intent.seats.is_empty() {
            vec![intent.run.clone()]
        } else {
            // What a place was made for may have been done elsewhere since: only the containers are those of the job.
            let containers = intent.seats.iter().map(|seat| seat.run.container.clone());
            containers.map(|container| RunId { container, generation: 0 }).collect()
        };
        // Nobody knows what it was doing when the daemon died.
        let busy = |host: RunId| {
            let generation = host.generation;
            Run::new(host, generation, None, true).0
        };
        let runs: Vec<Arc<Run>> = hosts.into_iter().map(busy).collect();
        runs.iter().for_each(|run| self.runs.enter(run));
        let engine = Arc::clone(self);
        self.spawn(async move {
            if engine.dissolve(&intent, Attempt::Unknown, &runs).await {
                runs.iter().for_each(|run| engine.runs.leave(run));
            }
        });
    }

    /// In a pod's job, or in one of its own.
    async fn carry_through(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        run: &Arc<Run>,
        orders: Orders,
        mut over: Over,
    ) -> Attempt {
        let known = run.seat().is_some();
        if !known && run.ledger().get().await.is_none() {
            let found = tokio::select! {
                biased;
                () = over.wait() => return Attempt::None,
                found = self.find_seat(entry, run) => found,
            };
            if let Err(error) = found {
                let failed = Event::StartFailed { generation: run.generation(), message: error.message };
                self.report(entry, failed).await;
                return Attempt::None;
            }
        }
        match run.seat().map(Arc::clone) {
            Some(seat) => self.look_after_seat(entry, run, (&seat, known), orders, over).await,
            None => self.look_after(entry, run, orders, over).await,
        }
    }

    async fn look_after(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        run: &Arc<Run>,
        orders: Orders,
        mut over: Over,
    ) -> Attempt {
        let Orders { commands, signals } = orders;
        let fail = |error: Error| Event::StartFailed { generation: run.generation(), message: error.message };
        let known = run.ledger().get().await.is_some();
        if !known {
            let intent = tokio::select! {
                biased;
                () = over.wait() => return Attempt::None,
                intent = self.intend(entry, &run.host) => intent,
            };
            match intent {
                Ok(intent) => run.ledger().set(intent).await,
                Err(error) => {
                    self.report(entry, fail(error)).await;
                    return Attempt::None;
                }
            }
        }
        run.admit(self.link.as_ref(), Agents::events(self.weak(), run)).await;
        if known {
            self.take_up(entry, run.generation());
        }
        let Some(intent) = run.ledger().get().await else { return Attempt::None };
        let cloud = match self.cloud(&intent.backend) {
            Ok(cloud) => Arc::clone(cloud),
            Err(error) => {
                tracing::error!(job = intent.job, %error, "a job's backend is not configured any more; its agent may still report");
                over.wait().await;
                return Attempt::Unknown;
            }
        };
        self.spawn(pass_signals(Arc::clone(&self.link), signals));
        let untouched = if known { Attempt::Latest } else { Attempt::None };
        let handle = match intent.handle.clone() {
            Some(handle) if handle.started => handle,
            _ => {
                let alone = tokio::select! {
                    biased;
                    () = over.wait() => return untouched,
                    alone = tokio::time::timeout(tuning::START_PATIENCE, self.alone(run)) => alone,
                };
                if alone.is_err() {
                    self.report(entry, fail(not_alone())).await;
                    return untouched;
                }
                // Without an agent the job's process is the container's.
                if intent.ticket.is_none() {
                    run.busy.send_replace(true);
                }
                let wanted = over.clone();
                match self.bring_up(&cloud, run.ledger(), &intent, &move || wanted.is_over()).await {
                    Ok(handle) => handle,
                    Err((attempt, error)) => {
                        cloud.forget(self.registry.as_ref(), &entry.spec).await;
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
                }
            }
        };
        self.attend(entry, run, &cloud, handle, commands, over).await;
        Attempt::Latest
    }

    /// Goes on with what the daemon was asking of the agent when it died.
    pub(crate) fn take_up(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) {
        let state = &entry.view().state;
        if state.linger.is_some_and(|linger| linger.saving) {
            self.save(entry, generation);
        }
        if state.paused {
            self.freeze_again(entry, generation);
        }
    }

    /// Waits until in no other job of the container a process can run.
    pub(crate) async fn alone(&self, run: &Arc<Run>) {
        for other in self.runs.others(run) {
            other.idle().await;
        }
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
    pub(crate) async fn bring_up(
        &self,
        cloud: &Cloud,
        ledger: &Ledger,
        intent: &Intent,
        is_over: &(dyn Fn() -> bool + Send + Sync),
    ) -> std::result::Result<JobHandle, (Attempt, Option<backend::Error>)> {
        let mut handle = match (&intent.handle, &intent.spec) {
            (Some(handle), _) => handle.clone(),
            (None, Some(_)) if is_over() => return Err((Attempt::None, None)),
            (None, Some(spec)) => {
                // A call in flight is never given up: what it did would not be known.
                let create = || async {
                    if is_over() {
                        return Err(backend::Error::new(
                            ErrorCode::Conflict,
                            "the container is not wanted any more",
                        ));
                    }
                    cloud.backend.create(spec).await
                };
                match cloud.call("create", create).await {
                    Ok(handle) => handle,
                    Err(_) if is_over() => return Err((Attempt::Unknown, None)),
                    Err(error) => return Err((Attempt::after(&error), Some(error))),
                }
            }
            (None, None) => return Err((Attempt::Unknown, None)),
        };
        let kept = |error: Error| backend::Error::new(ErrorCode::Internal, error.message);
        ledger
            .keep_handle(self, &handle)
            .await
            .map_err(|error| (Attempt::Known(handle.clone()), Some(kept(error))))?;
        if !handle.started && !is_over() {
            let before = handle.clone();
            handle = cloud
                .call("start", || cloud.backend.start(&before))
                .await
                .map_err(|error| (Attempt::Known(before.clone()), Some(error)))?;
            ledger
                .keep_handle(self, &handle)
                .await
                .map_err(|error| (Attempt::Known(handle.clone()), Some(kept(error))))?;
        }
        Ok(handle)
    }
}

pub(crate) fn not_alone() -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "the job of the container's last run has not ended within {} seconds, and two must not run at once: try again \
             later, or end it in the cloud",
            tuning::START_PATIENCE.as_secs()
        ),
    )
}
