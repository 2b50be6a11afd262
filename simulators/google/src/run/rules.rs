//! What Cloud Run asks of a job beyond its schema, and what it fills in.

use serde_json::{Value, json};

use super::image::Image;
use super::quantity;
use crate::error::{ApiError, Code, Result};
use crate::{auth, limits, time};

/// Namespaces of labels and annotations that only the system writes.
const RESERVED: &[&str] =
    &["run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev"];
/// Variables that the system sets.
const RESERVED_ENV: &[&str] = &[
    "CLOUD_RUN_JOB",
    "CLOUD_RUN_EXECUTION",
    "CLOUD_RUN_TASK_INDEX",
    "CLOUD_RUN_TASK_ATTEMPT",
    "CLOUD_RUN_TASK_COUNT",
];

/// Checks a job's body and fills in the defaults.
///
/// # Errors
/// 400 for what the cloud refuses, 501 for what it takes and this simulator does not run.
pub fn job(job: &mut Value, project: &str, registry: &str) -> Result<()> {
    labels(&job["labels"], "labels")?;
    annotations(&job["annotations"], "annotations")?;
    if job["template"].is_null() {
        return Err(ApiError::field("job.template", "job.template: This field is required."));
    }
    labels(&job["template"]["labels"], "template.labels")?;
    annotations(&job["template"]["annotations"], "template.annotations")?;
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
        self::volume(volume, &format!("{AT}.volumes[{index}]"))?;
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
    if containers.len() > 1 {
        return Err(unimplemented(&format!("{AT}.containers"), "tasks of several containers"));
    }
    for (index, container) in containers.iter_mut().enumerate() {
        self::container(container, &volumes, &format!("{AT}.containers[{index}]"), registry)?;
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

fn volume(volume: &Value, at: &str) -> Result<()> {
    let wrong = |field: &str, reason: &str| {
        Err(ApiError::field(&format!("{at}.{field}"), format!("{at}.{field}: {reason}")))
    };
    if volume["name"].as_str().is_none_or(|name| !dns_label(name)) {
        return wrong("name", "Must be a DNS label.");
    }
    for (source, what) in [
        ("secret", "secret volumes"),
        ("cloudSqlInstance", "Cloud SQL volumes"),
        ("nfs", "NFS volumes"),
        ("filestore", "Filestore volumes"),
    ] {
        if !volume[source].is_null() {
            return Err(unimplemented(&format!("{at}.{source}"), what));
        }
    }
    match (&volume["gcs"], &volume["emptyDir"]) {
        (Value::Object(gcs), Value::Null) => {
            if gcs.get("bucket").and_then(Value::as_str).is_none_or(str::is_empty) {
                return wrong("gcs.bucket", "This field is required.");
            }
            if gcs.get("readOnly") != Some(&json!(true)) {
                return Err(unimplemented(
                    &format!("{at}.gcs.readOnly"),
                    "writable Cloud Storage volumes (set readOnly)",
                ));
            }
            Ok(())
        }
        (Value::Null, Value::Object(empty)) => match empty.get("sizeLimit").and_then(Value::as_str) {
            Some(size) if quantity::bytes(size).is_none_or(|bytes| bytes == 0) => {
                wrong("empty_dir.size_limit", "Invalid quantity.")
            }
            _ => Ok(()),
        },
        _ => wrong("name", "Exactly one volume source is required."),
    }
}

fn container(container: &mut Value, volumes: &[Value], at: &str, registry: &str) -> Result<()> {
    let wrong = |field: &str, reason: String| {
        Err(ApiError::field(&format!("{at}.{field}"), format!("{at}.{field}: {reason}")))
    };
    match container["image"].as_str() {
        Some(image) if !image.is_empty() => Image::parse(image, registry, &format!("{at}.image"))?,
        _ => return wrong("image", "This field is required.".to_owned()),
    };
    if container["name"].as_str().is_some_and(|name| !name.is_empty() && !dns_label(name)) {
        return wrong("name", "Must be a DNS label.".to_owned());
    }
    for (field, what) in [
        ("ports", "ports of jobs"),
        ("livenessProbe", "liveness probes"),
        ("readinessProbe", "readiness probes"),
        ("startupProbe", "startup probes"),
        ("baseImageUri", "base images"),
        ("sourceCode", "source deployments"),
        ("buildConfig", "source deployments"),
        ("sandboxLauncher", "sandboxes"),
    ] {
        if !matches!(&container[field], Value::Null | Value::Bool(false)) {
            return Err(unimplemented(&format!("{at}.{field}"), what));
        }
    }
    let count = |field: &str| container[field].as_array().map_or(0, Vec::len);
    if count("args") + count("command") > limits::ARGUMENTS {
        return wrong("args", format!("At most {} arguments are allowed.", limits::ARGUMENTS));
    }
    env(&container["env"], at)?;
    for (index, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let field = format!("volume_mounts[{index}]");
        if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
            return wrong(&format!("{field}.name"), format!("Volume {} not found.", mount["name"]));
        }
        let path = mount["mountPath"].as_str().unwrap_or_default();
        if !path.starts_with('/') || path.contains(':') || path.split('/').any(|part| part == "..") {
            return wrong(&format!("{field}.mount_path"), "Must be an absolute path without ':'.".to_owned());
        }
        let sub = mount["subPath"].as_str().unwrap_or_default();
        if sub.starts_with('/') || sub.split('/').any(|part| part == "..") {
            return wrong(&format!("{field}.sub_path"), "Must be a relative path without '..'.".to_owned());
        }
    }
    if container["workingDir"].as_str().is_some_and(|dir| !dir.is_empty() && !dir.starts_with('/')) {
        return wrong("working_dir", "Must be an absolute path.".to_owned());
    }
    resources(container, at)
}

/// Checks variables. `at` is their container.
pub fn env(env: &Value, at: &str) -> Result<()> {
    let list = env.as_array().map_or(&[] as &[Value], Vec::as_slice);
    let wrong = |index: usize, field: &str, reason: String| {
        let at = format!("{at}.env[{index}].{field}");
        Err(ApiError::field(&at, format!("{at}: {reason}")))
    };
    if list.len() > limits::ENV_VARIABLES {
        let at = format!("{at}.env");
        return Err(ApiError::field(
            &at,
            format!("{at}: At most {} environment variables are allowed.", limits::ENV_VARIABLES),
        ));
    }
    for (index, variable) in list.iter().enumerate() {
        let name = variable["name"].as_str().unwrap_or_default();
        if name.is_empty() || name.contains('=') || name.chars().count() > limits::ENV_BYTES {
            return wrong(index, "name", "Invalid environment variable name.".to_owned());
        }
        if RESERVED_ENV.contains(&name) {
            return wrong(
                index,
                "name",
                format!(
                    "The following reserved env names were provided: {name}. These values are automatically set by the system."
                ),
            );
        }
        if variable["value"].as_str().is_some_and(|value| value.len() > limits::ENV_BYTES) {
            return wrong(index, "value", format!("Must not exceed {} bytes.", limits::ENV_BYTES));
        }
        if !variable["valueSource"].is_null() {
            return Err(unimplemented(&format!("{at}.env[{index}].valueSource"), "secrets in variables"));
        }
    }
    Ok(())
}

/// Processor and memory: the sizes that the cloud offers.
fn resources(container: &mut Value, at: &str) -> Result<()> {
    let at = format!("{at}.resources.limits");
    let wrong = |key: &str, reason: String| {
        Err(ApiError::field(&format!("{at}.{key}"), format!("{at}.{key}: {reason}")))
    };
    if !container["resources"].is_object() {
        container["resources"] = json!({});
    }
    let resources = &mut container["resources"];
    if !resources["limits"].is_object() {
        resources["limits"] = json!({});
    }
    default(&mut resources["limits"], "cpu", json!(format!("{}m", limits::DEFAULT_CPU_MILLIS)));
    default(&mut resources["limits"], "memory", json!("512Mi"));
    for key in resources["limits"].as_object().into_iter().flat_map(|limits| limits.keys()) {
        match key.as_str() {
            "cpu" | "memory" => {}
            "nvidia.com/gpu" => return Err(unimplemented(&format!("{at}.{key}"), "accelerators")),
            _ => {
                return wrong(
                    key,
                    "Only 'memory', 'cpu' and 'nvidia.com/gpu' keys are supported.".to_owned(),
                );
            }
        }
    }
    let text = |key: &str| resources["limits"][key].as_str().unwrap_or_default();
    let (Some(cpu), Some(memory)) = (quantity::cpu_millis(text("cpu")), quantity::bytes(text("memory")))
    else {
        let key = if quantity::cpu_millis(text("cpu")).is_none() { "cpu" } else { "memory" };
        return wrong(key, format!("Invalid quantity {:?}.", text(key)));
    };
    const GI: u64 = 1 << 30;
    let (low, high) = match cpu {
        1_000 => (GI / 2, 4 * GI),
        2_000 => (GI / 2, 8 * GI),
        4_000 => (2 * GI, 16 * GI),
        8_000 => (4 * GI, 32 * GI),
        _ => {
            let reason = "Invalid value specified for cpu. Must be equal to one of 1, 2, 4, 8.";
            return wrong("cpu", reason.to_owned());
        }
    };
    if memory < low || memory > high {
        let size =
            |bytes: u64| if bytes < GI { format!("{}Mi", bytes >> 20) } else { format!("{}Gi", bytes >> 30) };
        let reason = format!(
            "Invalid value specified for container memory. For {:.1} CPU, memory must be between {} and {} inclusive.",
            f64::from(cpu) / 1_000.0,
            size(low),
            size(high)
        );
        return wrong("memory", reason);
    }
    Ok(())
}

/// Checks labels: short, lower case, and none of the system's.
fn labels(labels: &Value, at: &str) -> Result<()> {
    let Some(labels) = labels.as_object() else { return Ok(()) };
    let wrong = |key: &str, reason: &str| Err(ApiError::field(at, format!("{at}: Label {key:?}: {reason}")));
    if labels.len() > limits::LABELS {
        return Err(ApiError::field(at, format!("{at}: At most {} labels are allowed.", limits::LABELS)));
    }
    for (key, value) in labels {
        if reserved(key) {
            return wrong(key, "Cloud Run API v2 does not support labels with this namespace.");
        }
        let letters = |text: &str| {
            text.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '-'
            })
        };
        let first = key.starts_with(|first: char| first.is_ascii_lowercase());
        if !first || key.chars().count() > limits::LABEL_CHARACTERS || !letters(key) {
            return wrong(key, "Keys begin with a lowercase letter and have at most 63 of [a-z0-9_-].");
        }
        let value = value.as_str().unwrap_or_default();
        if value.chars().count() > limits::LABEL_CHARACTERS || !letters(value) {
            return wrong(key, "Values have at most 63 of [a-z0-9_-].");
        }
    }
    Ok(())
}

fn annotations(annotations: &Value, at: &str) -> Result<()> {
    match annotations.as_object().and_then(|annotations| annotations.keys().find(|key| reserved(key))) {
        Some(key) => {
            let reason = format!(
                "{at}: Annotation {key:?}: Cloud Run API v2 does not support annotations with this namespace."
            );
            Err(ApiError::field(at, reason))
        }
        None => Ok(()),
    }
}

fn reserved(key: &str) -> bool {
    let namespace = key.split('/').next().unwrap_or_default();
    RESERVED.iter().any(|reserved| namespace == *reserved || namespace.ends_with(&format!(".{reserved}")))
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
mod tests {
    use super::*;

    const REGISTRY: &str = "127.0.0.1:4000";

    fn with_container(change: Value) -> Value {
        let mut container = json!({"image": "busybox"});
        for (key, value) in change.as_object().unwrap() {
            container[key] = value.clone();
        }
        json!({"template": {"template": {"containers": [container]}}})
    }

    fn check(mut body: Value) -> Result<Value> {
        job(&mut body, "p", REGISTRY).map(|()| body)
    }

    #[test]
    fn the_clouds_defaults_are_filled_in() {
        let job = check(with_container(json!({}))).unwrap();
        let task = &job["template"]["template"];
        assert_eq!(job["template"]["taskCount"], 1);
        assert_eq!(task["maxRetries"], 3);
        assert_eq!(task["timeout"], "600s");
        assert_eq!(task["containers"][0]["resources"]["limits"], json!({"cpu": "1000m", "memory": "512Mi"}));
    }

    #[test]
    fn processor_and_memory_come_in_the_clouds_pairs() {
        let size = |cpu: &str, memory: &str| {
            check(with_container(json!({"resources": {"limits": {"cpu": cpu, "memory": memory}}})))
        };
        for (cpu, memory) in [("1", "512Mi"), ("1000m", "4Gi"), ("4", "2Gi"), ("8", "32Gi")] {
            assert!(size(cpu, memory).is_ok(), "{cpu} {memory}");
        }
        for (cpu, memory) in
            [("4", "1Gi"), ("8", "2Gi"), ("1", "8Gi"), ("3", "2Gi"), ("1", "128Mi"), ("x", "1Gi")]
        {
            assert_eq!(size(cpu, memory).unwrap_err().code, Code::InvalidArgument, "{cpu} {memory}");
        }
        let message = size("4", "1Gi").unwrap_err().message;
        assert!(message.contains("For 4.0 CPU, memory must be between 2Gi and 16Gi inclusive."), "{message}");
    }

    #[test]
    fn labels_keep_charset_length_and_namespace() {
        let labelled = |key: &str, value: &str| {
            let mut body = with_container(json!({}));
            body["labels"] = json!({key: value});
            check(body)
        };
        assert!(labelled("managed-by", "sockerless").is_ok());
        assert!(labelled("a", "").is_ok());
        let long = "a".repeat(64);
        for (key, value) in [
            ("run.googleapis.com/x", "a"),
            ("A", "a"),
            ("a", "A"),
            ("a", long.as_str()),
            (long.as_str(), "a"),
            ("1", "a"),
        ] {
            assert!(labelled(key, value).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn timeouts_retries_and_counts_have_limits() {
        let with = |field: &str, value: Value| {
            let mut body = with_container(json!({}));
            body["template"]["template"][field] = value;
            check(body)
        };
        assert!(with("timeout", json!("604800s")).is_ok());
        assert!(with("timeout", json!("604801s")).is_err());
        assert!(with("timeout", json!("0s")).is_err());
        assert!(with("maxRetries", json!(0)).is_ok());
        assert!(with("maxRetries", json!(11)).is_err());
        let mut body = with_container(json!({}));
        body["template"]["taskCount"] = json!(0);
        assert!(check(body).is_err());
    }

    #[test]
    fn too_many_or_reserved_variables_and_arguments_are_refused() {
        let many: Vec<Value> = (0..1_001).map(|index| json!({"name": format!("A{index}")})).collect();
        assert!(check(with_container(json!({"env": many}))).is_err());
        assert!(check(with_container(json!({"env": [{"name": "CLOUD_RUN_JOB", "value": "x"}]}))).is_err());
        assert!(check(with_container(json!({"env": [{"name": "A", "value": "x".repeat(32_769)}]}))).is_err());
        assert!(check(with_container(json!({"args": vec!["a"; 1_001]}))).is_err());
    }

    #[test]
    fn what_the_simulator_lacks_is_said_and_not_dropped() {
        for change in [json!({"ports": [{"containerPort": 80}]}), json!({"startupProbe": {}})] {
            assert_eq!(check(with_container(change)).unwrap_err().code, Code::Unimplemented);
        }
    }
}
