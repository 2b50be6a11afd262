//! The transition.

use jiff::{SignedDuration, Timestamp};

use super::{
    Announcement, CloudEnd, Effect, Event, Failure, FailureKind, Phase, Refused, Report, State, Stop,
    verdict::{KILLED, UNKNOWN, Verdict, describe, verdict},
};

const SIGKILL: i32 = 9;
/// What the kernel does not end a process for: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];

/// What comes next: the state, and what to do in this order.
pub(crate) type Step = (State, Vec<Effect>);

/// One step of a life at the time `now`. `auto_remove`: the container goes with its end.
/// Errors: a client's wish that the state forbids; what the world reports is never refused.
pub(crate) fn step(state: &State, auto_remove: bool, event: &Event, now: Timestamp) -> Result<Step, Refused> {
    let mut life = Life { state: state.clone(), effects: Vec::new(), auto_remove, now };
    match event {
        Event::Start { agent } => life.start(*agent)?,
        Event::Stop { signal, grace, restart } => life.stop(*signal, *grace, *restart)?,
        Event::Kill { signal } => life.kill(*signal)?,
        Event::Remove => life.remove()?,
        Event::EraseFailed { message } => {
            if state.phase == Phase::Removing {
                life.state.phase = Phase::Dead;
                life.state.error.clone_from(message);
            }
        }
        Event::Line { generation, up } => life.line(*generation, *up),
        Event::Published { generation, .. }
        | Event::Launched { generation, .. }
        | Event::LaunchFailed { generation, .. }
        | Event::StartFailed { generation, .. }
        | Event::Exited { generation, .. }
        | Event::Cloud { generation, .. }
        | Event::GraceOver { generation, .. }
        | Event::KillOverdue { generation }
        | Event::Abandon { generation }
        | Event::Interrupted { generation } => {
            if state.is_live() && state.generation == *generation {
                life.report(event);
            }
        }
    }
    Ok((life.state, life.effects))
}

struct Life {
    state: State,
    effects: Vec<Effect>,
    auto_remove: bool,
    now: Timestamp,
}

impl Life {
    fn start(&mut self, agent: bool) -> Result<(), Refused> {
        match self.state.phase {
            Phase::Created | Phase::Exited => {}
            Phase::Starting | Phase::Running => return Err(Refused::Running),
            Phase::Removing => return Err(Refused::Removing),
            Phase::Dead => return Err(Refused::Dead),
            Phase::Removed => return Err(Refused::Removed),
        }
        let generation = self.state.generation + 1;
        self.state = State {
            phase: Phase::Starting,
            generation,
            agent,
            error: String::new(),
            failure: None,
            stop: None,
            cloud_end: None,
            line: false,
            ..self.state.clone()
        };
        self.effects.extend([Effect::BeginLog { generation }, Effect::Launch { generation }]);
        Ok(())
    }

    fn stop(&mut self, signal: i32, grace: Option<u64>, restart: bool) -> Result<(), Refused> {
        match self.state.phase {
            Phase::Starting => self.end_unstarted(stopped("it was stopped before its process ran")),
            Phase::Running => {
                let asked = grace.and_then(|grace| deadline(self.now, grace));
                let before = self.state.stop.take();
                let killed = signal == SIGKILL || before.as_ref().is_some_and(|stop| stop.killed);
                let earlier = before.as_ref().and_then(|stop| stop.deadline);
                self.state.stop = Some(Stop {
                    deadline: match (earlier, asked) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    },
                    killed,
                    requested: true,
                    restart: restart || before.is_some_and(|stop| stop.restart),
                });
                self.send(signal, grace.unwrap_or(u64::MAX));
                if let (false, Some(deadline)) = (killed, asked) {
                    self.effects.push(Effect::AwaitGrace { generation: self.state.generation, deadline });
                }
            }
            _ => return Err(Refused::NotRunning),
        }
        Ok(())
    }

    fn kill(&mut self, signal: i32) -> Result<(), Refused> {
        let harmless = HARMLESS.contains(&signal);
        match self.state.phase {
            Phase::Starting if !harmless => {
                self.end_unstarted(stopped("it was killed before its process ran"));
            }
            Phase::Running if harmless && !self.state.agent => return Err(Refused::NeedsAgent),
            Phase::Running => {
                if signal == SIGKILL {
                    self.mark_killed();
                }
                self.send(signal, 0);
            }
            _ => return Err(Refused::NotRunning),
        }
        Ok(())
    }

    fn remove(&mut self) -> Result<(), Refused> {
        match self.state.phase {
            Phase::Created | Phase::Exited | Phase::Dead => {
                self.state.phase = Phase::Removing;
                self.effects.push(Effect::Erase);
                Ok(())
            }
            Phase::Starting | Phase::Running => Err(Refused::Running),
            Phase::Removing => Err(Refused::Removing),
            Phase::Removed => Err(Refused::Removed),
        }
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
            Event::Launched { pid, .. } => self.launched(*pid, self.now),
            Event::LaunchFailed { code, message, .. } => {
                let failure = Failure { kind: FailureKind::Launch, code: *code, message: message.clone() };
                self.end_unstarted(failure);
            }
            Event::StartFailed { message, .. } if self.state.phase == Phase::Starting => {
                self.end_unstarted(cloud(message.clone()));
            }
            Event::Exited { exit, .. } => {
                self.launched(0, self.now);
                self.end(Verdict {
                    code: exit.code,
                    out_of_memory: exit.out_of_memory,
                    error: String::new(),
                });
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
            Event::GraceOver { deadline, .. } => {
                // By the deadline that the timer was set for and not by the clock, which may be set back.
                // An earlier deadline since then has had a timer of its own.
                let due = self.state.stop.as_ref().is_some_and(|stop| {
                    !stop.killed && stop.deadline.is_some_and(|until| until <= *deadline)
                });
                if due {
                    self.mark_killed();
                    self.send(SIGKILL, 0);
                }
            }
            Event::KillOverdue { .. } if self.state.stop.as_ref().is_some_and(|stop| stop.killed) => {
                self.effects.push(Effect::StopJob { generation, grace: 0 });
            }
            Event::KillOverdue { .. } => {}
            Event::Abandon { .. } => match self.state.phase {
                Phase::Starting => self.end_unstarted(stopped("it was removed before its process ran")),
                _ => self.end(Verdict {
                    code: KILLED,
                    out_of_memory: false,
                    error: "removed by force before its end was seen".into(),
                }),
            },
            Event::Interrupted { .. } => match self.state.phase {
                Phase::Starting => {
                    self.end_unstarted(cloud("the daemon ended while the container was being started".into()))
                }
                _ => self.end(Verdict {
                    code: UNKNOWN,
                    out_of_memory: false,
                    error: "the exit code is unknown: nothing is known of the container's job".into(),
                }),
            },
            _ => {}
        }
    }

    /// Ends by the cloud's word alone.
    fn conclude(&mut self, end: &CloudEnd, since: Option<Timestamp>) {
        if self.state.phase == Phase::Starting {
            // Without an agent a code proves that the process ran; with one it is the agent's.
            let ran = !self.state.agent && (end.exit_code.is_some() || end.term_signal.is_some());
            if !ran && (self.state.agent || end.phase != sockerless_ports::backend::Phase::Succeeded) {
                let why = if self.state.agent {
                    format!("the container's job ended before its agent connected: {}", describe(end))
                } else {
                    describe(end)
                };
                return self.end_unstarted(cloud(why));
            }
            self.launched(0, since.unwrap_or(self.now));
        }
        let killed = self.state.stop.as_ref().is_some_and(|stop| stop.killed);
        self.end(verdict(end, killed));
    }

    fn launched(&mut self, pid: u32, since: Timestamp) {
        if self.state.phase != Phase::Starting {
            return;
        }
        self.state = State {
            phase: Phase::Running,
            launched: self.state.generation,
            pid,
            started: Some(since),
            exit_code: 0,
            out_of_memory: false,
            error: String::new(),
            ..self.state.clone()
        };
        self.effects.push(Effect::Announce(Announcement::Start));
    }

    fn send(&mut self, signal: i32, grace: u64) {
        let generation = self.state.generation;
        self.effects.push(Effect::Announce(Announcement::Kill { signal }));
        if !self.state.agent {
            let grace = u32::try_from(grace).unwrap_or(u32::MAX);
            self.effects
                .push(Effect::StopJob { generation, grace: if signal == SIGKILL { 0 } else { grace } });
            return;
        }
        self.effects.push(Effect::Signal { generation, signal });
        if signal == SIGKILL {
            self.effects.push(if self.state.line {
                Effect::AwaitKill { generation }
            } else {
                Effect::StopJob { generation, grace: 0 }
            });
        }
    }

    fn mark_killed(&mut self) {
        let stop = self.state.stop.get_or_insert(Stop {
            deadline: None,
            killed: true,
            requested: false,
            restart: false,
        });
        stop.killed = true;
    }

    fn end(&mut self, verdict: Verdict) {
        let stop = self.state.stop.take();
        let restart = stop.as_ref().is_some_and(|stop| stop.restart);
        let seconds =
            self.state.started.map_or(0, |started| self.now.duration_since(started).as_secs().max(0));
        self.over(self.auto_remove && !restart, Phase::Exited);
        self.state.exited = self.state.generation;
        self.state.finished = Some(self.now);
        self.state.exit_code = verdict.code;
        self.state.out_of_memory = verdict.out_of_memory;
        self.state.error = verdict.error;
        if verdict.out_of_memory {
            self.effects.push(Effect::Announce(Announcement::OutOfMemory));
        }
        self.effects.push(Effect::Announce(Announcement::Die { code: verdict.code, seconds }));
        if stop.is_some_and(|stop| stop.requested) {
            self.effects.push(Effect::Announce(Announcement::Stop));
        }
        self.erase_if_removing();
    }

    fn end_unstarted(&mut self, failure: Failure) {
        if self.state.phase != Phase::Starting {
            return;
        }
        self.over(self.auto_remove, if self.state.launched == 0 { Phase::Created } else { Phase::Exited });
        self.state.exit_code = failure.code;
        self.state.error.clone_from(&failure.message);
        if failure.kind == FailureKind::Stopped {
            self.state.exited = self.state.generation;
        }
        self.state.failure = Some(failure);
        self.erase_if_removing();
    }

    fn over(&mut self, remove: bool, phase: Phase) {
        let generation = self.state.generation;
        self.state.phase = if remove { Phase::Removing } else { phase };
        self.state.ended = generation;
        self.state.pid = 0;
        self.state.stop = None;
        self.state.cloud_end = None;
        self.effects.extend([Effect::FinishLog { generation }, Effect::Release { generation }]);
    }

    fn erase_if_removing(&mut self) {
        if self.state.phase == Phase::Removing {
            self.effects.push(Effect::Erase);
        }
    }
}

fn stopped(message: &str) -> Failure {
    Failure { kind: FailureKind::Stopped, code: KILLED, message: message.to_owned() }
}

/// dockerd's code for a start that failed outside of the container is 128.
fn cloud(message: String) -> Failure {
    Failure { kind: FailureKind::Cloud, code: 128, message }
}

fn deadline(now: Timestamp, grace: u64) -> Option<Timestamp> {
    now.checked_add(SignedDuration::from_secs(i64::try_from(grace).ok()?)).ok()
}
