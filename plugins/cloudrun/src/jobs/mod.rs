//! Workloads as Cloud Run jobs (Admin API v2).

mod phase;
mod resources;
mod state;
mod status;
mod template;
#[cfg(test)]
mod tests;
mod volumes;
mod wire;

use serde_json::json;
use sockerless_plugin_sdk::{
    Cursor, Error, ErrorCode, Jobs, Request, Result,
    jobs::{Handle, JobStatus, LogPage, Page, Phase, Spec},
};

pub use state::State;
pub use volumes::Bucket;

use crate::{
    CloudRun,
    google::{self, Operation},
    limits, logs, names,
};
use status::{job_path, read};
use wire::Job;

impl Jobs for CloudRun {
    fn create(&self, spec: Spec) -> Result<Handle> {
        let body = template::job(&self.config, &spec)?;
        let doing = format!("creating the job {}", spec.name);
        let url = self.config.run_url(&format!("{}/jobs", self.config.parent()));
        let answer = self.send(Request::post(url).query("jobId", &spec.name).json(&body))?;
        if answer.status == 409 {
            let refused = google::error(&doing, &answer, self.host.now());
            return if refused.code == ErrorCode::AlreadyExists {
                self.existing(&spec, refused)
            } else {
                Err(refused)
            };
        }
        self.check(&doing, &answer)?;
        let operation: Operation = answer.json()?;
        Ok(State { operation: Some(operation.name), ..State::default() }.handle(&spec.name, spec.start))
    }

    fn start(&self, handle: Handle) -> Result<Handle> {
        if handle.started {
            return Ok(handle);
        }
        let doing = format!("starting the job {}", handle.name);
        let path = job_path(self, &handle.name);
        let answer = self.send(Request::get(self.config.run_url(&path)))?;
        self.check(&doing, &answer)?;
        let job: Job = answer.json()?;
        if let Some(latest) = &job.latest_created_execution {
            // Whoever started it before did not live to write that down.
            let execution = Some(names::short(&latest.name).to_owned());
            return Ok(State { execution, ..State::default() }.handle(&handle.name, true));
        }
        if job.reconciling {
            let why = format!("{doing}: Cloud Run is still creating it");
            return Err(Error::not_ready(why, limits::NOT_READY_RETRY_MS));
        }
        let answer =
            self.send(Request::post(self.config.run_url(&format!("{path}:run"))).json(&json!({})))?;
        self.check(&doing, &answer)?;
        let operation: Operation = answer.json()?;
        // The operation lasts as long as the execution, which its metadata describes.
        let execution = operation.metadata["name"].as_str().filter(|name| name.contains("/executions/"));
        let state = State {
            execution: execution.map(|name| names::short(name).to_owned()),
            operation: Some(operation.name),
            of_run: true,
        };
        Ok(state.handle(&handle.name, true))
    }

    fn status(&self, handles: Vec<Handle>) -> Result<Vec<JobStatus>> {
        status::status(self, &handles)
    }

    /// The grace is Cloud Run's own: SIGTERM, and SIGKILL 10 seconds later.
    fn stop(&self, handle: Handle, _grace_seconds: u32) -> Result<Handle> {
        if !handle.started {
            return Ok(handle);
        }
        let execution = State::of(&handle)?.execution_name(&handle.name);
        let doing = format!("stopping the job {}", handle.name);
        let answer = self.cancel(&handle.name, &execution)?;
        if answer.is_success() {
            return Ok(handle);
        }
        let refused = google::error(&doing, &answer, self.host.now());
        if answer.status != 404 && !google::is_precondition(&answer) {
            return Err(refused);
        }
        // It has ended, or is gone, or has not begun, or its name is another.
        let status = self.one(&handle)?;
        match status.phase {
            Phase::Succeeded | Phase::Failed | Phase::Cancelled | Phase::Absent | Phase::Created => {
                Ok(status.handle)
            }
            Phase::Starting | Phase::Running => {
                let known = State::of(&status.handle)?.execution;
                if let Some(other) = known.filter(|known| *known != execution) {
                    let answer = self.cancel(&handle.name, &other)?;
                    self.check(&doing, &answer)?;
                    return Ok(status.handle);
                }
                let why = format!("{}; it can be stopped once it has begun", refused.message);
                Err(Error {
                    provider_status: refused.provider_status,
                    ..Error::not_ready(why, limits::NOT_READY_RETRY_MS)
                })
            }
        }
    }

    fn delete(&self, handle: Handle) -> Result<()> {
        let doing = format!("deleting the job {}", handle.name);
        let answer = self.send(Request::delete(self.config.run_url(&job_path(self, &handle.name))))?;
        if answer.is_success() || answer.status == 404 {
            return Ok(());
        }
        let refused = google::error(&doing, &answer, self.host.now());
        if !google::is_precondition(&answer) {
            return Err(refused);
        }
        // A job whose execution still runs: end that first, and let the host come again.
        let status = self.one(&handle)?;
        match (status.phase, State::of(&status.handle)?.execution) {
            (Phase::Starting | Phase::Running, Some(execution)) => {
                let answer = self.cancel(&handle.name, &execution)?;
                if answer.status != 404 && !google::is_precondition(&answer) {
                    self.check(&doing, &answer)?;
                }
                let why = format!("{}; its execution is being cancelled first", refused.message);
                Err(Error {
                    provider_status: refused.provider_status,
                    ..Error::not_ready(why, limits::NOT_READY_RETRY_MS)
                })
            }
            (Phase::Absent, _) => Ok(()),
            _ => Err(refused),
        }
    }

    /// `jobs.list` of v2 has no filter, so a page may hold fewer of the owner's jobs than
    /// were read, or none.
    fn list(&self, owner: String, cursor: Option<Cursor>) -> Result<Page> {
        let url = self.config.run_url(&format!("{}/jobs", self.config.parent()));
        let request = Request::get(url)
            .query("pageSize", &limits::JOBS_PER_PAGE.to_string())
            .query_opt("pageToken", cursor.as_deref());
        let answer = self.send(request)?;
        self.check("listing jobs", &answer)?;
        let page: wire::Page = answer.json()?;
        let mut jobs: Vec<Job> =
            page.jobs.into_iter().filter(|job| names::is_owned(&job.labels, &owner)).collect();
        self.complete(&mut jobs)?;
        let now = self.host.now();
        let items = jobs
            .into_iter()
            .map(|job| {
                let labels = names::spec_labels(&job.annotations);
                (phase::of_listed(job, now), labels)
            })
            .collect();
        Ok(Page { items, next: Some(page.next_page_token).filter(|token| !token.is_empty()) })
    }

    fn logs(&self, handle: Handle, cursor: Option<Cursor>, limit: u32) -> Result<LogPage> {
        logs::page(self, &handle, cursor.as_deref(), limit)
    }
}

impl CloudRun {
    /// The handle of a job that is there already, if the same spec made it.
    fn existing(&self, spec: &Spec, refused: Error) -> Result<Handle> {
        let answer = self.send(Request::get(self.config.run_url(&job_path(self, &spec.name))))?;
        let Some(job) = read::<Job>(self, "asking for a job", &answer)? else {
            let why = format!("{}; but now it is gone", refused.message);
            return Err(Error::not_ready(why, limits::NOT_READY_RETRY_MS));
        };
        if !job.delete_time.is_empty() {
            let why = format!("{}; it is being deleted", refused.message);
            return Err(Error::not_ready(why, limits::NOT_READY_RETRY_MS));
        }
        if job.annotations.get(names::SPEC) != Some(&names::fingerprint(spec)) {
            return Err(Error { message: format!("{}; another spec made it", refused.message), ..refused });
        }
        let execution = job.latest_created_execution.map(|latest| names::short(&latest.name).to_owned());
        let started = spec.start || execution.is_some();
        Ok(State { execution, ..State::default() }.handle(&spec.name, started))
    }

    fn cancel(&self, job: &str, execution: &str) -> Result<sockerless_plugin_sdk::Response> {
        let path = format!("{}/executions/{execution}:cancel", job_path(self, job));
        self.send(Request::post(self.config.run_url(&path)).json(&json!({})))
    }

    fn one(&self, handle: &Handle) -> Result<JobStatus> {
        let mut all = status::status(self, std::slice::from_ref(handle))?;
        all.pop().ok_or_else(|| Error::internal("a status for each handle"))
    }

    /// A list may lack fields that a get has: asks for the jobs that say nothing of themselves.
    fn complete(&self, jobs: &mut [Job]) -> Result<()> {
        let mut bare: Vec<&mut Job> = jobs
            .iter_mut()
            .filter(|job| job.terminal_condition.is_none() && job.latest_created_execution.is_none())
            .collect();
        let requests = bare.iter().map(|job| Request::get(self.config.run_url(&job.name))).collect();
        for (job, answer) in bare.iter_mut().zip(self.send_all(requests)?) {
            if let Some(whole) = read::<Job>(self, "asking for a job", &answer)? {
                **job = whole;
            }
        }
        Ok(())
    }
}
