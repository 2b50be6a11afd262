//! Microsoft.App: managed environments and their storages, jobs and their executions, container apps.

mod apps;
mod attempt;
mod document;
mod driver;
mod environments;
mod executions;
mod image;
mod jobs;
mod mounts;
mod names;
mod plan;
mod replica;
mod resources;
mod rules;
mod storages;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::arm::{Answer, Call};
use crate::error::{ArmError, Result};
use crate::server::Simulator;

/// What runs, by the id of its execution or app in small letters.
#[derive(Default)]
pub struct ContainerApps {
    live: Mutex<HashMap<String, Live>>,
}

/// Something that runs.
#[derive(Clone)]
struct Live {
    /// Ends it.
    cancel: CancellationToken,
    /// Cancelled when it is over.
    over: CancellationToken,
    /// Thousandths of a processor that it holds.
    cpu_millis: u32,
}

impl ContainerApps {
    fn live(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what runs under ids that begin so, and gives what to wait for.
    fn interrupt(&self, prefix: &str) -> Vec<CancellationToken> {
        let prefix = prefix.to_ascii_lowercase();
        let below = format!("{prefix}/");
        let live = self.live();
        let found = live.iter().filter(|(id, _)| **id == prefix || id.starts_with(&below));
        found
            .map(|(_, live)| {
                live.cancel.cancel();
                live.over.clone()
            })
            .collect()
    }
}

/// Answers a method of the provider.
pub async fn call(method: &str, call: Call) -> Result<Answer> {
    match method {
        "jobs_get" => jobs::get(&call),
        "jobs_create_or_update" => jobs::put(&call),
        "jobs_update" => jobs::patch(&call),
        "jobs_delete" => jobs::delete(&call),
        "jobs_list_by_resource_group" | "jobs_list_by_subscription" => jobs::list(&call),
        "jobs_list_secrets" => jobs::secrets(&call),
        "jobs_start" => executions::start(&call),
        "jobs_stop_execution" => executions::stop(&call),
        "jobs_stop_multiple_executions" => executions::stop_all(&call),
        "jobs_executions_list" => executions::list(&call),
        "container_apps_api_job_execution" => executions::get(&call),
        "managed_environments_get" => environments::get(&call),
        "managed_environments_create_or_update" => environments::put(&call),
        "managed_environments_delete" => environments::delete(&call),
        "managed_environments_list_by_resource_group" | "managed_environments_list_by_subscription" => {
            environments::list(&call)
        }
        "managed_environments_storages_get" => storages::get(&call),
        "managed_environments_storages_create_or_update" => storages::put(&call),
        "managed_environments_storages_delete" => storages::delete(&call),
        "managed_environments_storages_list" => storages::list(&call),
        "container_apps_get" => apps::get(&call),
        "container_apps_create_or_update" => apps::put(&call),
        "container_apps_delete" => apps::delete(&call),
        "container_apps_list_by_resource_group" | "container_apps_list_by_subscription" => apps::list(&call),
        "container_apps_start" => apps::start(&call),
        "container_apps_stop" => apps::stop(&call),
        "container_apps_list_secrets" => apps::secrets(&call),
        "container_apps_revisions_list_revisions" => apps::revisions::list(&call),
        "container_apps_revisions_get_revision" => apps::revisions::get(&call),
        "container_apps_revision_replicas_list_replicas" => apps::revisions::replicas(&call),
        "container_apps_revision_replicas_get_replica" => apps::revisions::replica(&call),
        _ => Err(ArmError::internal(format!("the method {method} is in the tables and not served"))),
    }
}

pub use environments::make as make_environment;

/// After a start: what ran when the last process ended is over, and what was on its way has arrived.
///
/// # Errors
/// The database's.
pub fn recover(simulator: &Arc<Simulator>) -> Result<()> {
    environments::recover(simulator)?;
    executions::recover(simulator)?;
    jobs::recover(simulator)?;
    apps::recover(simulator)
}
