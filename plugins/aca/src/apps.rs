//! Services as container apps (`Microsoft.App/containerApps`): what jobs of the same environment can dial, by the app's
//! name and the port. An app runs from its creation on, and Container Apps starts it again whenever it ends.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Error, ErrorCode, Request, Result,
    jobs::{Handle, JobStatus, Page, Phase, Spec},
    time,
};

use crate::{
    ContainerApps, arm,
    jobs::{self, Found, Secrets, State, SystemData},
    limits, names,
};

/// How a cursor begins that goes through the apps, after the jobs.
pub const CURSOR: &str = "apps:";

/// `ContainerApp`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct App {
    name: String,
    tags: BTreeMap<String, String>,
    system_data: SystemData,
    properties: Properties,
}

/// `ContainerAppProperties`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    provisioning_state: String,
    running_status: String,
    deployment_errors: Option<String>,
}

fn body(plugin: &ContainerApps, spec: &Spec) -> Result<Value> {
    let config = &plugin.config;
    if !names::is_workload(&spec.name) || spec.containers.is_empty() {
        return Err(Error::invalid(format!("{:?} is no name for an app, or it has no container", spec.name)));
    }
    let mut secrets = Secrets::new(config);
    let mut template = jobs::template(spec, &mut secrets)?;
    template["scale"] = json!({"minReplicas": 1, "maxReplicas": 1});
    let mut configuration = json!({"activeRevisionsMode": "Single"});
    if let Some(ingress) = ingress(spec)? {
        configuration["ingress"] = ingress;
    }
    jobs::access(config, &secrets, &mut configuration);
    let mut properties = json!({
        "environmentId": config.environment,
        "configuration": configuration,
        "template": template,
    });
    if let Some(profile) = &config.workload_profile {
        properties["workloadProfileName"] = json!(profile);
    }
    let mut app = json!({"location": config.location, "tags": names::tags(spec), "properties": properties});
    jobs::identity(config, &mut app);
    Ok(app)
}

/// TCP from within the environment, to each port under its own number.
fn ingress(spec: &Spec) -> Result<Option<Value>> {
    let mut ports: Vec<u16> = spec.containers.iter().flat_map(|container| container.ports.clone()).collect();
    ports.sort_unstable();
    ports.dedup();
    let Some((first, more)) = ports.split_first() else { return Ok(None) };
    if more.len() > limits::MORE_PORTS {
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!(
                "an app of Container Apps has at most {} ports, not {}",
                limits::MORE_PORTS + 1,
                ports.len()
            ),
        ));
    }
    let mut ingress =
        json!({"external": false, "transport": "tcp", "targetPort": first, "exposedPort": first});
    if !more.is_empty() {
        let mapping = |port: &u16| json!({"external": false, "targetPort": port, "exposedPort": port});
        ingress["additionalPortMappings"] = more.iter().map(mapping).collect();
    }
    Ok(Some(ingress))
}

fn id(plugin: &ContainerApps, workload: &str) -> String {
    plugin.config.id("Microsoft.App/containerApps", &names::job(workload))
}

/// Creates an app, which starts it.
pub fn create(plugin: &ContainerApps, spec: &Spec) -> Result<Handle> {
    let body = body(plugin, spec)?;
    let doing = format!("creating the app {}", spec.name);
    let url = plugin.config.url(&id(plugin, &spec.name));
    let there = plugin.send(Request::get(url.as_str()))?;
    let state = State { since: plugin.host.now(), app: true, ..State::default() };
    if there.status == 404 {
        let answer = plugin.send(Request::put(url).json(&body))?;
        plugin.check(&doing, &answer)?;
        return Ok(state.handle(&spec.name, true));
    }
    plugin.check(&doing, &there)?;
    let app: App = there.json()?;
    if app.properties.provisioning_state == "Deleting" {
        return Err(Error::not_ready(
            format!("{doing}: one of that name is being deleted"),
            limits::NOT_READY_RETRY_MS,
        ));
    }
    if app.tags.get(names::SPEC) != Some(&names::fingerprint(spec)) {
        let why = format!("{doing}: another spec made the one that is there");
        return Err(Error::new(ErrorCode::AlreadyExists, why));
    }
    Ok(state.handle(&spec.name, true))
}

/// Starts one that was stopped.
pub fn start(plugin: &ContainerApps, handle: &Handle, state: State) -> Result<Handle> {
    act(plugin, &handle.name, "start", "starting")?;
    Ok(State { since: plugin.host.now(), ..state }.handle(&handle.name, true))
}

/// Stops it; it keeps its name and can be started again.
pub fn stop(plugin: &ContainerApps, handle: &Handle) -> Result<Handle> {
    act(plugin, &handle.name, "stop", "stopping")?;
    Ok(handle.clone())
}

fn act(plugin: &ContainerApps, workload: &str, verb: &str, doing: &str) -> Result<()> {
    let url = plugin.config.url(&format!("{}/{verb}", id(plugin, workload)));
    let answer = plugin.send(Request::post(url))?;
    // Stopping what is gone is no error.
    if answer.status == 404 && verb == "stop" {
        return Ok(());
    }
    plugin.check(&format!("{doing} the app {workload}"), &answer)
}

/// Removes it.
pub fn delete(plugin: &ContainerApps, workload: &str) -> Result<()> {
    let answer = plugin.send(Request::delete(plugin.config.url(&id(plugin, workload))))?;
    if answer.status == 404 { Ok(()) } else { plugin.check(&format!("deleting the app {workload}"), &answer) }
}

/// Where an app is.
pub fn status(plugin: &ContainerApps, found: &Found) -> Result<JobStatus> {
    let answer = plugin.send(Request::get(plugin.config.url(&id(plugin, &found.name))))?;
    let now = plugin.host.now();
    if answer.status == 404 {
        let mut status = found.status(now, 1);
        if status.phase == Phase::Created {
            status.phase = Phase::Starting;
        }
        return Ok(status);
    }
    plugin.check(&format!("asking for the app {}", found.name), &answer)?;
    Ok(told(&answer.json()?, &found.state, &found.name))
}

fn told(app: &App, state: &State, workload: &str) -> JobStatus {
    let properties = &app.properties;
    let phase = match (properties.provisioning_state.as_str(), properties.running_status.as_str()) {
        ("Failed" | "Canceled", _) => Phase::Failed,
        (_, "Stopped" | "Suspended") => Phase::Cancelled,
        ("Succeeded", "Running" | "Ready" | "") => Phase::Running,
        _ => Phase::Starting,
    };
    let ended = matches!(phase, Phase::Failed | Phase::Cancelled);
    let pause = if phase == Phase::Running { limits::POLL_MAX_MS } else { limits::POLL_MIN_MS };
    JobStatus {
        handle: State { app: true, ..state.clone() }.handle(workload, true),
        phase,
        exit_code: None,
        term_signal: None,
        reason: if phase == Phase::Failed { "ProvisioningFailed".into() } else { String::new() },
        message: properties.deployment_errors.clone().unwrap_or_default(),
        created: time::parse_rfc3339(&app.system_data.created_at),
        started: None,
        finished: None,
        poll_after_ms: (!ended).then(|| u32::try_from(pause).unwrap_or(u32::MAX)),
    }
}

/// A page of the owner's apps.
pub fn list(plugin: &ContainerApps, owner: &str, rest: &str) -> Result<Page> {
    let all = Request::get(
        plugin.config.url(&format!("{}/providers/Microsoft.App/containerApps", plugin.config.group)),
    );
    let cursor = Some(rest).filter(|rest| !rest.is_empty());
    let page: arm::Page<App> = arm::page(plugin, "listing apps", all, cursor)?;
    let own = page.value.iter().filter(|app| names::is_owned(&app.tags, owner));
    let items = own
        .map(|app| {
            let workload = app.tags.get(names::WORKLOAD).unwrap_or(&app.name);
            (told(app, &State::default(), workload), names::spec_labels(&app.tags))
        })
        .collect();
    Ok(Page { items, next: page.next_link.map(|link| format!("{CURSOR}{link}")) })
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::{Jobs as _, Method, jobs::WorkloadKind, testing::response};

    use super::*;
    use crate::testing::{asked, plugin, refused, spec};

    fn service(ports: Vec<u16>) -> Spec {
        let mut spec = Spec { kind: WorkloadKind::Service, ..spec() };
        spec.containers[0].ports = ports;
        spec
    }

    #[test]
    fn a_service_is_an_app_with_tcp_from_within_the_environment() {
        let (plugin, host) = plugin(|request| match request.method {
            Method::Get => refused(404, "ResourceNotFound"),
            _ => response(201, "{}"),
        });
        let handle = plugin.create(service(vec![443, 80, 80])).unwrap();
        assert!(handle.started);
        assert_eq!(asked(&host)[1], "PUT RG/providers/Microsoft.App/containerApps/sl-abc-1");
        let body = crate::testing::body(&host.requests()[1]);
        assert_eq!(
            body["properties"]["configuration"]["ingress"],
            json!({"external": false, "transport": "tcp", "targetPort": 80, "exposedPort": 80,
                "additionalPortMappings": [{"external": false, "targetPort": 443, "exposedPort": 443}]})
        );
        assert_eq!(body["properties"]["template"]["scale"], json!({"minReplicas": 1, "maxReplicas": 1}));
    }

    #[test]
    fn more_ports_than_azure_has_are_refused() {
        assert!(ingress(&service((1..=6).collect())).is_ok());
        assert_eq!(ingress(&service((1..=7).collect())).unwrap_err().code, ErrorCode::Unsupported);
        assert_eq!(ingress(&service(vec![])).unwrap(), None);
    }

    #[test]
    fn an_app_runs_until_it_is_stopped() {
        let handle = State { app: true, ..State::default() }.handle("a", true);
        let phase = |state: &str, running: &str| {
            let app =
                json!({"name": "a", "properties": {"provisioningState": state, "runningStatus": running}});
            let (plugin, _) = plugin(move |_| response(200, &app));
            plugin.status(vec![handle.clone()]).unwrap().remove(0).phase
        };
        assert_eq!(phase("InProgress", ""), Phase::Starting);
        assert_eq!(phase("Succeeded", "Running"), Phase::Running);
        assert_eq!(phase("Succeeded", "Stopped"), Phase::Cancelled);
        assert_eq!(phase("Failed", ""), Phase::Failed);
        let (plugin, _) = plugin(|_| refused(404, "ResourceNotFound"));
        assert_eq!(plugin.status(vec![handle]).unwrap()[0].phase, Phase::Absent);
    }
}
