//! From a spec to the body of `jobs.create`. Field names: `GoogleCloudRunV2Job` in the
//! discovery document of run v2; an unknown one is refused by Google.

use serde_json::{Map, Value, json};
use sockerless_plugin_sdk::{
    Error, ErrorCode, Result,
    jobs::{Container, Probe, ProbeAction, Spec, WorkloadKind},
};

use super::{resources, volumes};
use crate::{
    limits, names,
    settings::{Config, Vpc},
};

/// The job. Its own `name` stays unset: it comes from `jobId`.
///
/// # Errors
/// `unsupported` and `invalid-argument` for what Cloud Run jobs cannot do.
pub fn job(config: &Config, spec: &Spec) -> Result<Value> {
    check(spec)?;
    let labels = names::labels(spec);
    let mut job = json!({
        "labels": labels,
        "annotations": names::annotations(spec),
        "client": "sockerless",
        "clientVersion": env!("CARGO_PKG_VERSION"),
        "template": {
            "labels": labels,
            "taskCount": 1,
            "parallelism": 1,
            "template": task(config, spec)?,
        },
    });
    if spec.start {
        // Ready when the execution has started; with `runExecutionToken` it would be ready
        // only when the execution has ended.
        job["startExecutionToken"] = json!(names::START_TOKEN);
    }
    Ok(job)
}

fn check(spec: &Spec) -> Result<()> {
    if spec.kind == WorkloadKind::Service {
        return Err(Error::new(
            ErrorCode::Unsupported,
            "this plugin runs containers as Cloud Run jobs, which nothing can open a connection to; Cloud Run's services take HTTP requests on one port alone",
        ));
    }
    if !names::is_workload(&spec.name) {
        return Err(Error::invalid(format!("{:?} is no name for a job", spec.name)));
    }
    if spec.containers.is_empty() {
        return Err(Error::invalid("a workload has at least one container"));
    }
    if !spec.init.is_empty() {
        return Err(Error::new(
            ErrorCode::Unsupported,
            "Cloud Run starts a task's containers beside each other: none runs to its end before the others begin",
        ));
    }
    if spec.containers.len() > limits::CONTAINERS_MAX {
        return Err(Error::invalid(format!(
            "Cloud Run has at most {} containers in a task, not {}",
            limits::CONTAINERS_MAX,
            spec.containers.len()
        )));
    }
    if let Some(accelerator) = spec.accelerator.as_ref().filter(|accelerator| accelerator.count != 1) {
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!("Cloud Run gives one GPU to a container, not {}", accelerator.count),
        ));
    }
    Ok(())
}

fn task(config: &Config, spec: &Spec) -> Result<Value> {
    let mut task = Map::new();
    let main_gpu = spec.accelerator.is_some();
    let containers: Result<Vec<Value>> = spec
        .containers
        .iter()
        .enumerate()
        .map(|(index, asked)| container(spec, asked, main_gpu && index == 0))
        .collect();
    task.insert("containers".into(), containers?.into());
    let volumes = volumes::volumes(spec)?;
    if !volumes.is_empty() {
        task.insert("volumes".into(), volumes.into());
    }
    // Both have defaults (3 and 600 s) that would run a failed build again and kill a long one.
    task.insert("maxRetries".into(), spec.max_retries.into());
    task.insert("timeout".into(), format!("{}s", timeout(config, spec)?).into());
    if let Some(account) = &config.service_account {
        task.insert("serviceAccount".into(), account.as_str().into());
    }
    if let Some(access) = vpc_access(config, spec)? {
        task.insert("vpcAccess".into(), access);
    }
    if let Some(accelerator) = &spec.accelerator {
        task.insert("nodeSelector".into(), json!({"accelerator": accelerator.kind}));
        // With redundancy the quota is counted otherwise, and a task has no second copy anyway.
        task.insert("gpuZonalRedundancyDisabled".into(), true.into());
    }
    Ok(task.into())
}

fn timeout(config: &Config, spec: &Spec) -> Result<u64> {
    let longest = match spec.accelerator {
        Some(_) => limits::GPU_TASK_TIMEOUT_MAX_SECONDS,
        None => limits::TASK_TIMEOUT_MAX_SECONDS,
    };
    match spec.timeout_seconds {
        Some(0) => Err(Error::invalid("a timeout of 0 seconds")),
        Some(asked) if asked > longest => Err(Error::invalid(format!(
            "Cloud Run ends a task after {longest} s at the latest, not after {asked} s"
        ))),
        Some(asked) => Ok(asked),
        None => Ok(config.timeout_seconds.map_or(longest, |set| set.min(longest))),
    }
}

fn vpc_access(config: &Config, spec: &Spec) -> Result<Option<Value>> {
    let Some(vpc) = &config.vpc else {
        if spec.network.all_traffic {
            return Err(Error::invalid(
                "all traffic shall go through the private network, but none is configured: set `vpc_connector` \
                 (SOCKERLESS_GCR_VPC_CONNECTOR) or `network` (SOCKERLESS_GCR_NETWORK)",
            ));
        }
        return Ok(None);
    };
    // Private ranges only keeps the agent's connection off the VPC, whose start-up may take a minute.
    let egress = if spec.network.all_traffic { "ALL_TRAFFIC" } else { "PRIVATE_RANGES_ONLY" };
    let mut access = json!({"egress": egress});
    match vpc {
        Vpc::Connector(name) => access["connector"] = json!(name),
        Vpc::Direct(network, subnetwork) => {
            let mut interface = Map::new();
            if let Some(network) = network {
                interface.insert("network".into(), network.as_str().into());
            }
            if let Some(subnetwork) = subnetwork {
                interface.insert("subnetwork".into(), subnetwork.as_str().into());
            }
            access["networkInterfaces"] = json!([interface]);
        }
    }
    Ok(Some(access))
}

fn container(spec: &Spec, asked: &Container, gpu: bool) -> Result<Value> {
    let mut container = Map::new();
    container.insert("name".into(), asked.name.as_str().into());
    container.insert("image".into(), asked.image.as_str().into());
    if !asked.command.is_empty() {
        container.insert("command".into(), asked.command.clone().into());
    }
    if !asked.args.is_empty() {
        container.insert("args".into(), asked.args.clone().into());
    }
    let env = environment(asked)?;
    if !env.is_empty() {
        container.insert("env".into(), env.into());
    }
    if let Some(dir) = &asked.working_dir {
        container.insert("workingDir".into(), dir.as_str().into());
    }
    if let Some(size) = resources::size(asked.resources, gpu)? {
        container.insert("resources".into(), resources::limits_of(size, gpu));
    }
    if !asked.mounts.is_empty() {
        let mounts: Result<Vec<Value>> =
            asked.mounts.iter().map(|point| volumes::mount(spec, point)).collect();
        container.insert("volumeMounts".into(), mounts?.into());
    }
    if !asked.depends_on.is_empty() {
        container.insert("dependsOn".into(), asked.depends_on.clone().into());
    }
    if let Some(startup) = &asked.startup {
        container.insert("startupProbe".into(), probe(startup));
    }
    if let Some(liveness) = &asked.liveness {
        container.insert("livenessProbe".into(), probe(liveness));
    }
    Ok(container.into())
}

/// Variables with unique names: of two with the same name the later wins, as Docker has it.
fn environment(asked: &Container) -> Result<Vec<Value>> {
    let mut env: Vec<(&str, Value)> = Vec::with_capacity(asked.env.len() + asked.secret_env.len());
    let plain = asked.env.iter().map(|(name, value)| (name.as_str(), json!({"name": name, "value": value})));
    let secret = asked.secret_env.iter().map(|(name, secret)| {
        let (secret, version) = volumes::secret_version(secret);
        let reference = json!({"secretKeyRef": {"secret": secret, "version": version}});
        (name.as_str(), json!({"name": name, "valueSource": reference}))
    });
    for (name, entry) in plain.chain(secret) {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::invalid(format!("{name:?} is no name for an environment variable")));
        }
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = entry,
            None => env.push((name, entry)),
        }
    }
    if env.len() > limits::ENV_MAX as usize {
        return Err(Error::invalid(format!(
            "Cloud Run takes {} environment variables for a container, not {}",
            limits::ENV_MAX,
            env.len()
        )));
    }
    Ok(env.into_iter().map(|(_, entry)| entry).collect())
}

fn probe(probe: &Probe) -> Value {
    // Cloud Run wants each at least 1, and no timeout longer than the period.
    let period = probe.period_seconds.max(1);
    let mut value = json!({
        "initialDelaySeconds": probe.initial_delay_seconds,
        "periodSeconds": period,
        "timeoutSeconds": probe.timeout_seconds.clamp(1, period),
        "failureThreshold": probe.failure_threshold.max(1),
    });
    match &probe.action {
        ProbeAction::Tcp(port) => value["tcpSocket"] = json!({"port": port}),
        ProbeAction::Http((port, path)) => value["httpGet"] = json!({"port": port, "path": path}),
    }
    value
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::jobs::{Accelerator, Network, Resources};

    use super::*;
    use crate::testing::{config, spec};

    #[test]
    fn the_smallest_job() {
        let spec = spec();
        let labels = json!({"managed-by": "sockerless", "sockerless-owner": "d0"});
        assert_eq!(
            job(&config(), &spec).unwrap(),
            json!({
                "labels": labels,
                "annotations": {"sockerless-labels": "[]", "sockerless-spec": names::fingerprint(&spec)},
                "client": "sockerless",
                "clientVersion": env!("CARGO_PKG_VERSION"),
                "startExecutionToken": "run",
                "template": {
                    "labels": labels,
                    "taskCount": 1,
                    "parallelism": 1,
                    "template": {
                        "containers": [{"name": "main", "image": "docker.io/library/busybox:latest"}],
                        "maxRetries": 0,
                        "timeout": "604800s",
                    },
                },
            })
        );
    }

    #[test]
    fn a_job_that_asks_for_everything() {
        let mut spec = Spec {
            accelerator: Some(Accelerator { kind: "nvidia-l4".into(), count: 1 }),
            timeout_seconds: Some(60),
            max_retries: 2,
            network: Network { all_traffic: true, zones: vec![] },
            start: false,
            ..spec()
        };
        let main = &mut spec.containers[0];
        main.command = vec!["/agent/agent".into()];
        main.args = vec!["run".into()];
        main.env = vec![("A".into(), "1".into()), ("B".into(), "2".into()), ("A".into(), "3".into())];
        main.secret_env = vec![("S".into(), "pass".into())];
        main.working_dir = Some("/w".into());
        main.resources = Resources { cpu_millis: Some(1500), memory_bytes: None };
        main.depends_on = vec!["db".into()];
        main.startup = Some(Probe {
            action: ProbeAction::Http((8080, "/ok".into())),
            initial_delay_seconds: 0,
            period_seconds: 2,
            timeout_seconds: 5,
            failure_threshold: 0,
        });
        main.liveness = Some(Probe { action: ProbeAction::Tcp(1), ..main.startup.clone().unwrap() });
        let config = Config {
            vpc: Some(Vpc::Direct(Some("n".into()), None)),
            service_account: Some("a@p.iam.gserviceaccount.com".into()),
            ..config()
        };
        let job = job(&config, &spec).unwrap();
        assert!(job.get("startExecutionToken").is_none());
        let probe =
            json!({"initialDelaySeconds": 0, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 1});
        let with = |key: &str, value: Value| {
            let mut probe = probe.clone();
            probe[key] = value;
            probe
        };
        assert_eq!(
            job["template"]["template"],
            json!({
                "containers": [{
                    "name": "main",
                    "image": "docker.io/library/busybox:latest",
                    "command": ["/agent/agent"],
                    "args": ["run"],
                    "env": [
                        {"name": "A", "value": "3"},
                        {"name": "B", "value": "2"},
                        {"name": "S", "valueSource": {"secretKeyRef": {"secret": "pass", "version": "latest"}}},
                    ],
                    "workingDir": "/w",
                    "resources": {"limits": {"cpu": "4", "memory": "16384Mi", "nvidia.com/gpu": "1"}},
                    "dependsOn": ["db"],
                    "startupProbe": with("httpGet", json!({"port": 8080, "path": "/ok"})),
                    "livenessProbe": with("tcpSocket", json!({"port": 1})),
                }],
                "maxRetries": 2,
                "timeout": "60s",
                "serviceAccount": "a@p.iam.gserviceaccount.com",
                "vpcAccess": {"egress": "ALL_TRAFFIC", "networkInterfaces": [{"network": "n"}]},
                "nodeSelector": {"accelerator": "nvidia-l4"},
                "gpuZonalRedundancyDisabled": true,
            })
        );
    }

    #[test]
    fn a_pod_is_a_task_of_several_containers_that_share_its_volumes() {
        let mut spec = Spec { kind: WorkloadKind::Pod, ..spec() };
        let mut other = spec.containers[0].clone();
        other.name = "member-1".into();
        other.resources = Resources { cpu_millis: Some(1000), memory_bytes: Some(1 << 30) };
        spec.containers.push(other);
        let task = job(&config(), &spec).unwrap()["template"]["template"].clone();
        let names: Vec<_> = task["containers"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["main", "member-1"]);
        assert_eq!(task["containers"][1]["resources"]["limits"], json!({"cpu": "1", "memory": "1024Mi"}));
        assert!(task["containers"][0].get("resources").is_none());
    }

    #[test]
    fn a_connector_carries_private_ranges_only_unless_asked() {
        let config = Config { vpc: Some(Vpc::Connector("c".into())), ..config() };
        let job = job(&config, &spec()).unwrap();
        assert_eq!(
            job["template"]["template"]["vpcAccess"],
            json!({"connector": "c", "egress": "PRIVATE_RANGES_ONLY"})
        );
    }

    #[test]
    fn the_settings_limit_the_time_of_a_container_that_sets_none() {
        let config = Config { timeout_seconds: Some(900), ..config() };
        assert_eq!(timeout(&config, &spec()).unwrap(), 900);
        assert_eq!(timeout(&config, &Spec { timeout_seconds: Some(7200), ..spec() }).unwrap(), 7200);
        assert!(timeout(&config, &Spec { timeout_seconds: Some(604_801), ..spec() }).is_err());
    }

    #[test]
    fn what_a_job_cannot_be_is_refused() {
        let refused = |spec: Spec| job(&config(), &spec).unwrap_err().code;
        assert_eq!(refused(Spec { kind: WorkloadKind::Service, ..spec() }), ErrorCode::Unsupported);
        assert_eq!(refused(Spec { init: spec().containers, ..spec() }), ErrorCode::Unsupported);
        assert_eq!(refused(Spec { containers: vec![], ..spec() }), ErrorCode::InvalidArgument);
        assert_eq!(refused(Spec { name: "Bad_Name".into(), ..spec() }), ErrorCode::InvalidArgument);
        let named = |index| Container { name: format!("c{index}"), ..spec().containers[0].clone() };
        assert_eq!(
            refused(Spec { containers: (0..11).map(named).collect(), ..spec() }),
            ErrorCode::InvalidArgument
        );
        let two = Some(Accelerator { kind: "nvidia-l4".into(), count: 2 });
        assert_eq!(refused(Spec { accelerator: two, ..spec() }), ErrorCode::Unsupported);
        let through = Network { all_traffic: true, zones: vec![] };
        assert_eq!(refused(Spec { network: through, ..spec() }), ErrorCode::InvalidArgument);
        let mut many = spec();
        many.containers[0].env = (0..1001).map(|i| (format!("V{i}"), String::new())).collect();
        assert_eq!(refused(many), ErrorCode::InvalidArgument);
    }
}
