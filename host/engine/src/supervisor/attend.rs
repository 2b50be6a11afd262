//! Looking after a job that was brought up, as long as somebody needs it.

use std::sync::{Arc, atomic::Ordering};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sockerless_ports::{
    backend::{JobHandle, JobStatus, Phase},
    link::AgentEvents,
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Agents, Cloud, Command, Run,
    cloud_logs::{CloudLog, ended},
    launch::Over,
};
use crate::{
    Engine, Error, ErrorKind,
    containers::{Entry, View},
    life::{self, Event, Report},
    times, tuning,
};

impl Engine {
    /// Returns when the job is not needed any more.
    pub(crate) async fn attend(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        run: &Arc<Run>,
        cloud: &Arc<Cloud>,
        handle: JobHandle,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut over: Over,
    ) {
        self.watch(cloud, run, handle.clone());
        let kept = run.ledger().get().await;
        let with_agent = kept.is_some_and(|intent| intent.ticket.is_some() || !intent.seats.is_empty());
        let mut log =
            (!with_agent).then(|| CloudLog::new(run.host.clone(), handle.clone()).follow(self, cloud));
        // The end of the job that is to be told when its last output is kept.
        let mut ending: Option<(BoxFuture<'static, ()>, Box<JobStatus>)> = None;
        let starting = |entry: &Entry| {
            let state = &entry.view().state;
            state.phase == life::Phase::Starting && state.host == run.host.generation
        };
        // When patience with an agent ends: with one that comes for the first time, and with one that shall do another run.
        let (mut overdue, mut unanswered): (Option<Instant>, Option<(Instant, u32)>) = (None, None);
        let mut linger = Box::pin(self.lingered(entry, run));
        let mut lost = Box::pin(self.lost(entry, run));
        loop {
            tokio::select! {
                biased;
                () = over.wait() => break,
                Some(command) = commands.recv() => match command {
                    // What others run in must not end with this one.
                    Command::Stop { .. } if self.is_shared(run) => self.give_up(entry, run).await,
                    Command::Stop { grace } => self.stop_job(cloud, handle.clone(), grace),
                    Command::Succeed { from, generation, published } => {
                        self.runs.insert(run, generation);
                        if self.start_in_place(entry, run, from, generation, published).await {
                            unanswered = Some((Instant::now() + tuning::SUCCEED_PATIENCE, generation));
                        }
                    }
                    Command::Status(status) => {
                        if let Err(error) = run.ledger().keep_handle(self, &status.handle).await {
                            tracing::error!(job = handle.name, %error, "a job's handle could not be kept");
                        }
                        let waits = with_agent && !*run.line.borrow() && status.phase == Phase::Running;
                        if waits && starting(entry) && run.generation() == run.host.generation {
                            overdue.get_or_insert_with(|| Instant::now() + self.options.agent_patience);
                        }
                        if status.phase == Phase::Failed && starting(entry) && !*run.line.borrow() {
                            // Perhaps for want of what was there once.
                            cloud.forget(self.registry.as_ref(), &entry.spec).await;
                        }
                        if status.phase.is_final() {
                            run.busy.send_replace(false);
                            if ending.is_some() {
                                continue;
                            }
                            let rest = match log.take() {
                                // Nothing has run that could have written.
                                Some(_) if starting(entry) && !has_run(&status) => None,
                                Some(log) => {
                                    // Who waits for the start does not wait for the last lines.
                                    let ran = JobStatus { phase: Phase::Running, ..(*status).clone() };
                                    self.heed(entry, run, &ran).await;
                                    Some(Box::pin(log.drain(ended(&status))) as BoxFuture<_>)
                                }
                                None if with_agent => self.left_behind(entry, run, cloud, &status),
                                None => None,
                            };
                            if let Some(rest) = rest {
                                ending = Some((rest, status));
                                continue;
                            }
                        }
                        self.heed(entry, run, &status).await;
                    }
                },
                () = over_with(&mut ending) => {
                    if let Some((_, status)) = ending.take() {
                        self.heed(entry, run, &status).await;
                    }
                }
                () = at(overdue) => {
                    overdue = None;
                    if starting(entry) && !*run.line.borrow() {
                        cloud.forget(self.registry.as_ref(), &entry.spec).await;
                        let message = self.no_agent().message;
                        self.report(entry, Event::StartFailed { generation: run.generation(), message }).await;
                    }
                }
                () = at(unanswered.map(|(until, _)| until)) => {
                    if let Some((_, generation)) = unanswered.take()
                        && starting(entry)
                    {
                        if run.furnishing.load(Ordering::SeqCst) {
                            unanswered = Some((Instant::now() + tuning::SUCCEED_PATIENCE, generation));
                            continue;
                        }
                        tracing::warn!(run = %run.id(generation), "the agent of the last run does not answer");
                        self.report(entry, Event::Unanswered { generation }).await;
                    }
                }
                (generation, until) = &mut linger => {
                    self.report(entry, Event::LingerOver { generation, until }).await;
                    linger = Box::pin(self.lingered(entry, run));
                }
                () = &mut lost => {
                    self.give_up(entry, run).await;
                    lost = Box::pin(self.lost(entry, run));
                }
            }
        }
        cloud.poller.unwatch_for(&handle.name, run);
    }

    /// Has the agent of the run `from` do another one. False when that is no more to be waited for.
    async fn start_in_place(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        run: &Arc<Run>,
        from: u32,
        generation: u32,
        published: bool,
    ) -> bool {
        if !published && let Err(error) = self.make_ready(entry, generation).await {
            self.report(entry, Event::StartFailed { generation, message: error.message }).await;
            return false;
        }
        let events = self.listener(run);
        let Err(error) = run.succeed(self.link.as_ref(), from, generation, events).await else { return true };
        tracing::warn!(run = %run.id(generation), %error, "the agent of the last run is not there");
        self.report(entry, Event::Unanswered { generation }).await;
        false
    }

    /// Who hears what the agent of a run says.
    fn listener(&self, run: &Arc<Run>) -> Arc<dyn AgentEvents> {
        match run.seat() {
            Some(seat) => Arc::clone(seat) as _,
            None => Agents::events(self.weak(), run),
        }
    }

    /// Keeps what the agent of a job that has ended did not deliver, as far as the cloud's log has it; none when that is
    /// nobody's. In a pod's job the cloud does not say whose output is whose. Whoever wants the container to stop, and a
    /// restart policy, do not wait for it.
    fn left_behind(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        run: &Arc<Run>,
        cloud: &Arc<Cloud>,
        status: &JobStatus,
    ) -> Option<BoxFuture<'static, ()>> {
        let generation = run.generation();
        let runs = move |view: &Arc<View>| {
            let state = &view.state;
            let is_stopped = state.stop.as_ref().is_some_and(|stop| stop.requested || stop.killed);
            state.phase == life::Phase::Running && state.generation == generation && !is_stopped
        };
        let restarts = entry.view().spec.restart_policy() != life::Policy::No;
        if run.seat().is_some() || restarts || !runs(&entry.view()) {
            return None;
        }
        let mut log = CloudLog::of_agent(run.id(generation), run.host.generation, status.handle.clone());
        let (engine, cloud, run, since) = (self.weak(), Arc::clone(cloud), Arc::clone(run), ended(status));
        let mut view = entry.subscribe();
        Some(Box::pin(async move {
            // What is under way on the line comes first, and the end with it in most cases. The senders live as long as the entry and
            // the run.
            let mut line = run.line.subscribe();
            let reported = async { drop(view.wait_for(|view| !runs(view)).await) };
            let read = async {
                let _ = line.wait_for(|up| !up).await;
                if let Some(engine) = engine.upgrade() {
                    log.drain(&engine, &cloud, since).await;
                }
            };
            tokio::select! {
                biased;
                () = reported => {}
                () = read => {}
            }
        }))
    }

    async fn heed(&self, entry: &Arc<Entry>, run: &Run, status: &JobStatus) {
        let mut report = Report::from(status);
        let was_live = entry.view().state.is_live();
        // The exit code of a job is that of its first container.
        if let (Report::Ended { end, .. }, Some(1..)) = (&mut report, run.seat().map(|seat| seat.index)) {
            end.exit_code = None;
            end.term_signal = None;
            // So is its success: the process of any other that still ran was killed with the job.
            if was_live && end.phase == Phase::Succeeded {
                end.phase = Phase::Failed;
            }
        }
        let ended = matches!(report, Report::Ended { .. });
        self.report(entry, Event::Cloud { generation: run.generation(), report }).await;
        if ended && was_live && !entry.view().state.is_live() {
            self.volumes_lost(entry).await;
        }
    }

    /// Waits until the agent of an ended run has lingered long enough: as long as others run in the same job, it costs
    /// nothing and stays.
    async fn lingered(&self, entry: &Entry, run: &Run) -> (u32, Timestamp) {
        loop {
            let over = lingered(entry).await;
            let Some(seat) = run.seat() else { return over };
            let mut view = entry.subscribe();
            let before = view.borrow_and_update().state.linger;
            tokio::select! {
                () = seat.pod.quiet(self) => return over,
                // It was started again, or is to stay longer.
                _ = view.wait_for(|view| view.state.linger != before) => {}
            }
        }
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
            ErrorKind::Internal,
            format!(
                "the container's job runs, but its agent did not connect to {url} within {} seconds: \
                 check that the callback address can be reached from the cloud",
                self.options.agent_patience.as_secs()
            ),
        )
    }
}

/// Whether the cloud says of an ended job that its process ran.
fn has_run(status: &JobStatus) -> bool {
    status.exit_code.is_some() || status.term_signal.is_some() || status.phase == Phase::Succeeded
}

async fn over_with(ending: &mut Option<(BoxFuture<'static, ()>, Box<JobStatus>)>) {
    match ending {
        Some((rest, _)) => rest.await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits until the agent of an ended run has lingered long enough.
async fn lingered(entry: &Entry) -> (u32, Timestamp) {
    let mut view = entry.subscribe();
    loop {
        let (generation, until) = {
            let state = &view.borrow_and_update().state;
            let until = state.linger.filter(|linger| !linger.saving).and_then(|linger| linger.until);
            (state.serves, until)
        };
        let Some(until) = until else {
            // The sender lives as long as the entry.
            let _ = view.changed().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep(times::left(until)) => return (generation, until),
            _ = view.changed() => {}
        }
    }
}
