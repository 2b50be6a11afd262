//! A replica of an execution, with its retries.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::plan::{self, Replica};
use super::replica::{self, Outcome, Watch};
use crate::arm::store;
use crate::error::Result;
use crate::ids;
use crate::logs::Origin;
use crate::server::Simulator;

/// How a replica ended, after all its attempts.
pub enum End {
    /// All its containers exited with 0.
    Succeeded,
    /// The execution was stopped.
    Stopped,
    /// The last attempt's fault.
    Failed(String),
}

/// Runs a replica to its end.
///
/// # Errors
/// The database's.
pub async fn replica(
    simulator: &Arc<Simulator>,
    execution: &Value,
    cancel: &CancellationToken,
) -> Result<End> {
    let configuration = &execution["_configuration"];
    let retries = configuration["replicaRetryLimit"].as_i64().unwrap_or_default();
    let timeout = configuration["replicaTimeout"].as_u64().unwrap_or(1);
    let id = execution["id"].as_str().unwrap_or_default();
    let name = execution["name"].as_str().unwrap_or_default();
    let job = execution["_job"].as_str().unwrap_or_default();
    let mut attempts = 0;
    loop {
        if cancel.is_cancelled() {
            return Ok(End::Stopped);
        }
        let own = format!("{name}-{}", ids::suffix(5));
        let mut watch = Status { simulator, id, replica: &own };
        watch.begin(&execution["_template"])?;
        let replica = Replica {
            simulator,
            template: &execution["_template"],
            configuration,
            identity: &execution["_identity"],
            environment: execution["_environment"].as_str().unwrap_or_default(),
            name: &own,
            variables: vec![
                ("CONTAINER_APP_JOB_NAME".to_owned(), job.to_owned()),
                ("CONTAINER_APP_JOB_EXECUTION_NAME".to_owned(), name.to_owned()),
                ("CONTAINER_APP_REPLICA_NAME".to_owned(), own.clone()),
            ],
            together: plan::together(&execution["_template"]),
            ingress: None,
        };
        let origin = Origin { job: Some(job.to_owned()), app: None, replica: own.clone() };
        let limit = Some(Duration::from_secs(timeout));
        match replica::run(&replica, &origin, cancel, limit, &mut watch).await? {
            Outcome::Succeeded => return Ok(End::Succeeded),
            Outcome::Closing | Outcome::Stopped => return Ok(End::Stopped),
            Outcome::TimedOut => {
                return Ok(End::Failed(format!(
                    "Replica '{own}' was stopped: its timeout of {timeout} s was reached."
                )));
            }
            Outcome::Failed(why) if attempts >= retries => return Ok(End::Failed(why)),
            Outcome::Failed(_) => attempts += 1,
        }
    }
}

/// `detailedStatus` of the execution.
struct Status<'a> {
    simulator: &'a Simulator,
    id: &'a str,
    replica: &'a str,
}

impl Status<'_> {
    fn begin(&self, template: &Value) -> Result<()> {
        let containers = template["containers"].as_array().into_iter().flatten();
        let containers: Vec<Value> =
            containers.map(|container| json!({"name": container["name"], "status": "Waiting"})).collect();
        store::update(&self.simulator.db, self.id, |doc| {
            let entry = json!({"name": self.replica, "containers": containers});
            if let Some(list) = doc["properties"]["detailedStatus"]["replicas"].as_array_mut() {
                list.push(entry);
            }
        })?;
        Ok(())
    }
}

impl Watch for Status<'_> {
    fn set(&mut self, container: &str, status: &str, code: Option<i32>, information: &str) -> Result<()> {
        store::update(&self.simulator.db, self.id, |doc| {
            let replicas = doc["properties"]["detailedStatus"]["replicas"].as_array_mut();
            let own = replicas.into_iter().flatten().find(|replica| replica["name"] == self.replica);
            let list = own.and_then(|replica| replica["containers"].as_array_mut());
            let entry = list.into_iter().flatten().find(|entry| entry["name"] == container);
            let Some(entry) = entry else { return };
            entry["status"] = json!(status);
            if let Some(code) = code {
                entry["code"] = json!(code);
            }
            if !information.is_empty() {
                entry["additionalInformation"] = json!(information);
            }
        })?;
        Ok(())
    }
}
