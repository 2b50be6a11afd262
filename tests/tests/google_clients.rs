//! Google's own Python clients create, run, describe and list what the simulator really executes, and see what the
//! plugin has made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use sockerless_credentials::{CredentialSet, Fixed, Secret};
use sockerless_ports::backend::{
    AddressRecord, Dns, JobContainer, JobSpec, JobVolume, Jobs, MountPoint, MountRequest, MountSource,
    Storage, Volume, VolumeSource, WorkloadKind, Zone,
};
use sockerless_tests::{
    Simulator, dist, python,
    simulator::{busybox, checked, script},
};
use sockerless_wasm::{HostConfig, Limits, Plugin, PluginHost, PluginOptions, Proxies};

/// The clients at the releases that were tried.
const PACKAGES: &[&str] = &[
    "google-cloud-run==0.16.2",
    "google-cloud-storage==3.17.1",
    "google-cloud-logging==3.17.0",
    "google-cloud-dns==0.37.2",
    "dnspython==2.9.2",
];

/// A Python with the clients, made once, by the first test that needs it.
fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| python::with_packages("google-clients", PACKAGES)).clone()
}

#[test]
fn googles_own_clients_find_the_cloud_that_they_know() {
    let busybox = busybox();
    let mut simulator = Simulator::start("google");
    checked(
        Command::new(python()).arg(script("google_clients.py")).arg(simulator.ready_file()).arg(&busybox),
    );
    assert!(simulator.stop().success(), "the simulator ends well");
    assert!(!simulator.ready_file().exists(), "the ready file goes with the simulator");
}

/// The component, turned to a simulator.
async fn plugin(info: &Value) -> Arc<Plugin> {
    sockerless_credentials::install_tls_provider();
    let text = |field: &str| info[field].as_str().unwrap().to_owned();
    let credentials = CredentialSet::new().with("google", Fixed::bearer(Secret::new(text("token"))));
    let mut settings: std::collections::BTreeMap<String, String> =
        ["project", "region"].map(|name| (name.to_owned(), text(name))).into();
    settings.insert("repository".to_owned(), format!("{}/{}/test", text("registry"), text("project")));
    for api in ["run", "storage", "logging", "dns", "artifact_registry"] {
        settings.insert(format!("{api}_endpoint"), text("google"));
    }
    let host = PluginHost::new(HostConfig {
        cache_dir: dist::target().join("plugin-test-cache"),
        limits: Limits::default(),
        credentials: Arc::new(credentials),
        proxies: Proxies::default(),
    });
    let options = PluginOptions { settings, ..PluginOptions::default() };
    host.unwrap().load("cloudrun", dist::program("plugins/cloudrun.wasm"), options).await.unwrap()
}

/// A container that writes to a volume, and its end.
async fn write_to(plugin: &Plugin, volume: &str, image: String) {
    let wish = MountRequest {
        source: MountSource::Volume(volume.into()),
        owner: "d0".into(),
        read_only: false,
        executable: false,
        renew: false,
    };
    let source = VolumeSource::Storage(plugin.mount(&wish).await.unwrap());
    let point = MountPoint { volume: volume.into(), path: "/data".into(), sub_path: None, read_only: false };
    let script = "mkdir /data/sub && echo hello > /data/sub/file && ln -s sub/file /data/link";
    let spec = JobSpec {
        name: "sl-writer-1".into(),
        owner: "d0".into(),
        kind: WorkloadKind::RunToCompletion,
        init: vec![],
        containers: vec![JobContainer {
            name: "main".into(),
            image,
            command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            mounts: vec![point],
            ..JobContainer::default()
        }],
        volumes: vec![JobVolume { name: volume.into(), source }],
        labels: vec![],
        timeout_seconds: None,
        max_retries: 0,
        all_traffic: false,
        zones: vec![],
        accelerator: None,
        expires: None,
        start: true,
    };
    let mut handle = plugin.create(&spec).await.unwrap();
    let ending = async {
        loop {
            let status = plugin.status(&[handle]).await.unwrap().remove(0);
            if status.phase.is_final() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(status.poll_after_ms.unwrap_or(10).into())).await;
            handle = status.handle;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(60), ending).await.expect("the container ends");
    assert_eq!(status.exit_code, Some(0), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_own_clients_see_the_zones_and_volumes_that_the_plugin_made() {
    let mut simulator = Simulator::start("google");
    let info = simulator.info();
    let image =
        format!("{}/{}/test/busybox", info["registry"].as_str().unwrap(), info["project"].as_str().unwrap());
    let push = || {
        let mut push = Command::new(python());
        push.arg(script("google_sees.py")).arg(simulator.ready_file()).arg("push").arg(busybox());
        push
    };
    checked(&mut push());

    let plugin = plugin(&info).await;
    let zone = Zone {
        name: "sockerless-net-0123456789ab".into(),
        domain: "0123456789ab.sockerless.internal.".into(),
        owner: "d0".into(),
        labels: vec![("name".into(), "My Net".into())],
    };
    plugin.ensure_zone(&zone).await.unwrap();
    for (name, addresses) in [("db", vec!["172.18.0.2"]), ("web", vec!["172.18.0.3", "172.18.0.4"])] {
        let addresses = addresses.into_iter().map(str::to_owned).collect();
        let record = AddressRecord { name: name.into(), addresses, ttl_seconds: 10 };
        plugin.upsert(&zone.name, &record).await.unwrap();
    }
    let volume = Volume { name: "data".into(), owner: "d0".into(), labels: vec![], options: vec![] };
    plugin.create_volume(&volume).await.unwrap();
    write_to(&plugin, "data", image).await;
    let usage = plugin.usage("d0", "data").await.unwrap();
    assert_eq!((usage.bytes, usage.files), (6, 2));

    let mut look = Command::new(python());
    look.arg(script("google_sees.py")).arg(simulator.ready_file()).arg("look");
    let seen = look.output().unwrap();
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
    let seen: Value = serde_json::from_slice(&seen.stdout).unwrap();
    let wanted = serde_json::json!({
        "zones": {zone.name: {
            "dns_name": zone.domain,
            "records": {
                "db.0123456789ab.sockerless.internal.": [10, ["172.18.0.2"]],
                "web.0123456789ab.sockerless.internal.": [10, ["172.18.0.3", "172.18.0.4"]],
            },
        }},
        "objects": {
            "volumes/.sockerless/data.json": 53,
            "volumes/data/": 0,
            "volumes/data/link": 0,
            "volumes/data/sub/": 0,
            "volumes/data/sub/file": 6,
        },
    });
    assert_eq!(seen, wanted);
    assert!(simulator.stop().success());
}
