//! Bind mounts: paths of the daemon's machine in containers that run elsewhere.
//!
//! What is there is sent in before the process starts; what the container changed of it is brought back before its end is
//! told, and both sides are merged when somebody asks for it. The daemon drives: it lists both sides and compares each with
//! what it was when they were the same ([`merge`]), and has only what is different go over the line, in one stream.
//!
//! A mount that is read-only is sent and never brought back.

mod base;
mod beside;
mod bring;
mod disk;
mod exchange;
mod failures;
mod ignore;
mod memory;
mod merge;
mod pack;
mod running;
mod scan;
mod source;
mod step;
mod turns;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex as SyncMutex},
};

use bollard_stubs::models::{HostConfig, MountTypeEnum};
use sockerless_ports::link::RunId;
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::{
    failures::Failures,
    source::{Rules, Wanted},
    step::Way,
    turns::Turns,
};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, Spec},
    error::needs_agent,
    files::pipe::blocking,
    life::Shared,
    locks::lock,
    tuning,
    volumes::{Mounted, mounts::Source},
};

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
    /// Runs whose mounts are merged from time to time.
    kept: SyncMutex<HashSet<RunId>>,
    /// By path of the user's.
    turns: Turns,
}

impl Binds {
    fn gate(&self, container: &str) -> Arc<Mutex<()>> {
        Arc::clone(lock(&self.gates).entry(container.to_owned()).or_default())
    }

    pub fn forget(&self, container: &str) {
        lock(&self.gates).remove(container);
    }
}

/// A mount that is a path of this machine, with its place in the list of all.
type Bind<'a> = (usize, &'a Mounted, Wanted);

/// Those of a container.
fn binds(spec: &Spec) -> impl Iterator<Item = Bind<'_>> + Send {
    spec.mounts.iter().enumerate().filter_map(|(index, mounted)| {
        let Source::Bind(source) = &mounted.source else { return None };
        let wanted = Wanted {
            source: source.into(),
            makes: makes(&spec.host, &mounted.destination),
            real: mounted.real.as_ref().map(PathBuf::from),
        };
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

impl Engine {
    fn bind_rules(&self) -> Rules {
        Rules { options: self.options.binds.clone(), state: self.options.data_root.clone() }
    }

    /// What can be said of a container's bind mounts when it is created: nothing is made, sent or read yet. Where they lead is
    /// noted in the container's mounts.
    ///
    /// Errors: 400 in dockerd's words, 403 for a path that may not be mounted, 501 without an agent.
    pub(crate) async fn check_binds(&self, spec: &mut Spec) -> Result<()> {
        let all: Vec<(usize, Wanted)> = binds(spec).map(|(index, _, wanted)| (index, wanted)).collect();
        if all.is_empty() {
            return Ok(());
        }
        if self.link.callback_url().is_none() {
            return Err(needs_agent("bind mounts"));
        }
        source::check_labels(spec)?;
        running::period(spec)?;
        let rules = self.bind_rules();
        let noted = blocking(move || {
            let note = |(index, wanted): &(usize, Wanted)| {
                let real = rules.check(wanted)?.into_os_string().into_string();
                let not_text = |_| source::unnamed(&wanted.source);
                Ok((*index, real.map_err(not_text)?))
            };
            all.iter().map(note).collect::<Result<Vec<_>>>()
        });
        for (index, real) in noted.await? {
            if let Some(mounted) = spec.mounts.get_mut(index) {
                mounted.real = Some(real);
            }
        }
        Ok(())
    }

    /// One step of one mount, and no longer than that may take. Errors: with the mount.
    async fn bind_once(
        &self,
        entry: &Arc<Entry>,
        run: &RunId,
        (index, mounted, wanted): Bind<'_>,
        way: Way,
    ) -> Result<Failures> {
        let step = self.bind_step(entry, run, index, way);
        let done = tokio::time::timeout(tuning::BIND_PATIENCE, step).await;
        done.unwrap_or_else(|_| Err(late())).map_err(|error| named(&wanted, mounted, error))
    }

    /// Waits until nobody else compares both sides of a container's mounts.
    async fn bind_gate(&self, entry: &Arc<Entry>) -> Result<OwnedMutexGuard<()>> {
        let gate = self.files.binds.gate(entry.id()).lock_owned();
        tokio::time::timeout(tuning::BIND_PATIENCE, gate).await.map_err(|_| late())
    }

    /// Tells whoever inspects the container, and the log, what could not be brought back.
    async fn note_bind(&self, entry: &Arc<Entry>, run: &RunId, error: &Error) {
        tracing::error!(%run, %error, "what a container changed in a bind mount is not brought back");
        let problem = format!("not everything that the container changed could be brought back: {error}");
        self.report_returned(entry, Shared::Binds, problem).await;
    }

    /// Sends what bind mounts have into a run that is about to begin. Also over what an earlier run left there: then what
    /// was changed in the meantime is merged.
    ///
    /// Errors: with the mount: its source is missing, too large, or cannot be read; the container's user may not write there;
    /// the agent is gone.
    pub(crate) async fn send_binds(&self, entry: &Arc<Entry>, run: &RunId) -> Result<()> {
        if binds(&entry.spec).next().is_none() {
            return Ok(());
        }
        self.report_returned(entry, Shared::Binds, String::new()).await;
        let _gate = self.bind_gate(entry).await?;
        for mount in binds(&entry.spec) {
            let (_, mounted, wanted) = mount.clone();
            if let Err(error) = self.bind_once(entry, run, mount, Way::In).await?.told() {
                // Of an earlier run: no reason not to begin another.
                self.note_bind(entry, run, &named(&wanted, mounted, error)).await;
            }
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
        let mounts = binds(&entry.spec).filter(|(_, mounted, _)| !mounted.read_only);
        if let Err(error) = self.bind_all(entry, run, mounts, Way::Back).await {
            self.note_bind(entry, run, &error).await;
        }
    }

    /// A step of several mounts: what fails of one keeps no other. Errors: what failed, the first and how much more.
    async fn bind_all(
        &self,
        entry: &Arc<Entry>,
        run: &RunId,
        mounts: impl Iterator<Item = Bind<'_>> + Send,
        way: Way,
    ) -> Result<()> {
        let _gate = self.bind_gate(entry).await?;
        let mut failures = Failures::default();
        for mount in mounts {
            let (_, mounted, wanted) = mount.clone();
            match self.bind_once(entry, run, mount, way).await {
                Ok(some) => failures.append(some.map(|error| named(&wanted, mounted, error))),
                Err(error) => failures.add(error),
            }
        }
        failures.told()
    }
}

fn late() -> Error {
    let message = format!(
        "it took more than {} minutes and was given up (another container may have the same files, or the line is slow): leave \
         out what is not needed there (a file {} in the directory, or the label sockerless.binds.exclude), or use a volume",
        tuning::BIND_PATIENCE.as_secs() / 60,
        tuning::BIND_IGNORE,
    );
    Error::new(ErrorKind::Unavailable, message)
}

fn named(wanted: &Wanted, mounted: &Mounted, error: Error) -> Error {
    error.prefixed(&format!("bind mount {}:{}", wanted.source.display(), mounted.destination))
}
