//! Builders for the tests of this crate.

use std::rc::Rc;

use sockerless_plugin_sdk::{
    Plugin, Request, Response,
    jobs::{Container, Network, Resources, Spec, WorkloadKind},
    testing::FakeHost,
};

use crate::{CloudRun, manifest, settings::Config};

/// The settings of an operator who gave the project alone.
pub fn config() -> Config {
    Config::read(&host()).unwrap()
}

/// A host with those settings.
pub fn host() -> FakeHost {
    FakeHost::new().defaults(&manifest::manifest()).setting("project", "proj")
}

/// A plugin, and the host that it runs on.
pub fn plugin(answer: impl Fn(&Request) -> Response + 'static) -> (CloudRun, Rc<FakeHost>) {
    on(host().answering(answer))
}

/// A plugin on a given host.
pub fn on(host: FakeHost) -> (CloudRun, Rc<FakeHost>) {
    let host = Rc::new(host);
    (CloudRun::new(host.clone()).unwrap(), host)
}

/// A container that asks for nothing.
pub fn container() -> Container {
    Container {
        name: "main".into(),
        image: "docker.io/library/busybox:latest".into(),
        command: vec![],
        args: vec![],
        env: vec![],
        secret_env: vec![],
        working_dir: None,
        resources: Resources { cpu_millis: None, memory_bytes: None },
        mounts: vec![],
        ports: vec![],
        depends_on: vec![],
        startup: None,
        liveness: None,
    }
}

/// A workload that asks for nothing.
pub fn spec() -> Spec {
    Spec {
        name: "sl-abc-1".into(),
        owner: "d0".into(),
        kind: WorkloadKind::RunToCompletion,
        containers: vec![container()],
        volumes: vec![],
        labels: vec![],
        timeout_seconds: None,
        max_retries: 0,
        network: Network { all_traffic: false, zones: vec![] },
        accelerator: None,
        expires: None,
        start: true,
    }
}
