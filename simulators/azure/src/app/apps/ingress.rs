//! An app's ingress: its TCP ports, at which the environment's other replicas and this machine reach it.
//!
//! In Azure each app has an address of its own behind its name. Here all names lead to this machine, so that of two apps with
//! the same exposed port the first has it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use sockerless_simulator_common::runner::Instance;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::arm::store;
use crate::error::{ArmError, Result};
use crate::limits;
use crate::server::Simulator;

/// Ports that TCP ingress cannot expose.
const HTTP_PORTS: [i64; 2] = [80, 443];

/// The instances behind an ingress. Cheap to clone.
#[derive(Clone, Default)]
pub struct Backends(Arc<Mutex<Vec<Arc<dyn Instance>>>>);

impl Backends {
    /// One more is there.
    pub fn add(&self, instance: &Arc<dyn Instance>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(instance.clone());
    }

    /// It is not there any more.
    pub fn remove(&self, instance: &Arc<dyn Instance>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| !Arc::ptr_eq(known, instance));
    }

    fn first(&self) -> Option<Arc<dyn Instance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }
}

/// Whether an ingress is one.
///
/// # Errors
/// 400 in the provider's words.
pub fn check(ingress: &Value) -> Result<()> {
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
    let more = ingress["additionalPortMappings"].as_array().into_iter().flatten();
    let exposed = |entry: &Value| port(&entry["exposedPort"]).or(port(&entry["targetPort"]));
    let mut all = std::iter::once(ingress).filter(|_| tcp).chain(more.clone()).filter_map(exposed);
    if let Some(port) = all.find(|port| HTTP_PORTS.contains(port)) {
        return invalid(format!("The exposedPort {port} is reserved for HTTP."));
    }
    let more = more.count();
    if more > limits::PORT_MAPPINGS {
        return invalid(format!("An app has at most {} additional port mappings.", limits::PORT_MAPPINGS));
    }
    Ok(())
}

/// Adds what the service adds: the name.
///
/// # Errors
/// The database's.
pub fn complete(simulator: &Simulator, app: &str, properties: &mut Value) -> Result<()> {
    let environment = properties["environmentId"].as_str().unwrap_or_default();
    let domain = store::get(&simulator.db, environment)?.unwrap_or_default();
    let domain = domain["properties"]["defaultDomain"].as_str().unwrap_or_default().to_owned();
    let ingress = &mut properties["configuration"]["ingress"];
    if ingress.is_object() {
        let within = if ingress["external"] == true { "" } else { ".internal" };
        ingress["fqdn"] = json!(format!("{app}{within}.{domain}"));
    }
    Ok(())
}

/// The names of an app that has an ingress, as /etc/hosts has them.
pub fn names(doc: &Value) -> Option<String> {
    let long = doc["properties"]["configuration"]["ingress"]["fqdn"].as_str()?;
    Some(format!("{} {long}", doc["name"].as_str()?))
}

/// Exposed port and the container's, of TCP alone: nothing here speaks HTTP for an app.
fn ports(ingress: &Value) -> Vec<(u16, u16)> {
    if ingress["transport"] != "tcp" {
        return Vec::new();
    }
    let more = ingress["additionalPortMappings"].as_array().into_iter().flatten();
    let port =
        |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let pair = |entry: &Value| {
        let target = port(&entry["targetPort"])?;
        Some((port(&entry["exposedPort"]).unwrap_or(target), target))
    };
    std::iter::once(ingress).chain(more).filter_map(pair).collect()
}

/// The open ports of an app.
pub struct Doors(Vec<(TcpListener, u16)>);

impl Doors {
    /// Opens them. One that is taken is left out, which the log says.
    pub async fn open(simulator: &Simulator, doc: &Value) -> Self {
        let mut doors = Vec::new();
        for (exposed, target) in ports(&doc["properties"]["configuration"]["ingress"]) {
            let address = SocketAddr::new(simulator.runner.bind_address(), exposed);
            match TcpListener::bind(address).await {
                Ok(listener) => doors.push((listener, target)),
                Err(error) => {
                    tracing::warn!(app = %doc["name"], %address, %error, "a port of an app's ingress is not served");
                }
            }
        }
        Self(doors)
    }

    /// Carries connections until it is cancelled, which ends them.
    pub async fn serve(self, backends: &Backends, cancel: &CancellationToken, closing: &CancellationToken) {
        let mut all = JoinSet::new();
        for (listener, target) in self.0 {
            all.spawn(accept(listener, target, backends.clone()));
        }
        tokio::select! {
            () = cancel.cancelled() => {}
            () = closing.cancelled() => {}
        }
        all.shutdown().await;
    }
}

/// The connections end with this.
async fn accept(listener: TcpListener, target: u16, backends: Backends) {
    let mut connections = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, target, "an app's ingress takes no connections");
                tokio::time::sleep(limits::ACCEPT_RETRY).await;
                continue;
            }
        };
        // Those that are over.
        while connections.try_join_next().is_some() {}
        // Without a backend the connection is closed.
        if let Some(instance) = backends.first() {
            connections.spawn(async move {
                if let Err(error) = instance.dial(target, stream).await {
                    tracing::debug!(error, target, "a connection of an app's ingress");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_http_has_is_exposed_by_nobody_else() {
        let tcp = |exposed: i64| json!({"transport": "tcp", "targetPort": 80, "exposedPort": exposed});
        assert!(check(&tcp(8080)).is_ok() && check(&json!({"targetPort": 80})).is_ok());
        for broken in [tcp(80), tcp(443), json!({"transport": "tcp", "targetPort": 80})] {
            assert!(check(&broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn ports_of_tcp_are_served_under_their_exposed_numbers() {
        let ingress = json!({"transport": "tcp", "targetPort": 80, "exposedPort": 8080,
            "additionalPortMappings": [{"targetPort": 443, "external": false}]});
        assert_eq!(ports(&ingress), [(8080, 80), (443, 443)]);
        assert_eq!(ports(&json!({"transport": "auto", "targetPort": 80})), []);
        assert_eq!(ports(&Value::Null), []);
    }
}
