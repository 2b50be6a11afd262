//! Services as container apps (`Microsoft.App/containerApps`): what jobs of the same environment can dial, by the app's
//! name and the port. An app runs from its creation on. Container Apps starts its container again whenever that ends, of
//! which nobody has asked: the first end is the workload's.

mod phase;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Error, ErrorCode, Level, Request, Result,
    jobs::{Handle, Page, Spec},
};

use crate::{
    ContainerApps, arm,
    jobs::{self, Found, Secrets, State},
    limits, names,
};
pub use phase::{App, Replica};

/// How a cursor begins that goes through the apps, after the jobs.
pub const CURSOR: &str = "apps:";

fn body(plugin: &ContainerApps, spec: &Spec) -> Result<Value> {
    let config = &plugin.config;
    jobs::check(spec)?;
    if spec.timeout_seconds.is_some() {
        return Err(Error::invalid("an app of Container Apps runs until it is stopped: it has no timeout"));
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
    jobs::identity(config, &secrets, &mut app);
    Ok(app)
}

/// TCP from within the environment, to each port under its own number, as far as that can be.
fn ingress(spec: &Spec) -> Result<Option<Value>> {
    let ports: BTreeSet<u16> = spec.containers.iter().flat_map(|container| container.ports.clone()).collect();
    if ports.len() > limits::MORE_PORTS + 1 {
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!(
                "an app of Container Apps has at most {} ports, not {}",
                limits::MORE_PORTS + 1,
                ports.len()
            ),
        ));
    }
    let mut mappings = exposed(&ports)
        .into_iter()
        .map(|(target, exposed)| json!({"external": false, "targetPort": target, "exposedPort": exposed}));
    let Some(mut ingress) = mappings.next() else { return Ok(None) };
    ingress["transport"] = json!("tcp");
    let more: Vec<Value> = mappings.collect();
    if !more.is_empty() {
        ingress["additionalPortMappings"] = more.into();
    }
    Ok(Some(ingress))
}

/// Each port with the one that others dial: Azure keeps two for HTTP, in whose place 8080 and 8443 stand, or the next
/// that is free.
fn exposed(ports: &BTreeSet<u16>) -> Vec<(u16, u16)> {
    let mut taken = ports.clone();
    let dialled = |port: u16| {
        if !limits::HTTP_PORTS.contains(&port) {
            return port;
        }
        // At most six are taken.
        let free = (limits::HTTP_STAND_IN + port..).find(|port| !taken.contains(port)).unwrap_or(port);
        taken.insert(free);
        free
    };
    ports.iter().copied().zip(ports.iter().copied().map(dialled)).collect()
}

/// The id of a workload's app.
pub fn id(plugin: &ContainerApps, workload: &str) -> String {
    plugin.config.id("Microsoft.App/containerApps", &names::job(workload))
}

/// Creates an app, which starts it.
pub fn create(plugin: &ContainerApps, spec: &Spec) -> Result<Handle> {
    let body = body(plugin, spec)?;
    let doing = format!("creating the app {}", spec.name);
    let url = plugin.config.url(&id(plugin, &spec.name));
    let there = plugin.send(Request::get(url.as_str()))?;
    let state = State {
        since: plugin.host.now(),
        app: true,
        main: spec.containers.first().map(|main| main.name.clone()).unwrap_or_default(),
        ..State::default()
    };
    if there.status == 404 {
        let answer = plugin.send(Request::put(url).json(&body))?;
        plugin.check(&doing, &answer)?;
        // It alone says why an app cannot be made.
        let state = State { operation: plugin.operation(&answer), ..state };
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
    let operation = act(plugin, &handle.name, "start", "starting")?;
    let state = State { since: plugin.host.now(), execution: None, operation, ..state };
    Ok(state.handle(&handle.name, true))
}

/// Stops it; it keeps its name and can be started again.
pub fn stop(plugin: &ContainerApps, handle: &Handle) -> Result<Handle> {
    act(plugin, &handle.name, "stop", "stopping")?;
    Ok(handle.clone())
}

/// Gives the address of the operation that it begins.
fn act(plugin: &ContainerApps, workload: &str, verb: &str, doing: &str) -> Result<Option<String>> {
    let url = plugin.config.url(&format!("{}/{verb}", id(plugin, workload)));
    let answer = plugin.send(Request::post(url))?;
    // Stopping what is gone is no error.
    if answer.status == 404 && verb == "stop" {
        return Ok(None);
    }
    plugin.check(&format!("{doing} the app {workload}"), &answer)?;
    Ok(plugin.operation(&answer))
}

/// Removes it.
pub fn delete(plugin: &ContainerApps, workload: &str) -> Result<()> {
    plugin.remove(&format!("deleting the app {workload}"), &id(plugin, workload))
}

/// The id of the replicas of its latest revision.
pub fn replicas(plugin: &ContainerApps, workload: &str, app: &App) -> String {
    format!("{}/revisions/{}/replicas", id(plugin, workload), app.revision())
}

/// A page of the owner's apps.
pub fn list(plugin: &ContainerApps, owner: &str, rest: &str) -> Result<Page> {
    let all = Request::get(
        plugin.config.url(&format!("{}/providers/Microsoft.App/containerApps", plugin.config.group)),
    );
    let cursor = Some(rest).filter(|rest| !rest.is_empty());
    let page: arm::Page<App> = match arm::page(plugin, "listing apps", all, cursor) {
        // Who may not look at apps could not make any. The jobs are not to go unseen for that.
        Err(error) if error.code == ErrorCode::PermissionDenied => {
            let text = format!("no services (label sockerless.service) are looked for: {}", error.message);
            plugin.host.log(Level::Warn, &text);
            return Ok(Page { items: Vec::new(), next: None });
        }
        answer => answer?,
    };
    let (now, load) = (plugin.host.now(), page.value.len());
    let own = page.value.into_iter().filter(|app| names::is_owned(&app.tags, owner));
    let items = own
        .map(|app| {
            let labels = names::spec_labels(&app.tags);
            let name = app.tags.get(names::WORKLOAD).unwrap_or(&app.name).clone();
            let state = State { app: true, ..State::default() };
            let found = Found { name, started: true, state, app: Some(app), ..Found::default() };
            (found.status(now, load), labels)
        })
        .collect();
    Ok(Page { items, next: page.next_link.map(|link| format!("{CURSOR}{link}")) })
}
