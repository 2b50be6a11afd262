//! `POST /containers/{id}/update`

use axum::{Router, body::Body, extract::State, routing::post};
use bollard_stubs::models::HostConfig;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::create::{enumerations, model};
use crate::{App, errors::ApiError, extract, extract::Id, respond, respond::Answer, version::ApiVersion};

/// The API's `ContainerUpdateBody`: resources, and the restart policy. dockerd passes over all else.
const FIELDS: [&str; 33] = [
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeight",
    "BlkioWeightDevice",
    "CgroupParent",
    "CpuCount",
    "CpuPercent",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "Init",
    "KernelMemory",
    "KernelMemoryTCP",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "NanoCpus",
    "OomKillDisable",
    "PidsLimit",
    "RestartPolicy",
    "Ulimits",
];

pub fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/update", post(update))
}

async fn update(
    State(daemon): State<App>,
    Id(id): Id,
    version: ApiVersion,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let body: Value = extract::json(&headers, body).await?.ok_or_else(extract::missing_body)?;
    respond::ok(&daemon.update(&id, changes(body, version)?).await?)
}

fn changes(body: Value, version: ApiVersion) -> Result<HostConfig, ApiError> {
    let mut fields: Map<String, Value> = match body {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        _ => return Err(ApiError::invalid("invalid JSON: the body has to be an object")),
    };
    fields.retain(|name, _| FIELDS.contains(&name.as_str()));
    if version < ApiVersion::new(1, 40) {
        // Not yet part of it: 0 meant nothing then.
        fields.remove("PidsLimit");
    }
    enumerations(&fields)?;
    model(fields, "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_and_policy_are_read_and_nothing_else() {
        let body =
            json!({"Memory": 5, "RestartPolicy": {"Name": "always"}, "Privileged": true, "Binds": ["/:/x"]});
        let read = changes(body, ApiVersion::MAX).unwrap();
        assert_eq!((read.memory, read.privileged, read.binds.is_none()), (Some(5), None, true));
        assert!(read.restart_policy.is_some());
        let old = changes(json!({"PidsLimit": 0}), ApiVersion::new(1, 39)).unwrap();
        assert_eq!(old.pids_limit, None);
    }

    #[test]
    fn an_unknown_policy_is_refused_in_dockerds_words() {
        let error = changes(json!({"RestartPolicy": {"Name": "x"}}), ApiVersion::MAX).unwrap_err();
        assert!(error.message.contains("unknown policy 'x'; use one of"), "{}", error.message);
        assert!(changes(json!([]), ApiVersion::MAX).is_err());
    }
}
