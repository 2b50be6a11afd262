//! Workloads as Container Apps jobs (`Microsoft.App/jobs`).

mod phase;
mod resources;
mod secrets;
mod state;
mod status;
mod template;
#[cfg(test)]
mod tests;
mod volumes;
mod wire;

use sockerless_plugin_sdk::{
    Cursor, Error, ErrorCode, Jobs, Request, Response, Result,
    jobs::{Handle, JobStatus, LogPage, Page, Phase, Spec, WorkloadKind},
};

pub use phase::Found;
pub use resources::sizes;
pub use secrets::Secrets;
pub use state::State;
pub use status::look;
pub use template::{access, check, identity, template};
pub use wire::SystemData;

use crate::{
    ContainerApps, apps,
    arm::{self, Fault},
    limits, logs, names,
    operation::Outcome,
};
use status::{job_id, newest, read};
use wire::{Execution, Job, Started};

impl Jobs for ContainerApps {
    /// A PUT would change a job of that name: so it is looked for first.
    fn create(&self, spec: Spec) -> Result<Handle> {
        if spec.kind == WorkloadKind::Service {
            return apps::create(self, &spec);
        }
        let body = template::job(&self.config, &spec)?;
        let doing = format!("creating the job {}", spec.name);
        let url = self.config.url(&job_id(self, &spec.name));
        let there = self.send(Request::get(url.as_str()))?;
        if let Some(job) = read::<Job>(self, &doing, &there)? {
            return self.existing(&spec, &job);
        }
        let answer = self.send(Request::put(url).json(&body))?;
        self.check(&doing, &answer)?;
        let state = State {
            since: self.host.now(),
            operation: self.operation(&answer),
            main: main_of(&spec),
            ..State::default()
        };
        Ok(state.handle(&spec.name, false))
    }

    fn start(&self, handle: Handle) -> Result<Handle> {
        let mut state = State::of(&handle)?;
        if handle.started {
            return Ok(handle);
        }
        if state.app {
            return apps::start(self, &handle, state);
        }
        let doing = format!("starting the job {}", handle.name);
        let id = job_id(self, &handle.name);
        let answer = self.send(Request::get(self.config.url(&id)))?;
        let now = self.host.now();
        let age = if state.since == 0 { 0 } else { now.saturating_sub(state.since) };
        let pause =
            (age / limits::NOT_READY_AGE_PART).clamp(limits::NOT_READY_RETRY_MS, limits::NOT_READY_MAX_MS);
        let wait = answer.retry_after_ms(now).unwrap_or(pause);
        let Some(job) = read::<Job>(self, &doing, &answer)? else {
            if let Outcome::Failed(fault) = self.outcome(&doing, &state)? {
                return Err(not_made(&doing, &fault));
            }
            let found = Found { state, ..Found::default() };
            if found.is_unseen(now) {
                return Err(Error::not_ready(format!("{doing}: it cannot be seen yet"), wait));
            }
            return Err(arm::error(&doing, &answer, now));
        };
        match job.properties.provisioning_state.as_str() {
            "Succeeded" => {}
            "Failed" | "Canceled" => {
                let (Outcome::Failed(fault) | Outcome::Unknown(Some(fault))) =
                    self.outcome(&doing, &state)?
                else {
                    return Err(not_made(&doing, &Fault::default()));
                };
                return Err(not_made(&doing, &fault));
            }
            other => {
                return Err(Error::not_ready(format!("{doing}: it is still being made ({other})"), wait));
            }
        }
        // A start has no name of its own: whoever started it before may not have lived to write that down.
        let answer = self.send(Request::get(self.config.url(&format!("{id}/executions"))))?;
        let known = read::<arm::Page<Execution>>(self, &doing, &answer)?.and_then(|page| newest(page.value));
        if state.main.is_empty() {
            state.main = job
                .properties
                .template
                .containers
                .first()
                .map(|first| first.name.clone())
                .unwrap_or_default();
        }
        if let Some(execution) = known {
            let (since, execution) = (self.host.now(), Some(execution.name));
            let state = State { since, execution, operation: None, ..state };
            return Ok(state.handle(&handle.name, true));
        }
        let answer = self.send(Request::post(self.config.url(&format!("{id}/start"))))?;
        self.check(&doing, &answer)?;
        let started: Started = serde_json::from_slice(&answer.body).unwrap_or_default();
        let state = State {
            since: self.host.now(),
            execution: started.execution(),
            operation: self.operation(&answer),
            ..state
        };
        Ok(state.handle(&handle.name, true))
    }

    fn status(&self, handles: Vec<Handle>) -> Result<Vec<JobStatus>> {
        status::status(self, &handles)
    }

    /// The grace is Container Apps' own: SIGTERM, and SIGKILL 30 seconds later.
    fn stop(&self, handle: Handle, _grace_seconds: u32) -> Result<Handle> {
        let state = State::of(&handle)?;
        if state.app {
            return apps::stop(self, &handle);
        }
        if !handle.started {
            return Ok(handle);
        }
        let doing = format!("stopping the job {}", handle.name);
        let mut found = [Found { name: handle.name.clone(), started: true, state, ..Found::default() }];
        if found[0].state.execution.is_none() {
            look(self, &mut found)?;
        }
        let [found] = found;
        let Some(execution) = found.state.execution.clone() else {
            let status = found.status(self.host.now(), 1);
            return match status.phase {
                Phase::Starting | Phase::Running => {
                    let why = format!("{doing}: it can be stopped once it has begun");
                    Err(Error::not_ready(why, limits::NOT_READY_RETRY_MS))
                }
                _ => Ok(status.handle),
            };
        };
        let path = format!("{}/executions/{execution}/stop", job_id(self, &handle.name));
        let answer = self.send(Request::post(self.config.url(&path)))?;
        if answer.is_success() || answer.status == 404 {
            return Ok(found.state.handle(&handle.name, true));
        }
        let refused = arm::error(&doing, &answer, self.host.now());
        // It may have ended by itself.
        let status = self.one(&found.state.handle(&handle.name, true))?;
        match status.phase {
            Phase::Starting | Phase::Running => Err(refused),
            _ => Ok(status.handle),
        }
    }

    /// Deletes the job with its executions; those that run are ended by that.
    fn delete(&self, handle: Handle) -> Result<()> {
        if State::of(&handle)?.app {
            return apps::delete(self, &handle.name);
        }
        self.remove(&format!("deleting the job {}", handle.name), &job_id(self, &handle.name))
    }

    /// A listing has no filter by tag, so a page may hold fewer of the owner's jobs than were read, or none. After the
    /// jobs come the apps.
    fn list(&self, owner: String, cursor: Option<Cursor>) -> Result<Page> {
        let cursor = cursor.filter(|cursor| !cursor.is_empty());
        if let Some(rest) = cursor.as_deref().and_then(|cursor| cursor.strip_prefix(apps::CURSOR)) {
            return apps::list(self, &owner, rest);
        }
        let all =
            Request::get(self.config.url(&format!("{}/providers/Microsoft.App/jobs", self.config.group)));
        let page: arm::Page<Job> = arm::page(self, "listing jobs", all, cursor.as_deref())?;
        let own: Vec<Job> = page.value.into_iter().filter(|job| names::is_owned(&job.tags, &owner)).collect();
        let mut found: Vec<Found> = own.iter().map(found_of).collect();
        look(self, &mut found)?;
        let (now, load) = (self.host.now(), found.len());
        let items = found
            .into_iter()
            .zip(own)
            .map(|(mut found, job)| {
                let labels = names::spec_labels(&job.tags);
                found.started = found.execution.is_some();
                found.job = Some(job);
                (found.status(now, load), labels)
            })
            .collect();
        Ok(Page { items, next: Some(page.next_link.unwrap_or_else(|| apps::CURSOR.to_owned())) })
    }

    fn logs(&self, handle: Handle, cursor: Option<Cursor>, limit: u32) -> Result<LogPage> {
        logs::page(self, &handle, cursor.as_deref(), limit)
    }
}

/// What a listing says of a job; whether it was started is to be found out.
fn found_of(job: &Job) -> Found {
    let main = job.properties.template.containers.first().map(|main| main.name.clone()).unwrap_or_default();
    let name = job.tags.get(names::WORKLOAD).unwrap_or(&job.name).clone();
    Found { name, started: true, state: State { main, ..State::default() }, ..Found::default() }
}

/// Why a job could not be made, in Azure's words as far as there are any.
fn not_made(doing: &str, fault: &Fault) -> Error {
    let sentence = fault.sentence();
    let why = if sentence.is_empty() { "Container Apps could not create the job" } else { &sentence };
    Error::invalid(format!("{doing}: {why}"))
}

fn main_of(spec: &Spec) -> String {
    spec.containers.first().map(|main| main.name.clone()).unwrap_or_default()
}

impl ContainerApps {
    /// The address of the operation that an answer began.
    pub(crate) fn operation(&self, answer: &Response) -> Option<String> {
        let header = answer.header("azure-asyncoperation").or_else(|| answer.header("location"));
        header.and_then(|url| self.config.follow(url))
    }

    /// The handle of a job that is there already, if the same spec made it.
    fn existing(&self, spec: &Spec, job: &Job) -> Result<Handle> {
        let doing = format!("creating the job {}", spec.name);
        if job.properties.provisioning_state == "Deleting" {
            let why = format!("{doing}: one of that name is being deleted");
            return Err(Error::not_ready(why, limits::NOT_READY_RETRY_MS));
        }
        if job.tags.get(names::SPEC) != Some(&names::fingerprint(spec)) {
            let why = format!("{doing}: another spec made the one that is there");
            return Err(Error::new(ErrorCode::AlreadyExists, why));
        }
        // `start` sees whether it was started.
        let state = State { since: self.host.now(), main: main_of(spec), ..State::default() };
        Ok(state.handle(&spec.name, false))
    }

    /// Removes a job or an app. ARM deletes in its own time, and may fail at that after it has accepted it: it is gone once
    /// there is nothing to delete.
    pub(crate) fn remove(&self, doing: &str, id: &str) -> Result<()> {
        let answer = self.send(Request::delete(self.config.url(id)))?;
        if matches!(answer.status, 200 | 204 | 404) {
            return Ok(());
        }
        self.check(doing, &answer)?;
        // Without a time of ARM's the host's own pauses hold, which grow.
        let retry_after_ms = answer.retry_after_ms(self.host.now());
        let why = format!("{doing}: Container Apps is still at it");
        Err(Error { retry_after_ms, ..Error::new(ErrorCode::NotReady, why) })
    }

    /// Where the operation that made a job is; nothing is known of it where the handle names none.
    fn outcome(&self, doing: &str, state: &State) -> Result<Outcome> {
        let Some(url) = state.operation.as_ref().and_then(|url| self.config.follow(url)) else {
            return Ok(Outcome::Unknown(None));
        };
        let answer = self.send(Request::get(url))?;
        if answer.status == 429 {
            return Err(arm::error(doing, &answer, self.host.now()));
        }
        Ok(Outcome::of(&answer))
    }

    fn one(&self, handle: &Handle) -> Result<JobStatus> {
        let mut all = status::status(self, std::slice::from_ref(handle))?;
        all.pop().ok_or_else(|| Error::internal("a status for each handle"))
    }
}
