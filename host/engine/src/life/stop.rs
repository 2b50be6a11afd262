//! What ends a run, or holds it: stop, kill, pause.

use jiff::{SignedDuration, Timestamp};

use super::{
    Announcement, Effect, Linger, Phase, Refused, Stop,
    step::{Life, SIGKILL, stopped},
};

/// What the kernel does not end a process for: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];

impl Life<'_> {
    /// A client wants it to end. `grace` in seconds, none for ever.
    pub fn stop(&mut self, signal: i32, grace: Option<u64>, restart: bool) -> Result<(), Refused> {
        match self.state.phase {
            Phase::Starting | Phase::Running | Phase::Restarting => {
                self.state.restarts.stopped = true;
                self.state.restarts.cancelled = true;
            }
            _ => return Err(Refused::NotRunning),
        }
        match self.state.phase {
            Phase::Starting if self.state.in_place() => self.note_stop(signal, grace, restart, true),
            Phase::Starting => {
                self.end_unstarted(stopped("it was stopped before its process ran"), false);
            }
            Phase::Restarting => {
                self.give_up(restart);
                self.announce(Announcement::Stop);
            }
            _ => self.stop_process(signal, grace, restart),
        }
        Ok(())
    }

    fn stop_process(&mut self, signal: i32, grace: Option<u64>, restart: bool) {
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
            unsent: None,
        });
        self.send(signal, grace.unwrap_or(u64::MAX));
        self.thaw();
        if let (false, Some(deadline)) = (killed, asked) {
            self.effects.push(Effect::AwaitGrace { generation: self.state.generation, deadline });
        }
    }

    /// A client sends a signal.
    pub fn kill(&mut self, signal: i32) -> Result<(), Refused> {
        let harmless = HARMLESS.contains(&signal);
        let for_good = self.rules.ends_for_good(signal);
        match self.state.phase {
            Phase::Starting if harmless => return Err(Refused::NotRunning),
            Phase::Running if harmless && !self.state.agent => return Err(Refused::NeedsAgent),
            Phase::Starting | Phase::Running | Phase::Restarting => {
                self.state.restarts.stopped = true;
                self.state.restarts.cancelled |= for_good;
            }
            _ => return Err(Refused::NotRunning),
        }
        match self.state.phase {
            Phase::Starting if self.state.in_place() => self.note_stop(signal, None, false, false),
            Phase::Starting => {
                self.end_unstarted(stopped("it was killed before its process ran"), false);
            }
            Phase::Restarting if for_good => self.give_up(false),
            Phase::Restarting => {}
            _ => {
                if signal == SIGKILL {
                    self.mark_killed();
                }
                self.send(signal, 0);
                if for_good {
                    self.thaw();
                }
            }
        }
        Ok(())
    }

    /// The agent may have started the process in this very moment: what is asked for waits for its word, which comes soon.
    fn note_stop(&mut self, signal: i32, grace: Option<u64>, restart: bool, requested: bool) {
        let stop = self.state.stop.get_or_insert(Stop {
            deadline: None,
            killed: false,
            requested: false,
            restart: false,
            unsent: None,
        });
        stop.requested |= requested;
        stop.restart |= restart;
        // SIGKILL outdoes what came before, and nothing outdoes SIGKILL.
        if stop.unsent.is_none_or(|(before, _)| before != SIGKILL) {
            stop.unsent = Some((signal, grace));
        }
    }

    /// Does what was asked for while the start was under way.
    pub fn catch_up(&mut self) {
        let Some(stop) = self.state.stop.clone() else { return };
        let Some((signal, grace)) = stop.unsent else { return };
        if stop.requested {
            self.stop_process(signal, grace, stop.restart);
            return;
        }
        self.state.stop = None;
        if signal == SIGKILL {
            self.mark_killed();
        }
        self.send(signal, 0);
    }

    /// No further automatic start. As in dockerd no event tells of a signal that nothing got.
    fn give_up(&mut self, restart: bool) {
        self.state.phase = Phase::Exited;
        self.state.restarts.due = None;
        let stay = if restart { self.rules.restart_hold } else { self.rules.linger };
        if let Some(linger) = self.state.linger.as_mut().filter(|linger| !linger.saving) {
            *linger = Linger { until: Some(self.now.checked_add(stay).unwrap_or(self.now)), saving: false };
        }
        if self.state.resized {
            self.save(self.state.serves);
        }
    }

    /// Time is up after a stop.
    pub fn grace_over(&mut self, until: Timestamp) {
        // By the deadline that the timer was set for and not by the clock, which may be set back.
        // An earlier deadline since then has had a timer of its own.
        let due = self.state.stop.as_ref().is_some_and(|stop| {
            !stop.killed && stop.unsent.is_none() && stop.deadline.is_some_and(|deadline| deadline <= until)
        });
        if due {
            self.mark_killed();
            self.send(SIGKILL, 0);
        }
    }

    fn send(&mut self, signal: i32, grace: u64) {
        let generation = self.state.generation;
        self.announce(Announcement::Kill { signal });
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
            unsent: None,
        });
        stop.killed = true;
    }

    /// A client wants its processes frozen. They are once this is kept.
    pub fn pause(&mut self) -> Result<(), Refused> {
        match self.state.phase {
            Phase::Running if self.state.paused => Err(Refused::Paused),
            Phase::Running if !self.state.agent => Err(Refused::NeedsAgent),
            Phase::Running => {
                self.state.paused = true;
                Ok(())
            }
            Phase::Restarting => Err(Refused::Restarting),
            Phase::Removed => Err(Refused::Removed),
            _ => Err(Refused::NotRunning),
        }
    }

    /// Its processes go on, or were never frozen.
    pub fn resume(&mut self, quiet: bool) {
        if std::mem::take(&mut self.state.paused) && !quiet {
            self.announce(Announcement::Unpause);
        }
    }

    /// What has been asked to end must be able to.
    fn thaw(&mut self) {
        if self.state.paused {
            self.effects.push(Effect::Thaw { generation: self.state.generation });
            self.resume(false);
        }
    }
}

fn deadline(now: Timestamp, grace: u64) -> Option<Timestamp> {
    now.checked_add(SignedDuration::from_secs(i64::try_from(grace).ok()?)).ok()
}
