//! `/networks`

use axum::{
    Router,
    body::Body,
    extract::State,
    routing::{get, post},
};
use bollard_stubs::models::{
    ContainerInspectResponse, Network, NetworkConnectRequest, NetworkDisconnectRequest,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::create::model;
use crate::{
    App,
    errors::ApiError,
    extract,
    extract::{Id, Params},
    respond,
    respond::Answer,
    version::ApiVersion,
};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/networks", get(list))
        .route("/networks/create", post(create))
        .route("/networks/prune", post(prune))
        .route("/networks/{id}", get(inspect).delete(remove))
        .route("/networks/{id}/connect", post(connect))
        .route("/networks/{id}/disconnect", post(disconnect))
}

async fn list(State(daemon): State<App>, params: Params) -> Answer {
    let all = daemon.networks(&params.filters()?)?;
    respond::ok(&all.into_iter().map(whole).collect::<Vec<_>>())
}

async fn inspect(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    respond::ok(&whole(daemon.inspect_network(&id, params.text("scope"))?))
}

async fn create(State(daemon): State<App>, headers: HeaderMap, body: Body) -> Answer {
    let mut fields = object(&headers, body).await?;
    // A name that is missing is an empty one to dockerd, which has words for that.
    fields.entry("Name").or_insert_with(|| Value::String(String::new()));
    for name in ["Labels", "Options"] {
        if let Some(Value::Object(pairs)) = fields.get_mut(name) {
            // Go reads null as an empty string.
            let nulls = pairs.values_mut().filter(|value| value.is_null());
            nulls.for_each(|value| *value = Value::String(String::new()));
        }
    }
    let created = daemon.create_network(model(fields, "")?).await?;
    Ok(respond::json(StatusCode::CREATED, &created))
}

async fn connect(State(daemon): State<App>, Id(id): Id, headers: HeaderMap, body: Body) -> Answer {
    let request: NetworkConnectRequest = model(object(&headers, body).await?, "")?;
    let settings = request.endpoint_config.unwrap_or_default();
    daemon.connect_network(&id, &request.container.unwrap_or_default(), settings).await?;
    Ok(respond::empty(StatusCode::OK))
}

async fn disconnect(State(daemon): State<App>, Id(id): Id, headers: HeaderMap, body: Body) -> Answer {
    let request: NetworkDisconnectRequest = model(object(&headers, body).await?, "")?;
    let force = request.force.unwrap_or_default();
    daemon.disconnect_network(&id, &request.container.unwrap_or_default(), force).await?;
    Ok(respond::empty(StatusCode::OK))
}

async fn remove(State(daemon): State<App>, Id(id): Id) -> Answer {
    daemon.remove_network(&id).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn prune(State(daemon): State<App>, params: Params) -> Answer {
    let pruned = daemon.prune_networks(&params.filters()?).await?;
    // As dockerd: null when there was nothing to do.
    respond::ok(&serde_json::json!({ "NetworksDeleted": pruned.networks_deleted }))
}

async fn object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, ApiError> {
    match extract::json(headers, body).await?.ok_or_else(extract::missing_body)? {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Map::new()),
        _ => Err(ApiError::invalid("invalid JSON: the body has to be an object")),
    }
}

/// With the null that dockerd writes for options that nobody gave.
fn whole(network: Network) -> Value {
    let mut value = serde_json::to_value(network).unwrap_or_default();
    if let Some(Value::Object(ipam)) = value.get_mut("IPAM") {
        ipam.entry("Options").or_insert(Value::Null);
    }
    value
}

/// Up to API 1.44 a container's short id was among its aliases; since then it is among the names alone.
pub(super) fn aliases_as_of(version: ApiVersion, container: &mut ContainerInspectResponse) {
    if version >= ApiVersion::new(1, 45) {
        return;
    }
    let short: Option<String> = container.id.as_deref().and_then(|id| id.get(..12)).map(str::to_owned);
    let settings = container.network_settings.as_mut().and_then(|settings| settings.networks.as_mut());
    let (Some(short), Some(networks)) = (short, settings) else { return };
    for network in networks.values_mut() {
        if network.dns_names.as_ref().is_some_and(|names| names.contains(&short)) {
            let aliases = network.aliases.get_or_insert_default();
            if !aliases.contains(&short) {
                aliases.push(short.clone());
            }
        }
        if version < ApiVersion::new(1, 44) {
            network.dns_names = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard_stubs::models::{EndpointSettings, NetworkSettings};

    use super::*;

    fn shown(minor: u32) -> EndpointSettings {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let settings = EndpointSettings {
            aliases: words(&["api"]),
            dns_names: words(&["web", "api", "0123456789ab"]),
            ..EndpointSettings::default()
        };
        let networks = Some(HashMap::from([("n".to_owned(), settings)]));
        let mut container = ContainerInspectResponse {
            id: Some("0123456789abcdef".into()),
            network_settings: Some(NetworkSettings { networks, ..NetworkSettings::default() }),
            ..ContainerInspectResponse::default()
        };
        aliases_as_of(ApiVersion::new(1, minor), &mut container);
        container.network_settings.unwrap().networks.unwrap().remove("n").unwrap()
    }

    #[test]
    fn the_short_id_was_an_alias_once_and_is_a_name_now() {
        assert_eq!(shown(45).aliases.unwrap(), ["api"]);
        assert_eq!(shown(44).aliases.unwrap(), ["api", "0123456789ab"]);
        assert!(shown(44).dns_names.is_some());
        let old = shown(41);
        assert_eq!((old.aliases.unwrap().len(), old.dns_names), (2, None));
    }
}
