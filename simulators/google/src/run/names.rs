//! Resource names of Cloud Run.

use percent_encoding::percent_decode_str;

use crate::error::{ApiError, Code, Result};
use crate::limits;

/// A project's region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The project's id.
    pub project: String,
    /// The region.
    pub region: String,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// `…/jobs`
    Jobs,
    /// `…/jobs/J`
    Job(String),
    /// `…/jobs/J/executions`
    Executions(String),
    /// `…/jobs/J/executions/E`
    Execution(String, String),
    /// `…/executions/E/tasks`
    Tasks(String, String),
    /// `…/executions/E/tasks/T`
    Task(String, String, String),
    /// `…/operations`
    Operations,
    /// `…/operations/O`
    Operation(String),
}

impl Location {
    /// `projects/P/locations/L`
    pub fn name(&self) -> String {
        format!("projects/{}/locations/{}", self.project, self.region)
    }

    /// The full name of a job.
    pub fn job(&self, job: &str) -> String {
        format!("{}/jobs/{job}", self.name())
    }

    /// The full name of an operation.
    pub fn operation(&self, id: &str) -> String {
        format!("{}/operations/{id}", self.name())
    }

    /// The location in a full resource name of ours.
    pub fn of(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("projects"), Some(project), Some("locations"), Some(region)) => {
                Some(Self { project: project.to_owned(), region: region.to_owned() })
            }
            _ => None,
        }
    }
}

/// Reads the path of a call: the location, what it names, and the verb behind the last colon.
pub fn parse(path: &str) -> Option<(Location, Resource, Option<String>)> {
    let path = path.strip_prefix("/v2/")?;
    let (path, verb) = match path.rsplit_once(':') {
        Some((path, verb)) if !verb.contains('/') => (path, Some(verb.to_owned())),
        _ => (path, None),
    };
    let parts: Vec<String> =
        path.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect();
    if parts.iter().any(String::is_empty) {
        return None;
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let ["projects", project, "locations", region, rest @ ..] = parts.as_slice() else { return None };
    let text = |part: &str| part.to_owned();
    let resource = match rest {
        ["jobs"] => Resource::Jobs,
        ["jobs", job] => Resource::Job(text(job)),
        ["jobs", job, "executions"] => Resource::Executions(text(job)),
        ["jobs", job, "executions", execution] => Resource::Execution(text(job), text(execution)),
        ["jobs", job, "executions", execution, "tasks"] => Resource::Tasks(text(job), text(execution)),
        ["jobs", job, "executions", execution, "tasks", task] => {
            Resource::Task(text(job), text(execution), text(task))
        }
        ["operations"] => Resource::Operations,
        ["operations", operation] => Resource::Operation(text(operation)),
        _ => return None,
    };
    Some((Location { project: text(project), region: text(region) }, resource, verb))
}

/// The last part of a full name.
pub fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The name without its last two parts: the parent.
pub fn parent(name: &str) -> &str {
    name.rsplitn(3, '/').nth(2).unwrap_or_default()
}

/// Checks a new job's id.
pub fn check_job_id(id: &str) -> Result<()> {
    let good = id.len() < limits::NAME_CHARACTERS + 1
        && id.starts_with(|first: char| first.is_ascii_lowercase())
        && !id.ends_with('-')
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if good {
        return Ok(());
    }
    Err(ApiError::field(
        "job_id",
        format!(
            "Violation in CreateJobRequest.job_id: Invalid Job ID {id:?}: only lowercase alphanumeric characters and \
             hyphens are allowed; it must begin with a letter, must not end with a hyphen, and must be less than 64 characters."
        ),
    ))
}

/// Checks an execution token against its job's name.
pub fn check_token(field: &str, job: &str, token: &str) -> Result<()> {
    let letters =
        token.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if token.is_empty() || !letters || token.ends_with('-') {
        let reason = format!("{field}: {token:?} may contain only lowercase letters, digits and hyphens.");
        return Err(ApiError::field(&format!("job.{field}"), reason));
    }
    if job.len() + token.len() >= limits::NAME_CHARACTERS {
        let reason =
            format!("{field}: The sum of job name and token length must be fewer than 63 characters.");
        return Err(ApiError::field(&format!("job.{field}"), reason));
    }
    Ok(())
}

/// 404 in Cloud Run's words. `kind` is `JOB`, `EXECUTION`, `TASK`.
pub fn not_found(location: &Location, kind: &str, name: &str) -> ApiError {
    ApiError::new(
        Code::NotFound,
        format!(
            "Resource '{name}' of kind '{kind}' in region '{}' in project '{}' does not exist.",
            location.region, location.project
        ),
    )
}

/// 409 in Cloud Run's words.
pub fn exists(name: &str) -> ApiError {
    ApiError::new(Code::AlreadyExists, format!("Resource '{name}' already exists."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gives_location_resource_and_verb() {
        let (location, resource, verb) =
            parse("/v2/projects/p/locations/l/jobs/j/executions/e:cancel").unwrap();
        assert_eq!(location.name(), "projects/p/locations/l");
        assert_eq!(resource, Resource::Execution("j".into(), "e".into()));
        assert_eq!(verb.as_deref(), Some("cancel"));
        assert!(parse("/v2/projects/p/locations/l/services/s").is_none());
        assert!(parse("/v2/projects/p/locations//jobs").is_none());
    }

    #[test]
    fn job_ids_and_tokens_keep_the_clouds_rules() {
        for good in ["a", "a1-b", &"a".repeat(63)] {
            assert!(check_job_id(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "a-", "A", "a_b", &"a".repeat(64)] {
            assert!(check_job_id(bad).is_err(), "{bad}");
        }
        assert!(check_token("startExecutionToken", &"a".repeat(57), "12345").is_ok());
        assert!(check_token("startExecutionToken", &"a".repeat(58), "12345").is_err());
        assert!(check_token("startExecutionToken", "a", "").is_err());
    }
}
