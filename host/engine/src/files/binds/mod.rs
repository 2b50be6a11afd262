//! Bind mounts: paths of the daemon's machine in containers that run elsewhere.
//!
//! What is there is sent in before the process starts; what the container changed of it is brought back before its end is
//! told, and both sides are merged when somebody asks for it. The daemon drives: it lists both sides and compares each with
//! what it was when they were the same ([`merge`]), and has only what is different go over the line, in one stream.
//!
//! A mount that is read-only is sent and never brought back.

mod base;
mod bring;
mod disk;
mod exchange;
mod ignore;
mod memory;
mod merge;
mod pack;
mod scan;
mod source;
mod step;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError},
    time::Duration,
};

use bollard_stubs::models::{ContainerState, HostConfig, MountTypeEnum};
use sockerless_ports::link::RunId;
use tokio::sync::Mutex;

use self::{
    source::{Rules, Wanted},
    step::Way,
};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, Spec},
    error::needs_agent,
    files::pipe::blocking,
    supervisor::run_id,
    tuning,
    volumes::{Mounted, mounts::Source},
};

/// How often both sides are merged while the container runs.
const LABEL_SYNC: &str = "sockerless.binds.sync";

/// Settings of the operator for bind mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindOptions {
    /// Only what is below these may be mounted. As with dockerd everything by default: who may use the API may have the
    /// daemon read and write for him.
    pub allow: Vec<PathBuf>,
    /// Bytes of one mount that are sent into a container.
    pub size_limit: u64,
    /// The file in a directory that says what of it stays at home; empty for none.
    pub ignore: String,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            allow: vec!["/".into()],
            size_limit: tuning::BIND_SIZE,
            ignore: tuning::BIND_IGNORE.to_owned(),
        }
    }
}

/// What is known of containers' bind mounts beside what is kept durably.
#[derive(Default)]
pub(super) struct Binds {
    /// By container: held while both sides are compared and changed.
    gates: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
    /// By container: what could not be brought back, and why.
    notes: SyncMutex<HashMap<String, String>>,
    /// Runs whose mounts are merged from time to time.
    kept: SyncMutex<HashSet<RunId>>,
}

fn lock<T>(mutex: &SyncMutex<T>) -> MutexGuard<'_, T> {
    // Each change is one insertion or removal: a panic leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Binds {
    fn gate(&self, container: &str) -> Arc<Mutex<()>> {
        Arc::clone(lock(&self.gates).entry(container.to_owned()).or_default())
    }

    pub fn forget(&self, container: &str) {
        lock(&self.gates).remove(container);
        lock(&self.notes).remove(container);
    }
}

/// The mounts of a container that are paths of this machine, with their places in the list of all.
fn binds(spec: &Spec) -> impl Iterator<Item = (usize, &Mounted, Wanted)> {
    spec.mounts.iter().enumerate().filter_map(|(index, mounted)| {
        let Source::Bind(source) = &mounted.source else { return None };
        let wanted = Wanted { source: source.into(), makes: makes(&spec.host, &mounted.destination) };
        Some((index, mounted, wanted))
    })
}

/// Whether a source is made where it is missing: dockerd does that for `-v`, for `--mount` only when it is told to.
fn makes(host: &HostConfig, destination: &str) -> bool {
    let target = |mount: &&bollard_stubs::models::Mount| {
        mount.typ == Some(MountTypeEnum::BIND)
            && mount.target.as_deref().is_some_and(|target| target.trim_end_matches('/') == destination)
    };
    host.mounts.iter().flatten().find(target).is_none_or(|mount| {
        let options = mount.bind_options.as_ref();
        options.and_then(|options| options.create_mountpoint).unwrap_or_default()
    })
}

/// How often a container's mounts are merged. Errors: 400 for a label that cannot be read.
fn period(spec: &Spec) -> Result<Option<Duration>> {
    let Some(text) = spec.label(LABEL_SYNC) else { return Ok(None) };
    match crate::duration(text).filter(|period| *period >= tuning::BIND_PERIOD) {
        Some(period) => Ok(Some(period)),
        None => Err(Error::new(
            ErrorKind::Invalid,
            format!("invalid label {LABEL_SYNC}={text}: seconds, or a duration as 5s or 1m; 1s at least"),
        )),
    }
}

impl Engine {
    fn bind_rules(&self) -> Rules {
        Rules { options: self.options.binds.clone(), state: self.options.data_root.clone() }
    }

    /// What can be said of a container's bind mounts when it is created: nothing is made, sent or read yet.
    ///
    /// Errors: 400 in dockerd's words, 403 for a path that may not be mounted, 501 without an agent.
    pub(crate) async fn check_binds(&self, spec: &Spec) -> Result<()> {
        let all: Vec<Wanted> = binds(spec).map(|(_, _, wanted)| wanted).collect();
        if all.is_empty() {
            return Ok(());
        }
        if self.link.callback_url().is_none() {
            return Err(needs_agent("bind mounts"));
        }
        source::check_labels(spec)?;
        period(spec)?;
        let rules = self.bind_rules();
        blocking(move || all.iter().try_for_each(|wanted| rules.check(wanted))).await
    }

    /// Sends what bind mounts have into a run that is about to begin. Also over what an earlier run left there: then what
    /// was changed in the meantime is merged.
    ///
    /// Errors: with the mount: its source is missing, too large, or cannot be read; the container's user may not write there;
    /// the agent is gone.
    pub(crate) async fn send_binds(&self, entry: &Arc<Entry>, run: &RunId) -> Result<()> {
        lock(&self.files.binds.notes).remove(entry.id());
        let gate = self.files.binds.gate(entry.id());
        let _gate = gate.lock().await;
        for (index, mounted, wanted) in binds(&entry.spec) {
            self.bind_step(entry, run, index, Way::In)
                .await
                .map_err(|error| named(&wanted, mounted, error))?;
        }
        Ok(())
    }

    /// Brings what a run changed back, before its end is told. What fails is told to whoever inspects the container, and to
    /// the log.
    pub(crate) async fn bring_binds_back(&self, entry: &Arc<Entry>, run: &RunId) {
        let state = &entry.view().state;
        if state.generation != run.generation || !state.is_live() {
            // It was told before.
            return;
        }
        let gate = self.files.binds.gate(entry.id());
        let _gate = gate.lock().await;
        for (index, mounted, wanted) in binds(&entry.spec).filter(|(_, mounted, _)| !mounted.read_only) {
            let step = self.bind_step(entry, run, index, Way::Back);
            let done = tokio::time::timeout(tuning::SAVE_PATIENCE, step).await;
            let late = || Error::new(ErrorKind::Unavailable, "it took too long");
            if let Err(error) = done.unwrap_or_else(|_| Err(late())) {
                let error = named(&wanted, mounted, error);
                tracing::error!(%run, %error, "what a container changed in a bind mount is not brought back");
                let note =
                    format!("not everything that the container changed could be brought back: {error}");
                lock(&self.files.binds.notes).insert(entry.id().to_owned(), note);
            }
        }
    }

    /// Merges both sides of a container's bind mounts while it runs, or while its agent is still there.
    ///
    /// Errors: 404; 409 when neither is so; those of the mounts.
    pub async fn sync_binds(&self, reference: &str) -> Result<()> {
        let entry = self.containers.find(reference)?;
        let engine = self.shared()?;
        let sync = async move {
            let state = entry.view().state.clone();
            if !(state.pid > 0 || state.linger.is_some_and(|linger| !linger.saving)) {
                let message = format!("container {} is not running", entry.id());
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            engine.sync_run(&entry, &run_id(&entry, state.serves.max(state.generation))).await
        };
        self.complete(sync).await
    }

    async fn sync_run(&self, entry: &Arc<Entry>, run: &RunId) -> Result<()> {
        let gate = self.files.binds.gate(entry.id());
        let _gate = gate.lock().await;
        for (index, mounted, wanted) in binds(&entry.spec) {
            let synced = self.bind_step(entry, run, index, Way::Both).await;
            synced.map_err(|error| named(&wanted, mounted, error))?;
        }
        Ok(())
    }

    /// Merges a run's mounts from time to time, if its container asks for that.
    pub(crate) fn keep_binds(self: &Arc<Self>, entry: &Arc<Entry>, run: &RunId) {
        let Ok(Some(period)) = period(&entry.spec) else { return };
        if binds(&entry.spec).next().is_none() || !lock(&self.files.binds.kept).insert(run.clone()) {
            return;
        }
        let (engine, entry, run) = (Arc::clone(self), Arc::clone(entry), run.clone());
        self.spawn(async move {
            let mut view = entry.subscribe();
            let over = async {
                // The sender lives as long as the entry.
                let _ = view.wait_for(|view| view.state.ended >= run.generation).await;
            };
            let merging = async {
                loop {
                    tokio::time::sleep(period).await;
                    if entry.view().state.pid == 0 {
                        continue;
                    }
                    if let Err(error) = engine.sync_run(&entry, &run).await {
                        tracing::warn!(%run, %error, "bind mounts could not be merged");
                    }
                }
            };
            tokio::select! {
                () = over => {}
                () = merging => {}
            }
            lock(&engine.files.binds.kept).remove(&run);
        });
    }

    /// A state with what could not be brought back of the last run, where nothing else is the matter.
    pub(crate) fn with_note(&self, container: &str, state: ContainerState) -> ContainerState {
        let note = || lock(&self.files.binds.notes).get(container).cloned();
        let error = state.error.filter(|error| !error.is_empty()).or_else(note).unwrap_or_default();
        ContainerState { error: Some(error), ..state }
    }
}

fn named(wanted: &Wanted, mounted: &Mounted, error: Error) -> Error {
    error.prefixed(&format!("bind mount {}:{}", wanted.source.display(), mounted.destination))
}
