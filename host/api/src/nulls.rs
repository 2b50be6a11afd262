//! `null` where dockerd writes it: the models leave out what is not set, and a client in a language without
//! defaults (`attrs["HostConfig"]["Binds"]`) stumbles over a name that is not there.

use std::collections::{BTreeMap, HashMap};

use bollard_stubs::models::{
    ContainerConfig, ContainerInspectResponse, EndpointSettings, HostConfig, NetworkSettings,
};
use serde::Serialize;
use serde_json::Value;

const CONFIG: &[&str] = &["Cmd", "Env", "Entrypoint", "Labels", "OnBuild", "Volumes"];
const HOST_CONFIG: &[&str] = &[
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeightDevice",
    "CapAdd",
    "CapDrop",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "MaskedPaths",
    "MemorySwappiness",
    "PidsLimit",
    "PortBindings",
    "ReadonlyPaths",
    "SecurityOpt",
    "Ulimits",
    "VolumesFrom",
];
const NETWORK_SETTINGS: &[&str] = &["SecondaryIPAddresses", "SecondaryIPv6Addresses"];
const ENDPOINT: &[&str] = &["Aliases", "DNSNames", "DriverOpts", "IPAMConfig", "Links"];

/// A model, and the names that it left out.
#[derive(Serialize)]
pub struct Whole<T> {
    #[serde(flatten)]
    model: T,
    #[serde(flatten)]
    nulls: BTreeMap<&'static str, ()>,
}

impl<T: Serialize> Whole<T> {
    fn new(model: T, names: &'static [&'static str]) -> Self {
        let present = serde_json::to_value(&model).unwrap_or(Value::Null);
        let nulls = names.iter().filter(|name| present.get(name).is_none()).map(|name| (*name, ())).collect();
        Self { model, nulls }
    }
}

/// `GET /containers/{id}/json`
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    #[serde(flatten)]
    rest: ContainerInspectResponse,
    #[serde(rename = "ExecIDs")]
    exec_ids: Option<Vec<String>>,
    host_config: Whole<HostConfig>,
    config: Whole<ContainerConfig>,
    network_settings: Whole<Networks>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Networks {
    #[serde(flatten)]
    rest: NetworkSettings,
    networks: HashMap<String, Whole<EndpointSettings>>,
}

/// The answer with every name that dockerd writes.
pub fn inspect(mut answer: ContainerInspectResponse) -> Inspect {
    let mut settings = answer.network_settings.take().unwrap_or_default();
    let networks = settings.networks.take().unwrap_or_default();
    let networks =
        networks.into_iter().map(|(name, endpoint)| (name, Whole::new(endpoint, ENDPOINT))).collect();
    Inspect {
        exec_ids: answer.exec_ids.take(),
        host_config: Whole::new(answer.host_config.take().unwrap_or_default(), HOST_CONFIG),
        config: Whole::new(answer.config.take().unwrap_or_default(), CONFIG),
        network_settings: Whole::new(Networks { rest: settings, networks }, NETWORK_SETTINGS),
        rest: answer,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_set_is_null_and_what_is_set_stays() {
        let answer = ContainerInspectResponse {
            id: Some("abc".into()),
            host_config: Some(HostConfig { dns: Some(Vec::new()), ..HostConfig::default() }),
            config: Some(ContainerConfig { cmd: Some(vec!["ls".into()]), ..ContainerConfig::default() }),
            network_settings: Some(NetworkSettings {
                networks: Some(HashMap::from([("bridge".to_owned(), EndpointSettings::default())])),
                ..NetworkSettings::default()
            }),
            ..ContainerInspectResponse::default()
        };
        let text = serde_json::to_string(&inspect(answer)).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["Id"], "abc");
        assert_eq!(json["HostConfig"]["Dns"], json!([]));
        assert_eq!(json["HostConfig"].get("Binds"), Some(&Value::Null));
        assert_eq!(json["Config"]["Cmd"], json!(["ls"]));
        assert_eq!(json["Config"].get("Entrypoint"), Some(&Value::Null));
        assert_eq!(json.get("ExecIDs"), Some(&Value::Null));
        assert_eq!(json["NetworkSettings"]["Networks"]["bridge"].get("Aliases"), Some(&Value::Null));
        for name in ["HostConfig", "Config", "NetworkSettings", "Networks", "Dns", "ExecIDs"] {
            assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{name}");
        }
    }
}
