//! How a run begins: in a new job, or in place, by the agent of the last run.

use std::sync::Arc;

use jiff::Timestamp;
use sockerless_ports::link::request::{Health, HealthStatus};

use super::{
    Announcement, Effect, Phase, Refused, Restarts, State,
    step::{Life, stopped},
};

const LOST: &str = "the agent of the last run did not answer, or its job had ended: what the container had changed in its \
                    file system since it was last saved is lost";

impl Life<'_> {
    /// A client wants it to run.
    pub fn start(&mut self, agent: bool) -> Result<(), Refused> {
        match self.state.phase {
            // The agent is about to go, or a start in place would keep the job's old size: the next job has what is saved.
            Phase::Exited if self.state.linger.is_some_and(|linger| linger.saving) => {
                return Err(Refused::Saving);
            }
            Phase::Created | Phase::Exited => {}
            Phase::Running if self.state.paused => return Err(Refused::Paused),
            Phase::Starting | Phase::Running | Phase::Restarting => return Err(Refused::Running),
            Phase::Removing => return Err(Refused::Removing),
            Phase::Dead => return Err(Refused::Dead),
            Phase::Removed => return Err(Refused::Removed),
        }
        self.state.restarts = Restarts::default();
        self.begin(agent);
        Ok(())
    }

    /// The next generation.
    pub fn begin(&mut self, agent: bool) {
        let from = self.state.serves;
        let generation = self.state.generation + 1;
        let in_place = agent && self.state.linger.is_some();
        // Nobody could read what a policy's start would take away a moment later.
        if in_place || !self.state.restarts.automatic {
            self.state.unsaved.clear();
        }
        if !in_place {
            if self.state.linger.is_some() {
                LOST.clone_into(&mut self.state.unsaved);
            }
            self.let_go();
            self.state.host = generation;
            self.state.serves = generation;
            self.state.resized = false;
        }
        self.state = State {
            phase: Phase::Starting,
            generation,
            agent,
            linger: None,
            error: String::new(),
            failure: None,
            stop: None,
            cloud_end: None,
            line: false,
            ..self.state.clone()
        };
        let host = self.state.host;
        self.effects.push(Effect::BeginLog { generation });
        self.effects.push(if in_place {
            Effect::Succeed { host, from, generation }
        } else {
            Effect::Launch { generation }
        });
    }

    /// The agent that was to run it in place is not there: a new job shall do it. The old one is released; the new one is not
    /// brought up before nothing can run in the old one any more.
    pub fn relaunch(&mut self) {
        if self.state.phase != Phase::Starting || !self.state.in_place() {
            return;
        }
        LOST.clone_into(&mut self.state.unsaved);
        if self.state.stop.is_some() {
            return self.end_unstarted(stopped("it was stopped before its process ran"), false);
        }
        let (host, generation) = (self.state.host, self.state.generation);
        self.state.host = generation;
        self.state.serves = generation;
        self.state.cloud_end = None;
        self.state.line = false;
        self.effects.extend([Effect::Release { host }, Effect::Launch { generation }]);
    }

    /// The process runs.
    pub fn launched(&mut self, pid: u32, since: Timestamp) {
        if self.state.phase != Phase::Starting {
            return;
        }
        let health = (self.rules.health && self.state.agent)
            .then(|| Arc::new(Health { status: HealthStatus::Starting, ..Health::default() }));
        self.state = State {
            phase: Phase::Running,
            launched: self.state.generation,
            serves: self.state.generation,
            pid,
            started: Some(since),
            exit_code: 0,
            out_of_memory: false,
            error: String::new(),
            paused: false,
            health,
            ..self.state.clone()
        };
        self.state.restarts.automatic = false;
        self.announce(Announcement::Start);
    }

    /// New results of the health check.
    pub fn health(&mut self, health: &Arc<Health>) {
        let Some(before) = self.state.health.replace(Arc::clone(health)) else {
            self.state.health = None;
            return;
        };
        if self.state.phase != Phase::Running {
            self.state.health = Some(before);
            return;
        }
        // A daemon that was restarted does not know which of the results it has told of.
        let unknown = before.probes == 0 && health.probes > health.log.len() as u64;
        let new = if unknown { 0 } else { health.probes.saturating_sub(before.probes) };
        let new = usize::try_from(new).unwrap_or(usize::MAX).min(health.log.len());
        for probe in &health.log[health.log.len() - new..] {
            self.announce(Announcement::Probe { code: probe.code });
        }
        if before.status != health.status {
            self.announce(Announcement::Health(health.status));
        }
    }
}
