//! The executor itself.

use std::{
    collections::HashMap,
    fs::{File, TryLockError},
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::thread::CapabilitySet;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};

use crate::{
    cgroup::Cgroups,
    config::{ExecutorConfig, Limits},
    driver::drive,
    error::ExecutorError,
    hosts::Hosts,
    image::{ImageStore, Unpack},
    leftover,
    namespace::UserNamespace,
    network::Network,
    plan::{check, check_names},
    pod::Pod,
    pool::{Pool, SlotMaker},
    spec::TaskSpec,
    task::{Task, TaskHandle},
    tuning::{EVENT_BUFFER, POOL_SIZE, POOL_SIZE_ROOTLESS, SHUTDOWN_PATIENCE},
};

/// Runs tasks.
#[derive(Debug)]
pub struct Executor {
    inner: Arc<Inner>,
}

/// What tasks work with.
#[derive(Debug)]
pub(crate) struct Inner {
    pub state: PathBuf,
    pub images: ImageStore,
    pub network: Arc<Network>,
    pub pool: Arc<Pool>,
    pub cgroups: Cgroups,
    pub limits: Limits,
    pub hosts: Hosts,
    /// By id, until the last event.
    tasks: Mutex<HashMap<String, TaskHandle>>,
    /// Tasks and pods begun so far.
    begun: AtomicU64,
    /// Tasks that still have something to clean up.
    live: watch::Sender<usize>,
    closed: AtomicBool,
    _namespace: Option<UserNamespace>,
    lock: File,
}

impl Executor {
    /// Opens the state folder, clears what a killed executor left there, and makes the network.
    ///
    /// # Errors
    /// [`ExecutorError::Unsupported`] with the remedy when this machine cannot run containers;
    /// [`ExecutorError::Locked`] when another executor has the folder.
    pub async fn open(config: ExecutorConfig) -> Result<Arc<Self>, ExecutorError> {
        let folder = config.state.display().to_string();
        let failed = |error: io::Error| ExecutorError::system(&folder, error);
        std::fs::create_dir_all(config.state.join("tasks")).map_err(failed)?;
        let state = config.state.canonicalize().map_err(failed)?;
        let lock = lock(&state)?;
        let scope = hex::encode(&Sha256::digest(state.as_os_str().as_encoded_bytes())[..4]);
        let program = config.program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let rootless = !is_root();

        leftover::end_stages(&scope).await;
        let namespace = if rootless { Some(UserNamespace::open(&program, &scope).await?) } else { None };
        let user_namespace = namespace.as_ref().map(|namespace| namespace.path().to_owned());
        let cgroups =
            if rootless { Cgroups::default() } else { Cgroups::open(&format!("sockerless-{scope}")) };
        cgroups.clear();
        let unpack =
            Unpack { program: program.clone(), scope: scope.clone(), user_namespace: user_namespace.clone() };
        leftover::remove_tasks(&state, &unpack).await.map_err(failed)?;
        leftover::fresh_sockets(&state).map_err(failed)?;
        let images = ImageStore::open(&state, config.registries, unpack).await.map_err(failed)?;

        let network = Arc::new(Network::open(&scope, rootless).await?);
        let maker = SlotMaker { program, scope, user_namespace, network: Arc::clone(&network) };
        let usual = if rootless { POOL_SIZE_ROOTLESS } else { POOL_SIZE };
        let size = config.prepared.unwrap_or(usual);
        let pool = match Pool::open(maker, size).await {
            Ok(pool) => pool,
            Err(error) => {
                network.close().await;
                cgroups.remove();
                return Err(error);
            }
        };
        let limits = limits(&cgroups, &network, rootless);
        for remark in &limits.remarks {
            tracing::warn!("{remark}");
        }
        let inner = Inner {
            state,
            images,
            network,
            pool,
            cgroups,
            limits,
            hosts: Hosts::default(),
            tasks: Mutex::default(),
            begun: AtomicU64::new(0),
            live: watch::Sender::new(0),
            closed: AtomicBool::new(false),
            _namespace: namespace,
            lock,
        };
        Ok(Arc::new(Self { inner: Arc::new(inner) }))
    }

    /// The address under which containers reach services of this machine that listen on
    /// [`Self::bind_address`].
    pub fn host_address(&self) -> IpAddr {
        self.inner.network.host_address()
    }

    /// Where a service of this machine has to listen to be reached by containers.
    pub fn bind_address(&self) -> IpAddr {
        self.inner.network.bind_address()
    }

    /// Has all tasks find an address under names, parted by blanks: those that begin later and, as soon as this returns, those
    /// that run.
    ///
    /// # Errors
    /// [`ExecutorError::InvalidSpec`]; [`ExecutorError::System`] when a task's file cannot be written: the others have it.
    pub fn add_host(&self, address: IpAddr, names: &str) -> Result<(), ExecutorError> {
        check_names(names)?;
        let (hosts, tasks) = (&self.inner.hosts, self.inner.state.join("tasks"));
        hosts.add(address, names);
        let failed = |error| ExecutorError::system(tasks.display().to_string(), error);
        let mut outcome = Ok(());
        for task in std::fs::read_dir(&tasks).map_err(failed)? {
            let completed = task.and_then(|task| hosts.complete(&task.path().join("hosts")));
            outcome = outcome.and(completed.map_err(failed));
        }
        outcome
    }

    /// Tasks that begin later do not find it any more; for the others nobody is there.
    pub fn remove_host(&self, address: IpAddr, names: &str) {
        self.inner.hosts.remove(address, names);
    }

    /// What this machine lets the executor enforce.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Starts a task; pulling and starting go on in the background and are told as events.
    /// Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ExecutorError::InvalidSpec`], [`ExecutorError::Duplicate`], [`ExecutorError::ShutDown`].
    pub fn run(&self, spec: TaskSpec) -> Result<Task, ExecutorError> {
        check(&spec)?;
        let (events, receiver) = mpsc::channel(EVENT_BUFFER);
        let (handle, orders) = TaskHandle::new();
        let id = spec.id.clone();
        {
            let mut tasks = self.inner.tasks();
            // Within the lock, so that a shutdown sees every task.
            if self.inner.closed.load(Ordering::Acquire) {
                return Err(ExecutorError::ShutDown);
            }
            if tasks.contains_key(&id) {
                return Err(ExecutorError::Duplicate(id));
            }
            tasks.insert(id.clone(), handle.clone());
            self.inner.live.send_modify(|live| *live += 1);
        }
        let folder = format!("{id}.{}", self.inner.count());
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            drive(&inner, spec, folder, events, orders).await;
            inner.live.send_modify(|live| *live -= 1);
        });
        Ok(Task::new(receiver, handle))
    }

    /// Makes a pod: a network that several tasks can be given. It lives until [`Pod::close`], or until its last clone is
    /// dropped.
    ///
    /// # Errors
    /// [`ExecutorError::System`] when there is no network to be had, [`ExecutorError::ShutDown`].
    pub async fn pod(&self) -> Result<Pod, ExecutorError> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(ExecutorError::ShutDown);
        }
        Pod::open(&self.inner).await
    }

    /// Kills all tasks, and takes the network down. The layers stay.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        inner.closed.store(true, Ordering::Release);
        for handle in inner.tasks().values() {
            handle.stop(Duration::ZERO);
        }
        let mut live = inner.live.subscribe();
        let all_ended = live.wait_for(|live| *live == 0);
        if tokio::time::timeout(SHUTDOWN_PATIENCE, all_ended).await.is_err() {
            tracing::warn!("tasks are left at shutdown; they end with this process");
        }
        inner.pool.close().await;
        inner.network.close().await;
        inner.cgroups.remove();
        // Not by dropping it: a task's last steps may hold it for another moment.
        if let Err(error) = inner.lock.unlock() {
            tracing::warn!(%error, "the state folder stays locked until this process ends");
        }
    }

    /// Shuts down and deletes the state folder, layers and all.
    ///
    /// # Errors
    /// [`ExecutorError::System`] when something cannot be deleted.
    pub async fn purge(&self) -> Result<(), ExecutorError> {
        self.shutdown().await;
        let state = &self.inner.state;
        self.inner.images.purge().await;
        std::fs::remove_dir_all(state)
            .map_err(|error| ExecutorError::system(state.display().to_string(), error))
    }
}

impl Inner {
    /// A number that no other task or pod has.
    pub(crate) fn count(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed)
    }

    /// The id may be used again.
    pub(crate) fn release(&self, id: &str) {
        self.tasks().remove(id);
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<String, TaskHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether namespaces and mounts need no user namespace.
fn is_root() -> bool {
    let effective = rustix::thread::capabilities(None).map(|sets| sets.effective);
    nix::unistd::geteuid().is_root() && effective.is_ok_and(|set| set.contains(CapabilitySet::SYS_ADMIN))
}

fn lock(state: &Path) -> Result<File, ExecutorError> {
    let failed = |error| ExecutorError::system(state.display().to_string(), error);
    let lock = File::create(state.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ExecutorError::Locked(state.display().to_string())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn limits(cgroups: &Cgroups, network: &Network, rootless: bool) -> Limits {
    let mut remarks: Vec<String> = network.remark().map(str::to_owned).into_iter().collect();
    let why = if rootless {
        "an ordinary user has no control groups; run as root for them"
    } else {
        "this machine lends no such control group"
    };
    if !cgroups.has_memory() {
        remarks.push(format!("memory limits of containers do not hold: {why}"));
    }
    if !cgroups.has_cpu() {
        remarks.push(format!("processor limits of containers do not hold: {why}"));
    }
    Limits {
        memory: cgroups.has_memory(),
        cpu: cgroups.has_cpu(),
        outbound: network.remark().is_none(),
        rootless,
        remarks,
    }
}
