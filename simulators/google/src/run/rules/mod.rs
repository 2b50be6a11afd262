//! What Cloud Run asks of a job beyond its schema, and what it fills in.

mod container;
mod labels;
mod probe;
mod several;
mod volume;

use serde_json::{Value, json};

use crate::error::{ApiError, Code, Result};
use crate::{auth, limits, time};
pub use container::env;
pub use several::depends_on;

/// Checks a job's body and fills in the defaults.
///
/// # Errors
/// 400 for what the cloud refuses, 501 for what it takes and this simulator does not run.
pub fn job(job: &mut Value, project: &str, registry: &str) -> Result<()> {
    labels::labels(&job["labels"], "labels")?;
    labels::annotations(&job["annotations"], "annotations")?;
    if job["template"].is_null() {
        return Err(ApiError::field("job.template", "job.template: This field is required."));
    }
    labels::labels(&job["template"]["labels"], "template.labels")?;
    labels::annotations(&job["template"]["annotations"], "template.annotations")?;
    execution(&mut job["template"])?;
    task(&mut job["template"]["template"], project, registry)?;
    default(job, "launchStage", json!("GA"));
    Ok(())
}

/// Checks counts of an execution's template.
pub fn execution(template: &mut Value) -> Result<()> {
    if template["delayExecution"] == true {
        return Err(unimplemented("template.delayExecution", "delayed executions"));
    }
    default(template, "taskCount", json!(1));
    let tasks = template["taskCount"].as_i64().unwrap_or_default();
    if !(1..=limits::TASKS).contains(&tasks) {
        let reason = format!("template.task_count: Value {tasks} must be between 1 and {}.", limits::TASKS);
        return Err(ApiError::field("template.task_count", reason));
    }
    if template["parallelism"].as_i64().is_some_and(|parallelism| parallelism < 0 || parallelism > tasks) {
        return Err(ApiError::field(
            "template.parallelism",
            "template.parallelism: Must be between 0 and task_count.",
        ));
    }
    Ok(())
}

/// Checks a task's template and fills in the defaults.
fn task(task: &mut Value, project: &str, registry: &str) -> Result<()> {
    const AT: &str = "template.template";
    default(task, "maxRetries", json!(limits::DEFAULT_RETRIES));
    default(task, "timeout", json!(format!("{}s", limits::DEFAULT_TASK_TIMEOUT.as_secs())));
    default(task, "serviceAccount", json!(auth::service_account(project)));
    default(task, "executionEnvironment", json!("EXECUTION_ENVIRONMENT_GEN2"));
    let retries = task["maxRetries"].as_i64().unwrap_or_default();
    if !(0..=limits::MAX_RETRIES).contains(&retries) {
        let reason = format!("{AT}.max_retries: Must be between 0 and {}.", limits::MAX_RETRIES);
        return Err(ApiError::field(&format!("{AT}.max_retries"), reason));
    }
    timeout(&task["timeout"], &format!("{AT}.timeout"))?;
    for (field, what) in [
        ("encryptionKey", "customer managed keys"),
        ("nodeSelector", "accelerators"),
        ("sandboxes", "sandboxes"),
    ] {
        if !task[field].is_null() {
            return Err(unimplemented(&format!("{AT}.{field}"), what));
        }
    }
    let volumes: Vec<Value> = task["volumes"].as_array().cloned().unwrap_or_default();
    for (index, volume) in volumes.iter().enumerate() {
        volume::volume(volume, &format!("{AT}.volumes[{index}]"))?;
        if volumes[..index].iter().any(|other| other["name"] == volume["name"]) {
            let at = format!("{AT}.volumes[{index}].name");
            return Err(ApiError::field(&at, format!("{at}: Volume names must be unique.")));
        }
    }
    let Some(containers) = task["containers"].as_array_mut().filter(|containers| !containers.is_empty())
    else {
        let at = format!("{AT}.containers");
        return Err(ApiError::field(&at, format!("{at}: At least one container is required.")));
    };
    several::several(containers, &format!("{AT}.containers"))?;
    for (index, container) in containers.iter_mut().enumerate() {
        container::container(container, &volumes, &format!("{AT}.containers[{index}]"), registry)?;
    }
    Ok(())
}

/// Checks a task's timeout.
pub fn timeout(value: &Value, at: &str) -> Result<()> {
    let good = value
        .as_str()
        .and_then(time::duration)
        .is_some_and(|timeout| !timeout.is_zero() && timeout <= limits::MAX_TASK_TIMEOUT);
    if good {
        return Ok(());
    }
    let reason =
        format!("{at}: Must be greater than 0 and at most {} seconds.", limits::MAX_TASK_TIMEOUT.as_secs());
    Err(ApiError::field(at, reason))
}

fn dns_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn default(doc: &mut Value, field: &str, value: Value) {
    if doc[field].is_null() {
        doc[field] = value;
    }
}

fn unimplemented(field: &str, what: &str) -> ApiError {
    ApiError::new(
        Code::Unimplemented,
        format!("{field}: this simulator does not have {what} yet; the cloud does."),
    )
}

#[cfg(test)]
mod tests;
