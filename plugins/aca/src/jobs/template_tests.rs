use sockerless_plugin_sdk::jobs::{Accelerator, MountPoint, Resources, Volume, VolumeSource};

use super::*;
use crate::testing::{GROUP, config, container, spec};

#[test]
fn the_smallest_job() {
    let spec = spec();
    assert_eq!(
        job(&config(), &spec).unwrap(),
        json!({
            "location": "westeurope",
            "tags": {
                "managed-by": "sockerless",
                "sockerless-owner": "d0",
                "sockerless-labels-00": "[]",
                "sockerless-spec": names::fingerprint(&spec),
                "sockerless-workload": "sl-abc-1",
            },
            "properties": {
                "environmentId": format!("{GROUP}/providers/Microsoft.App/managedEnvironments/env"),
                "configuration": {
                    "triggerType": "Manual",
                    "replicaTimeout": 604_800,
                    "replicaRetryLimit": 0,
                    "manualTriggerConfig": {"parallelism": 1, "replicaCompletionCount": 1},
                },
                "template": {
                    "containers": [{
                        "name": "main",
                        "image": "docker.io/library/busybox:latest",
                        "resources": {"cpu": 0.5, "memory": "1Gi"},
                    }],
                },
            },
        })
    );
}

#[test]
fn a_job_that_asks_for_everything() {
    let mut spec = Spec { timeout_seconds: Some(60), max_retries: 2, ..spec() };
    let main = &mut spec.containers[0];
    main.command = vec!["/agent/agent".into()];
    main.args = vec!["run".into()];
    main.env = vec![("A".into(), "1".into()), ("B".into(), "2".into()), ("A".into(), "3".into())];
    main.secret_env = vec![("S".into(), "https://v.vault.azure.net/secrets/s".into())];
    main.resources = Resources { cpu_millis: Some(1500), memory_bytes: None };
    main.startup = Some(Probe {
        action: ProbeAction::Http((8080, "/ok".into())),
        initial_delay_seconds: 0,
        period_seconds: 2,
        timeout_seconds: 5,
        failure_threshold: 0,
    });
    let pull = format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull");
    let config = Config {
        repository: Some("r.azurecr.io/containers".into()),
        registry_identity: Some(pull.clone()),
        secret_identity: Some("system-environment".into()),
        workload_profile: Some("large".into()),
        ..config()
    };
    let job = job(&config, &spec).unwrap();
    let properties = &job["properties"];
    assert_eq!(properties["workloadProfileName"], "large");
    assert_eq!(job["identity"], json!({"type": "UserAssigned", "userAssignedIdentities": {&pull: {}}}));
    assert_eq!(
        properties["configuration"]["registries"],
        json!([{"server": "r.azurecr.io", "identity": pull}])
    );
    assert_eq!(
        properties["configuration"]["identitySettings"],
        json!([{"identity": pull, "lifecycle": "None"}])
    );
    assert_eq!(
        properties["configuration"]["secrets"],
        json!([{"name": "secret-0", "keyVaultUrl": "https://v.vault.azure.net/secrets/s", "identity": "system-environment"}])
    );
    assert_eq!(
        properties["template"]["containers"][0],
        json!({
            "name": "main",
            "image": "docker.io/library/busybox:latest",
            "command": ["/agent/agent"],
            "args": ["run"],
            "env": [{"name": "A", "value": "3"}, {"name": "B", "value": "2"}, {"name": "S", "secretRef": "secret-0"}],
            "resources": {"cpu": 1.5, "memory": "3Gi"},
            "probes": [{"type": "Startup", "initialDelaySeconds": 0, "periodSeconds": 2, "timeoutSeconds": 5,
                "failureThreshold": 1, "httpGet": {"port": 8080, "path": "/ok"}}],
        })
    );
    assert_eq!(properties["configuration"]["replicaTimeout"], 60);
}

#[test]
fn containers_get_no_tokens_of_the_identities_that_pull_and_read_secrets() {
    let id =
        |name: &str| format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
    let of = |identity: Option<&str>, registry: &str, secret: &str| {
        let config = Config {
            identity: identity.map(id),
            repository: Some("r.azurecr.io/containers".into()),
            registry_identity: Some(id(registry)),
            secret_identity: Some(id(if secret.is_empty() { "unused" } else { secret })),
            ..config()
        };
        let mut spec = spec();
        if !secret.is_empty() {
            spec.containers[0].secret_env = vec![("S".into(), "https://v.vault.azure.net/secrets/s".into())];
        }
        let job = job(&config, &spec).unwrap();
        let assigned = job["identity"]["userAssignedIdentities"].as_object().unwrap().len();
        let hidden = job["properties"]["configuration"]["identitySettings"].as_array().cloned();
        let hidden = hidden.unwrap_or_default().into_iter();
        let names = hidden.map(|entry| {
            assert_eq!(entry["lifecycle"], "None");
            entry["identity"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
        });
        (assigned, names.collect::<Vec<_>>())
    };
    assert_eq!(of(Some("own"), "pull", "read"), (3, vec!["pull".to_owned(), "read".to_owned()]));
    assert_eq!(of(None, "pull", "pull"), (1, vec!["pull".to_owned()]));
    assert_eq!(of(None, "pull", ""), (1, vec!["pull".to_owned()]), "who reads no secret gets no reader");
    assert_eq!(of(Some("Pull"), "pull", "pull"), (1, vec![]), "what the containers are to have anyway");
}

#[test]
fn what_ends_before_the_others_start_is_an_init_container_and_shares_their_volumes() {
    let point = MountPoint { volume: "v".into(), path: "/v".into(), sub_path: None, read_only: false };
    let first = Container {
        name: "first".into(),
        image: "r.azurecr.io/containers/first@sha256:12".into(),
        command: vec!["/first".into()],
        args: vec!["install".into(), "/v/first".into()],
        mounts: vec![point.clone()],
        ..container()
    };
    let mut spec = spec();
    spec.init = vec![first];
    spec.volumes = vec![Volume { name: "v".into(), source: VolumeSource::Scratch(None) }];
    spec.containers[0].mounts = vec![point];
    let whole = job(&config(), &spec).unwrap();
    let template = &whole["properties"]["template"];
    assert_eq!(
        template["initContainers"],
        json!([{
            "name": "first",
            "image": "r.azurecr.io/containers/first@sha256:12",
            "command": ["/first"],
            "args": ["install", "/v/first"],
            "resources": {"cpu": 0.25, "memory": "0.5Gi"},
            "volumeMounts": [{"volumeName": "v", "mountPath": "/v"}],
        }])
    );
    assert_eq!(template["volumes"], json!([{"name": "v", "storageType": "EmptyDir"}]));
    // It takes nothing from the sizes of the others.
    assert_eq!(template["containers"][0]["resources"], json!({"cpu": 0.5, "memory": "1Gi"}));
    assert_ne!(names::fingerprint(&spec), names::fingerprint(&Spec { init: vec![], ..spec.clone() }));
    spec.init[0].ports = vec![80];
    assert_eq!(job(&config(), &spec).unwrap_err().code, ErrorCode::InvalidArgument);
}

#[test]
fn the_settings_limit_the_time_of_a_container_that_sets_none() {
    let config = Config { timeout_seconds: Some(900), ..config() };
    assert_eq!(timeout(&config, &spec()).unwrap(), 900);
    assert_eq!(timeout(&config, &Spec { timeout_seconds: Some(7200), ..spec() }).unwrap(), 7200);
    assert!(timeout(&config, &Spec { timeout_seconds: Some(604_801), ..spec() }).is_err());
}

#[test]
fn several_containers_are_one_replica_of_a_size_that_there_is() {
    let two = vec![container(), Container { name: "other".into(), ..container() }];
    let job = job(&config(), &Spec { kind: WorkloadKind::Pod, containers: two, ..spec() }).unwrap();
    let containers = &job["properties"]["template"]["containers"];
    assert_eq!((&containers[0]["name"], &containers[1]["name"]), (&json!("main"), &json!("other")));
    for container in [&containers[0], &containers[1]] {
        assert_eq!(container["resources"], json!({"cpu": 0.25, "memory": "0.5Gi"}));
    }
}

#[test]
fn what_a_job_cannot_be_is_refused() {
    let refused = |spec: Spec| job(&config(), &spec).unwrap_err().code;
    let two = vec![container(), container()];
    assert_eq!(refused(Spec { containers: two, ..spec() }), ErrorCode::Unsupported);
    assert_eq!(refused(Spec { containers: vec![], ..spec() }), ErrorCode::InvalidArgument);
    assert_eq!(refused(Spec { name: "Bad_Name".into(), ..spec() }), ErrorCode::InvalidArgument);
    let gpu = Some(Accelerator { kind: "nvidia-t4".into(), count: 1 });
    assert_eq!(refused(Spec { accelerator: gpu, ..spec() }), ErrorCode::Unsupported);
    let mut many = spec();
    many.containers[0].env = (0..1001).map(|i| (format!("V{i}"), String::new())).collect();
    assert_eq!(refused(many), ErrorCode::InvalidArgument);
}
