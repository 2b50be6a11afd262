//! What of Container Apps' answers is read (`Microsoft.App`, models of azure-mgmt-appcontainers).

use std::collections::BTreeMap;

use serde::Deserialize;
use sockerless_plugin_sdk::{Timestamp, time};

use crate::arm::Fault;

/// `Job`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Job {
    /// Its short name.
    pub name: String,
    /// What it was created with.
    pub tags: BTreeMap<String, String>,
    /// When.
    pub system_data: SystemData,
    /// The rest.
    pub properties: JobProperties,
}

/// `SystemData`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SystemData {
    /// RFC 3339.
    pub created_at: String,
}

/// `JobProperties`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JobProperties {
    /// `InProgress`, `Succeeded`, `Failed`, `Canceled`, `Deleting`.
    pub provisioning_state: String,
    /// What it runs.
    pub template: Template,
}

/// `JobTemplate`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Template {
    /// The first is the main one.
    pub containers: Vec<Named>,
}

/// Anything with a name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// `JobExecution`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Execution {
    /// Its short name.
    pub name: String,
    /// The rest.
    pub properties: ExecutionProperties,
}

/// `JobExecutionProperties`. Before 2025 the fields stood beside the name; the newest version has them here.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExecutionProperties {
    /// `Running`, `Processing`, `Stopped`, `Degraded`, `Failed`, `Unknown`, `Succeeded`.
    pub status: String,
    /// RFC 3339.
    pub start_time: Option<String>,
    /// RFC 3339; set once it ended.
    pub end_time: Option<String>,
    /// How each container ended.
    pub detailed_status: Option<DetailedStatus>,
    /// A word for why.
    pub reason: Option<String>,
    /// A sentence.
    pub message: Option<String>,
}

/// `ExecutionStatus`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DetailedStatus {
    /// One, or one for each attempt.
    pub replicas: Option<Vec<Replica>>,
}

/// `ReplicaExecutionStatus`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Replica {
    /// Those of the template.
    pub containers: Option<Vec<ContainerStatus>>,
}

/// `ContainerExecutionStatus`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    /// As in the template.
    pub name: String,
    /// The exit code.
    pub code: Option<i32>,
    /// `Terminated`, `Waiting`, …
    pub status: Option<String>,
    /// A sentence.
    pub additional_information: Option<String>,
}

/// What `start` answers.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Started {
    /// The execution's name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Of the operation, while it lasts.
    pub status: String,
    /// Why the operation failed.
    pub error: Option<Fault>,
}

impl Started {
    /// The execution's name, if it is told.
    pub fn execution(&self) -> Option<String> {
        let of_id = self.id.split_once("/executions/").map(|(_, name)| name);
        // An operation has a name too.
        let name = of_id.or((!self.name.is_empty() && self.status.is_empty()).then_some(self.name.as_str()));
        name.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned)
    }
}

impl Execution {
    /// It has come to an end.
    pub fn ended(&self) -> bool {
        matches!(self.properties.status.as_str(), "Succeeded" | "Failed" | "Stopped")
            || self.properties.end_time.as_deref().is_some_and(|time| !time.is_empty())
    }

    /// A container other than the main one that failed in the last attempt: what ends before the others lets none of them
    /// start when it fails.
    pub fn failed_beside(&self, main: &str) -> Option<&ContainerStatus> {
        let last = self.properties.detailed_status.as_ref()?.replicas.as_ref()?.last()?;
        let mut others = last.containers.iter().flatten().filter(|container| container.name != main);
        others.find(|container| container.code.is_some_and(|code| code != 0))
    }

    /// The main container's status in the last attempt.
    pub fn container(&self, main: &str) -> Option<&ContainerStatus> {
        let replicas = self.properties.detailed_status.as_ref()?.replicas.as_ref()?;
        let containers = replicas.iter().rev().filter_map(|replica| replica.containers.as_ref());
        let mut all = containers.flatten();
        // Somebody who knows the job by its name alone does not know its containers.
        if main.is_empty() { all.next() } else { all.find(|container| container.name == main) }
    }
}

/// Reads a time; none for an empty one.
pub fn when(text: Option<&String>) -> Option<Timestamp> {
    time::parse_rfc3339(text?)
}
