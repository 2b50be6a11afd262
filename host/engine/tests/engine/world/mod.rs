//! Fakes of all ports. Time is paused, so that waiting costs none.

mod agent;
pub mod channel;
mod cloud;
mod dns;
mod link;
mod logs;
mod registry;
mod store;

use std::{collections::BTreeMap, sync::Arc};

use bollard_stubs::models::{ContainerConfig, ContainerStateStatusEnum, HostConfig};
use futures_util::StreamExt;
use sockerless_engine::*;
use sockerless_ports::Backend;

pub use channel::AgentEnd;
pub use cloud::{FakeCloud, everything};
pub use link::FakeLink;
pub use logs::FakeLogs;
pub use registry::FakeRegistry;
pub use store::FakeStore;

/// A daemon and what is around it. The world outlives the daemon.
pub struct World {
    pub engine: Arc<Engine>,
    pub cloud: Arc<FakeCloud>,
    pub link: Arc<FakeLink>,
    pub logs: Arc<FakeLogs>,
    pub store: Arc<FakeStore>,
    pub registry: Arc<FakeRegistry>,
    /// Of the next daemon.
    pub options: EngineOptions,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Some("ws://10.0.0.1:4000"), everything()).await
    }

    pub async fn with(callback: Option<&str>, features: sockerless_ports::backend::Features) -> Self {
        let link = FakeLink::new(callback);
        let cloud = FakeCloud::new(Arc::clone(&link), features);
        let (logs, store, registry) = (Arc::default(), Arc::default(), FakeRegistry::new());
        let folder = tempfile::tempdir().unwrap();
        let options = EngineOptions { data_root: folder.path().to_owned(), ..EngineOptions::default() };
        let engine = open(&cloud, &link, &logs, &store, &registry, &options).await.unwrap();
        Self { engine, cloud, link, logs, store, registry, options, folder }
    }

    /// What kill -9 does.
    pub async fn crash(&self) {
        self.link.forget_all();
        self.engine.close().await;
        self.link.forget_all();
        self.logs.close_readers();
        self.store.heal();
    }

    /// A new daemon over the same state.
    pub async fn reopen(&mut self) {
        let Self { cloud, link, logs, store, registry, options, .. } = &*self;
        self.engine = open(cloud, link, logs, store, registry, options).await.unwrap();
    }

    /// The archives that the daemon keeps of a container's files, in order.
    pub fn kept(&self, reference: &str) -> Vec<std::path::PathBuf> {
        let id = self.engine.inspect(reference, false).unwrap().id.unwrap();
        let Ok(folder) = std::fs::read_dir(self.folder.path().join("files/containers").join(id)) else {
            return Vec::new();
        };
        let mut all: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        all.retain(|path| path.extension().is_some_and(|extension| extension == "tar"));
        all.sort();
        all
    }

    pub async fn create(&self, name: &str, argv: &[&str]) -> String {
        self.create_with(name, argv, |_| {}).await
    }

    pub async fn create_with(
        &self,
        name: &str,
        argv: &[&str],
        change: impl FnOnce(&mut CreateRequest),
    ) -> String {
        let mut request = request(name, argv);
        change(&mut request);
        self.engine.create(request).await.unwrap().id
    }

    /// Creates and starts.
    pub async fn run(&self, name: &str, argv: &[&str]) -> String {
        let id = self.create(name, argv).await;
        self.engine.start(&id).await.unwrap();
        id
    }

    pub async fn wait(&self, reference: &str) -> i64 {
        self.engine.wait(reference, WaitCondition::NotRunning).unwrap().await.status_code
    }

    pub async fn output(&self, reference: &str) -> String {
        let request = LogsRequest { stdout: true, stderr: true, ..LogsRequest::default() };
        text(self.engine.logs(reference, request).await.unwrap()).await
    }

    pub fn status(&self, reference: &str) -> ContainerStateStatusEnum {
        self.engine.inspect(reference, false).unwrap().state.unwrap().status.unwrap()
    }

    pub fn error(&self, reference: &str) -> String {
        self.engine.inspect(reference, false).unwrap().state.unwrap().error.unwrap()
    }

    /// Waits until the cloud holds no job and the store no intent.
    pub async fn settled(&self) {
        while self.cloud.jobs() > 0 || self.store.count(sockerless_ports::store::Kind::Intent) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

async fn open(
    cloud: &Arc<FakeCloud>,
    link: &Arc<FakeLink>,
    logs: &Arc<FakeLogs>,
    store: &Arc<FakeStore>,
    registry: &Arc<FakeRegistry>,
    options: &EngineOptions,
) -> Result<Arc<Engine>> {
    Engine::open(Dependencies {
        backends: BTreeMap::from([("fake".to_owned(), Arc::clone(cloud) as Arc<dyn Backend>)]),
        default_backend: "fake".into(),
        link: Arc::clone(link) as _,
        registry: Arc::clone(registry) as _,
        store: Arc::clone(store) as _,
        logs: Arc::clone(logs) as _,
        agent: AgentBinary::from_bytes(*b"the agent"),
        options: options.clone(),
    })
    .await
}

pub fn request(name: &str, argv: &[&str]) -> CreateRequest {
    CreateRequest {
        name: (!name.is_empty()).then(|| name.to_owned()),
        config: ContainerConfig {
            image: Some("busybox".into()),
            cmd: Some(argv.iter().map(|word| (*word).to_owned()).collect()),
            ..ContainerConfig::default()
        },
        host: HostConfig::default(),
        ..CreateRequest::default()
    }
}

pub async fn text(stream: OutputStream) -> String {
    let mut bytes = Vec::new();
    let mut chunks = stream.chunks;
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.unwrap().bytes);
    }
    String::from_utf8(bytes).unwrap()
}
