//! Asking Container Apps about many jobs, in rounds of requests that are under way together.

use serde::de::DeserializeOwned;
use sockerless_plugin_sdk::{
    Request, Response, Result,
    jobs::{Handle, JobStatus, Phase},
};

use super::{
    phase::Found,
    state::State,
    wire::{Execution, Job, Started},
};
use crate::{
    ContainerApps,
    apps::{self, App, Replica},
    arm::Page,
    names,
    operation::Outcome,
};

/// What an answer is about.
enum Ask {
    Job,
    Execution,
    Executions,
    Operation,
    App,
    Replicas,
}

/// The status of each handle, in order.
pub fn status(plugin: &ContainerApps, handles: &[Handle]) -> Result<Vec<JobStatus>> {
    let mut all = Vec::with_capacity(handles.len());
    for handle in handles {
        let state = State::of(handle)?;
        all.push(Found { name: handle.name.clone(), started: handle.started, state, ..Found::default() });
    }
    look(plugin, &mut all)?;
    let (now, load) = (plugin.host.now(), all.len());
    Ok(all.iter().map(|found| found.status(now, load)).collect())
}

/// Finds out what there is to know.
pub fn look(plugin: &ContainerApps, all: &mut [Found]) -> Result<()> {
    round(plugin, all, first)?;
    round(plugin, all, second)?;
    let now = plugin.host.now();
    for found in all.iter_mut().filter(|found| found.started && !found.state.app) {
        found.state.missing = match (&found.execution, &found.job) {
            (None, Some(_)) if found.state.missing > 0 => found.state.missing,
            (None, Some(_)) => now,
            _ => 0,
        };
    }
    Ok(())
}

fn first(found: &Found) -> Vec<Ask> {
    match (found.started, &found.state.execution) {
        _ if found.state.app => vec![Ask::App],
        (false, _) => vec![Ask::Job],
        (true, Some(_)) => vec![Ask::Execution],
        (true, None) => vec![Ask::Executions, Ask::Operation],
    }
}

/// No execution: is the job there at all, and why did the operation not lead to one? And where is the app that runs by its
/// own word, or why can it not?
fn second(found: &Found) -> Vec<Ask> {
    if found.state.app {
        return match found.app.as_ref().map(App::phase) {
            Some(Phase::Running) => vec![Ask::Replicas],
            Some(Phase::Failed) | None => vec![Ask::Operation],
            Some(_) => vec![],
        };
    }
    if found.execution.is_some() || found.failure.is_some() {
        return vec![];
    }
    match &found.job {
        None if found.started => vec![Ask::Job, Ask::Operation],
        None => vec![Ask::Operation],
        Some(job) if matches!(job.properties.provisioning_state.as_str(), "Failed" | "Canceled") => {
            vec![Ask::Operation]
        }
        Some(_) => vec![],
    }
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

/// None where there is nothing to ask, or it was asked already.
fn request(plugin: &ContainerApps, found: &Found, ask: &Ask) -> Option<Request> {
    let config = &plugin.config;
    let job = job_id(plugin, &found.name);
    Some(Request::get(match ask {
        Ask::Job => config.url(&job),
        Ask::Execution => config.url(&format!("{job}/executions/{}", found.state.execution.as_ref()?)),
        Ask::Executions => config.url(&format!("{job}/executions")),
        Ask::Operation if found.asked => return None,
        Ask::Operation => config.follow(found.state.operation.as_ref()?)?,
        Ask::App => config.url(&apps::id(plugin, &found.name)),
        Ask::Replicas => config.url(&apps::replicas(plugin, &found.name, found.app.as_ref()?)),
    }))
}

fn take(plugin: &ContainerApps, found: &mut Found, ask: &Ask, answer: &Response) -> Result<()> {
    let what = if found.state.app { "app" } else { "job" };
    let doing = format!("asking for the {what} {}", found.name);
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
            if answer.status == 429 {
                return plugin.check(&doing, answer);
            }
            found.asked = true;
            let wait = answer.retry_after_ms(plugin.host.now());
            found.wait_ms = found.wait_ms.max(wait);
            match Outcome::of(answer) {
                Outcome::Pending => found.pending = true,
                Outcome::Done => {}
                Outcome::Failed(fault) => found.failure = Some(fault),
                Outcome::Unknown(doubt) => found.doubt = doubt,
            }
            if !found.state.app && answer.is_success() {
                // What is no JSON names nothing.
                let started: Started = serde_json::from_slice(&answer.body).unwrap_or_default();
                found.state.execution = found.state.execution.take().or_else(|| started.execution());
            }
        }
        Ask::App => found.app = read::<App>(plugin, &doing, answer)?,
        Ask::Replicas => {
            let page = read::<Page<Replica>>(plugin, &doing, answer)?;
            found.replicas = Some(page.map(|page| page.value).unwrap_or_default());
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
