//! From a template to what the executor runs.

use serde_json::Value;
use sockerless_executor::TaskSpec;
use sockerless_simulator_common::runner::CAPABILITIES;

use super::apps::ingress::Backends;
use super::{image, mounts, resources};
use crate::ids;
use crate::server::Simulator;

/// What a replica is of.
pub struct Replica<'a> {
    /// The simulator.
    pub simulator: &'a Simulator,
    /// Containers, init containers and volumes.
    pub template: &'a Value,
    /// Secrets.
    pub configuration: &'a Value,
    /// The identities of the resource.
    pub identity: &'a Value,
    /// The environment's id.
    pub environment: &'a str,
    /// Its own name, which is its host name too.
    pub name: &'a str,
    /// Variables that the service adds.
    pub variables: Vec<(String, String)>,
    /// The template has several containers, folders that they share, or an ingress.
    pub together: bool,
    /// Behind which ingress it is.
    pub ingress: Option<&'a Backends>,
}

/// Whether a template's containers need a network or folders in common.
pub fn together(template: &Value) -> bool {
    let several = |list: &str| template[list].as_array().map_or(0, Vec::len);
    let volumes = template["volumes"].as_array().into_iter().flatten();
    let mut empty = volumes.filter(|volume| volume["storageType"] == "EmptyDir");
    several("containers") > 1 || several("initContainers") > 0 || empty.next().is_some()
}

/// Where a container gets tokens of its resource's identities: told as long as one of them is there for its stage.
fn identity(replica: &Replica<'_>, container: &Value) -> Vec<(String, String)> {
    let mut inits = replica.template["initContainers"].as_array().into_iter().flatten();
    let stage = if inits.any(|init| init["name"] == container["name"]) { "Init" } else { "Main" };
    let settings = || replica.configuration["identitySettings"].as_array().into_iter().flatten();
    let is_there = |id: &str| {
        let of =
            |setting: &&Value| setting["identity"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(id));
        let lifecycle =
            settings().find(of).and_then(|setting| setting["lifecycle"].as_str()).unwrap_or("All");
        lifecycle == "All" || lifecycle == stage
    };
    let kind = replica.identity["type"].as_str().unwrap_or_default();
    let own = replica.identity["userAssignedIdentities"].as_object();
    let system = kind.contains("SystemAssigned").then_some("system");
    if !own.into_iter().flatten().map(|(id, _)| id.as_str()).chain(system).any(is_there) {
        return Vec::new();
    }
    let info = &replica.simulator.info;
    vec![
        ("IDENTITY_ENDPOINT".to_owned(), info.identity_endpoint.clone()),
        ("IDENTITY_HEADER".to_owned(), info.identity_header.clone()),
    ]
}

/// A container's specification.
///
/// # Errors
/// Why a mount fails.
pub fn container(replica: &Replica<'_>, container: &Value) -> Result<TaskSpec, String> {
    let text = |field: &str| container[field].as_str().unwrap_or_default();
    let strings = |field: &str| {
        let list = container[field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut env = replica.variables.clone();
    env.extend(identity(replica, container));
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let value = match variable["secretRef"].as_str().filter(|name| !name.is_empty()) {
            Some(secret) => mounts::secret(replica.configuration, secret).unwrap_or_default(),
            None => variable["value"].as_str().unwrap_or_default(),
        };
        env.push((name, value.to_owned()));
    }
    Ok(TaskSpec {
        id: format!("{}-{}-{}", replica.name, text("name"), ids::suffix(4)),
        image: image::pull(text("image"), &replica.simulator.info.registry),
        command: strings("command"),
        args: strings("args"),
        env,
        working_dir: None,
        make_working_dir: true,
        cpu_millis: resources::millis(&container["resources"]["cpu"]),
        memory_bytes: container["resources"]["memory"].as_str().and_then(resources::bytes),
        mounts: mounts::of(replica, container)?,
        capabilities: CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
        hostname: Some(replica.name.chars().take(63).collect()),
        pod: None,
    })
}
