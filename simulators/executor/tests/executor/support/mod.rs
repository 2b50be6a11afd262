//! An executor, a registry and images for a test.

mod image;
mod registry;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::FutureExt;
use sockerless_executor::{
    Executor, ExecutorConfig, FailureReason, RegistryAccess, RegistryAuth, Task, TaskEvent, TaskSpec,
};

pub use image::{Entry, Image};
pub use registry::{Registry, digest};

/// The registry's name in image references.
pub const HOST: &str = "registry.test";

pub struct Fixture {
    pub executor: Arc<Executor>,
    pub registry: Registry,
    pub folder: tempfile::TempDir,
    counter: AtomicU32,
}

/// What a task did.
#[derive(Debug, Default)]
pub struct Outcome {
    pub pulled: bool,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub out_of_memory: bool,
    pub failed: Option<(FailureReason, String)>,
}

impl Outcome {
    pub fn text(&self) -> &str {
        assert_eq!(self.failed, None);
        std::str::from_utf8(&self.out).unwrap()
    }

    pub fn reason(&self) -> FailureReason {
        self.failed.as_ref().unwrap_or_else(|| panic!("did not fail: {self:?}")).0
    }
}

/// Opens an executor for the test and clears everything away after it, however it ends.
pub async fn with<F: Future<Output = ()>>(test: impl FnOnce(Arc<Fixture>) -> F) {
    let registry = Registry::start().await;
    let folder = tempfile::tempdir().unwrap();
    let executor = Executor::open(config(folder.path().join("state"), &registry)).await.unwrap();
    let fixture =
        Arc::new(Fixture { executor: Arc::clone(&executor), registry, folder, counter: AtomicU32::new(0) });
    fixture.registry.push("busybox", &Image::busybox());
    let result = AssertUnwindSafe(test(Arc::clone(&fixture))).catch_unwind().await;
    executor.purge().await.unwrap();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

pub fn config(state: PathBuf, registry: &Registry) -> ExecutorConfig {
    let access = RegistryAccess {
        base_url: registry.url(),
        auth: Some(RegistryAuth::Basic { username: "user".into(), password: "secret".into() }),
    };
    let anonymous = RegistryAccess { base_url: registry.url(), auth: None };
    let mut config = ExecutorConfig::new(state);
    config.registries = [(HOST.to_owned(), access), ("anonymous.test".to_owned(), anonymous)].into();
    config.program = Some(stage_program());
    config.prepared = Some(1);
    config
}

/// The test harness owns `main`, so the stages run in a program of their own.
pub fn stage_program() -> PathBuf {
    std::env::var_os("SOCKERLESS_TEST_STAGE")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sockerless-executor-stage")), PathBuf::from)
}

impl Fixture {
    pub fn spec(&self, image: &str) -> TaskSpec {
        TaskSpec {
            id: format!("task-{}", self.counter.fetch_add(1, Ordering::Relaxed)),
            image: format!("{HOST}/{image}"),
            ..TaskSpec::default()
        }
    }

    pub fn shell_spec(&self, script: &str) -> TaskSpec {
        TaskSpec { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..self.spec("busybox") }
    }

    pub async fn run(&self, spec: TaskSpec) -> Outcome {
        outcome(self.executor.run(spec).unwrap()).await
    }

    pub async fn shell(&self, script: &str) -> Outcome {
        self.run(self.shell_spec(script)).await
    }

    /// A task whose first line of output has been read.
    pub async fn started(&self, spec: TaskSpec) -> (Task, String) {
        let mut task = self.executor.run(spec).unwrap();
        let mut out = Vec::new();
        while !out.contains(&b'\n') {
            match task.events.recv().await.expect("ended before it wrote a line") {
                TaskEvent::Output { bytes, .. } => out.extend_from_slice(&bytes),
                TaskEvent::Failed { message, .. } => panic!("{message}"),
                _ => {}
            }
        }
        (task, String::from_utf8(out).unwrap().trim().to_owned())
    }
}

pub async fn outcome(mut task: Task) -> Outcome {
    let mut outcome = Outcome::default();
    while let Some(event) = task.events.recv().await {
        match event {
            TaskEvent::Pulling => outcome.pulled = true,
            TaskEvent::Started { .. } => {}
            TaskEvent::Output { stderr: false, bytes, .. } => outcome.out.extend_from_slice(&bytes),
            TaskEvent::Output { stderr: true, bytes, .. } => outcome.err.extend_from_slice(&bytes),
            TaskEvent::Exited { exit_code, signal, out_of_memory } => {
                (outcome.exit_code, outcome.signal, outcome.out_of_memory) =
                    (exit_code, signal, out_of_memory);
            }
            TaskEvent::Failed { reason, message } => outcome.failed = Some((reason, message)),
        }
    }
    outcome
}

/// Whether the test runs as root: some things can be shown only so.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
