//! From what Cloud Run says to a status: a pure function.

use sockerless_plugin_sdk::{
    Timestamp,
    jobs::{JobStatus, Phase},
};

use super::{
    state::State,
    wire::{Condition, Execution, Job, Reference, Task, when},
};
use crate::{google::Status, limits, names};

/// All that was found out about one handle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The job's name.
    pub name: String,
    /// The host was told that it is started.
    pub started: bool,
    /// What the handle remembers, with what was learnt.
    pub state: State,
    /// The operation is under way.
    pub pending: bool,
    /// The operation failed.
    pub failure: Option<Status>,
    /// The job, if it was asked for and is there.
    pub job: Option<Job>,
    /// The execution, if it is there.
    pub execution: Option<Execution>,
    /// Its task, if the execution ended.
    pub task: Option<Task>,
    /// What `Retry-After` asked for.
    pub wait_ms: Option<u64>,
}

impl Found {
    /// The status that follows.
    pub fn status(&self, now: Timestamp) -> JobStatus {
        let mut status = self.empty();
        if let Some(execution) = &self.execution {
            self.of_execution(execution, &mut status);
        } else if let Some(failure) = &self.failure {
            status.phase = Phase::Failed;
            status.reason = failure.reason();
            status.message = failure.sentence();
        } else if let Some(job) = &self.job {
            self.of_job(job, &mut status);
        } else if self.pending {
            status.phase = Phase::Starting;
        }
        if matches!(status.phase, Phase::Starting | Phase::Running) {
            status.poll_after_ms = Some(poll_after(status.created, now, self.wait_ms));
        }
        status
    }

    fn empty(&self) -> JobStatus {
        JobStatus {
            handle: self.state.handle(&self.name, self.started || self.execution.is_some()),
            phase: Phase::Absent,
            exit_code: None,
            term_signal: None,
            reason: String::new(),
            message: String::new(),
            created: self.job.as_ref().and_then(|job| when(&job.create_time)),
            started: None,
            finished: None,
            poll_after_ms: None,
        }
    }

    fn of_execution(&self, execution: &Execution, status: &mut JobStatus) {
        status.created = when(&execution.create_time).or(status.created);
        status.phase = phase_of(execution);
        let verdict = verdict(execution);
        if let Some(condition) = verdict {
            status.reason = condition.why().to_owned();
            status.message = condition.message.clone();
        }
        let begun = self.task.as_ref().and_then(|task| when(&task.start_time));
        if status.phase != Phase::Starting {
            status.started = begun.or_else(|| when(&execution.start_time));
        }
        if !execution.is_completed() {
            return;
        }
        status.finished = when(&execution.completion_time);
        let attempt = self.task.as_ref().and_then(|task| task.last_attempt_result.as_ref());
        status.term_signal = attempt.and_then(|attempt| attempt.term_signal).filter(|signal| *signal != 0);
        status.exit_code = attempt.and_then(|attempt| attempt.exit_code);
        // Success is exit code 0, by Cloud Run's own definition, and 0 is left out on the wire.
        if status.phase == Phase::Succeeded && status.exit_code.is_none() {
            status.exit_code = Some(0);
        }
        let of_attempt = attempt.and_then(|attempt| attempt.status.as_ref());
        if let (true, Some(more)) = (status.phase == Phase::Failed, of_attempt) {
            let more = more.sentence();
            if status.message.is_empty() {
                status.message = more;
            } else if !more.is_empty() && !status.message.contains(&more) {
                status.message = format!("{}: {more}", status.message);
            }
        }
    }

    fn of_job(&self, job: &Job, status: &mut JobStatus) {
        let condition = job.terminal_condition.as_ref();
        if let Some(condition) = condition.filter(|condition| condition.failed()) {
            status.phase = Phase::Failed;
            status.reason = condition.why().to_owned();
            status.message = condition.message.clone();
        } else if let Some(reference) = &job.latest_created_execution {
            status.phase = phase_of_reference(reference);
            status.finished = when(&reference.completion_time);
            status.handle.started = true;
            if status.phase == Phase::Succeeded {
                status.exit_code = Some(0);
            }
        } else if self.started {
            status.phase = Phase::Starting;
        } else {
            status.phase = Phase::Created;
        }
    }
}

/// Where an execution is.
fn phase_of(execution: &Execution) -> Phase {
    let completed = execution.condition("Completed");
    if !execution.is_completed() {
        let begun = execution.condition("Started").is_some_and(Condition::succeeded);
        let runs = execution.running_count > 0 || (begun && !execution.start_time.is_empty());
        return if runs { Phase::Running } else { Phase::Starting };
    }
    let reason = completed.map_or("", Condition::why);
    if matches!(reason, "CANCELLED" | "CANCELLING" | "DELETED") || execution.cancelled_count > 0 {
        Phase::Cancelled
    } else if completed.is_some_and(Condition::succeeded)
        || (execution.succeeded_count > 0 && execution.failed_count == 0)
    {
        Phase::Succeeded
    } else {
        Phase::Failed
    }
}

/// The condition that explains an execution: the one that failed, else the one about its completion.
fn verdict(execution: &Execution) -> Option<&Condition> {
    let completed = execution.condition("Completed");
    let telling = |condition: &&Condition| condition.failed() && !condition.why().is_empty();
    let said = completed.filter(|condition| !condition.why().is_empty());
    said.or_else(|| execution.conditions.iter().find(telling)).or(completed)
}

fn phase_of_reference(reference: &Reference) -> Phase {
    match reference.completion_status.as_str() {
        "EXECUTION_SUCCEEDED" => Phase::Succeeded,
        "EXECUTION_FAILED" => Phase::Failed,
        "EXECUTION_CANCELLED" => Phase::Cancelled,
        "EXECUTION_RUNNING" => Phase::Running,
        _ => Phase::Starting,
    }
}

/// Quick at first, then a tenth of the age.
fn poll_after(created: Option<Timestamp>, now: Timestamp, wait_ms: Option<u64>) -> u32 {
    let age = created.map_or(0, |created| now.saturating_sub(created));
    let pause = (age / limits::POLL_AGE_PART).clamp(limits::POLL_MIN_MS, limits::POLL_MAX_MS);
    u32::try_from(pause.max(wait_ms.unwrap_or(0))).unwrap_or(u32::MAX)
}

/// What a job on a list page says of itself, without a further call.
pub fn of_listed(job: Job, now: Timestamp) -> JobStatus {
    let execution =
        job.latest_created_execution.as_ref().map(|reference| names::short(&reference.name).to_owned());
    let found = Found {
        name: names::short(&job.name).to_owned(),
        started: execution.is_some(),
        state: State { execution, ..State::default() },
        job: Some(job),
        ..Found::default()
    };
    found.status(now)
}

#[cfg(test)]
#[path = "phase_tests.rs"]
mod tests;
