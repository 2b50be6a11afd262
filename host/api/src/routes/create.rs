//! `POST /containers/create`

use axum::{body::Body, extract::State};
use bollard_stubs::models::ContainerConfig;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sockerless_engine::CreateRequest;

use crate::{App, errors::ApiError, extract, extract::Params, respond, respond::Answer, version::ApiVersion};

pub async fn create(
    State(daemon): State<App>,
    version: ApiVersion,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let body: Value = extract::json(&headers, body).await?.ok_or_else(extract::missing_body)?;
    let request = request(body, &params, version)?;
    let created = daemon.create(request).await?;
    Ok(respond::json(StatusCode::CREATED, &created))
}

fn request(body: Value, params: &Params, version: ApiVersion) -> Result<CreateRequest, ApiError> {
    let mut fields = match body {
        Value::Object(fields) => fields,
        Value::Null => {
            return Err(ApiError::invalid("config cannot be empty in order to create a container"));
        }
        _ => return Err(ApiError::invalid("invalid JSON: the body has to be an object")),
    };
    let mut host = take_object(&mut fields, "HostConfig")?;
    let mut networking = take_object(&mut fields, "NetworkingConfig")?;
    for name in ["CapAdd", "CapDrop"] {
        string_to_list(&mut host, name);
    }
    if let Some(Value::Object(endpoints)) = networking.get_mut("EndpointsConfig") {
        // Go reads null as an endpoint with nothing set.
        endpoints
            .values_mut()
            .filter(|value| value.is_null())
            .for_each(|value| *value = Value::Object(Map::new()));
    }
    if version < ApiVersion::new(1, 44)
        && let Some(Value::Object(endpoints)) = networking.get("EndpointsConfig")
        && endpoints.len() > 1
    {
        let names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
        return Err(ApiError::invalid(format!(
            "Container cannot be connected to network endpoints: {}",
            names.join(", ")
        )));
    }
    if version < ApiVersion::new(1, 25) {
        // Up to then removing was the client's own work.
        host.remove("AutoRemove");
    }
    enumerations(&host)?;
    let host = model(host, "HostConfig")?;
    if fields.is_empty() {
        return Err(ApiError::invalid("config cannot be empty in order to create a container"));
    }
    Ok(CreateRequest {
        name: params.string("name"),
        platform: params.string("platform").filter(|_| version >= ApiVersion::new(1, 41)),
        config: container_config(fields)?,
        host,
        networking: model(networking, "NetworkingConfig")?,
    })
}

/// A container's configuration, as lenient as dockerd reads it.
pub(super) fn container_config(mut fields: Map<String, Value>) -> Result<ContainerConfig, ApiError> {
    for name in ["Cmd", "Entrypoint", "OnBuild", "Shell"] {
        string_to_list(&mut fields, name);
    }
    if let Some(Value::Object(labels)) = fields.get_mut("Labels") {
        // Go reads null as an empty string.
        labels
            .values_mut()
            .filter(|value| value.is_null())
            .for_each(|value| *value = Value::String(String::new()));
    }
    model(fields, "")
}

/// What the model has as a closed set of values is text to dockerd, which has words of its own for others.
pub(super) fn enumerations(host: &Map<String, Value>) -> Result<(), ApiError> {
    let policy = host.get("RestartPolicy").and_then(|policy| policy.get("Name")).and_then(Value::as_str);
    if let Some(policy) = policy
        && !["", "no", "always", "on-failure", "unless-stopped"].contains(&policy)
    {
        return Err(ApiError::invalid(format!(
            "invalid restart policy: unknown policy '{policy}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )));
    }
    let text = |name| host.get(name).and_then(Value::as_str).unwrap_or_default();
    let isolation = text("Isolation");
    if !["", "default"].contains(&isolation) {
        return Err(ApiError::invalid(format!(
            "invalid isolation: {isolation:?} - linux only supports 'default'"
        )));
    }
    let cgroup = text("CgroupnsMode");
    if !["", "private", "host"].contains(&cgroup) {
        return Err(ApiError::invalid(format!("invalid cgroup namespace mode: {cgroup}")));
    }
    Ok(())
}

fn take_object(fields: &mut Map<String, Value>, name: &str) -> Result<Map<String, Value>, ApiError> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(ApiError::invalid(format!("invalid JSON: {name} has to be an object"))),
    }
}

/// dockerd takes a string for a list of one.
fn string_to_list(fields: &mut Map<String, Value>, name: &str) {
    if let Some(value) = fields.get_mut(name)
        && value.is_string()
    {
        *value = Value::Array(vec![value.take()]);
    }
}

pub(super) fn model<T: DeserializeOwned>(fields: Map<String, Value>, within: &str) -> Result<T, ApiError> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        let place = if within.is_empty() { String::new() } else { format!("{within}: ") };
        ApiError::invalid(format!("invalid JSON: {place}{error}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<CreateRequest, ApiError> {
        request(body, &Params::default(), ApiVersion::MAX)
    }

    #[test]
    fn command_and_entrypoint_may_be_strings() {
        let request = read(json!({"Image": "a", "Cmd": "echo hi", "Entrypoint": "/bin/sh"})).unwrap();
        assert_eq!(request.config.cmd.unwrap(), ["echo hi"]);
        assert_eq!(request.config.entrypoint.unwrap(), ["/bin/sh"]);
        assert!(read(json!({"Image": "a", "Cmd": null})).unwrap().config.cmd.is_none());
    }

    #[test]
    fn null_counts_as_absent_everywhere() {
        let body = json!({"Image": "a", "ExposedPorts": null, "Volumes": null, "Labels": {"l": null}, "Env": null,
            "HostConfig": null, "NetworkingConfig": {"EndpointsConfig": {"n": null}}});
        let request = read(body).unwrap();
        assert!(request.networking.endpoints_config.unwrap().contains_key("n"));
        assert_eq!(request.config.labels.unwrap()["l"], "");
    }

    #[test]
    fn ports_are_read_with_and_without_protocol() {
        let body = json!({"ExposedPorts": {"80": {}, "53/udp": {}}, "HostConfig": {"PortBindings": {"80": [{"HostPort": "0"}]}}});
        let request = read(body).unwrap();
        let mut ports = request.config.exposed_ports.unwrap();
        ports.sort();
        assert_eq!(ports, ["53/udp", "80"]);
        assert!(request.host.port_bindings.unwrap().contains_key("80"));
    }

    #[test]
    fn wrong_types_are_errors_that_name_what_is_wrong() {
        for (body, part) in [
            (json!({"Image": 7}), "invalid type: integer `7`"),
            (json!({"HostConfig": {"Memory": "1g"}}), "HostConfig: invalid type: string \"1g\""),
            (json!({"HostConfig": []}), "HostConfig has to be an object"),
            (
                json!({"HostConfig": {"RestartPolicy": {"Name": "perhaps"}}}),
                "unknown policy 'perhaps'; use one of",
            ),
            (json!({"Image": "a", "HostConfig": {"CgroupnsMode": "x"}}), "invalid cgroup namespace mode: x"),
            (json!({"Image": "a", "HostConfig": {"Isolation": "hyperv"}}), "invalid isolation: \"hyperv\""),
            (json!({}), "config cannot be empty"),
            (json!({"HostConfig": {}}), "config cannot be empty"),
            (json!([]), "has to be an object"),
            (json!(null), "config cannot be empty"),
        ] {
            let error = read(body.clone()).unwrap_err();
            assert_eq!(error.status, StatusCode::BAD_REQUEST);
            assert!(error.message.contains(part), "{body}: {}", error.message);
        }
    }

    #[test]
    fn before_1_25_removing_is_the_clients_work() {
        let body = json!({"Image": "a", "HostConfig": {"AutoRemove": true}});
        let old = request(body.clone(), &Params::default(), ApiVersion::MIN).unwrap();
        assert_eq!(old.host.auto_remove, None);
        assert_eq!(read(body).unwrap().host.auto_remove, Some(true));
    }
}
