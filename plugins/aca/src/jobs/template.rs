//! From a spec to the body of a job. Field names: models of azure-mgmt-appcontainers; an unknown one is refused by Azure.

use serde_json::{Map, Value, json};
use sockerless_plugin_sdk::{
    Error, ErrorCode, Result,
    jobs::{Container, Probe, ProbeAction, Spec, WorkloadKind},
};

use super::{resources, secrets::Secrets, volumes};
use crate::{limits, names, settings::Config};

/// The job.
///
/// # Errors
/// `unsupported` and `invalid-argument` for what Container Apps jobs cannot do.
pub fn job(config: &Config, spec: &Spec) -> Result<Value> {
    check(spec)?;
    let mut secrets = Secrets::new(config);
    let template = template(spec, &mut secrets)?;
    let mut configuration = json!({
        "triggerType": "Manual",
        "replicaTimeout": timeout(config, spec)?,
        "replicaRetryLimit": spec.max_retries,
        "manualTriggerConfig": {"parallelism": 1, "replicaCompletionCount": 1},
    });
    access(config, &secrets, &mut configuration);
    let mut properties = json!({
        "environmentId": config.environment,
        "configuration": configuration,
        "template": template,
    });
    if let Some(profile) = &config.workload_profile {
        properties["workloadProfileName"] = json!(profile);
    }
    let mut job = json!({"location": config.location, "tags": names::tags(spec), "properties": properties});
    identity(config, &secrets, &mut job);
    Ok(job)
}

/// What is common to jobs and apps: who logs in to the registry, which secrets there are, and which identities the
/// containers do not get.
pub fn access(config: &Config, secrets: &Secrets<'_>, configuration: &mut Value) {
    let registry = config.repository.as_deref().and_then(|repository| repository.split('/').next());
    if let (Some(server), Some(identity)) = (registry, &config.registry_identity) {
        configuration["registries"] = json!([{"server": server, "identity": identity}]);
    }
    let own = |id: &&String| config.identity.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(id));
    let hidden = assigned(config, secrets).into_iter().filter(|id| !own(id));
    // Without a word about it the containers get tokens of whatever is assigned.
    let hidden: Vec<Value> = hidden.map(|id| json!({"identity": id, "lifecycle": "None"})).collect();
    if !hidden.is_empty() {
        configuration["identitySettings"] = hidden.into();
    }
    let secrets = secrets.all();
    if !secrets.is_empty() {
        configuration["secrets"] = secrets.into();
    }
}

/// The identities that a resource has to have for what it refers to, each once: ids are the same in any case of their letters.
fn assigned<'a>(config: &'a Config, secrets: &Secrets<'_>) -> Vec<&'a String> {
    let mut ids: Vec<&String> = Vec::new();
    let reader = config.secret_identity.as_ref().filter(|_| !secrets.all().is_empty());
    for id in [config.identity.as_ref(), config.registry_identity.as_ref(), reader].into_iter().flatten() {
        if id.starts_with('/') && !ids.iter().any(|known| known.eq_ignore_ascii_case(id)) {
            ids.push(id);
        }
    }
    ids
}

/// Assigns the identities.
pub fn identity(config: &Config, secrets: &Secrets<'_>, resource: &mut Value) {
    let ids = assigned(config, secrets).into_iter().map(|id| (id.clone(), json!({})));
    let ids: Map<String, Value> = ids.collect();
    if !ids.is_empty() {
        resource["identity"] = json!({"type": "UserAssigned", "userAssignedIdentities": ids});
    }
}

/// Refuses what neither jobs nor apps can be.
///
/// # Errors
/// `unsupported` and `invalid-argument`.
pub fn check(spec: &Spec) -> Result<()> {
    let unsupported = |message: String| Err(Error::new(ErrorCode::Unsupported, message));
    if !names::is_workload(&spec.name) {
        return Err(Error::invalid(format!("{:?} is no name for a job", spec.name)));
    }
    if spec.containers.is_empty() {
        return Err(Error::invalid("a workload has at least one container"));
    }
    if spec.containers.len() > 1 && spec.kind != WorkloadKind::Pod {
        // An execution ends when all its containers have.
        return unsupported(
            "several containers in one job of Container Apps that is to end with the first".into(),
        );
    }
    let probed = |container: &&Container| container.startup.is_some() || container.liveness.is_some();
    if let Some(init) = spec.init.iter().find(|init| probed(init) || !init.ports.is_empty()) {
        return Err(Error::invalid(format!(
            "the container {} ends before the others start: it has no ports and no probes",
            init.name
        )));
    }
    if spec.accelerator.is_some() {
        return unsupported(
            "GPUs on Container Apps come with a workload profile of the environment, not with a job".into(),
        );
    }
    Ok(())
}

/// Containers and volumes, of a job or an app.
pub fn template(spec: &Spec, secrets: &mut Secrets<'_>) -> Result<Value> {
    let mut sizes = resources::of(&spec.containers)?.into_iter();
    let containers: Result<Vec<Value>> = spec
        .containers
        .iter()
        .map(|asked| container(spec, asked, sizes.next().unwrap_or_default(), secrets))
        .collect();
    let mut template = json!({"containers": containers?});
    if !spec.init.is_empty() {
        let init = spec.init.iter().map(|asked| container(spec, asked, resources::of_init(asked)?, secrets));
        template["initContainers"] = init.collect::<Result<Vec<Value>>>()?.into();
    }
    let volumes = volumes::volumes(spec, secrets)?;
    if !volumes.is_empty() {
        template["volumes"] = volumes.into();
    }
    Ok(template)
}

fn timeout(config: &Config, spec: &Spec) -> Result<u64> {
    let longest = limits::TIMEOUT_MAX_SECONDS;
    match spec.timeout_seconds {
        Some(0) => Err(Error::invalid("a timeout of 0 seconds")),
        Some(asked) if asked > longest => {
            Err(Error::invalid(format!("a container runs {longest} s at the longest here, not {asked} s")))
        }
        Some(asked) => Ok(asked),
        None => Ok(config.timeout_seconds.unwrap_or(longest)),
    }
}

/// There is no field for a working directory: the image's holds, and the agent goes where the container wants to be.
fn container(spec: &Spec, asked: &Container, size: Value, secrets: &mut Secrets<'_>) -> Result<Value> {
    let mut container = Map::new();
    container.insert("name".into(), asked.name.as_str().into());
    container.insert("image".into(), asked.image.as_str().into());
    if !asked.command.is_empty() {
        container.insert("command".into(), asked.command.clone().into());
    }
    if !asked.args.is_empty() {
        container.insert("args".into(), asked.args.clone().into());
    }
    let env = environment(asked, secrets)?;
    if !env.is_empty() {
        container.insert("env".into(), env.into());
    }
    container.insert("resources".into(), size);
    if !asked.mounts.is_empty() {
        let mounts: Result<Vec<Value>> =
            asked.mounts.iter().map(|point| volumes::mount(spec, point)).collect();
        container.insert("volumeMounts".into(), mounts?.into());
    }
    let startup = asked.startup.as_ref().map(|startup| probe("Startup", startup));
    let liveness = asked.liveness.as_ref().map(|liveness| probe("Liveness", liveness));
    let probes: Vec<Value> = startup.into_iter().chain(liveness).collect();
    if !probes.is_empty() {
        container.insert("probes".into(), probes.into());
    }
    Ok(container.into())
}

/// Variables with unique names: of two with the same name the later wins, as Docker has it.
fn environment(asked: &Container, secrets: &mut Secrets<'_>) -> Result<Vec<Value>> {
    let mut env: Vec<(String, Value)> = Vec::with_capacity(asked.env.len() + asked.secret_env.len());
    let mut set = |name: &str, entry: Value| {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::invalid(format!("{name:?} is no name for an environment variable")));
        }
        match env.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = entry,
            None => env.push((name.to_owned(), entry)),
        }
        Ok(())
    };
    for (name, value) in &asked.env {
        set(name, json!({"name": name, "value": value}))?;
    }
    for (name, secret) in &asked.secret_env {
        set(name, json!({"name": name, "secretRef": secrets.reference(secret)?}))?;
    }
    if env.len() > limits::ENV_MAX as usize {
        return Err(Error::invalid(format!(
            "at most {} environment variables in a container, not {}",
            limits::ENV_MAX,
            env.len()
        )));
    }
    Ok(env.into_iter().map(|(_, entry)| entry).collect())
}

fn probe(kind: &str, probe: &Probe) -> Value {
    // The ranges are those of `ContainerAppProbe`.
    let mut value = json!({
        "type": kind,
        "initialDelaySeconds": probe.initial_delay_seconds.clamp(0, 60),
        "periodSeconds": probe.period_seconds.clamp(1, 240),
        "timeoutSeconds": probe.timeout_seconds.clamp(1, 240),
        "failureThreshold": probe.failure_threshold.clamp(1, 10),
    });
    match &probe.action {
        ProbeAction::Tcp(port) => value["tcpSocket"] = json!({"port": port}),
        ProbeAction::Http((port, path)) => value["httpGet"] = json!({"port": port, "path": path}),
    }
    value
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
