//! From what Container Apps says to a status: a pure function.

use sockerless_plugin_sdk::{
    Timestamp,
    jobs::{JobStatus, Phase},
    time,
};

use super::{
    state::State,
    wire::{Execution, Job, when},
};
use crate::{
    apps::{App, Replica},
    arm::Fault,
    limits,
};

/// All that was found out about one handle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The workload's name.
    pub name: String,
    /// The host was told that it is started.
    pub started: bool,
    /// What the handle remembers, with what was learnt.
    pub state: State,
    /// The operation that made or started it was asked for.
    pub asked: bool,
    /// It goes on.
    pub pending: bool,
    /// It failed.
    pub failure: Option<Fault>,
    /// It could not be asked for; which may be what it failed with.
    pub doubt: Option<Fault>,
    /// The job, if it was asked for and is there.
    pub job: Option<Job>,
    /// The execution, if it is there.
    pub execution: Option<Execution>,
    /// The app, if it was asked for and is there.
    pub app: Option<App>,
    /// Its replicas, if they were asked for.
    pub replicas: Option<Vec<Replica>>,
    /// What `Retry-After` asked for.
    pub wait_ms: Option<u64>,
}

impl Found {
    /// The status that follows. `load` is how many are asked for together: ARM's reads are shared by all.
    pub fn status(&self, now: Timestamp, load: usize) -> JobStatus {
        if let Some(app) = &self.app {
            return app.status(self, now, load);
        }
        let mut status = self.empty();
        if let Some(execution) = &self.execution {
            self.of_execution(execution, &mut status);
        } else if let Some(failure) = &self.failure {
            status.phase = Phase::Failed;
            status.reason.clone_from(&failure.code);
            status.message = failure.sentence();
        } else if let Some(job) = &self.job {
            self.of_job(job, now, &mut status);
        } else if self.is_unseen(now) {
            // What has just been made may not be seen for a while.
            let starts = self.started || self.state.app;
            status.phase = if starts { Phase::Starting } else { Phase::Created };
        }
        if matches!(status.phase, Phase::Starting | Phase::Running) {
            status.poll_after_ms = Some(self.poll_after(status.created, now, load));
        }
        status
    }

    /// Whether ARM may be behind with showing it.
    pub fn is_unseen(&self, now: Timestamp) -> bool {
        self.state.since > 0 && now.saturating_sub(self.state.since) < limits::UNSEEN_MS
    }

    fn empty(&self) -> JobStatus {
        let created = self.job.as_ref().and_then(|job| time::parse_rfc3339(&job.system_data.created_at));
        JobStatus {
            handle: self.state.handle(&self.name, self.started || self.execution.is_some()),
            phase: Phase::Absent,
            exit_code: None,
            term_signal: None,
            reason: String::new(),
            message: String::new(),
            created: created.or((self.state.since > 0).then_some(self.state.since)),
            started: None,
            finished: None,
            poll_after_ms: None,
        }
    }

    fn of_execution(&self, execution: &Execution, status: &mut JobStatus) {
        let properties = &execution.properties;
        status.phase = phase_of(execution);
        status.created = status.created.or_else(|| when(properties.start_time.as_ref()));
        if status.phase != Phase::Starting {
            status.started = when(properties.start_time.as_ref());
        }
        let container = execution.container(&self.state.main);
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let state = container.and_then(|container| said(&container.status));
        status.reason = said(&properties.reason).or(state).unwrap_or_default();
        let more = container.and_then(|container| said(&container.additional_information));
        status.message = match (said(&properties.message), more) {
            (Some(message), Some(more)) if !message.contains(&more) => format!("{message}: {more}"),
            (message, more) => message.or(more).unwrap_or_default(),
        };
        if !execution.ended() {
            return;
        }
        status.finished = when(properties.end_time.as_ref());
        status.exit_code = container.and_then(|container| container.code);
        if status.exit_code.is_none()
            && status.message.is_empty()
            && let Some(other) = execution.failed_beside(&self.state.main)
        {
            let code = other.code.unwrap_or_default();
            status.message =
                format!("the container {} of the job has ended with exit code {code}", other.name);
            if let Some(more) = said(&other.additional_information) {
                status.message = format!("{}: {more}", status.message);
            }
        }
        // A replica succeeds when its containers exit with 0, by Container Apps' own definition.
        if status.phase == Phase::Succeeded && status.exit_code.is_none() {
            status.exit_code = Some(0);
        }
    }

    /// Without an execution.
    fn of_job(&self, job: &Job, now: Timestamp, status: &mut JobStatus) {
        if matches!(job.properties.provisioning_state.as_str(), "Failed" | "Canceled") {
            status.phase = Phase::Failed;
            status.reason = "ProvisioningFailed".to_owned();
            status.message = "Container Apps could not create the job".to_owned();
        } else if self.never_came(now) {
            status.phase = Phase::Failed;
            status.reason = "NoExecution".to_owned();
            status.message =
                "Container Apps has taken the start of the job, and has no execution of it".to_owned();
        } else {
            status.phase = if self.started { Phase::Starting } else { Phase::Created };
        }
        let doubt = self.doubt.as_ref().map(Fault::sentence).filter(|doubt| !doubt.is_empty());
        if let (Phase::Failed, Some(doubt)) = (status.phase, doubt) {
            status.message = format!("{}: {doubt}", status.message);
        }
    }

    /// It was started, and its execution was looked for long enough.
    fn never_came(&self, now: Timestamp) -> bool {
        let since = self.state.missing.max(self.state.since);
        let looked = self.started && self.state.missing > 0 && !self.pending;
        looked && now.saturating_sub(since) >= limits::UNSEEN_MS
    }

    /// Quick at first, then a tenth of the age; never faster than all together may ask.
    pub fn poll_after(&self, created: Option<Timestamp>, now: Timestamp, load: usize) -> u32 {
        let since = created.unwrap_or(now).max(self.state.since);
        let pause = (now.saturating_sub(since) / limits::POLL_AGE_PART)
            .clamp(limits::POLL_MIN_MS, limits::POLL_MAX_MS);
        let load = u64::try_from(load).unwrap_or(u64::MAX);
        let share = load.saturating_mul(1000) / limits::READS_PER_SECOND;
        u32::try_from(pause.max(share).max(self.wait_ms.unwrap_or(0))).unwrap_or(u32::MAX)
    }
}

/// Where an execution is.
fn phase_of(execution: &Execution) -> Phase {
    match execution.properties.status.as_str() {
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        "Stopped" => Phase::Cancelled,
        // Degraded and Unknown say nothing of an end, so that the time of the end decides.
        _ if execution.ended() => Phase::Failed,
        "Running" | "Degraded" => Phase::Running,
        _ => Phase::Starting,
    }
}

#[cfg(test)]
#[path = "phase_tests.rs"]
mod tests;
