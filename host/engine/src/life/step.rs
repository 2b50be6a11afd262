//! The transition.

use jiff::Timestamp;

use super::{
    Announcement, Effect, Event, Failure, FailureKind, Phase, Refused, Report, Rules, Shared, State,
    verdict::{KILLED, UNKNOWN, Verdict},
};

pub(super) const SIGKILL: i32 = 9;

/// What comes next: the state, and what to do in this order.
pub(crate) type Step = (State, Vec<Effect>);

/// One step of a life at the time `now`.
/// Errors: a client's wish that the state forbids; what the world reports is never refused.
pub(crate) fn step(state: &State, rules: &Rules, event: &Event, now: Timestamp) -> Result<Step, Refused> {
    let mut life = Life { state: state.clone(), effects: Vec::new(), rules, now };
    match event {
        Event::Start { agent } => life.start(*agent)?,
        Event::Stop { signal, grace, restart } => life.stop(*signal, *grace, *restart)?,
        Event::Kill { signal } => life.kill(*signal)?,
        Event::Pause => life.pause()?,
        Event::Resized => life.resized(),
        Event::Returned { what, problem } => life.returned(*what, problem),
        Event::Remove => life.remove()?,
        Event::EraseFailed { message } => {
            if state.phase == Phase::Removing {
                life.state.phase = Phase::Dead;
                life.state.error.clone_from(message);
            }
        }
        Event::Line { generation, up } => life.line(*generation, *up),
        Event::Published { generation, .. }
        | Event::Joined { generation, .. }
        | Event::Resume { generation, .. }
        | Event::Health { generation, .. }
        | Event::Launched { generation, .. }
        | Event::LaunchFailed { generation, .. }
        | Event::StartFailed { generation, .. }
        | Event::Unanswered { generation }
        | Event::Exited { generation, .. }
        | Event::Cloud { generation, .. }
        | Event::GraceOver { generation, .. }
        | Event::KillOverdue { generation }
        | Event::Abandon { generation }
        | Event::Interrupted { generation }
        | Event::RestartDue { generation, .. }
        | Event::LingerOver { generation, .. }
        | Event::Leaving { generation }
        | Event::Saved { generation, .. } => {
            if state.is_live() {
                if state.generation == *generation {
                    life.report(event);
                }
            } else if [state.generation, state.serves].contains(generation) {
                life.afterwards(event);
            }
        }
    }
    Ok((life.state, life.effects))
}

pub(super) struct Life<'a> {
    pub state: State,
    pub effects: Vec<Effect>,
    pub rules: &'a Rules,
    pub now: Timestamp,
}

impl Life<'_> {
    pub fn announce(&mut self, announcement: Announcement) {
        self.effects.push(Effect::Announce(announcement));
    }

    fn remove(&mut self) -> Result<(), Refused> {
        match self.state.phase {
            Phase::Created | Phase::Exited | Phase::Dead => {
                self.state.phase = Phase::Removing;
                self.let_go();
                self.effects.push(Effect::Erase);
                Ok(())
            }
            Phase::Running if self.state.paused => Err(Refused::Paused),
            Phase::Starting | Phase::Running => Err(Refused::Running),
            Phase::Restarting => Err(Refused::Restarting),
            Phase::Removing => Err(Refused::Removing),
            Phase::Removed => Err(Refused::Removed),
        }
    }

    fn returned(&mut self, what: Shared, problem: &str) {
        // Nobody can ask any more, and the record may be gone already.
        if matches!(self.state.phase, Phase::Removing | Phase::Removed) {
            return;
        }
        let told = match what {
            Shared::Volumes => &mut self.state.unreturned.volumes,
            Shared::Binds => &mut self.state.unreturned.binds,
        };
        problem.clone_into(told);
    }

    fn line(&mut self, generation: u32, up: bool) {
        if self.state.generation != generation {
            return;
        }
        self.state.line = up;
        if up || !self.state.is_live() {
            return;
        }
        // The agent went without a word, and the job is over: it will not come back.
        if let Some(end) = self.state.cloud_end.take() {
            self.conclude(&end, None);
        }
    }

    /// What the world says of the living generation.
    fn report(&mut self, event: &Event) {
        let generation = self.state.generation;
        match event {
            Event::Published { ports, .. } => self.state.ports.clone_from(ports),
            Event::Joined { joined, .. } => self.state.joined.clone_from(joined),
            Event::Launched { pid, .. } => {
                // The line is the old run's: that of this one may not have been told of.
                self.state.line |= self.state.in_place();
                self.launched(*pid, self.now);
                self.catch_up();
            }
            Event::LaunchFailed { code, message, .. } => {
                let failure = Failure { kind: FailureKind::Launch, code: *code, message: message.clone() };
                self.state.serves = generation;
                // An agent in whose job something has run has files that are worth to be kept.
                self.end_unstarted(failure, self.state.launched >= self.state.host);
            }
            // Of a start in place its agent has not heard yet.
            Event::StartFailed { message, .. } => {
                self.end_unstarted(cloud(message.clone()), self.state.in_place())
            }
            Event::Unanswered { .. } => self.relaunch(),
            Event::Exited { exit, .. } => {
                self.launched(0, self.now);
                let verdict =
                    Verdict { code: exit.code, out_of_memory: exit.out_of_memory, error: String::new() };
                self.end(verdict, true);
            }
            Event::Cloud { report, .. } => match report {
                Report::Pending => {}
                Report::Running { since } => {
                    if !self.state.agent {
                        self.launched(0, since.unwrap_or(self.now));
                    }
                }
                Report::Ended { end, .. } if self.state.agent && self.state.line => {
                    self.state.cloud_end = Some(end.clone());
                }
                Report::Ended { since, end } => self.conclude(end, *since),
            },
            Event::GraceOver { deadline, .. } => self.grace_over(*deadline),
            Event::KillOverdue { .. } if self.state.stop.as_ref().is_some_and(|stop| stop.killed) => {
                self.effects.push(Effect::StopJob { generation, grace: 0 });
            }
            Event::Health { health, .. } => self.health(health),
            Event::Resume { quiet, .. } => self.resume(*quiet),
            Event::Abandon { .. } => match self.state.phase {
                Phase::Starting => {
                    self.end_unstarted(stopped("it was removed before its process ran"), false);
                }
                _ => {
                    let error = "removed by force before its end was seen".into();
                    self.end(Verdict { code: KILLED, out_of_memory: false, error }, false);
                }
            },
            Event::Interrupted { .. } => match self.state.phase {
                Phase::Starting => {
                    let why = "the daemon ended while the container was being started";
                    self.end_unstarted(cloud(why.into()), false);
                }
                _ => {
                    let error = "the exit code is unknown: nothing is known of the container's job".into();
                    self.end(Verdict { code: UNKNOWN, out_of_memory: false, error }, false);
                }
            },
            _ => {}
        }
    }
}

pub(super) fn stopped(message: &str) -> Failure {
    Failure { kind: FailureKind::Stopped, code: KILLED, message: message.to_owned() }
}

/// dockerd's code for a start that failed outside of the container is 128.
fn cloud(message: String) -> Failure {
    Failure { kind: FailureKind::Cloud, code: 128, message }
}
