//! `docker diff`, and the layer that makes the difference.

use std::{
    collections::HashSet,
    io::{self, BufRead},
    sync::Arc,
};

use bollard_stubs::models::{ChangeType, FilesystemChange};
use sockerless_ports::{
    link::{
        LinkError, RunId,
        request::{Fault, FaultKind, Request},
    },
    registry::Archive,
};
use tokio::sync::oneshot;

use super::{
    agent::Problem,
    emit::Plan,
    member::{Member, Meta, What},
    mount_points,
    path::{self, Name},
    pipe::{Pipe, blocking, pipe, reader},
    place::{Place, lost},
    read::{self, Stream},
    tree::{Change, ChangeKind, Seen, differences},
    unread::Unread,
    write::Writer,
};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::Entry,
    volumes::{Mounted, mounts::Source},
};

const WHAT: &str = "comparing a container with its image";

/// Files that whoever runs a container writes into it; for Docker no part of it.
const MAINTAINED: [&str; 6] =
    ["/.dockerenv", "/.sockerless", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf"];

/// Whether the volumes of the container's own count, which live in its file system: they are kept with it, and are no part
/// of it for Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Too,
    Not,
}

/// Where a container has volumes of its own.
pub(super) fn own_volumes(entry: &Entry) -> impl Iterator<Item = &str> {
    let own = |mounted: &&Mounted| matches!(mounted.source, Source::Own(_));
    entry.spec.mounts.iter().filter(own).map(|mounted| mounted.destination.as_str())
}

/// Where a container has files of the user's.
pub(super) fn bind_mounts(entry: &Entry) -> impl Iterator<Item = &str> {
    let bound = |mounted: &&Mounted| matches!(mounted.source, Source::Bind(_));
    entry.spec.mounts.iter().filter(bound).map(|mounted| mounted.destination.as_str())
}

/// The parts of a path.
pub(super) fn names(path: &str) -> Vec<Name> {
    path::parts(path.as_bytes()).map(Name::from).collect()
}

impl Engine {
    /// `GET /containers/{id}/changes`, sorted.
    ///
    /// Errors: 404, 409 when the changes of the last run are lost, 501 without an agent.
    pub async fn changes(&self, reference: &str) -> Result<Vec<FilesystemChange>> {
        let entry = self.containers.find(reference)?;
        let mut changes = match self.place(&entry, WHAT).await? {
            Place::Agent(run) => self.survey(&entry, &run, Own::Not).await.map_err(Problem::plain)?,
            Place::Lingering(run) => match self.survey(&entry, &run, Own::Not).await {
                Err(Problem::Link(LinkError::Unknown)) => self.kept_changes(&entry).await?,
                changes => changes.map_err(Problem::plain)?,
            },
            Place::Kept => self.kept_changes(&entry).await?,
        };
        let image = self.image_tree(&entry.spec.image_id).await?;
        let points = entry.spec.mounts.iter().map(|mounted| mounted.destination.as_str());
        mount_points::add(&mut changes, &image, points);
        let change = |Change { place, kind }| FilesystemChange {
            path: shown(&place),
            kind: match kind {
                ChangeKind::Modified => ChangeType::_0,
                ChangeKind::Added => ChangeType::_1,
                ChangeKind::Deleted => ChangeType::_2,
            },
        };
        Ok(changes.into_iter().map(change).collect())
    }

    async fn kept_changes(&self, entry: &Entry) -> Result<Vec<Change>> {
        if self.is_lost(entry).await? {
            return Err(lost(entry));
        }
        let view = self.view(entry).await?;
        let mut changes = differences(&view.image, &view.tree.root);
        // Docker's anonymous volumes are no part of the container.
        let own: Vec<Vec<Name>> = own_volumes(entry).map(names).collect();
        changes.retain(|change| {
            !own.iter().any(|own| change.place.len() > own.len() && change.place.starts_with(own))
        });
        Ok(changes)
    }

    /// Compares what an agent sees with the image.
    async fn survey(
        &self,
        entry: &Entry,
        run: &RunId,
        own: Own,
    ) -> std::result::Result<Vec<Change>, Problem> {
        let image = self.image_tree(&entry.spec.image_id).await.map_err(Problem::Own)?;
        let list = reader(self.fetch(run, Request::Walk).await?);
        // Files of the user's are no part of the container.
        let mut closed: Vec<_> = bind_mounts(entry).map(str::to_owned).collect();
        if own == Own::Not {
            closed.extend(own_volumes(entry).map(str::to_owned));
        }
        let compared = blocking(move || {
            let mut seen = Seen::default();
            let failed =
                |error: io::Error| Error::new(ErrorKind::Internal, format!("the list of files: {error}"));
            for line in io::BufReader::new(list).split(b'\n') {
                seen.add(
                    serde_json::from_slice(&line.map_err(failed)?).map_err(|error| failed(error.into()))?,
                );
            }
            for path in MAINTAINED {
                seen.close(path);
            }
            for path in &closed {
                seen.close(path);
            }
            Ok(differences(&image, &seen))
        });
        compared.await.map_err(Problem::Own)
    }

    /// The layer that makes a container out of its image. An error on the way is the last thing that comes out of it.
    ///
    /// Errors: 409 when the changes of the last run are lost.
    pub(super) async fn layer(&self, entry: &Arc<Entry>) -> Result<Archive> {
        match self.place(entry, WHAT).await? {
            Place::Agent(run) => self.agent_layer(entry, &run, Own::Not).await.map_err(Problem::plain),
            Place::Lingering(run) => match self.agent_layer(entry, &run, Own::Not).await {
                Err(Problem::Link(LinkError::Unknown)) => self.kept_layer(entry).await,
                layer => layer.map_err(Problem::plain),
            },
            Place::Kept => self.kept_layer(entry).await,
        }
    }

    async fn kept_layer(&self, entry: &Entry) -> Result<Archive> {
        let changes = self.kept_changes(entry).await?;
        let view = self.view(entry).await?;
        let mut plan = Plan::default();
        for Change { place, kind } in changes {
            let names = || place.iter().map(AsRef::as_ref);
            match (kind, view.tree.get(names())) {
                (ChangeKind::Deleted, _) => plan.remove(path::join(names())),
                (_, Some(node)) => plan.add(path::join(names()), node),
                (_, None) => {}
            }
        }
        Ok(plan.emit(view.sources))
    }

    /// The same from an agent: what is different, of what it says is new.
    pub(super) async fn agent_layer(
        &self,
        entry: &Arc<Entry>,
        run: &RunId,
        own: Own,
    ) -> std::result::Result<Archive, Problem> {
        let mut wanted = HashSet::new();
        let mut gone = Vec::new();
        for Change { place, kind } in self.survey(entry, run, own).await? {
            let path = path::join(place.iter().map(AsRef::as_ref));
            match kind {
                ChangeKind::Deleted => gone.push(path),
                ChangeKind::Added | ChangeKind::Modified => drop(wanted.insert(path)),
            }
        }
        let changed = self.fetch_readable(run, Request::Changed).await?;
        let (pipe, archive) = pipe();
        let breaker = pipe.breaker();
        let (engine, run) = (self.shared().map_err(Problem::Own)?, run.clone());
        self.spawn(async move {
            if let Err(error) = engine.write_layer(&run, changed, wanted, gone, pipe).await {
                // Nobody reads any more: that is why it failed.
                let _ = breaker.send(Err(io::Error::other(error.message))).await;
            }
        });
        Ok(archive)
    }

    async fn write_layer(
        &self,
        run: &RunId,
        (changed, unread): (Archive, oneshot::Receiver<Unread>),
        wanted: HashSet<Vec<u8>>,
        gone: Vec<Vec<u8>>,
        pipe: Pipe,
    ) -> Result<()> {
        let mut selection = Selection { writer: Writer::new(pipe, true), wanted, written: HashSet::new() };
        selection = select(changed, Vec::new(), selection).await?;
        // Nothing is told if nothing is left out.
        let mut left_out = unread.await.unwrap_or_default();
        // What was moved here as a whole is new by its place alone: nothing in it was touched.
        for path in selection.missing() {
            if selection.written.contains(&path) {
                continue;
            }
            let text = format!("/{}", String::from_utf8_lossy(&path));
            match self.fetch_readable(run, Request::Get { path: text.clone() }).await {
                Ok((archive, unread)) => {
                    let parent = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
                    selection = select(archive, path[..parent].to_vec(), selection).await?;
                    left_out.add(unread.await.unwrap_or_default());
                }
                // It has vanished since it was listed.
                Err(Problem::Fault(Fault { kind: FaultKind::NotFound, .. })) => {}
                Err(Problem::Fault(fault)) if fault.kind == FaultKind::Forbidden => {
                    left_out.add(Unread::path(fault, text));
                }
                Err(problem) => return Err(problem.plain()),
            }
        }
        left_out.warn(&run.container, "what is saved of the container's changes");
        blocking(move || {
            let mut writer = selection.writer;
            let mut write = || gone.iter().try_for_each(|path| writer.append_whiteout(path));
            write().and_then(|()| writer.finish()).map(drop).map_err(|error| broken(&error))
        })
        .await
    }
}

/// The wanted part of archives.
struct Selection {
    writer: Writer<Pipe>,
    wanted: HashSet<Vec<u8>>,
    written: HashSet<Vec<u8>>,
}

impl Selection {
    /// In order, so that a directory comes before what is in it.
    fn missing(&self) -> Vec<Vec<u8>> {
        let mut missing: Vec<_> = self.wanted.difference(&self.written).cloned().collect();
        missing.sort_unstable();
        missing
    }
}

/// Copies what is wanted out of an archive whose names go on from a prefix.
async fn select(archive: Archive, prefix: Vec<u8>, mut selection: Selection) -> Result<Selection> {
    let input = reader(archive);
    blocking(move || {
        let copy = || {
            let mut archive = read::Archive::new(Stream(input));
            let full = |name: &[u8]| path::join(path::parts(&prefix).chain(path::parts(name)));
            while let Some(Member { name, what }) = archive.next()? {
                let name = full(&name);
                if !selection.wanted.contains(&name) || selection.written.contains(&name) {
                    continue;
                }
                match what {
                    What::Thing(meta) => selection.writer.append(&name, &meta, &mut archive)?,
                    What::Hard(target) => {
                        selection.writer.append_hard(&name, &Meta::default(), &full(&target))?;
                    }
                    What::Other => continue,
                }
                selection.written.insert(name);
            }
            archive.drain()
        };
        copy().map_err(|error| broken(&error))?;
        Ok(selection)
    })
    .await
}

fn broken(error: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("a container's changes could not be read: {error}"))
}

fn shown(place: &[Name]) -> String {
    path::shown(place.iter().map(AsRef::as_ref))
}
