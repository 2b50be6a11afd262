//! Carries out what a life demands: one task for each live container, one poller for each
//! backend, and the agents' reports. Every change of a container goes through [`Engine::apply`].

mod agents;
mod announce;
mod attend;
mod cloud;
mod cloud_logs;
mod delivery;
mod erase;
mod freeze;
mod intent;
mod kept;
mod launch;
mod linger;
mod poll;
mod prepare;
mod retire;
mod retry;
mod run;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sockerless_ports::link::RunId;

pub(crate) use agents::Agents;
pub(crate) use cloud::Cloud;
pub(crate) use delivery::{AGENT, Delivery};
pub(crate) use erase::LOG_NOTE;
pub(crate) use intent::{Intent, Ledger, SeatRecord};
pub(crate) use launch::{From, Over, not_alone};
pub(crate) use prepare::{Member, cpu_millis, job_name, labels};
pub(crate) use retire::Attempt;
pub(crate) use run::{Command, Orders, Run, Runs, pass_signals};

use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{ContainerRecord, Entry, View, log_bounds},
    life::{self, Effect, Event, Refused, Shared},
    times, tuning,
};

/// Why an event changed nothing.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// The state forbids it.
    Refused(Refused),
    /// It could not be kept.
    Failed(Error),
}

impl Engine {
    /// Lets an event happen to a container: the change is durable when this returns. The work is
    /// completed even if the caller goes away.
    pub(crate) async fn apply(
        &self,
        entry: &Arc<Entry>,
        event: Event,
    ) -> std::result::Result<Arc<View>, Rejection> {
        let work = async {
            let engine = self.shared()?;
            let entry = Arc::clone(entry);
            // Boxed with its type, since effects lead to further events: the compiler cannot see through a circle.
            let work: BoxFuture<'static, _> =
                Box::pin(async move { Ok(engine.happen(&entry, &event).await) });
            self.complete(work).await
        };
        work.await.unwrap_or_else(|error| Err(Rejection::Failed(error)))
    }

    /// Lets something happen that the world has done already: what the store cannot take now is
    /// tried again, since it cannot be asked to happen again.
    pub(crate) async fn report(&self, entry: &Arc<Entry>, event: Event) {
        while let Err(Rejection::Failed(error)) = self.apply(entry, event.clone()).await {
            tracing::error!(container = entry.id(), %error, "a change of state could not be kept");
            if self.closing().is_cancelled() {
                return;
            }
            tokio::time::sleep(tuning::BACKOFF.1).await;
        }
    }

    /// Keeps why what a container changed could not be brought back to others, or that it was (no problem).
    /// Boxed since starts lead here, and from here to starts.
    pub(crate) fn report_returned<'a>(
        &'a self,
        entry: &'a Arc<Entry>,
        what: Shared,
        problem: String,
    ) -> BoxFuture<'a, ()> {
        Box::pin(self.report(entry, Event::Returned { what, problem }))
    }

    async fn happen(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        event: &Event,
    ) -> std::result::Result<Arc<View>, Rejection> {
        let _gate = entry.gate.lock().await;
        let before = entry.view();
        let rules = before.spec.rules(&self.options);
        let (state, effects) =
            life::step(&before.state, &rules, event, Timestamp::now()).map_err(Rejection::Refused)?;
        self.begin_logs(entry, &effects).await.map_err(Rejection::Failed)?;
        if state.durable() != before.state.durable() {
            let kept = match ContainerRecord::put(&before.spec, &before.name, &state) {
                Ok(change) => self.commit(vec![change]).await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                self.undo_logs(entry, &effects).await;
                return Err(Rejection::Failed(error));
            }
        }
        // Free before anybody hears of the end: they may want the same port.
        if state.ended > before.state.ended {
            self.unpublish(entry.id(), state.ended).await;
        }
        let left = self.leave_networks(entry, &before.state, &state, &effects);
        let view =
            if state == before.state { before } else { entry.publish(View { state, ..(*before).clone() }) };
        self.pods.poke(entry.id());
        self.networks_changed(left);
        for effect in effects {
            self.carry_out(entry, &view, effect).await;
        }
        Ok(view)
    }

    /// Opens the log for a run, or goes on with it. Options that cannot be used stop the start in due course.
    pub(crate) async fn begin_log(&self, entry: &Entry, generation: u32) -> Result<()> {
        let bounds = log_bounds(&entry.spec).unwrap_or_default();
        Ok(self.logs.begin(&run_id(entry, generation), bounds).await?)
    }

    async fn begin_logs(&self, entry: &Entry, effects: &[Effect]) -> Result<()> {
        for effect in effects {
            if let Effect::BeginLog { generation } = effect {
                self.begin_log(entry, *generation).await?;
            }
        }
        Ok(())
    }

    async fn undo_logs(&self, entry: &Entry, effects: &[Effect]) {
        for effect in effects {
            if let Effect::BeginLog { generation } = effect {
                self.finish_log(&run_id(entry, *generation)).await;
            }
        }
    }

    pub(crate) async fn finish_log(&self, run: &RunId) {
        if let Err(error) = self.logs.finish(run).await {
            tracing::warn!(%run, %error, "a log could not be closed");
        }
    }

    /// Nothing here waits for a cloud or for an agent: the gate is held.
    async fn carry_out(self: &Arc<Self>, entry: &Arc<Entry>, view: &Arc<View>, effect: Effect) {
        match effect {
            Effect::BeginLog { .. } => {}
            Effect::Launch { generation } => {
                self.supervise(
                    Arc::clone(entry),
                    run_id(entry, generation),
                    generation,
                    From::Nothing,
                    false,
                );
            }
            Effect::Succeed { host, from, generation } => match self.runs.host(&run_id(entry, host)) {
                Some(run) => run.command(Command::Succeed { from, generation, published: false }),
                None => self.later(entry, Duration::ZERO, Event::Unanswered { generation }),
            },
            Effect::Signal { generation, signal } => {
                let id = run_id(entry, generation);
                if let Some(run) = self.runs.get(&id) {
                    run.signal(id, signal);
                }
            }
            Effect::Save { generation } => self.save(entry, generation),
            Effect::Thaw { generation } => self.thaw_to_end(entry, generation),
            Effect::AwaitRestart { generation, due } => {
                let agent = self.link.callback_url().is_some();
                self.later(entry, times::left(due), Event::RestartDue { generation, agent });
            }
            Effect::AwaitGrace { generation, deadline } => {
                self.later(entry, times::left(deadline), Event::GraceOver { generation, deadline });
            }
            Effect::AwaitKill { generation } => {
                self.overdue(entry, generation);
            }
            Effect::StopJob { generation, grace } => {
                if let Some(run) = self.runs.get(&run_id(entry, generation)) {
                    run.command(Command::Stop { grace });
                }
            }
            Effect::FinishLog { generation } => self.finish_log(&run_id(entry, generation)).await,
            // The job's own task sees that it is not needed any more.
            Effect::Release { .. } => {}
            Effect::Announce(announcement) => self.announce(entry, view, &announcement),
            Effect::Erase => {
                let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
                self.spawn(engine.erase(entry));
            }
        }
    }

    /// Tells when SIGKILL should have worked. It may have, and what the container changed is being brought back.
    pub(crate) fn overdue(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) {
        let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
        self.spawn(async move {
            tokio::time::sleep(tuning::KILL_PATIENCE).await;
            engine.volumes_settled(entry.id()).await;
            entry.returning.over().await;
            // The end is told right after that.
            tokio::time::sleep(tuning::BACKOFF.0).await;
            engine.report(&entry, Event::KillOverdue { generation }).await;
        });
    }

    /// An event after some time, unless the engine is closed before.
    pub(crate) fn later(self: &Arc<Self>, entry: &Arc<Entry>, delay: Duration, event: Event) {
        let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
        self.spawn(async move {
            tokio::time::sleep(delay).await;
            engine.report(&entry, event).await;
        });
    }
}

/// The run of a container's generation.
pub(crate) fn run_id(entry: &Entry, generation: u32) -> RunId {
    RunId { container: entry.id().to_owned(), generation }
}

/// The run whose process, or whose agent at least, is there. Errors: 409.
pub(crate) fn present_run(entry: &Entry) -> Result<RunId> {
    let state = entry.view().state.clone();
    if !(state.pid > 0 || state.linger.is_some_and(|linger| !linger.saving)) {
        let message = format!("container {} is not running", entry.id());
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    Ok(run_id(entry, state.serves.max(state.generation)))
}
