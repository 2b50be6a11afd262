//! The replicas of an app.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::ingress::{self, Backends, Doors};
use crate::app::plan::{self, Replica};
use crate::app::replica::{self, Outcome, Watch};
use crate::app::{Live, resources};
use crate::arm::store;
use crate::error::Result;
use crate::logs::Origin;
use crate::server::Simulator;
use crate::{ids, limits, time};

/// Starts the replicas of an app's latest revision.
pub fn run(simulator: &Arc<Simulator>, id: &str) -> Result<()> {
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
    let names = ingress::names(&doc);
    let live = Live { cancel: CancellationToken::new(), over: CancellationToken::new(), cpu_millis };
    simulator.apps.live().insert(id.to_ascii_lowercase(), live.clone());
    let here = simulator.runner.host_address();
    if let Some(Err(error)) = names.as_deref().map(|names| simulator.runner.add_host(here, names)) {
        tracing::warn!(error, id, "not every replica that runs finds the app by its name");
    }
    let (simulator_too, id) = (simulator.clone(), id.to_owned());
    simulator.work.spawn(async move {
        let backends = Backends::default();
        let doors = Doors::open(&simulator_too, &doc).await;
        let replicas = (0..count).map(|_| supervise(&simulator_too, &id, &doc, &backends, &live.cancel));
        let replicas = futures_util::future::join_all(replicas);
        let served = doors.serve(&backends, &live.cancel, &simulator_too.closing);
        for outcome in futures_util::future::join(replicas, served).await.0 {
            if let Err(error) = outcome {
                tracing::error!(%error, id, "a replica cannot be driven");
            }
        }
        let mut running = simulator_too.apps.live();
        // A newer revision may have the place by now.
        if running.get(&id.to_ascii_lowercase()).is_some_and(|own| own.cancel.is_cancelled()) {
            running.remove(&id.to_ascii_lowercase());
            if let Some(names) = &names {
                simulator_too.runner.remove_host(here, names);
            }
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
    backends: &Backends,
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
            identity: &doc["identity"],
            environment: doc["properties"]["environmentId"].as_str().unwrap_or_default(),
            name: &name,
            variables: vec![
                ("CONTAINER_APP_NAME".to_owned(), app.to_owned()),
                ("CONTAINER_APP_REVISION".to_owned(), revision.to_owned()),
                ("CONTAINER_APP_REPLICA_NAME".to_owned(), name.clone()),
            ],
            together: plan::together(template) || ingress::names(doc).is_some(),
            ingress: Some(backends),
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
        let waiting = |list: &str| -> Vec<Value> {
            let containers = template[list].as_array().into_iter().flatten();
            containers
                .map(|container| json!({"name": container["name"], "ready": false, "started": false, "restartCount": 0, "runningState": "Waiting"}))
                .collect()
        };
        store::update(&self.simulator.db, self.id, |doc| {
            let entry = json!({
                "name": self.replica,
                "createdTime": time::seconds(time::now()),
                "containers": waiting("containers"),
                "initContainers": waiting("initContainers"),
            });
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
            let Some(own) = own else { return };
            let of = |list: &str| {
                own[list].as_array().into_iter().flatten().position(|entry| entry["name"] == container)
            };
            let lists = ["containers", "initContainers"];
            let Some((list, index)) = lists.into_iter().find_map(|list| Some((list, of(list)?))) else {
                return;
            };
            let entry = &mut own[list][index];
            // One that has to end is started again only if it failed.
            if !running && (list == "containers" || status != "Succeeded") {
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
