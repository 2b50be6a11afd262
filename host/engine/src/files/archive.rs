//! `docker cp`: `/containers/{id}/archive`.

use std::{
    io::{self, Write},
    sync::Arc,
};

use sockerless_ports::{
    link::{
        LinkError, RunId,
        request::{PathStat, Put, Reply, Request},
    },
    registry::Archive,
};

use super::{
    agent::Problem,
    disk::Destination,
    emit::Plan,
    fault::Asked,
    member::Kind,
    owner, packing,
    path::{self, Name},
    pipe::{blocking, reader},
    place::{Place, lost},
    read::{Headers, members},
    tree::{self, Found, Node, Tree},
    unread::Lacking,
    view::View,
};
use crate::{Engine, Error, ErrorKind, PutArchive, Result, containers::Entry, error::needs_agent};

const WHAT: &str = "copying files";

impl Engine {
    /// `HEAD /containers/{id}/archive`: what a path is.
    ///
    /// Errors: 404 when there is no such container or path, 501 without an agent.
    pub async fn stat_path(&self, reference: &str, path: &str) -> Result<PathStat> {
        let entry = self.containers.find(reference)?;
        let asked = Asked { container: reference, path };
        match self.place(&entry, WHAT).await? {
            Place::Agent(run) => {
                self.agent_stat(&run, asked).await.map_err(|problem| problem.told(|f| asked.fault(f)))
            }
            Place::Lingering(run) => match self.agent_stat(&run, asked).await {
                Err(Problem::Link(LinkError::Unknown)) => self.kept_stat(&entry, asked).await,
                answer => answer.map_err(|problem| problem.told(|f| asked.fault(f))),
            },
            Place::Kept => self.kept_stat(&entry, asked).await,
        }
    }

    async fn agent_stat(&self, run: &RunId, asked: Asked<'_>) -> std::result::Result<PathStat, Problem> {
        match self.agent_ask(run, Request::Stat { path: asked.path.to_owned() }).await? {
            (Reply::Stat(stat), _) => Ok(stat),
            _ => Err(Problem::Unexpected),
        }
    }

    async fn kept_stat(&self, entry: &Entry, asked: Asked<'_>) -> Result<PathStat> {
        let view = self.view(entry).await?;
        let found = self.kept_find(entry, &view, asked).await?;
        Ok(stat(&view.tree, &path::absolute(asked.path), &found.node))
    }

    /// What a path leads to. Where the last run's changes are lost, it may have been there.
    async fn kept_find(&self, entry: &Entry, view: &View, asked: Asked<'_>) -> Result<Found> {
        match view.tree.find(&path::absolute(asked.path)) {
            Ok(found) => Ok(found),
            Err(missing) => {
                let error = asked.missing(missing);
                if self.is_lost(entry).await? {
                    let message = format!("{}; {}", error.message, lost(entry).message);
                    return Err(Error { message, ..error });
                }
                Err(error)
            }
        }
    }

    /// `GET /containers/{id}/archive`: what a path is, and a tar of it. The stream breaks off with an error when something
    /// fails in the middle, and at the end if it lacks what neither the container's user may read nor the image has so.
    ///
    /// Errors: those of [`Self::stat_path`].
    pub async fn read_path(&self, reference: &str, path: &str) -> Result<(PathStat, Archive)> {
        let entry = self.containers.find(reference)?;
        let asked = Asked { container: reference, path };
        let answer = self.read_entry(&entry, asked).await?;
        self.events.container(&entry, &entry.view().name, "archive-path", &[]);
        Ok(answer)
    }

    pub(super) async fn read_entry(
        &self,
        entry: &Arc<Entry>,
        asked: Asked<'_>,
    ) -> Result<(PathStat, Archive)> {
        let told = |problem: Problem| problem.told(|f| asked.fault(f));
        match self.place(entry, WHAT).await? {
            Place::Agent(run) => self.agent_read(entry, &run, asked).await.map_err(told),
            Place::Lingering(run) => match self.agent_read(entry, &run, asked).await {
                Err(Problem::Link(LinkError::Unknown)) => self.kept_read(entry, asked).await,
                answer => answer.map_err(told),
            },
            Place::Kept => self.kept_read(entry, asked).await,
        }
    }

    async fn agent_read(
        &self,
        entry: &Arc<Entry>,
        run: &RunId,
        asked: Asked<'_>,
    ) -> std::result::Result<(PathStat, Archive), Problem> {
        match self.agent_ask(run, Request::Get { path: asked.path.to_owned() }).await? {
            (Reply::Stat(stat), channel) => {
                let archive = self.completed(entry, channel, Lacking::Broken).map_err(Problem::Own)?;
                Ok((stat, archive))
            }
            _ => Err(Problem::Unexpected),
        }
    }

    async fn kept_read(&self, entry: &Entry, asked: Asked<'_>) -> Result<(PathStat, Archive)> {
        let view = self.view(entry).await?;
        let found = self.kept_find(entry, &view, asked).await?;
        let absolute = path::absolute(asked.path);
        let stat = stat(&view.tree, &absolute, &found.node);
        let mut plan = Plan::default();
        // The archive's names begin with the path's last part, whatever links it went through.
        plan.add_all(path::base(&absolute).as_bytes().to_vec(), &found.node);
        Ok((stat, plan.emit(view.sources)))
    }

    /// `PUT /containers/{id}/archive`: unpacks a tar, perhaps compressed, into a directory. What is copied into a container
    /// that has no agent at this moment is kept and unpacked before its next process starts.
    ///
    /// Errors: 404 when there is no such container or directory, 500 as in dockerd for what cannot be unpacked there, 501
    /// without an agent.
    pub async fn write_path(&self, reference: &str, request: PutArchive, body: Archive) -> Result<()> {
        let entry = self.containers.find(reference)?;
        let asked = Asked { container: reference, path: &request.path };
        let place = self.place(&entry, WHAT).await?;
        if self.link.callback_url().is_none() && matches!(place, Place::Kept) {
            // Nobody would ever unpack it.
            return Err(needs_agent(WHAT));
        }
        if entry.spec.host.readonly_rootfs == Some(true) {
            // dockerd looks for the directory first.
            self.directory(&entry, &place, asked).await?;
            return Err(Error::new(ErrorKind::Internal, "container rootfs is marked read-only"));
        }
        let body = packing::unpacked(body).await?;
        let body = match self.owner(&entry, &request).await? {
            Some(owner) => owner::given_to(body, owner),
            None => body,
        };
        let run = match &place {
            Place::Agent(run) | Place::Lingering(run) => Some(run.clone()),
            Place::Kept => None,
        };
        self.write_to(&entry, place, asked, &request, body).await?;
        if let Some(run) = run {
            self.volumes_written(&entry, &run).await;
        }
        self.events.container(&entry, &entry.view().name, "extract-to-dir", &[]);
        Ok(())
    }

    async fn write_to(
        &self,
        entry: &Arc<Entry>,
        place: Place,
        asked: Asked<'_>,
        request: &PutArchive,
        body: Archive,
    ) -> Result<()> {
        if let Place::Agent(run) = place {
            return self.agent_write(&run, asked, request, body).await;
        }
        // Neither is it delivered nor are the changes saved while this is being written.
        let gate = self.files.gate(entry.id());
        let _gate = gate.lock().await;
        match self.place(entry, WHAT).await? {
            Place::Agent(run) => self.agent_write(&run, asked, request, body).await,
            Place::Kept => self.kept_write(entry, asked, request, body).await,
            Place::Lingering(run) => match self.agent_ask(&run, put(request)).await {
                Err(Problem::Link(LinkError::Unknown)) => self.kept_write(entry, asked, request, body).await,
                Ok((Reply::Ready, channel)) => {
                    let sent = super::agent::deliver(channel.as_ref(), body).await;
                    sent.map_err(|problem| problem.told(|f| asked.fault(f)))
                }
                Ok(_) => Err(Problem::Unexpected.plain()),
                Err(problem) => Err(problem.told(|f| asked.fault(f))),
            },
        }
    }

    async fn agent_write(
        &self,
        run: &RunId,
        asked: Asked<'_>,
        request: &PutArchive,
        body: Archive,
    ) -> Result<()> {
        let sent = self.send(run, put(request), body).await;
        sent.map_err(|problem| problem.told(|f| asked.fault(f)))
    }

    /// Errors: there is no such directory.
    async fn directory(&self, entry: &Arc<Entry>, place: &Place, asked: Asked<'_>) -> Result<()> {
        // With a `/` at its end a path's last link is followed.
        let followed = format!("{}/", asked.path.trim_end_matches('/'));
        let looked = Asked { path: &followed, ..asked };
        let stat = match place {
            Place::Kept => self.kept_stat(entry, looked).await,
            Place::Agent(run) | Place::Lingering(run) => match self.agent_stat(run, looked).await {
                Err(Problem::Link(LinkError::Unknown)) => self.kept_stat(entry, looked).await,
                stat => stat.map_err(|problem| problem.told(|f| asked.fault(f))),
            },
        };
        match stat {
            Err(error) if error.kind == ErrorKind::NotFound => Err(asked.not_found()),
            stat => stat.map(drop),
        }
    }

    /// Keeps an archive after it was tried on the tree. Only with the gate.
    async fn kept_write(
        &self,
        entry: &Arc<Entry>,
        asked: Asked<'_>,
        request: &PutArchive,
        body: Archive,
    ) -> Result<()> {
        let View { mut tree, sources, .. } = self.view(entry).await?;
        let found =
            tree.find_followed(&path::absolute(asked.path)).map_err(|missing| asked.missing(missing))?;
        if !found.node.is_directory() {
            return Err(Error::new(ErrorKind::Internal, "extraction point is not a directory"));
        }
        let pieces = self.pieces(entry).await?;
        let left = self.options.files_limit.saturating_sub(pieces.iter().map(|piece| piece.bytes).sum());
        let (folder, mut body, number) = (self.folder(entry), reader(body), sources.next());
        let destination = Destination { path: asked.path.to_owned(), keep_kind: request.keep_kind };
        blocking(move || {
            let mut draft = folder.draft(left)?;
            let failed = |error: io::Error| Error::new(ErrorKind::Internal, error.to_string());
            io::copy(&mut body, &mut draft).and_then(|_| draft.flush()).map_err(failed)?;
            let members = draft.reader().and_then(Headers::of).and_then(members).map_err(failed)?;
            let to = tree::Destination { place: &found.place, keep_kind: destination.keep_kind };
            tree.unpack(number, to, &members).map_err(|message| Error::new(ErrorKind::Internal, message))?;
            folder.keep_put(&draft, &destination)
        })
        .await
    }
}

fn put(request: &PutArchive) -> Request {
    let PutArchive { path, keep_kind, .. } = request.clone();
    Request::Put(Put { path, keep_kind, owners: true, layer: false, any_links: false })
}

/// As dockerd's `stat` has it.
fn stat(tree: &Tree, absolute: &str, node: &Node) -> PathStat {
    let meta = &node.meta;
    let link = match meta.kind {
        Kind::Symlink => tree.follow(absolute.as_bytes()).unwrap_or_default(),
        _ => Vec::new(),
    };
    PathStat {
        name: path::base(absolute).to_owned(),
        size: match meta.kind {
            Kind::File => meta.size,
            Kind::Symlink => meta.target.len() as u64,
            // A block of most file systems.
            Kind::Directory => 4096,
            Kind::Character | Kind::Block | Kind::Fifo => 0,
        },
        mode: meta.st_mode(),
        modified: meta.modified.0.saturating_mul(1_000_000_000).saturating_add(meta.modified.1.into()),
        link: if meta.kind == Kind::Symlink { shown(&link) } else { String::new() },
    }
}

fn shown(place: &[Name]) -> String {
    path::shown(place.iter().map(AsRef::as_ref))
}
