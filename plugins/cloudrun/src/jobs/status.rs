//! Asking Cloud Run about many jobs, in rounds of requests that are under way together.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use sockerless_plugin_sdk::{
    Request, Response, Result,
    jobs::{Handle, JobStatus},
};

use super::{
    phase::Found,
    state::State,
    wire::{Execution, Job, Page, Task},
};
use crate::{CloudRun, google::Operation, limits, names};

/// The status of each handle, in order.
pub fn status(plugin: &CloudRun, handles: &[Handle]) -> Result<Vec<JobStatus>> {
    let mut all = Vec::with_capacity(handles.len());
    for handle in handles {
        let state = State::of(handle)?;
        all.push(Found { name: handle.name.clone(), started: handle.started, state, ..Found::default() });
    }
    if handles.len() >= limits::LIST_FROM_HANDLES {
        from_listing(plugin, &mut all)?;
    }
    executions_and_operations(plugin, &mut all)?;
    jobs(plugin, &mut all)?;
    executions_by_job(plugin, &mut all)?;
    tasks(plugin, &mut all)?;
    let now = plugin.host.now();
    Ok(all.iter().map(|found| found.status(now)).collect())
}

/// What the listing of the region's executions says; the rest is asked for one by one.
fn from_listing(plugin: &CloudRun, all: &mut [Found]) -> Result<()> {
    let mut wanted: BTreeMap<String, usize> = all
        .iter()
        .enumerate()
        .filter(|(_, found)| found.started)
        .map(|(index, found)| (execution_path(plugin, found), index))
        .collect();
    let mut token = String::new();
    for _ in 0..limits::LIST_PAGES {
        let url = plugin.config.run_url(&format!("{}/jobs/-/executions", plugin.config.parent()));
        let request = Request::get(url)
            .query("pageSize", &limits::EXECUTIONS_PER_PAGE.to_string())
            .query_opt("pageToken", (!token.is_empty()).then_some(&token));
        let answer = plugin.send(request)?;
        // A listing saves calls, no more: who may not list may still get, and what else is wrong
        // the calls for each will say.
        if !answer.is_success() {
            break;
        }
        let page: Page = answer.json()?;
        for execution in page.executions {
            // A list may lack fields that a get has. Without conditions it says that something
            // runs, but not how it ended.
            let runs = execution.running_count > 0 && !execution.is_completed();
            let telling = runs || !execution.conditions.is_empty();
            if let (true, Some(index)) = (telling, wanted.remove(&execution.name)) {
                adopt(&mut all[index], execution);
            }
        }
        token = page.next_page_token;
        if token.is_empty() || wanted.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The execution by its name; and the operation, as long as no execution was ever seen.
fn executions_and_operations(plugin: &CloudRun, all: &mut [Found]) -> Result<()> {
    let mut requests = Vec::new();
    let mut sinks = Vec::new();
    for (index, found) in
        all.iter().enumerate().filter(|(_, found)| found.execution.is_none() && found.started)
    {
        sinks.push((index, true));
        requests.push(Request::get(plugin.config.run_url(&execution_path(plugin, found))));
        if let (None, Some(operation)) = (&found.state.execution, &found.state.operation) {
            sinks.push((index, false));
            requests.push(Request::get(plugin.config.run_url(operation)));
        }
    }
    for ((index, of_execution), answer) in sinks.into_iter().zip(plugin.send_all(requests)?) {
        let found = &mut all[index];
        if of_execution {
            if let Some(execution) = read(plugin, "asking for an execution", &answer)? {
                adopt(found, execution);
            }
        } else if let Some(operation) = read::<Operation>(plugin, "asking for an operation", &answer)? {
            found.wait_ms = answer.retry_after_ms(plugin.host.now());
            found.pending = !operation.done;
            found.failure = operation.error;
        }
    }
    Ok(())
}

/// The job, where neither an execution nor a pending or failed operation explains it.
fn jobs(plugin: &CloudRun, all: &mut [Found]) -> Result<()> {
    let open = |found: &Found| {
        let waits = found.pending && !found.state.of_run;
        found.execution.is_none() && found.failure.is_none() && !waits
    };
    let asked: Vec<usize> = (0..all.len()).filter(|index| open(&all[*index])).collect();
    let requests = asked
        .iter()
        .map(|index| Request::get(plugin.config.run_url(&job_path(plugin, &all[*index].name))))
        .collect();
    for (index, answer) in asked.into_iter().zip(plugin.send_all(requests)?) {
        all[index].job = read::<Job>(plugin, "asking for a job", &answer)?;
    }
    Ok(())
}

/// The execution that the job names, where it is another than was expected.
fn executions_by_job(plugin: &CloudRun, all: &mut [Found]) -> Result<()> {
    let mut asked = Vec::new();
    for (index, found) in all.iter_mut().enumerate() {
        let latest = found.job.as_ref().and_then(|job| job.latest_created_execution.as_ref());
        if let (None, Some(latest)) = (&found.execution, latest) {
            found.state.execution = Some(names::short(&latest.name).to_owned());
            asked.push(index);
        }
    }
    let requests = asked
        .iter()
        .map(|index| Request::get(plugin.config.run_url(&execution_path(plugin, &all[*index]))))
        .collect();
    for (index, answer) in asked.into_iter().zip(plugin.send_all(requests)?) {
        if let Some(execution) = read(plugin, "asking for an execution", &answer)? {
            adopt(&mut all[index], execution);
        }
    }
    Ok(())
}

/// The task of each execution that ended: it alone has the exit code.
fn tasks(plugin: &CloudRun, all: &mut [Found]) -> Result<()> {
    let ended = |found: &Found| found.execution.as_ref().is_some_and(Execution::is_completed);
    let asked: Vec<usize> = (0..all.len()).filter(|index| ended(&all[*index])).collect();
    let requests = asked
        .iter()
        .map(|index| {
            let url = format!("{}/tasks", execution_path(plugin, &all[*index]));
            Request::get(plugin.config.run_url(&url)).query("pageSize", "1")
        })
        .collect();
    let mut incomplete = Vec::new();
    for (index, answer) in asked.into_iter().zip(plugin.send_all(requests)?) {
        let page: Option<Page> = read(plugin, "asking for a task", &answer)?;
        let task = page.and_then(|page| page.tasks.into_iter().next());
        // A list may lack fields that a get has.
        if let Some(bare) = task.as_ref().filter(|task| task.last_attempt_result.is_none()) {
            incomplete.push((index, Request::get(plugin.config.run_url(&bare.name))));
        }
        all[index].task = task;
    }
    let (indices, requests): (Vec<_>, Vec<_>) = incomplete.into_iter().unzip();
    for (index, answer) in indices.into_iter().zip(plugin.send_all(requests)?) {
        if let Some(task) = read::<Task>(plugin, "asking for a task", &answer)? {
            all[index].task = Some(task);
        }
    }
    Ok(())
}

fn adopt(found: &mut Found, execution: Execution) {
    found.state.execution = Some(names::short(&execution.name).to_owned());
    found.execution = Some(execution);
}

/// What an answer holds; none when there is no such thing.
pub fn read<T: DeserializeOwned>(plugin: &CloudRun, doing: &str, answer: &Response) -> Result<Option<T>> {
    if answer.status == 404 {
        return Ok(None);
    }
    plugin.check(doing, answer)?;
    answer.json().map(Some)
}

/// The full name of a job.
pub fn job_path(plugin: &CloudRun, name: &str) -> String {
    format!("{}/jobs/{name}", plugin.config.parent())
}

fn execution_path(plugin: &CloudRun, found: &Found) -> String {
    format!("{}/executions/{}", job_path(plugin, &found.name), found.state.execution_name(&found.name))
}
