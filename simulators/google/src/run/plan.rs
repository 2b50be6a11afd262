//! From a task's template to what the executor runs.

use std::collections::HashMap;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sockerless_executor::{MountSource, Probe, TaskMount, TaskSpec};

use super::attempt::Outcome;
use super::conditions::Reason;
use super::image::Image;
use super::mount_options::MountOptions;
use super::names::short;
use super::{quantity, rules};
use crate::runner::CAPABILITIES;
use crate::server::Simulator;
use crate::storage::{Materialised, Volume};
use crate::{ids, limits};

/// A task, ready for the executor.
pub struct Plan {
    /// The first is the main one.
    pub containers: Vec<Planned>,
    /// Folders that have to stay while it runs.
    pub mounts: Vec<Arc<Materialised>>,
    /// Buckets by volume and sub path: the containers share them.
    volumes: HashMap<(String, String), Arc<Volume>>,
}

/// A container of it.
pub struct Planned {
    /// As the job names it; may be empty when there is one container.
    pub name: String,
    /// What to run.
    pub spec: TaskSpec,
    /// The image as the job names it.
    pub image: String,
    /// Those that have to be ready before it starts, by their place in the plan.
    pub after: Vec<usize>,
    /// When it is ready; none: as soon as it runs.
    pub startup: Option<Startup>,
}

/// A startup probe.
pub struct Startup {
    /// What is asked.
    pub probe: Probe,
    /// Before it is asked first.
    pub delay: Duration,
    /// From one question to the next.
    pub period: Duration,
    /// For an answer.
    pub timeout: Duration,
    /// Questions that may fail in a row, with the last of which all is lost.
    pub failures: i64,
}

/// Plans an attempt.
///
/// # Errors
/// How the attempt ends when it cannot be tried: a mount that fails.
pub async fn task(
    simulator: &Simulator,
    execution: &Value,
    index: i64,
    attempt: i64,
) -> Result<Plan, Outcome> {
    let template = &execution["template"];
    let list = template["containers"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let mut plan = Plan { containers: Vec::new(), mounts: Vec::new(), volumes: HashMap::new() };
    for container in list {
        let spec = spec(simulator, execution, container, (index, attempt), &mut plan).await?;
        let place = |name: &str| list.iter().position(|other| other["name"] == name);
        plan.containers.push(Planned {
            name: container["name"].as_str().unwrap_or_default().to_owned(),
            spec,
            image: container["image"].as_str().unwrap_or_default().to_owned(),
            after: rules::depends_on(container).filter_map(place).collect(),
            startup: startup(&container["startupProbe"]),
        });
    }
    Ok(plan)
}

/// A probe that the rules have let pass.
fn startup(probe: &Value) -> Option<Startup> {
    let http = &probe["httpGet"];
    let port = |action: &Value| action["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let asked = match port(http) {
        Some(port) => Probe::Http {
            port,
            path: text(&http["path"]),
            headers: http["httpHeaders"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|header| (text(&header["name"]), text(&header["value"])))
                .collect(),
        },
        None => Probe::Tcp { port: port(&probe["tcpSocket"])? },
    };
    let seconds = |field: &str| Duration::from_secs(probe[field].as_u64().unwrap_or_default());
    Some(Startup {
        probe: asked,
        delay: seconds("initialDelaySeconds"),
        period: seconds("periodSeconds"),
        timeout: seconds("timeoutSeconds"),
        failures: probe["failureThreshold"].as_i64().unwrap_or(1),
    })
}

/// A container's specification. `(index, attempt)` are the task's.
async fn spec(
    simulator: &Simulator,
    execution: &Value,
    container: &Value,
    (index, attempt): (i64, i64),
    plan: &mut Plan,
) -> Result<TaskSpec, Outcome> {
    let template = &execution["template"];
    let internal = |message: String| Outcome::unstarted(Reason::Common("INTERNAL"), message);
    let image = container["image"].as_str().unwrap_or_default();
    let registry = &simulator.info.registry;
    let parsed = Image::parse(image, registry, "image").map_err(|error| internal(error.message))?;
    let name = execution["name"].as_str().unwrap_or_default();
    let strings = |field: &str| {
        let list = container[field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut env: Vec<(String, String)> = container["env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|variable| {
            let value = variable["value"].as_str().unwrap_or_default();
            Some((variable["name"].as_str()?.to_owned(), value.to_owned()))
        })
        .collect();
    env.extend([
        ("CLOUD_RUN_JOB".to_owned(), execution["job"].as_str().unwrap_or_default().to_owned()),
        ("CLOUD_RUN_EXECUTION".to_owned(), short(name).to_owned()),
        ("CLOUD_RUN_TASK_INDEX".to_owned(), index.to_string()),
        ("CLOUD_RUN_TASK_ATTEMPT".to_owned(), attempt.to_string()),
        ("CLOUD_RUN_TASK_COUNT".to_owned(), execution["taskCount"].as_i64().unwrap_or(1).to_string()),
    ]);
    let limits = &container["resources"]["limits"];
    let cpu = limits["cpu"].as_str().and_then(quantity::cpu_millis).unwrap_or(limits::DEFAULT_CPU_MILLIS);
    let memory = limits["memory"].as_str().and_then(quantity::bytes).unwrap_or(limits::DEFAULT_MEMORY);
    let mounts = mounts(simulator, template, container, memory, plan).await?;
    Ok(TaskSpec {
        // Two executions of different jobs may share a short name; a task is tried several times.
        id: format!("{}-{index}-{attempt}-{}", short(name), ids::suffix(6)),
        image: parsed.pull(registry),
        command: strings("command"),
        args: strings("args"),
        env,
        working_dir: container["workingDir"].as_str().filter(|dir| !dir.is_empty()).map(str::to_owned),
        make_working_dir: false,
        cpu_millis: Some(cpu),
        memory_bytes: Some(memory),
        mounts,
        capabilities: CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
        hostname: None,
        pod: None,
    })
}

async fn mounts(
    simulator: &Simulator,
    template: &Value,
    container: &Value,
    memory: u64,
    plan: &mut Plan,
) -> Result<Vec<TaskMount>, Outcome> {
    let mut mounts = Vec::new();
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let volumes = template["volumes"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        let Some(volume) = volumes.iter().find(|volume| volume["name"] == mount["name"]) else { continue };
        let name = volume["name"].as_str().unwrap_or_default();
        let sub_path = mount["subPath"].as_str().unwrap_or_default();
        let path = mount["mountPath"].as_str().unwrap_or_default().to_owned();
        let fails = |kind: &str, message: String| {
            let message = format!("Mounting volume {name:?} of type {kind} failed: {message}");
            Outcome::unstarted(Reason::Common("UNKNOWN"), message)
        };
        if volume["gcs"].is_object() {
            let gcs = &volume["gcs"];
            let options = gcs["mountOptions"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let mut options =
                MountOptions::parse(options).map_err(|message| fails("cloud-storage", message))?;
            let bucket = gcs["bucket"].as_str().unwrap_or_default();
            let fails = |message| fails("cloud-storage", message);
            let read_only = gcs["readOnly"] == true;
            let source = if read_only && options.is_frozen() {
                let folder = simulator.storage.materialise(bucket, &options).await.map_err(fails)?;
                let source = below(folder.path(), sub_path).map_err(fails)?;
                plan.mounts.push(folder);
                MountSource::Directory(source)
            } else {
                inside(sub_path).map_err(fails)?;
                if is_shared(template, name) {
                    // An instance has one mount and one cache; here each container's kernel would keep its own.
                    (options.metadata_ttl, options.negative_ttl) = (Duration::ZERO, Duration::ZERO);
                }
                let key = (name.to_owned(), sub_path.to_owned());
                let volume = match plan.volumes.get(&key) {
                    Some(volume) => volume.clone(),
                    None => simulator.storage.volume(bucket, &options, sub_path).map_err(fails)?,
                };
                plan.volumes.insert(key, volume.clone());
                MountSource::Served(volume)
            };
            mounts.push(TaskMount { path, source, read_only });
        } else {
            if !sub_path.is_empty() {
                return Err(fails(
                    "empty-dir",
                    "this simulator mounts in-memory volumes from their root".to_owned(),
                ));
            }
            let size = volume["emptyDir"]["sizeLimit"].as_str().and_then(quantity::bytes);
            let source = if is_shared(template, name) {
                // On disk, and without its limit: no memory is in the sight of several containers here.
                MountSource::Shared(name.to_owned())
            } else {
                MountSource::Memory { size: Some(size.unwrap_or(memory).min(memory)) }
            };
            mounts.push(TaskMount { path, source, read_only: false });
        }
    }
    Ok(mounts)
}

/// Whether more than one container mounts a volume.
fn is_shared(template: &Value, volume: &str) -> bool {
    let containers = template["containers"].as_array().into_iter().flatten();
    let mounting = containers.filter(|container| {
        container["volumeMounts"].as_array().into_iter().flatten().any(|mount| mount["name"] == volume)
    });
    mounting.count() > 1
}

/// A folder inside a mount; it has to exist.
fn below(root: &Path, sub_path: &str) -> Result<std::path::PathBuf, String> {
    inside(sub_path)?;
    let path = root.join(sub_path);
    if path.is_dir() { Ok(path) } else { Err(format!("sub path {sub_path:?} is no folder in the volume")) }
}

/// Refuses a path that leads out of the volume.
fn inside(sub_path: &str) -> Result<(), String> {
    let inside = Path::new(sub_path).components().all(|part| matches!(part, Component::Normal(_)));
    if inside { Ok(()) } else { Err(format!("sub path {sub_path:?} leads out of the volume")) }
}
