//! `containerApps`: replicas that are run again when they end. Their ingress is checked and not served here.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::document::{self, shown};
use super::plan::{self, Replica};
use super::replica::{self, Outcome, Watch};
use super::{Live, names, resources, rules};
use crate::arm::operations::{self, Style};
use crate::arm::{Answer, Call, page, store, tags};
use crate::error::{ArmError, Result};
use crate::logs::Origin;
use crate::server::Simulator;
use crate::{ids, limits, time};

/// The collection.
pub const KIND: &str = "microsoft.app/containerapps";

fn id(call: &Call) -> String {
    call.id(&["containerApps", call.name(0)])
}

fn find(call: &Call) -> Result<Value> {
    store::get(&call.simulator.db, &id(call))?.ok_or_else(|| call.missing("containerApps", call.name(0)))
}

/// `containerApps/A` with GET
pub fn get(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(shown(find(call)?)))
}

/// `containerApps` with GET
pub fn list(call: &Call) -> Result<Answer> {
    page(call, KIND, &call.scope(), shown)
}

/// `listSecrets` with POST
pub fn secrets(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(document::secrets(&find(call)?)))
}

/// `containerApps/A` with PUT: a changed template is a new revision, which takes the place of the old one.
pub fn put(call: &Call) -> Result<Answer> {
    names::check("ContainerApp", call.name(0))?;
    tags::check(&call.body)?;
    tags::location(call)?;
    let id = id(call);
    let old = store::get(&call.simulator.db, &id)?;
    document::settled(old.as_ref(), "container app")?;
    let mut doc = document::fresh(call, "containerApps", &id, call.name(0), old.as_ref());
    check(&call.simulator, &mut doc)?;
    let kept = old.as_ref().filter(|old| old["properties"]["template"] == doc["properties"]["template"]);
    let revision = match kept.and_then(|old| old["properties"]["latestRevisionName"].as_str()) {
        Some(revision) => revision.to_owned(),
        None => revision(call, &doc),
    };
    doc["properties"]["latestRevisionName"] = json!(revision);
    doc["properties"]["runningStatus"] = json!("Progressing");
    doc["_made"] = json!(time::text(time::now()));
    let new =
        store::put(&call.simulator.db, KIND, &call.group_id(), &id, &doc, document::listed(&call.simulator))?;
    let operation = roll(call, id, kept.is_none())?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Answer::new(status, shown(doc)).with_operation(call, &operation, Style::Status))
}

fn revision(call: &Call, doc: &Value) -> String {
    let suffix = doc["properties"]["template"]["revisionSuffix"].as_str().filter(|suffix| !suffix.is_empty());
    format!("{}--{}", call.name(0), suffix.map_or_else(|| ids::suffix(7), str::to_owned))
}

fn check(simulator: &Simulator, doc: &mut Value) -> Result<()> {
    let identity = doc["identity"].clone();
    let properties = &mut doc["properties"];
    if properties["environmentId"].is_null() {
        properties["environmentId"] = properties["managedEnvironmentId"].clone();
    }
    properties["managedEnvironmentId"] = properties["environmentId"].clone();
    rules::environment(simulator, &properties["environmentId"])?;
    rules::configuration(&properties["configuration"])?;
    ingress(&properties["configuration"]["ingress"])?;
    rules::identities(simulator, &identity, &properties["configuration"])?;
    let (configuration, environment) =
        (properties["configuration"].clone(), properties["environmentId"].clone());
    let template = &mut properties["template"];
    rules::template(simulator, template, &configuration)?;
    rules::volumes(simulator, template, &environment)?;
    let (low, high) = (template["scale"]["minReplicas"].as_i64(), template["scale"]["maxReplicas"].as_i64());
    let (low, high) = (low.unwrap_or(0), high.unwrap_or(10));
    if low < 0 || high < 1 || low > high {
        let message = format!("The scale of {low} to {high} replicas is invalid.");
        return Err(ArmError::bad("ContainerAppInvalidScaleSpec", message));
    }
    Ok(())
}

fn ingress(ingress: &Value) -> Result<()> {
    if !ingress.is_object() {
        return Ok(());
    }
    let invalid = |message: String| Err(ArmError::bad("ContainerAppInvalidIngress", message));
    let port = |value: &Value| value.as_i64().filter(|port| (1..=65_535).contains(port));
    if port(&ingress["targetPort"]).is_none() {
        return invalid("The ingress needs a targetPort between 1 and 65535.".to_owned());
    }
    let tcp = ingress["transport"] == "tcp";
    if !ingress["exposedPort"].is_null() && ingress["exposedPort"] != 0 && !tcp {
        return invalid("An exposedPort needs the transport 'tcp'.".to_owned());
    }
    let more = ingress["additionalPortMappings"].as_array().map_or(0, Vec::len);
    if more > limits::PORT_MAPPINGS {
        return invalid(format!("An app has at most {} additional port mappings.", limits::PORT_MAPPINGS));
    }
    Ok(())
}

/// Brings the replicas in line with the app's document.
fn roll(call: &Call, id: String, anew: bool) -> Result<String> {
    let simulator = call.simulator.clone();
    operations::begin(call, async move {
        let old = if anew { simulator.apps.interrupt(&id) } else { Vec::new() };
        document::provision(&simulator).await;
        for over in old {
            over.cancelled().await;
        }
        let doc = document::provisioned(&simulator, &id)?;
        if anew {
            run(&simulator, &id)?;
        }
        Ok(doc)
    })
}

/// Starts the replicas of an app's latest revision.
fn run(simulator: &Arc<Simulator>, id: &str) -> Result<()> {
    let Some(doc) = store::update(&simulator.db, id, |doc| {
        doc["properties"]["runningStatus"] = json!("Running");
        doc["properties"]["latestReadyRevisionName"] = doc["properties"]["latestRevisionName"].clone();
        doc["_replicas"] = json!([]);
    })?
    else {
        return Ok(());
    };
    let template = &doc["properties"]["template"];
    let count = template["scale"]["minReplicas"].as_i64().unwrap_or(0).clamp(1, limits::APP_REPLICAS);
    let cpu_millis = resources::cpu_millis(template).saturating_mul(u32::try_from(count).unwrap_or(1));
    let live = Live { cancel: CancellationToken::new(), over: CancellationToken::new(), cpu_millis };
    simulator.apps.live().insert(id.to_ascii_lowercase(), live.clone());
    let (simulator_too, id) = (simulator.clone(), id.to_owned());
    simulator.work.spawn(async move {
        let replicas = (0..count).map(|_| supervise(&simulator_too, &id, &doc, &live.cancel));
        for outcome in futures_util::future::join_all(replicas).await {
            if let Err(error) = outcome {
                tracing::error!(%error, id, "a replica cannot be driven");
            }
        }
        let mut running = simulator_too.apps.live();
        // A newer revision may have the place by now.
        if running.get(&id.to_ascii_lowercase()).is_some_and(|own| own.cancel.is_cancelled()) {
            running.remove(&id.to_ascii_lowercase());
        }
        drop(running);
        live.over.cancel();
    });
    Ok(())
}

/// Runs a replica again and again until it is asked to end.
async fn supervise(
    simulator: &Arc<Simulator>,
    id: &str,
    doc: &Value,
    cancel: &CancellationToken,
) -> Result<()> {
    let app = doc["name"].as_str().unwrap_or_default();
    let revision = doc["properties"]["latestRevisionName"].as_str().unwrap_or_default();
    let name = format!("{revision}-{}-{}", ids::suffix(9), ids::suffix(5));
    let template = &doc["properties"]["template"];
    let mut watch = Status { simulator, id, replica: &name };
    watch.begin(template)?;
    let mut wait = limits::RESTART_FIRST;
    while !cancel.is_cancelled() {
        let replica = Replica {
            simulator,
            template,
            configuration: &doc["properties"]["configuration"],
            environment: doc["properties"]["environmentId"].as_str().unwrap_or_default(),
            name: &name,
            variables: vec![
                ("CONTAINER_APP_NAME".to_owned(), app.to_owned()),
                ("CONTAINER_APP_REVISION".to_owned(), revision.to_owned()),
                ("CONTAINER_APP_REPLICA_NAME".to_owned(), name.clone()),
            ],
            together: plan::together(template),
        };
        let origin = Origin { job: None, app: Some(app.to_owned()), replica: name.clone() };
        match replica::run(&replica, &origin, cancel, None, &mut watch).await? {
            Outcome::Stopped | Outcome::Closing => break,
            Outcome::Succeeded | Outcome::Failed(_) | Outcome::TimedOut => {}
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = cancel.cancelled() => {}
        }
        wait = (wait * 2).min(limits::RESTART_MOST);
    }
    Ok(())
}

/// `_replicas` of the app.
struct Status<'a> {
    simulator: &'a Simulator,
    id: &'a str,
    replica: &'a str,
}

impl Status<'_> {
    fn begin(&self, template: &Value) -> Result<()> {
        let containers = template["containers"].as_array().into_iter().flatten();
        let containers: Vec<Value> = containers
            .map(|container| json!({"name": container["name"], "ready": false, "started": false, "restartCount": 0, "runningState": "Waiting"}))
            .collect();
        store::update(&self.simulator.db, self.id, |doc| {
            let entry = json!({"name": self.replica, "createdTime": time::seconds(time::now()), "containers": containers});
            if let Some(list) = doc["_replicas"].as_array_mut() {
                list.push(entry);
            }
        })?;
        Ok(())
    }
}

impl Watch for Status<'_> {
    fn set(&mut self, container: &str, status: &str, _: Option<i32>, information: &str) -> Result<()> {
        let running = status == "Running";
        store::update(&self.simulator.db, self.id, |doc| {
            let replicas = doc["_replicas"].as_array_mut();
            let own = replicas.into_iter().flatten().find(|replica| replica["name"] == self.replica);
            let list = own.and_then(|replica| replica["containers"].as_array_mut());
            let Some(entry) = list.into_iter().flatten().find(|entry| entry["name"] == container) else {
                return;
            };
            if !running {
                entry["restartCount"] = json!(entry["restartCount"].as_i64().unwrap_or_default() + 1);
            }
            entry["ready"] = json!(running);
            entry["started"] = json!(running);
            entry["runningState"] = json!(if running { "Running" } else { "Terminated" });
            entry["runningStateDetails"] = json!(information);
        })?;
        Ok(())
    }
}

/// `containerApps/A/start` with POST
pub fn start(call: &Call) -> Result<Answer> {
    let doc = find(call)?;
    document::settled(Some(&doc), "container app")?;
    let (simulator, id) = (call.simulator.clone(), id(call));
    let operation = operations::begin(call, async move {
        document::provision(&simulator).await;
        if !simulator.apps.live().contains_key(&id.to_ascii_lowercase()) {
            run(&simulator, &id)?;
        }
        Ok(store::get(&simulator.db, &id)?.map(shown))
    })?;
    Ok(Answer::new(StatusCode::ACCEPTED, shown(doc)).with_operation(call, &operation, Style::Location))
}

/// `containerApps/A/stop` with POST
pub fn stop(call: &Call) -> Result<Answer> {
    let doc = find(call)?;
    document::settled(Some(&doc), "container app")?;
    let (simulator, id) = (call.simulator.clone(), id(call));
    let operation = operations::begin(call, async move {
        for over in simulator.apps.interrupt(&id) {
            over.cancelled().await;
        }
        let doc = store::update(&simulator.db, &id, |doc| {
            doc["properties"]["runningStatus"] = json!("Stopped");
            doc["_replicas"] = json!([]);
        })?;
        Ok(doc.map(shown))
    })?;
    Ok(Answer::new(StatusCode::ACCEPTED, shown(doc)).with_operation(call, &operation, Style::Location))
}

/// `containerApps/A` with DELETE
pub fn delete(call: &Call) -> Result<Answer> {
    let id = id(call);
    let marked = store::update(&call.simulator.db, &id, |doc| {
        doc["properties"]["provisioningState"] = json!("Deleting")
    })?;
    if marked.is_none() {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        for over in simulator.apps.interrupt(&id) {
            over.cancelled().await;
        }
        document::provision(&simulator).await;
        store::delete(&simulator.db, &id)?;
        Ok(None)
    })?;
    Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location))
}

fn latest(call: &Call, doc: &Value) -> Value {
    let properties = &doc["properties"];
    let name = properties["latestRevisionName"].as_str().unwrap_or_default();
    let stopped = properties["runningStatus"] == "Stopped";
    json!({
        "id": format!("{}/revisions/{name}", id(call)),
        "name": name,
        "type": "Microsoft.App/containerapps/revisions",
        "properties": {
            "active": true,
            "createdTime": doc["_made"],
            "template": properties["template"],
            "replicas": doc["_replicas"].as_array().map_or(0, Vec::len),
            "trafficWeight": 100,
            "provisioningState": if properties["provisioningState"] == "InProgress" { "Provisioning" } else { "Provisioned" },
            "runningState": if stopped { "Stopped" } else { "Running" },
            "healthState": if stopped { "None" } else { "Healthy" },
        },
    })
}

/// `revisions` with GET: the latest, which is the only one that is kept.
pub fn revisions(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(json!({"value": [latest(call, &find(call)?)]})))
}

fn of_latest(call: &Call) -> Result<Value> {
    let doc = find(call)?;
    if doc["properties"]["latestRevisionName"] == call.name(1) {
        return Ok(doc);
    }
    let message = format!("The revision '{}' of the app '{}' was not found.", call.name(1), call.name(0));
    Err(ArmError::not_found("RevisionNotFound", message))
}

/// `revisions/R` with GET
pub fn revision_of(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(latest(call, &of_latest(call)?)))
}

fn replica_of(call: &Call, entry: &Value) -> Value {
    let name = entry["name"].as_str().unwrap_or_default();
    let list = entry["containers"].as_array().into_iter().flatten();
    let running =
        list.clone().count() > 0 && list.clone().all(|container| container["runningState"] == "Running");
    json!({
        "id": format!("{}/revisions/{}/replicas/{name}", id(call), call.name(1)),
        "name": name,
        "type": "Microsoft.App/containerapps/revisions/replicas",
        "properties": {
            "createdTime": entry["createdTime"],
            "containers": entry["containers"],
            "runningState": if running { "Running" } else { "NotRunning" },
        },
    })
}

/// `replicas` with GET
pub fn replicas(call: &Call) -> Result<Answer> {
    let doc = of_latest(call)?;
    let list = doc["_replicas"].as_array().into_iter().flatten();
    Ok(Answer::ok(json!({"value": list.map(|entry| replica_of(call, entry)).collect::<Vec<_>>()})))
}

/// `replicas/R` with GET
pub fn replica_get(call: &Call) -> Result<Answer> {
    let doc = of_latest(call)?;
    let mut list = doc["_replicas"].as_array().into_iter().flatten();
    let found = list.find(|entry| entry["name"] == call.name(2));
    let message = format!("The replica '{}' was not found.", call.name(2));
    let missing = || ArmError::not_found("ReplicaNotFound", message);
    Ok(Answer::ok(replica_of(call, found.ok_or_else(missing)?)))
}

/// Apps run again after a start, as a cloud's do not notice that somebody's simulator ended.
pub fn recover(simulator: &Arc<Simulator>) -> Result<()> {
    for doc in store::all(&simulator.db, KIND)? {
        let id = doc["id"].as_str().unwrap_or_default();
        if doc["properties"]["provisioningState"] == "Deleting" {
            store::delete(&simulator.db, id)?;
            continue;
        }
        document::provisioned(simulator, id)?;
        if doc["properties"]["runningStatus"] != "Stopped" {
            run(simulator, id)?;
        }
    }
    Ok(())
}
