//! A container that shows whether containers can run at all, and which step fails if not.

use std::collections::HashMap;

use bollard_stubs::models::ContainerConfig;

use crate::{CreateRequest, Engine, RemoveRequest, Result, supervisor::AGENT, tuning};

/// What a container runs that needs nothing of its image: the agent itself, which says that it was not meant.
pub const TRIAL_COMMAND: &str = AGENT;

/// The steps of a start, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The cloud takes the job and runs it.
    Job,
    /// The agent is there and can be executed.
    Agent,
    /// The agent reaches the daemon.
    Callback,
    /// The agent starts the process.
    Process,
}

/// Which step of a start failed, by what `start` said.
pub fn failed_step(message: &str) -> Step {
    if message.contains("but its agent did not connect") {
        Step::Callback
    } else if message.contains("ended before its agent connected") {
        Step::Agent
    } else if message.starts_with("failed to create task") {
        Step::Process
    } else {
        Step::Job
    }
}

impl Engine {
    /// Runs a container of an image and removes it; returns when the cloud has nothing of it any more.
    ///
    /// Errors: those of `create` and `start`; [`failed_step`] tells how far it came.
    pub async fn try_out(&self, image: &str) -> Result<()> {
        let config = ContainerConfig {
            image: Some(image.to_owned()),
            entrypoint: Some(vec![TRIAL_COMMAND.to_owned()]),
            cmd: Some(Vec::new()),
            labels: Some(HashMap::from([("sockerless.doctor".to_owned(), "trial".to_owned())])),
            ..ContainerConfig::default()
        };
        let id = self.create(CreateRequest { config, ..CreateRequest::default() }).await?.id;
        let started = self.start(&id).await;
        let force = RemoveRequest { force: true, ..RemoveRequest::default() };
        if let Err(error) = self.remove(&id, force).await {
            tracing::warn!(%error, "the trial's container cannot be removed");
        }
        let gone = async {
            while self.runs.knows_any_job() {
                tokio::time::sleep(tuning::TRIAL_LOOK).await;
            }
        };
        if tokio::time::timeout(tuning::TRIAL_CLEANING, gone).await.is_err() {
            tracing::warn!("the trial's job is not deleted yet; it goes by itself when it expires");
        }
        started.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_belongs_to_its_step() {
        let steps = [
            ("the container's job ended before its agent connected: exit code 126", Step::Agent),
            (
                "the container's job runs, but its agent did not connect to ws://x within 3 seconds",
                Step::Callback,
            ),
            (&crate::containers::launch_message("exec: \"x\": permission denied"), Step::Process),
            ("Project not found", Step::Job),
        ];
        for (message, step) in steps {
            assert_eq!(failed_step(message), step, "{message}");
        }
    }
}
