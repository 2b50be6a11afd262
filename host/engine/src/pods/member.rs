//! A member's run: what differs from that of a container with a job of its own.

use std::sync::Arc;

use sockerless_ports::{backend::Phase, link::RunId};

use super::Seat;
use crate::{
    Engine, Result,
    containers::Entry,
    life::{self, CloudEnd, Event, Report},
    supervisor::{Attempt, Orders, Over, Run, not_alone, pass_signals},
    tuning,
};

impl Engine {
    /// Has the agent of a place do what its container wants, as long as that wants anything. `known`: an earlier daemon began.
    pub(crate) async fn look_after_seat(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        run: &Arc<Run>,
        (seat, known): (&Arc<Seat>, bool),
        orders: Orders,
        mut over: Over,
    ) -> Attempt {
        let Orders { commands, signals } = orders;
        let alone = tokio::select! {
            biased;
            () = over.wait() => return Attempt::None,
            alone = tokio::time::timeout(tuning::START_PATIENCE, self.alone(run)) => alone,
        };
        let fail = |message| Event::StartFailed { generation: run.generation(), message };
        if alone.is_err() {
            self.report(entry, fail(not_alone().message)).await;
            return Attempt::None;
        }
        seat.sit(run);
        if known {
            self.take_up(entry, run.generation());
        }
        self.spawn(pass_signals(Arc::clone(&self.link), signals));
        let up = tokio::select! {
            biased;
            () = over.wait() => return Attempt::None,
            up = seat.pod.up() => up,
        };
        let handle = match up {
            Ok(handle) => handle,
            Err(message) => {
                self.report(entry, fail(message)).await;
                // Of no effect if its process runs already.
                over.wait().await;
                return Attempt::None;
            }
        };
        match self.cloud(&seat.pod.backend) {
            Ok(cloud) => {
                let cloud = Arc::clone(cloud);
                self.attend(entry, run, &cloud, handle, commands, over).await;
            }
            Err(error) => {
                tracing::error!(job = seat.pod.job, %error, "a job's backend is not configured any more; its agents may still report");
                over.wait().await;
            }
        }
        Attempt::None
    }

    /// A member has no more use for its place. Its agent is kept as long as the job.
    pub(crate) async fn rise(self: &Arc<Self>, run: &Arc<Run>) {
        let Some(seat) = run.seat() else { return };
        let name = run.id(run.generation());
        if *run.busy.borrow() {
            self.kill_unseen(name);
        }
        self.runs.remove(run);
        if !seat.last_runner().is_some_and(|last| Arc::ptr_eq(&last, run)) {
            // It never sat there: the end of the pod does not tell of it.
            self.runs.leave(run);
        }
        seat.rise();
    }

    /// Nobody has seen the end of a process, which shall have one.
    pub(super) fn kill_unseen(self: &Arc<Self>, name: RunId) {
        let link = Arc::clone(&self.link);
        self.spawn(async move {
            // An error says that the process, or the pod, was faster.
            let _ = link.signal(&name, 9).await;
        });
    }

    /// Keeps what the places of a container in pods' jobs know of their agents, before its record and its log are gone.
    pub(crate) async fn keep_seats(&self, container: &str) -> Result<()> {
        for seat in self.pods.seats_of(container) {
            seat.keep(self).await?;
        }
        Ok(())
    }

    /// Whether others need the same job.
    pub(crate) fn is_shared(&self, run: &Run) -> bool {
        run.seat().is_some_and(|seat| seat.pod.has_others(self, seat.index))
    }

    /// The agent of a member does not answer, and its job cannot be ended for that.
    pub(crate) async fn give_up(&self, entry: &Arc<Entry>, run: &Run) {
        let end = CloudEnd {
            phase: Phase::Failed,
            exit_code: None,
            term_signal: None,
            reason: String::new(),
            message: "the container's agent does not answer, and others of its pod need the same job".into(),
        };
        let report = Report::Ended { since: None, end };
        let generation = run.generation();
        self.report(entry, Event::Cloud { generation, report }).await;
        if entry.view().state.is_live() {
            // Its line is up, and would be waited for: nobody asks it any more.
            self.report(entry, Event::Line { generation, up: false }).await;
        }
    }

    /// Waits until an agent can be taken for lost: its line is down for long, and those of others in the same job are not.
    /// The cloud does not tell of the end of one container among several.
    pub(crate) async fn lost(&self, entry: &Entry, run: &Run) {
        let Some(seat) = run.seat() else { return std::future::pending().await };
        let state = &entry.view().state;
        if state.phase == life::Phase::Starting && !state.in_place() {
            // The first connection is awaited elsewhere.
            seat.line_is(true).await;
        }
        loop {
            seat.line_is(false).await;
            let back = tokio::time::timeout(tuning::MEMBER_LOST, seat.line_is(true)).await;
            if back.is_err() && self.pods.any_connected(&seat.pod, seat.index) {
                return;
            }
        }
    }
}
