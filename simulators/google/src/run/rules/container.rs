//! Containers.

use serde_json::{Value, json};

use super::{default, dns_label, probe, unimplemented};
use crate::error::{ApiError, Result};
use crate::limits;
use crate::run::image::Image;
use crate::run::quantity;

/// Variables that the system sets.
const RESERVED_ENV: &[&str] = &[
    "CLOUD_RUN_JOB",
    "CLOUD_RUN_EXECUTION",
    "CLOUD_RUN_TASK_INDEX",
    "CLOUD_RUN_TASK_ATTEMPT",
    "CLOUD_RUN_TASK_COUNT",
];

/// Checks a container and fills in the defaults. `at` is its place.
pub fn container(container: &mut Value, volumes: &[Value], at: &str, registry: &str) -> Result<()> {
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
        ("baseImageUri", "base images"),
        ("sourceCode", "source deployments"),
        ("buildConfig", "source deployments"),
        ("sandboxLauncher", "sandboxes"),
    ] {
        if !matches!(&container[field], Value::Null | Value::Bool(false)) {
            return Err(unimplemented(&format!("{at}.{field}"), what));
        }
    }
    if let Some(startup) = container.get_mut("startupProbe") {
        probe::startup(startup, &format!("{at}.startup_probe"))?;
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
        let reserved = |folder: &&str| {
            path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(folder) = ["/dev", "/proc", "/sys"].into_iter().find(reserved) {
            return wrong(
                &format!("{field}.mount_path"),
                format!("Volumes cannot be mounted at {folder} or below it."),
            );
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
