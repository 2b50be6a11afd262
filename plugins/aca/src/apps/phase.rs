//! From what Container Apps says of an app and its replicas to a status: a pure function.

use std::collections::BTreeMap;

use serde::Deserialize;
use sockerless_plugin_sdk::{
    Timestamp,
    jobs::{JobStatus, Phase},
    time,
};

use crate::{
    jobs::{Found, State, SystemData},
    limits,
};

/// `ContainerApp`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct App {
    pub name: String,
    pub tags: BTreeMap<String, String>,
    system_data: SystemData,
    pub properties: Properties,
}

/// `ContainerAppProperties`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Properties {
    pub provisioning_state: String,
    running_status: String,
    latest_revision_name: String,
}

/// `Replica`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Replica {
    name: String,
    properties: ReplicaProperties,
}

/// `ReplicaProperties`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ReplicaProperties {
    created_time: String,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
}

/// `ReplicaContainer`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: String,
    restart_count: u32,
    running_state: String,
    running_state_details: String,
}

/// Where a replica's main container is, and why.
struct Told {
    phase: Phase,
    reason: String,
    message: String,
}

impl App {
    /// Where it is by its own word, which knows nothing of its replicas.
    pub fn phase(&self) -> Phase {
        let properties = &self.properties;
        match (properties.provisioning_state.as_str(), properties.running_status.as_str()) {
            ("Failed" | "Canceled", _) => Phase::Failed,
            (_, "Stopped" | "Suspended") => Phase::Cancelled,
            ("Succeeded", "Running" | "Ready" | "") => Phase::Running,
            _ => Phase::Starting,
        }
    }

    /// The name of the revision that counts.
    pub fn revision(&self) -> &str {
        &self.properties.latest_revision_name
    }

    /// Its status, with what was found out beside it. `load` is how many are asked for together.
    pub fn status(&self, found: &Found, now: Timestamp, load: usize) -> JobStatus {
        let mut state = found.state.clone();
        let mut told = Told { phase: self.phase(), reason: String::new(), message: String::new() };
        match (told.phase, &found.replicas) {
            (Phase::Failed, _) => told = not_made(found),
            (Phase::Running, Some(replicas)) => told = of_replicas(replicas, &mut state),
            _ => {}
        }
        let created = time::parse_rfc3339(&self.system_data.created_at);
        let ended = matches!(told.phase, Phase::Failed | Phase::Cancelled);
        let pause = match told.phase {
            Phase::Running => u32::try_from(limits::POLL_MAX_MS).unwrap_or(u32::MAX),
            _ => found.poll_after(created, now, load),
        };
        JobStatus {
            handle: state.handle(&found.name, true),
            phase: told.phase,
            // Azure does not tell it of apps: the agent does.
            exit_code: None,
            term_signal: None,
            reason: told.reason,
            message: told.message,
            created,
            started: None,
            finished: None,
            poll_after_ms: (!ended).then_some(pause),
        }
    }
}

/// Why it could not be made, as its operation says: an app has no words for that.
fn not_made(found: &Found) -> Told {
    let mut told = Told {
        phase: Phase::Failed,
        reason: "ProvisioningFailed".to_owned(),
        message: "Container Apps could not create the app".to_owned(),
    };
    if let Some(fault) = &found.failure {
        let sentence = fault.sentence();
        if !fault.code.is_empty() {
            told.reason.clone_from(&fault.code);
        }
        if !sentence.is_empty() {
            told.message = sentence;
        }
    }
    told
}

/// The first replica is the workload's, and its main container's first run: what Container Apps starts after that is
/// another one, with nothing of what the first had in its files.
fn of_replicas(replicas: &[Replica], state: &mut State) -> Told {
    let told = |phase, reason: &str, message: &str| Told {
        phase,
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    let own = match &state.execution {
        Some(name) => replicas.iter().find(|replica| replica.name == *name),
        None => replicas.iter().min_by(|a, b| a.properties.created_time.cmp(&b.properties.created_time)),
    };
    let Some(own) = own else {
        return match &state.execution {
            Some(_) => told(Phase::Failed, "ReplicaReplaced", "Container Apps has ended the app's replica"),
            None => told(Phase::Starting, "", ""),
        };
    };
    state.execution = Some(own.name.clone());
    // One that ended with 0 is not started again.
    if let Some(init) = own.properties.init_containers.iter().find(|init| init.restart_count > 0) {
        let name = &init.name;
        let mut message =
            format!("the container {name}, which has to end before the others start, has failed");
        if !init.running_state_details.is_empty() {
            message = format!("{message}: {}", init.running_state_details);
        }
        return told(Phase::Failed, "InitContainerFailed", &message);
    }
    let containers = &own.properties.containers;
    let main = containers.iter().find(|container| container.name == state.main).or(containers.first());
    let Some(main) = main else { return told(Phase::Starting, "", "") };
    let details = main.running_state_details.as_str();
    match main.running_state.as_str() {
        _ if main.restart_count > 0 => {
            let reason = if details.is_empty() { "ContainerRestarted" } else { details };
            told(Phase::Failed, reason, "the container has ended, and Container Apps starts it anew")
        }
        "Running" => told(Phase::Running, "", ""),
        _ => told(Phase::Starting, "", details),
    }
}
