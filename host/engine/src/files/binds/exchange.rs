//! What goes between both sides: lists and archives, each in one stream.

use std::{io, sync::Arc};

use futures_util::StreamExt;
use sockerless_ports::link::{
    RunId, limits,
    listing::{Listed, Reader},
    request::{Fault, FaultKind, Name, Put, Reply, Request},
};

use super::{
    bring::{Bringing, Brought},
    disk::Disk,
    merge::Tree,
    pack::pack,
    scan::{self, Held, Scope},
};
use crate::{
    Engine, Error, ErrorKind, Result,
    files::{
        agent::Problem,
        member::Meta,
        pipe::{blocking, pipe, reader},
        write::Writer,
    },
};

/// A place in a container.
#[derive(Debug, Clone)]
pub(super) struct Inside {
    pub run: RunId,
    /// Where the mount is; links are followed.
    pub path: String,
}

/// The container's side at this moment.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What stands in the mount's own place.
    pub root: Option<Listed>,
    pub tree: Tree,
}

impl Inside {
    /// The directory that the mount is in, and its name there.
    pub fn split(&self) -> (&str, &str) {
        match self.path.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some(split) => split,
            None => ("/", &self.path),
        }
    }

    /// What names of an archive, or of a request, begin from.
    fn names(&self, scope: &Scope, paths: &[Vec<u8>]) -> (String, Vec<Name>) {
        if scope.root.is_file() {
            let (folder, name) = self.split();
            return (folder.to_owned(), paths.iter().map(|_| Name(name.as_bytes().to_vec())).collect());
        }
        (self.path.clone(), paths.iter().cloned().map(Name).collect())
    }
}

/// Names in parts that a request can hold.
fn parts(names: Vec<Name>) -> Vec<Vec<Name>> {
    let mut parts: Vec<Vec<Name>> = Vec::new();
    let mut bytes = usize::MAX;
    for name in names {
        let size = name.0.len() + limits::NAME_EACH;
        match parts.last_mut() {
            Some(part) if bytes + size <= limits::NAMES => {
                part.push(name);
                bytes += size;
            }
            _ => {
                parts.push(vec![name]);
                bytes = size;
            }
        }
    }
    parts
}

impl Engine {
    /// Where a mount really is in a run's container.
    pub(super) async fn bind_inside(&self, run: &RunId, destination: &str) -> Result<Inside> {
        let path = match self.agent_ask(run, Request::Stat { path: destination.to_owned() }).await {
            Ok((Reply::Stat(stat), _)) if !stat.link.is_empty() => stat.link,
            Ok((Reply::Stat(_), _)) | Err(Problem::Fault(Fault { kind: FaultKind::NotFound, .. })) => {
                destination.to_owned()
            }
            Ok(_) => return Err(Problem::Unexpected.plain()),
            Err(problem) => return Err(problem.plain()),
        };
        Ok(Inside { run: run.clone(), path })
    }

    /// Lists the container's side. Errors: the agent's; a list that no honest agent sends.
    pub(super) async fn bind_seen(&self, inside: &Inside, scope: &Scope) -> Result<Seen> {
        let except = scope.except.iter().cloned().map(Name).collect();
        let request = Request::Scan { path: inside.path.clone(), except };
        let mut list = match self.fetch(&inside.run, request).await {
            Ok(list) => list,
            Err(Problem::Fault(Fault { kind: FaultKind::NotFound, .. })) => return Ok(Seen::default()),
            Err(problem) => return Err(problem.plain()),
        };
        let failed = |error: String| {
            Error::new(ErrorKind::Internal, format!("the list of what {} holds: {error}", inside.path))
        };
        let (mut reader, mut seen, mut held) = (Reader::default(), Seen::default(), Held::default());
        while let Some(piece) = list.next().await {
            reader.push(&piece.map_err(|error| failed(error.to_string()))?);
            while let Some(listed) = reader.take().map_err(|error| failed(error.to_string()))? {
                if listed.path.is_empty() {
                    seen.root = Some(listed.clone());
                    // A mounted file is never deleted, nor does anything else take its place.
                    if !scope.root.is_file() || !listed.is_file() {
                        continue;
                    }
                } else if scope.root.is_file() || !is_path(&listed.path) {
                    return Err(failed("a path that leads elsewhere".into()));
                }
                if (listed.closed || scan::is_copied(&listed)) && scope.has(&listed.path) {
                    held.add(&listed, &inside.path)?;
                    seen.tree.insert(listed.path.clone(), listed);
                }
            }
        }
        reader.finish().map_err(|error| failed(error.to_string()))?;
        Ok(seen)
    }

    /// Has the directory that a mount is in.
    pub(super) async fn bind_parent(&self, inside: &Inside) -> Result<()> {
        let (parent, _) = inside.split();
        let mut there = parent;
        let mut missing = Vec::new();
        while there != "/" {
            match self.agent_ask(&inside.run, Request::Stat { path: there.to_owned() }).await {
                Ok(_) => break,
                Err(Problem::Fault(Fault { kind: FaultKind::NotFound, .. })) => {
                    missing.push(there);
                    there = there
                        .rsplit_once('/')
                        .map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
                }
                Err(problem) => return Err(problem.plain()),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut writer = Writer::new(Vec::new(), false);
        for path in missing.into_iter().rev() {
            let relative = path.strip_prefix(there).unwrap_or(path).trim_start_matches('/');
            writer
                .append(relative.as_bytes(), &Meta::directory(), io::empty())
                .map_err(|error| own(&error))?;
        }
        let archive = writer.finish().map_err(|error| own(&error))?;
        let archive = futures_util::stream::iter([Ok(archive.into())]).boxed();
        self.send(&inside.run, put(there), archive).await.map_err(Problem::plain)
    }

    /// Sends what a plan says. `root`: with the directory itself.
    pub(super) async fn bind_send(
        &self,
        inside: &Inside,
        scope: &Scope,
        user: Tree,
        paths: &[Vec<u8>],
        root: bool,
    ) -> Result<()> {
        let (parent, name) = inside.split();
        let (pipe, archive) = pipe();
        let breaker = pipe.breaker();
        let (scope, name, paths) = (scope.clone(), name.as_bytes().to_vec(), paths.to_vec());
        let packing = tokio::task::spawn_blocking(move || {
            let packed = pack(pipe, &scope, &name, &user, &paths, root);
            if let Err(error) = &packed {
                // Nobody reads any more: that is why it failed.
                let _ = breaker.blocking_send(Err(io::Error::other(error.to_string())));
            }
        });
        let sent = self.send(&inside.run, put(parent), archive).await.map_err(Problem::plain);
        packing.await.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        sent
    }

    /// Removes what a plan says in the container.
    pub(super) async fn bind_remove(&self, inside: &Inside, scope: &Scope, paths: &[Vec<u8>]) -> Result<()> {
        let (path, names) = inside.names(scope, paths);
        for names in parts(names) {
            let request = Request::Remove { path: path.clone(), names };
            match self.agent_ask(&inside.run, request).await {
                Ok((Reply::Ready, _)) => {}
                Ok(_) => return Err(Problem::Unexpected.plain()),
                // Nothing is there any more.
                Err(Problem::Fault(Fault { kind: FaultKind::NotFound, .. })) => {}
                Err(problem) => return Err(problem.plain()),
            }
        }
        Ok(())
    }

    /// Does on the user's side what a plan says.
    pub(super) async fn bind_bring(&self, inside: &Inside, scope: &Scope, work: Bringing) -> Result<Brought> {
        let wanted: Vec<Vec<u8>> = work.plan.bring.keys().cloned().collect();
        let (path, names) = inside.names(scope, &wanted);
        let (is_file, mut disk) = (scope.root.is_file(), Disk::new(Arc::clone(&scope.root), &scope.tag));
        let mut work = work;
        (disk, work) = blocking(move || {
            work.delete(&mut disk);
            Ok((disk, work))
        })
        .await?;
        for names in parts(names) {
            let request = Request::Pick { path: path.clone(), names };
            let (archive, unread) =
                self.fetch_readable(&inside.run, request).await.map_err(Problem::plain)?;
            let input = reader(archive);
            (disk, work) = blocking(move || {
                work.take(&mut disk, input, is_file)?;
                Ok((disk, work))
            })
            .await?;
            let unread = unread.await.unwrap_or_default();
            unread.warn(&inside.run.container, "what is brought back of a bind mount");
            if let Some((error, count)) = unread.told() {
                work.failures.add_all(error, count);
            }
        }
        blocking(move || Ok(work.finish(&mut disk))).await
    }
}

fn put(path: &str) -> Request {
    Request::Put(Put { path: path.to_owned(), keep_kind: false, owners: true, layer: false, any_links: true })
}

/// Whether a path stays in its directory.
fn is_path(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b"..") && !part.contains(&0))
}

fn own(error: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_told_apart() {
        for good in ["a", "a/b", "a/..b", "...", "a b/\u{fc}"] {
            assert!(is_path(good.as_bytes()), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b"] {
            assert!(!is_path(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn names_go_in_parts_that_fit() {
        let names: Vec<Name> = (0..300_000).map(|number| Name(format!("{number:08}").into_bytes())).collect();
        let all = parts(names.clone());
        assert!(all.len() > 1);
        for part in &all {
            let bytes: usize = part.iter().map(|name| name.0.len() + limits::NAME_EACH).sum();
            assert!(bytes <= limits::NAMES);
        }
        assert_eq!(all.concat(), names);
        assert!(parts(Vec::new()).is_empty());
    }

    #[test]
    fn a_mount_is_a_name_in_a_directory() {
        let split = |path: &str| {
            let inside = Inside { run: RunId { container: "c".into(), generation: 1 }, path: path.into() };
            let (folder, name) = inside.split();
            (folder.to_owned(), name.to_owned())
        };
        assert_eq!(split("/work"), ("/".into(), "work".into()));
        assert_eq!(split("/etc/nginx/conf"), ("/etc/nginx".into(), "conf".into()));
    }
}
