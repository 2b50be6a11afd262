//! One turn of one volume: in, back, or both.

use std::sync::Arc;

use sockerless_ports::link::{
    RunId,
    sync::{Sync, Synced},
};

use super::mount::store;
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::Entry,
    files::Unsynced,
    tuning,
    volumes::{Mounted, Volume, mounts::Source},
};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// What others have changed is brought in, and what was changed here since the last time is brought back.
    Both,
    /// What was changed here is brought back.
    Back,
}

/// Why a turn was not taken.
pub(super) struct Missed {
    /// With the volume's name.
    pub error: Error,
    /// Nothing moved for long: the same would only be waited for once more.
    pub is_stalled: bool,
}

impl From<Error> for Missed {
    fn from(error: Error) -> Self {
        Self { error, is_stalled: false }
    }
}

impl From<Unsynced> for Missed {
    fn from(why: Unsynced) -> Self {
        match why {
            Unsynced::Failed(error) => error.into(),
            Unsynced::Stalled => {
                let minutes = tuning::SYNC_STALL.as_secs() / 60;
                let words = format!("nothing of it has moved for {minutes} minutes: it was given up");
                Self { error: Error::new(ErrorKind::Unavailable, words), is_stalled: true }
            }
        }
    }
}

impl From<Missed> for Error {
    fn from(missed: Missed) -> Self {
        missed.error
    }
}

impl Engine {
    /// The synced volumes of a container, with their places in the list of its mounts.
    pub(super) fn synced<'a>(&self, entry: &'a Entry) -> Vec<(usize, &'a Mounted, Arc<Volume>)> {
        let synced = |(index, mounted): (usize, &'a Mounted)| {
            let Source::Volume(name) = &mounted.source else { return None };
            let volume = self.volumes.get(name).filter(|volume| volume.is_synced())?;
            Some((index, mounted, volume))
        };
        entry.spec.mounts.iter().enumerate().filter_map(synced).collect()
    }

    /// Takes one turn, and has what was written count. Nothing for a mount that is read-only and is to be brought back.
    ///
    /// Errors: with the volume's name.
    pub(super) async fn synced_turn(
        &self,
        entry: &Arc<Entry>,
        run: &RunId,
        index: usize,
        way: Way,
    ) -> std::result::Result<Synced, Missed> {
        let Some(mounted) = entry.spec.mounts.get(index) else { return Ok(Synced::default()) };
        let Some(name) = mounted.volume().filter(|_| !mounted.read_only || way == Way::Both) else {
            return Ok(Synced::default());
        };
        let _gate = self.volumes.synced.volume(name).await;
        // Looked up with the gate held: somebody may have written a version since.
        let Some(volume) = self.volumes.get(name) else {
            let words = format!("the volume {name} is gone");
            return Err(Error::new(ErrorKind::NotFound, words).into());
        };
        let turn = async {
            let request = self.request(entry, index, mounted, &volume, way);
            let done = self.ask_synced(run, request).await?;
            if let Some(version) = &done.version {
                self.advance(&volume, version).await?;
            }
            Ok(done)
        };
        let named =
            |missed: Missed| Missed { error: missed.error.prefixed(&format!("volume {name}")), ..missed };
        let done = turn.await.map_err(named)?;
        tell(run, name, way, &done);
        Ok(done)
    }

    fn request(&self, entry: &Entry, index: usize, mounted: &Mounted, volume: &Volume, way: Way) -> Sync {
        let others = entry.spec.mounts.iter().map(|other| &other.destination);
        let without = others.filter(|other| **other != mounted.destination).cloned().collect();
        Sync {
            store: store(index),
            path: mounted.destination.clone(),
            part: mounted.subpath.clone().unwrap_or_default(),
            head: volume.version.clone(),
            inwards: way == Way::Both,
            back: !mounted.read_only,
            fill: mounted.copy && !mounted.read_only && mounted.subpath.is_none(),
            label: entry.id().chars().take(12).collect(),
            without,
            keep: tuning::VOLUME_KEEP.as_secs(),
        }
    }

    /// Has a version count.
    async fn advance(&self, volume: &Volume, version: &str) -> Result<()> {
        let next = Volume { version: Some(version.to_owned()), ..volume.clone() };
        self.commit(vec![next.put()?]).await?;
        self.volumes.insert(next);
        Ok(())
    }
}

fn tell(run: &RunId, volume: &str, way: Way, done: &Synced) {
    let Synced { files, bytes, came, went, .. } = *done;
    tracing::debug!(%run, volume, ?way, files, bytes, came, went, "a volume was synced");
    if done.conflict_count > 0 {
        let (count, kept) = (done.conflict_count, done.conflicts.join(", "));
        tracing::warn!(%run, volume, count, kept, "files that another container had changed at the same time are kept beside its own");
    }
    if done.left_out_count > 0 {
        let (count, which) = (done.left_out_count, done.left_out.join(", "));
        tracing::warn!(%run, volume, count, which, "not everything in a volume can be kept");
    }
    if done.not_owned > 0 {
        let count = done.not_owned;
        tracing::warn!(%run, volume, count, "files of a volume belong to others than they should in the container: the image's user may not give files away");
    }
}
