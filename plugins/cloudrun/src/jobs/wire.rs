//! What of Cloud Run's answers is read. Fields with their default value are left out on the wire.

use std::collections::BTreeMap;

use serde::Deserialize;
use sockerless_plugin_sdk::{Timestamp, time};

use crate::google::Status;

/// `GoogleCloudRunV2Job`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Job {
    /// `projects/P/locations/R/jobs/J`.
    pub name: String,
    /// What it was created with.
    pub labels: BTreeMap<String, String>,
    /// What it was created with.
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339.
    pub create_time: String,
    /// Set while it is being deleted.
    pub delete_time: String,
    /// Cloud Run is still at work on it.
    pub reconciling: bool,
    /// Whether the job itself is ready; says nothing of how an execution ended.
    pub terminal_condition: Option<Condition>,
    /// The execution, once there is one.
    pub latest_created_execution: Option<Reference>,
}

/// `GoogleCloudRunV2ExecutionReference`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reference {
    /// Seen short and in full.
    pub name: String,
    /// RFC 3339.
    pub completion_time: String,
    /// `EXECUTION_SUCCEEDED` and so on.
    pub completion_status: String,
}

/// `GoogleCloudRunV2Execution`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Execution {
    /// `projects/P/locations/R/jobs/J/executions/E`.
    pub name: String,
    /// RFC 3339.
    pub create_time: String,
    /// RFC 3339.
    pub start_time: String,
    /// RFC 3339; set once it ended.
    pub completion_time: String,
    /// `Completed`, `Started`, `ContainerReady`, `ResourcesAvailable`.
    pub conditions: Vec<Condition>,
    /// Tasks that run.
    pub running_count: u32,
    /// Tasks that ended well.
    pub succeeded_count: u32,
    /// Tasks that failed.
    pub failed_count: u32,
    /// Tasks that were cancelled.
    pub cancelled_count: u32,
}

/// `GoogleCloudRunV2Condition`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: String,
    /// `CONDITION_SUCCEEDED` and so on.
    pub state: String,
    /// A sentence.
    pub message: String,
    /// A reason common to all resources.
    pub reason: String,
    /// A reason of executions.
    pub execution_reason: String,
}

/// `GoogleCloudRunV2Task`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Task {
    /// `…/executions/E/tasks/T`.
    pub name: String,
    /// RFC 3339.
    pub start_time: String,
    /// How its last attempt ended.
    pub last_attempt_result: Option<Attempt>,
}

/// `GoogleCloudRunV2TaskAttemptResult`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Attempt {
    /// At most one of this and the signal is set; 0 is left out on the wire.
    pub exit_code: Option<i32>,
    /// The signal that ended the container.
    pub term_signal: Option<u32>,
    /// How it ended otherwise.
    pub status: Option<Status>,
}

/// A page of any of the lists.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Page {
    /// Of `jobs.list`.
    pub jobs: Vec<Job>,
    /// Of `executions.list`.
    pub executions: Vec<Execution>,
    /// Of `tasks.list`.
    pub tasks: Vec<Task>,
    /// Empty on the last page.
    pub next_page_token: String,
}

impl Condition {
    /// The more exact of the two reasons.
    pub fn why(&self) -> &str {
        if self.execution_reason.is_empty() { &self.reason } else { &self.execution_reason }
    }

    /// It is decided, for the worse.
    pub fn failed(&self) -> bool {
        self.state == "CONDITION_FAILED"
    }

    /// It is decided, for the better.
    pub fn succeeded(&self) -> bool {
        self.state == "CONDITION_SUCCEEDED"
    }
}

impl Execution {
    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// It ended, whichever way.
    pub fn is_completed(&self) -> bool {
        let decided = |condition: &Condition| condition.failed() || condition.succeeded();
        !self.completion_time.is_empty() || self.condition("Completed").is_some_and(decided)
    }
}

/// A time of Cloud Run's; none while it is unset.
pub fn when(text: &str) -> Option<Timestamp> {
    time::parse_rfc3339(text)
}
