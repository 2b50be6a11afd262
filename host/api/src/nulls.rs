//! `null` where dockerd writes it: the models leave out what is not set, and a client in a language without
//! defaults (`attrs["HostConfig"]["Binds"]`) stumbles over a name that is not there.

use std::collections::HashMap;

use bollard_stubs::models::{
    ContainerConfig, ContainerInspectResponse, EndpointSettings, HostConfig, NetworkSettings,
};
use serde::{Serialize, Serializer};

/// A model, and the names that it leaves out.
#[derive(Serialize)]
struct Whole<T, const N: usize> {
    #[serde(flatten)]
    model: T,
    #[serde(flatten)]
    nulls: Nulls<N>,
}

/// Names, each with whether it is left out. Asked of the model's fields: to look for them in what is written
/// would cost more than the writing.
struct Nulls<const N: usize>([(&'static str, bool); N]);

impl<const N: usize> Serialize for Nulls<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.0.iter().filter(|(_, left_out)| *left_out).map(|(name, _)| (name, ()));
        serializer.collect_map(names)
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
    host_config: Whole<HostConfig, 25>,
    config: Whole<ContainerConfig, 6>,
    network_settings: Whole<Networks, 2>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Networks {
    #[serde(flatten)]
    rest: NetworkSettings,
    networks: HashMap<String, Whole<EndpointSettings, 5>>,
}

/// The answer with every name that dockerd writes.
pub fn inspect(mut answer: ContainerInspectResponse) -> Inspect {
    Inspect {
        exec_ids: answer.exec_ids.take(),
        host_config: host_config(answer.host_config.take().unwrap_or_default()),
        config: config(answer.config.take().unwrap_or_default()),
        network_settings: network_settings(answer.network_settings.take().unwrap_or_default()),
        rest: answer,
    }
}

fn host_config(model: HostConfig) -> Whole<HostConfig, 25> {
    let nulls = Nulls([
        ("Binds", model.binds.is_none()),
        ("BlkioDeviceReadBps", model.blkio_device_read_bps.is_none()),
        ("BlkioDeviceReadIOps", model.blkio_device_read_iops.is_none()),
        ("BlkioDeviceWriteBps", model.blkio_device_write_bps.is_none()),
        ("BlkioDeviceWriteIOps", model.blkio_device_write_iops.is_none()),
        ("BlkioWeightDevice", model.blkio_weight_device.is_none()),
        ("CapAdd", model.cap_add.is_none()),
        ("CapDrop", model.cap_drop.is_none()),
        ("DeviceCgroupRules", model.device_cgroup_rules.is_none()),
        ("DeviceRequests", model.device_requests.is_none()),
        ("Devices", model.devices.is_none()),
        ("Dns", model.dns.is_none()),
        ("DnsOptions", model.dns_options.is_none()),
        ("DnsSearch", model.dns_search.is_none()),
        ("ExtraHosts", model.extra_hosts.is_none()),
        ("GroupAdd", model.group_add.is_none()),
        ("Links", model.links.is_none()),
        ("MaskedPaths", model.masked_paths.is_none()),
        ("MemorySwappiness", model.memory_swappiness.is_none()),
        ("PidsLimit", model.pids_limit.is_none()),
        ("PortBindings", model.port_bindings.is_none()),
        ("ReadonlyPaths", model.readonly_paths.is_none()),
        ("SecurityOpt", model.security_opt.is_none()),
        ("Ulimits", model.ulimits.is_none()),
        ("VolumesFrom", model.volumes_from.is_none()),
    ]);
    Whole { model, nulls }
}

fn config(model: ContainerConfig) -> Whole<ContainerConfig, 6> {
    let nulls = Nulls([
        ("Cmd", model.cmd.is_none()),
        ("Env", model.env.is_none()),
        ("Entrypoint", model.entrypoint.is_none()),
        ("Labels", model.labels.is_none()),
        ("OnBuild", model.on_build.is_none()),
        ("Volumes", model.volumes.is_none()),
    ]);
    Whole { model, nulls }
}

fn network_settings(mut model: NetworkSettings) -> Whole<Networks, 2> {
    let nulls = Nulls([
        ("SecondaryIPAddresses", model.secondary_ip_addresses.is_none()),
        ("SecondaryIPv6Addresses", model.secondary_ipv6_addresses.is_none()),
    ]);
    let networks = model.networks.take().unwrap_or_default();
    let networks = networks.into_iter().map(|(name, model)| (name, endpoint(model))).collect();
    Whole { model: Networks { rest: model, networks }, nulls }
}

fn endpoint(model: EndpointSettings) -> Whole<EndpointSettings, 5> {
    let nulls = Nulls([
        ("Aliases", model.aliases.is_none()),
        ("DNSNames", model.dns_names.is_none()),
        ("DriverOpts", model.driver_opts.is_none()),
        ("IPAMConfig", model.ipam_config.is_none()),
        ("Links", model.links.is_none()),
    ]);
    Whole { model, nulls }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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

    /// The names are written by hand: one that is not the model's own would stand there twice once it is set.
    #[test]
    fn every_name_is_the_models_own() {
        fn check<T: Serialize, const N: usize>(whole: &Whole<T, N>, set: &str) {
            let set: Value = serde_json::from_str(set).unwrap();
            assert_eq!(whole.nulls.0.len(), set.as_object().unwrap().len());
            let written = serde_json::to_value(&whole.model).unwrap();
            for (name, left_out) in whole.nulls.0 {
                assert!(!left_out && written.get(name).is_some(), "{name}");
            }
        }
        let lists = |names: &str| {
            let all = names.split(' ').map(|name| format!("\"{name}\":[]")).collect::<Vec<_>>();
            format!("{{{}}}", all.join(","))
        };
        let text = lists(
            "Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps \
             BlkioWeightDevice CapAdd CapDrop DeviceCgroupRules DeviceRequests Devices Dns DnsOptions DnsSearch \
             ExtraHosts GroupAdd Links MaskedPaths ReadonlyPaths SecurityOpt Ulimits VolumesFrom",
        )
        .replace('}', ",\"MemorySwappiness\":0,\"PidsLimit\":0,\"PortBindings\":{}}");
        check(&host_config(serde_json::from_str(&text).unwrap()), &text);
        let text = lists("Cmd Env Entrypoint OnBuild").replace('}', ",\"Labels\":{},\"Volumes\":{}}");
        check(&config(serde_json::from_str(&text).unwrap()), &text);
        let text = lists("SecondaryIPAddresses SecondaryIPv6Addresses");
        let settings = network_settings(serde_json::from_str(&text).unwrap());
        let written = serde_json::to_value(&settings.model).unwrap();
        assert!(settings.nulls.0.iter().all(|(name, left_out)| !left_out && written.get(name).is_some()));
        let text = lists("Aliases DNSNames Links").replace('}', ",\"DriverOpts\":{},\"IPAMConfig\":{}}");
        check(&endpoint(serde_json::from_str(&text).unwrap()), &text);
    }
}
