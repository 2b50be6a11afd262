//! The engine itself: what it holds, how its tasks live.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Weak},
};

use sockerless_ports::{
    Link, Logs, Registry, Store,
    store::{Change, StoreError},
};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    AgentBinary, Dependencies, EngineOptions, Error, ErrorKind, Result,
    containers::Table,
    events::Hub,
    execs::Execs,
    files::Files,
    images::ImageIndex,
    networks::Networks,
    pods::Pods,
    publish::Publisher,
    supervisor::{Cloud, Runs},
    volumes::Volumes,
};

/// The daemon's heart. Cheap to share: `Arc<Engine>`.
pub struct Engine {
    me: Weak<Self>,
    pub(crate) clouds: BTreeMap<String, Arc<Cloud>>,
    pub(crate) default_backend: String,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) logs: Arc<dyn Logs>,
    pub(crate) agent: AgentBinary,
    pub(crate) options: EngineOptions,
    /// This daemon's mark on all that it makes in a cloud.
    pub(crate) owner: String,
    pub(crate) containers: Table,
    pub(crate) execs: Execs,
    pub(crate) images: ImageIndex,
    pub(crate) networks: Networks,
    pub(crate) pods: Pods,
    pub(crate) events: Hub,
    pub(crate) runs: Runs,
    pub(crate) files: Files,
    pub(crate) publisher: Publisher,
    pub(crate) volumes: Volumes,
    store: Arc<dyn Store>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Engine {
    /// Loads the state, awaits the agents that may return, and compares with the clouds in the
    /// background. Errors: the store cannot be read, holds what this version cannot read, or the
    /// default backend is not among the backends.
    pub async fn open(dependencies: Dependencies) -> Result<Arc<Self>> {
        let Dependencies { backends, default_backend, link, registry, store, logs, agent, options } =
            dependencies;
        if !backends.contains_key(&default_backend) {
            let message = format!("the default backend {default_backend} is not among the backends");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let owner = crate::reconcile::owner(store.as_ref()).await?;
        let engine = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            clouds: backends
                .into_iter()
                .map(|(name, backend)| (name.clone(), Arc::new(Cloud::new(name, backend))))
                .collect(),
            default_backend,
            files: Files::new(&options.data_root),
            link,
            registry,
            logs,
            agent,
            options,
            owner,
            containers: Table::default(),
            execs: Execs::default(),
            images: ImageIndex::default(),
            networks: Networks::default(),
            pods: Pods::default(),
            events: Hub::default(),
            runs: Runs::default(),
            publisher: Publisher::default(),
            volumes: Volumes::default(),
            store,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        });
        engine.images.refresh(engine.registry.as_ref()).await;
        engine.reopen().await?;
        Ok(engine)
    }

    /// Ends all work of this engine, but no container: the next `open` picks them up.
    /// Open streams of attached clients and of followers end.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends when the engine is closed.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// A counted reference, for tasks.
    ///
    /// Whoever holds `&self` got it from an `Arc`, for `open` gives out nothing else: the upgrade
    /// fails only while the last one is being dropped.
    pub(crate) fn shared(&self) -> Result<Arc<Self>> {
        self.me.upgrade().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the daemon is shutting down"))
    }

    /// For those who outlive it.
    pub(crate) fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.me)
    }

    /// Runs a task until it ends or the engine is closed.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let closing = self.closing.clone();
        self.tasks.spawn(async move { closing.run_until_cancelled_owned(task).await })
    }

    /// Runs a task to its end even if the caller goes away in the middle, as a client may.
    pub(crate) async fn complete<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.spawn(task).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(Error::new(ErrorKind::Unavailable, "the daemon is shutting down")),
            Err(error) => {
                Err(Error::new(ErrorKind::Internal, format!("a task of the daemon failed: {error}")))
            }
        }
    }

    /// Keeps changes, all or none.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<()> {
        self.store.commit(changes).await.map_err(Error::from)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// A backend by name. Errors: it is not configured (any more).
    pub(crate) fn cloud(&self, name: &str) -> Result<&Arc<Cloud>> {
        self.clouds
            .get(name)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, format!("unknown or invalid runtime name: {name}")))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorKind::Internal, error.to_string())
    }
}
