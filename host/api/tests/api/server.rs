//! A server on a socket of its own.

use std::{path::PathBuf, sync::Arc};

use sockerless_api::{Address, bind, router, serve};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{client::Client, fake::Fake, plugins::FakePlugins};

pub struct Server {
    pub fake: Arc<Fake>,
    pub path: PathBuf,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
    _folder: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let fake = Arc::new(Fake::default());
        let listener = bind(&Address::Unix { path: path.clone(), group: None }).await.unwrap();
        let router = router(fake.clone(), Arc::new(FakePlugins));
        let (shutdown, ended) = oneshot::channel();
        let task = tokio::spawn(serve(vec![listener], router, async {
            let _ = ended.await;
        }));
        Self { fake, path, shutdown, task, _folder: folder }
    }

    pub async fn client(&self) -> Client {
        Client::connect(&self.path).await
    }

    /// Begins to end; the task is done when all connections are.
    pub fn stop(self) -> (JoinHandle<()>, TempDir) {
        self.shutdown.send(()).unwrap();
        (self.task, self._folder)
    }
}
