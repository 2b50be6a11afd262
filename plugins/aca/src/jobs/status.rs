//! Asking Container Apps about many jobs, in rounds of requests that are under way together.

use serde::de::DeserializeOwned;
use sockerless_plugin_sdk::{
    Request, Response, Result,
    jobs::{Handle, JobStatus},
};

use super::{
    phase::Found,
    state::State,
    wire::{Execution, Job, Started},
};
use crate::{
    ContainerApps, apps,
    arm::{Operation, Page},
    names,
};

/// What an answer is about.
enum Ask {
    Job,
    Execution,
    Executions,
    Operation,
}

/// The status of each handle, in order.
pub fn status(plugin: &ContainerApps, handles: &[Handle]) -> Result<Vec<JobStatus>> {
    let mut all = Vec::with_capacity(handles.len());
    for handle in handles {
        let state = State::of(handle)?;
        all.push(Found { name: handle.name.clone(), started: handle.started, state, ..Found::default() });
    }
    look(plugin, &mut all)?;
    let now = plugin.host.now();
    let load = all.len();
    let mut statuses: Vec<JobStatus> = all.iter().map(|found| found.status(now, load)).collect();
    for (found, status) in all.iter().zip(&mut statuses).filter(|(found, _)| found.state.app) {
        *status = apps::status(plugin, found)?;
    }
    Ok(statuses)
}

/// Finds out what there is to know.
pub fn look(plugin: &ContainerApps, all: &mut [Found]) -> Result<()> {
    let first = |found: &Found| -> Vec<Ask> {
        match (found.started, &found.state.execution) {
            _ if found.state.app => vec![],
            (false, _) => vec![Ask::Job],
            (true, Some(_)) => vec![Ask::Execution],
            (true, None) if found.state.operation.is_some() => vec![Ask::Executions, Ask::Operation],
            (true, None) => vec![Ask::Executions],
        }
    };
    round(plugin, all, first)?;
    // No execution: is the job there at all, and why did the operation not lead to one?
    let second = |found: &Found| {
        let open = !found.state.app && found.execution.is_none() && found.failure.is_none();
        let failed = |job: &Job| matches!(job.properties.provisioning_state.as_str(), "Failed" | "Canceled");
        match &found.job {
            None if open && found.started => vec![Ask::Job],
            Some(job) if open && failed(job) && found.state.operation.is_some() => vec![Ask::Operation],
            _ => vec![],
        }
    };
    round(plugin, all, second)
}

fn round(plugin: &ContainerApps, all: &mut [Found], asks: impl Fn(&Found) -> Vec<Ask>) -> Result<()> {
    let mut requests = Vec::new();
    let mut sinks = Vec::new();
    for (index, found) in all.iter().enumerate() {
        for ask in asks(found) {
            let Some(request) = request(plugin, found, &ask) else { continue };
            requests.push(request);
            sinks.push((index, ask));
        }
    }
    for ((index, ask), answer) in sinks.into_iter().zip(plugin.send_all(requests)?) {
        take(plugin, &mut all[index], &ask, &answer)?;
    }
    Ok(())
}

fn request(plugin: &ContainerApps, found: &Found, ask: &Ask) -> Option<Request> {
    let config = &plugin.config;
    let job = job_id(plugin, &found.name);
    Some(Request::get(match ask {
        Ask::Job => config.url(&job),
        Ask::Execution => config.url(&format!("{job}/executions/{}", found.state.execution.as_ref()?)),
        Ask::Executions => config.url(&format!("{job}/executions")),
        Ask::Operation => config.follow(found.state.operation.as_ref()?)?.to_owned(),
    }))
}

fn take(plugin: &ContainerApps, found: &mut Found, ask: &Ask, answer: &Response) -> Result<()> {
    let doing = format!("asking for the job {}", found.name);
    match ask {
        Ask::Job => found.job = read::<Job>(plugin, &doing, answer)?,
        Ask::Execution => {
            if let Some(execution) = read(plugin, &doing, answer)? {
                adopt(found, execution);
            }
        }
        Ask::Executions => {
            if let Some(page) = read::<Page<Execution>>(plugin, &doing, answer)?
                && let Some(first) = newest(page.value)
            {
                adopt(found, first);
            }
        }
        Ask::Operation => {
            let wait = answer.retry_after_ms(plugin.host.now());
            found.wait_ms = found.wait_ms.max(wait);
            if let Some(started) = read::<Started>(plugin, &doing, answer)? {
                found.state.execution = found.state.execution.take().or_else(|| started.execution());
                let operation = Operation { status: started.status, error: started.error };
                if operation.failed() {
                    found.failure = Some(operation.error.unwrap_or_default());
                }
            }
        }
    }
    Ok(())
}

/// A job is started once; if something has started it twice all the same, the newest counts.
pub fn newest(executions: Vec<Execution>) -> Option<Execution> {
    executions.into_iter().max_by(|a, b| a.properties.start_time.cmp(&b.properties.start_time))
}

fn adopt(found: &mut Found, execution: Execution) {
    found.state.execution = Some(execution.name.clone()).filter(|name| !name.is_empty());
    found.execution = Some(execution);
}

/// What an answer holds; none when there is no such thing, or nothing yet.
pub fn read<T: DeserializeOwned>(
    plugin: &ContainerApps,
    doing: &str,
    answer: &Response,
) -> Result<Option<T>> {
    if answer.status == 404 || (answer.is_success() && answer.body.is_empty()) {
        return Ok(None);
    }
    plugin.check(doing, answer)?;
    answer.json().map(Some)
}

/// The id of a workload's job.
pub fn job_id(plugin: &ContainerApps, workload: &str) -> String {
    plugin.config.id("Microsoft.App/jobs", &names::job(workload))
}
