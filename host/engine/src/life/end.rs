//! How a run ends, and what comes next.

use std::sync::Arc;

use jiff::Timestamp;
use sockerless_ports::{
    backend,
    link::request::{Health, HealthStatus},
};

use super::{
    Announcement, CloudEnd, Effect, Failure, FailureKind, Linger, Phase, Restarts,
    step::Life,
    verdict::{Verdict, describe, verdict},
};

const LOST: &str = "the container's job ended before what the container had changed in its file system was saved: the next \
                    start begins without it";

/// What becomes of a container whose run is over.
enum Next {
    Removal,
    Restart(Restarts),
    /// Nothing, or the start that follows a client's `restart`.
    Rest {
        restart: bool,
    },
}

impl Life<'_> {
    /// Ends by the cloud's word alone.
    pub fn conclude(&mut self, end: &CloudEnd, since: Option<Timestamp>) {
        if self.state.phase == Phase::Starting {
            if self.state.in_place() {
                return self.relaunch();
            }
            // Without an agent a code proves that the process ran; with one it is the agent's.
            let ran = !self.state.agent && (end.exit_code.is_some() || end.term_signal.is_some());
            if !ran && (self.state.agent || end.phase != backend::Phase::Succeeded) {
                let why = if self.state.agent {
                    format!("the container's job ended before its agent connected: {}", describe(end))
                } else {
                    describe(end)
                };
                let failure = Failure { kind: FailureKind::Cloud, code: 128, message: why };
                return self.end_unstarted(failure, false);
            }
            self.launched(0, since.unwrap_or(self.now));
        }
        let killed = self.state.stop.as_ref().is_some_and(|stop| stop.killed);
        self.end(verdict(end, killed), false);
    }

    /// The process has ended. `there`: its agent says so, and can stay.
    pub fn end(&mut self, verdict: Verdict, there: bool) {
        let stop = self.state.stop.take();
        let restart = stop.as_ref().is_some_and(|stop| stop.restart);
        let seconds =
            self.state.started.map_or(0, |started| self.now.duration_since(started).as_secs().max(0));
        self.state.exited = self.state.generation;
        self.state.finished = Some(self.now);
        self.state.exit_code = verdict.code;
        self.state.last_exit_code = verdict.code;
        self.state.out_of_memory = verdict.out_of_memory;
        self.state.error = verdict.error;
        if let Some(health) = &mut self.state.health {
            // As dockerd: nobody looks any more.
            *health = Arc::new(Health { status: HealthStatus::Unhealthy, ..(**health).clone() });
        }
        let again = self.rules.restart.after_end(verdict.code, seconds, self.now, &self.state.restarts);
        let next = match again {
            _ if restart => Next::Rest { restart },
            Some(restarts) => Next::Restart(restarts),
            None if self.rules.auto_remove => Next::Removal,
            None => Next::Rest { restart },
        };
        self.over(&next, Phase::Exited, there);
        if verdict.out_of_memory {
            self.announce(Announcement::OutOfMemory);
        }
        self.announce(Announcement::Die { code: verdict.code, seconds });
        if stop.is_some_and(|stop| stop.requested) {
            self.announce(Announcement::Stop);
        }
        self.go_on(next);
    }

    /// The process never ran. `there`: the agent of an earlier run can stay.
    pub fn end_unstarted(&mut self, failure: Failure, there: bool) {
        if self.state.phase != Phase::Starting {
            return;
        }
        let automatic = self.state.restarts.automatic;
        // A user's wish is no failure: what is shown stays as it was before the policy's attempt.
        if !(automatic && failure.kind == FailureKind::Stopped) {
            self.state.exit_code = failure.code;
            self.state.error.clone_from(&failure.message);
        }
        self.state.last_exit_code = self.state.exit_code;
        let again = match failure.kind {
            // A cloud that is down now is up again later; dockerd knows no such thing and gives up.
            FailureKind::Cloud if automatic => {
                self.rules.restart.after_end(failure.code, 0, self.now, &self.state.restarts)
            }
            _ => None,
        };
        let next = match again {
            Some(restarts) => Next::Restart(restarts),
            None if self.rules.auto_remove => Next::Removal,
            None => Next::Rest { restart: false },
        };
        if failure.kind == FailureKind::Stopped {
            self.state.exited = self.state.generation;
        }
        self.state.failure = Some(failure);
        self.over(&next, if self.state.launched == 0 { Phase::Created } else { Phase::Exited }, there);
        self.go_on(next);
    }

    fn over(&mut self, next: &Next, rest: Phase, there: bool) {
        let (host, generation) = (self.state.host, self.state.generation);
        self.state.ended = generation;
        self.state.pid = 0;
        self.state.stop = None;
        self.state.cloud_end = None;
        self.state.paused = false;
        self.state.restarts.automatic = false;
        let in_time = |stay| Some(self.now.checked_add(stay).unwrap_or(self.now));
        let (phase, until) = match next {
            Next::Removal => (Phase::Removing, None),
            Next::Restart(_) => (Phase::Restarting, None),
            Next::Rest { restart: true } => (rest, in_time(self.rules.restart_hold)),
            Next::Rest { restart: false } => (rest, in_time(self.rules.linger)),
        };
        self.state.phase = phase;
        let stays = there && self.state.agent && phase != Phase::Removing;
        self.state.linger = stays.then_some(Linger { until, saving: false });
        if !stays && self.state.agent && self.state.launched >= self.state.host {
            LOST.clone_into(&mut self.state.unsaved);
        }
        self.effects.push(Effect::FinishLog { generation });
        if !stays {
            self.effects.push(Effect::Release { host });
        }
    }

    fn go_on(&mut self, next: Next) {
        let generation = self.state.generation;
        match next {
            Next::Removal => self.effects.push(Effect::Erase),
            Next::Restart(restarts) => {
                if let Some(due) = restarts.due {
                    self.effects.push(Effect::AwaitRestart { generation, due });
                }
                self.state.restarts = restarts;
            }
            Next::Rest { .. } if self.state.resized => self.save(self.state.serves),
            Next::Rest { .. } => {}
        }
    }
}
