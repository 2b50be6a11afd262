//! One attempt of a task: a container from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sockerless_executor::{FailureReason, TaskEvent};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Stage;
use super::conditions::{Reason, State, add, condition, set};
use super::plan::{Plan, Planned};
use super::{instance, store};
use crate::error::Result;
use crate::logging::Origin;
use crate::server::Simulator;
use crate::{limits, time};

/// What an attempt belongs to.
pub struct Attempt<'a> {
    pub simulator: &'a Arc<Simulator>,
    pub execution: &'a Value,
    /// The task's full name.
    pub task: &'a str,
    pub index: i64,
    /// 0 for the first.
    pub number: i64,
    pub cancel: &'a CancellationToken,
    pub stage: &'a watch::Sender<Stage>,
}

/// How an attempt ended.
pub struct Outcome {
    /// The container ran.
    pub started: bool,
    /// The container's exit code, when it had one.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The sentence for the condition.
    pub message: String,
    /// The word for the condition.
    pub reason: Reason,
    /// `google.rpc.Code`.
    pub code: i32,
    /// The image is at fault.
    pub image: bool,
    /// Another attempt may go better.
    pub retry: bool,
}

impl Outcome {
    /// A container that never ran.
    pub fn unstarted(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            started: false,
            exit_code: None,
            signal: None,
            message: message.into(),
            reason,
            code: 9,
            image: false,
            retry: false,
        }
    }

    /// It exited with 0.
    pub fn good(&self) -> bool {
        self.code == 0
    }

    /// `Task.lastAttemptResult`.
    pub fn result(&self) -> Value {
        let mut result = json!({"status": {}});
        if self.code != 0 {
            result["status"] = json!({"code": self.code, "message": self.message});
        }
        // 0 is protobuf's default, which its JSON leaves out.
        if let Some(code) = self.exit_code.filter(|code| *code != 0) {
            result["exitCode"] = json!(code);
        }
        if let Some(signal) = self.signal {
            result["termSignal"] = json!(signal);
        }
        result
    }
}

/// When the attempt has had its time.
pub fn deadline(attempt: &Attempt<'_>) -> Instant {
    let timeout = attempt.execution["template"]["timeout"].as_str().and_then(time::duration);
    Instant::now() + timeout.unwrap_or(limits::DEFAULT_TASK_TIMEOUT)
}

/// Runs the attempt to its end.
pub async fn run(attempt: &Attempt<'_>, mut plan: Plan) -> Result<Outcome> {
    let outcome = match plan.containers.pop() {
        Some(alone) if plan.containers.is_empty() && alone.startup.is_none() => one(attempt, alone).await,
        last => {
            plan.containers.extend(last);
            instance::run(attempt, plan.containers).await
        }
    };
    drop(plan.mounts);
    outcome
}

/// A container that has nothing to do with others.
async fn one(attempt: &Attempt<'_>, planned: Planned) -> Result<Outcome> {
    let simulator = attempt.simulator;
    let mut deadline = deadline(attempt);
    let image = planned.image;
    let mut running = match simulator.runner.run(planned.spec) {
        Ok(running) => running,
        Err(message) => return Ok(Outcome::unstarted(Reason::Common("INTERNAL"), message)),
    };
    let mut log = simulator.logging.task(&origin(attempt, None));
    let (mut started, mut timed_out, mut stopping) = (false, false, false);
    let outcome = loop {
        let event = tokio::select! {
            event = running.events.recv() => event,
            // What ends from now on ends by the simulator's own end.
            () = simulator.run.closing.cancelled() => break Outcome::unstarted(Reason::Common("INTERNAL"), "The simulator ended."),
            () = attempt.cancel.cancelled(), if !stopping => {
                stopping = true;
                running.stop.stop(limits::STOP_GRACE);
                continue;
            }
            () = sleep_until(deadline), if !timed_out => {
                (timed_out, stopping) = (true, true);
                // Never looked at again; an instant that is not reached.
                deadline += Duration::from_secs(1 << 30);
                running.stop.stop(limits::STOP_GRACE);
                continue;
            }
        };
        match event {
            Some(TaskEvent::Pulling) => {}
            Some(TaskEvent::Started { .. }) => {
                started = true;
                mark_started(attempt)?;
            }
            Some(TaskEvent::Output { stderr, time, bytes }) => log.write(stderr, time, &bytes).await,
            Some(TaskEvent::Exited { exit_code, signal, out_of_memory }) => {
                break ended(exit_code, signal, out_of_memory, timed_out);
            }
            Some(TaskEvent::Failed { reason, message }) => break unstarted(reason, message, &image),
            None => break Outcome::unstarted(Reason::Common("INTERNAL"), "The container was lost."),
        }
    };
    log.close().await;
    Ok(Outcome { started, ..outcome })
}

/// Writes down that the task runs.
pub fn mark_started(attempt: &Attempt<'_>) -> Result<()> {
    let db = &attempt.simulator.db;
    let now = time::micros(time::now());
    store::update(db, attempt.task, |doc| {
        doc["startTime"] = json!(now);
        set(doc, condition("Started", State::Succeeded, "", None));
    })?;
    let execution = attempt.execution["name"].as_str().unwrap_or_default();
    store::update(db, execution, |doc| {
        add(doc, "runningCount", 1);
        if doc["startTime"].is_null() {
            doc["startTime"] = json!(now);
            set(doc, condition("ContainerReady", State::Succeeded, "Imported container image.", None));
            set(
                doc,
                condition("ResourcesAvailable", State::Succeeded, "Provisioned imported containers.", None),
            );
            set(doc, condition("Started", State::Succeeded, "Started deployed execution.", None));
        }
    })?;
    attempt.stage.send_if_modified(|stage| {
        let first = *stage == Stage::Waiting;
        if first {
            *stage = Stage::Started;
        }
        first
    });
    Ok(())
}

/// A container that ran.
pub fn ended(exit_code: Option<i32>, signal: Option<i32>, out_of_memory: bool, timed_out: bool) -> Outcome {
    let (message, code) = match (exit_code, signal) {
        _ if timed_out => ("The configured timeout was reached.".to_owned(), 4),
        (Some(0), _) => (String::new(), 0),
        (Some(code), _) => (format!("The container exited with an error: exit({code})."), 10),
        _ if out_of_memory => ("The configured memory limit was reached.".to_owned(), 8),
        (None, Some(signal)) => (format!("Container terminated on signal {signal}."), 10),
        (None, None) => ("The container ended without an exit code.".to_owned(), 2),
    };
    Outcome {
        started: true,
        exit_code,
        signal,
        message,
        reason: Reason::Execution("NON_ZERO_EXIT_CODE"),
        code,
        image: false,
        retry: true,
    }
}

/// A container that did not.
pub fn unstarted(reason: FailureReason, message: String, image: &str) -> Outcome {
    let (word, message) = match reason {
        FailureReason::ImageNotFound => ("CONTAINER_MISSING", format!("Image '{image}' not found.")),
        FailureReason::ImageUnauthorized => {
            ("CONTAINER_IMAGE_UNAUTHORIZED", format!("Image '{image}' cannot be pulled: {message}"))
        }
        FailureReason::ImagePlatform | FailureReason::ImageInvalid => (
            "CONTAINER_MISSING",
            format!("Container manifest type of image '{image}' must support amd64/linux: {message}"),
        ),
        FailureReason::ImageUnavailable => {
            ("INTERNAL", format!("Image '{image}' cannot be fetched: {message}"))
        }
        FailureReason::MountFailed => ("UNKNOWN", format!("Mounting a volume failed: {message}")),
        FailureReason::Internal | FailureReason::Cancelled => ("INTERNAL", message),
        FailureReason::UserNotFound
        | FailureReason::WorkingDirectory
        | FailureReason::CommandNotFound
        | FailureReason::CommandNotExecutable
        | FailureReason::ExecFormat => ("UNKNOWN", format!("Application failed to start: {message}")),
    };
    let image = matches!(
        reason,
        FailureReason::ImageNotFound
            | FailureReason::ImageUnauthorized
            | FailureReason::ImagePlatform
            | FailureReason::ImageInvalid
            | FailureReason::ImageUnavailable
    );
    Outcome { image, ..Outcome::unstarted(Reason::Common(word), message) }
}

/// Whose output it is, for the log.
pub fn origin(attempt: &Attempt<'_>, container: Option<String>) -> Origin {
    let name = attempt.execution["name"].as_str().unwrap_or_default();
    let location = super::driver::location(name);
    Origin {
        project: location.project,
        region: location.region,
        job: attempt.execution["job"].as_str().unwrap_or_default().to_owned(),
        execution: super::names::short(name).to_owned(),
        task_index: attempt.index,
        task_attempt: attempt.number,
        container,
    }
}
