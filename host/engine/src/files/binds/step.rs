//! One comparison of both sides of a mount, and what follows from it.

use std::sync::Arc;

use sockerless_ports::link::RunId;

use super::{
    base::{self, Kept, Place},
    binds,
    bring::Bringing,
    exchange::{Inside, Seen},
    merge::{self, Base, Plan, Tree},
    scan::{Found, Scope},
    source::Wanted,
};
use crate::{Engine, Error, ErrorKind, Result, containers::Entry, files::pipe::blocking};

/// Which way things go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Before a process starts: the container gets what the user has.
    In,
    /// After its end: the user gets what the container has changed.
    Back,
    /// Meanwhile: each gets what the other has changed.
    Both,
}

/// Everything that a step goes by.
struct Step {
    scope: Scope,
    place: Place,
    inside: Inside,
    way: Way,
    read_only: bool,
    host: u32,
}

impl Engine {
    /// Only with the container's gate.
    pub(super) async fn bind_step(
        &self,
        entry: &Arc<Entry>,
        run: &RunId,
        index: usize,
        way: Way,
    ) -> Result<()> {
        let Some((_, mounted, wanted)) = binds(&entry.spec).find(|(at, ..)| *at == index) else {
            return Ok(());
        };
        let folder = self.files.root.join("containers").join(entry.id());
        let place = Place::new(&folder, index);
        let (rules, spec, own, at) =
            (self.bind_rules(), Arc::clone(&entry.spec), mounted.clone(), place.clone());
        let host = entry.view().state.host;
        let (scope, kept) = blocking(move || {
            let kept = at.read()?.filter(|kept| kept.host == host);
            let was_file = kept.as_ref().is_some_and(|kept| kept.base.user.contains_key(&b""[..]));
            // A directory that the user took away is made again for what the container has in it.
            let wanted = Wanted { makes: wanted.makes && !(was_file && way != Way::In), ..wanted };
            let scope = rules.scope(&wanted, &spec, &own)?;
            match kept {
                Some(kept) if (&kept.source, kept.is_file) != (&scope.source, scope.is_file) => {
                    let (now, then) = (scope.source.display(), kept.source.display());
                    let message = format!(
                        "bind mount {}: it leads to {now} now and led to {then} when it was sent: nothing is taken there or back",
                        wanted.source.display()
                    );
                    Err(Error::new(ErrorKind::Forbidden, message))
                }
                kept => Ok((scope, kept)),
            }
        })
        .await?;
        let step = Step {
            scope,
            place,
            inside: self.bind_inside(run, &mounted.destination).await?,
            way,
            read_only: mounted.read_only,
            host,
        };
        let scope = step.scope.clone();
        let found = blocking(move || scope.scan()).await?;
        if found.left_out > 0 && way == Way::In {
            let (source, count) = (step.scope.source.display(), found.left_out);
            tracing::warn!(%run, %source, count, "sockets and devices of a bind mount are left out");
        }
        if way != Way::Back {
            self.check_bind_size(&found)?;
        }
        let seen = self.bind_seen(&step.inside, &step.scope).await?;
        if seen.root.as_ref().is_some_and(|root| root.closed) {
            let message = format!("{}: the container's user may not look into it", step.inside.path);
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        // What was in a directory that is not there is not taken for deleted.
        let is_lost = seen.root.is_none() && !step.scope.is_file;
        match (kept.filter(|_| !(is_lost && way == Way::In)), way) {
            (None, Way::In) => self.bind_first(step, found.tree, seen).await,
            (None, _) => {
                Err(Error::new(ErrorKind::Internal, "it is not known what was sent into the container"))
            }
            (Some(kept), _) => self.bind_again(step, kept.base, found.tree, seen).await,
        }
    }

    fn check_bind_size(&self, found: &Found) -> Result<()> {
        let limit = self.options.binds.size_limit;
        if found.bytes <= limit {
            return Ok(());
        }
        let message = format!(
            "{} bytes in {} files are more than the {limit} that may be sent into a container (`size_limit` in `[binds]`): \
             leave out what it does not need (a file {} in the directory, or the label sockerless.binds.exclude), or use a volume",
            found.bytes,
            found.tree.values().filter(|listed| listed.is_file()).count(),
            if self.options.binds.ignore.is_empty() {
                "named by sockerless.binds.ignore"
            } else {
                &self.options.binds.ignore
            },
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// Into a new job: what the image has there is hidden by a mount, and so it goes.
    async fn bind_first(&self, step: Step, user: Tree, seen: Seen) -> Result<()> {
        let fits = |root: &sockerless_ports::link::listing::Listed| root.is_directory() != step.scope.is_file;
        if !seen.root.as_ref().is_none_or(fits) {
            // As runc says it.
            let message = format!(
                "error mounting {:?} to rootfs at {:?}: not a directory: Are you trying to mount a directory onto a file (or \
                 vice-versa)? Check if the specified host path exists and is the expected type",
                step.scope.source.display().to_string(),
                step.inside.path,
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let plan = merge::mirror(None, &user, &seen.tree);
        self.bind_parent(&step.inside).await?;
        self.bind_remove(&step.inside, &step.scope, &plan.remove).await?;
        self.bind_send(&step.inside, &step.scope, user.clone(), &plan.send, !step.scope.is_file).await?;
        let container = self.bind_seen(&step.inside, &step.scope).await?.tree;
        step.keep(Base { user, container }).await
    }

    /// What was changed since both sides were the same.
    async fn bind_again(&self, step: Step, base: Base, user: Tree, seen: Seen) -> Result<()> {
        if seen.root.is_none() && !step.scope.is_file {
            let message =
                format!("{} is gone in the container: nothing is deleted for that", step.inside.path);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let (container, sends) = (seen.tree, step.way != Way::Back);
        let plan = if step.read_only {
            merge::mirror(Some(&base), &user, &container)
        } else {
            merge::merge(&base, &user, &container, &step.scope.tag, sends)
        };
        if plan == Plan::default() && seen.root.is_some() {
            return Ok(());
        }
        for (path, beside) in &plan.conflicts {
            let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
            let (path, beside) = (shown(path), shown(beside));
            let source = step.scope.source.display();
            tracing::warn!(run = %step.inside.run, %source, path, beside, "a file was changed on both sides: both are kept");
        }
        let mut brought = Tree::new();
        if !plan.bring.is_empty() || !plan.delete.is_empty() {
            let work = Bringing {
                plan: plan.clone(),
                base: base.clone(),
                user: user.clone(),
                container: container.clone(),
                placed: Vec::new(),
            };
            brought = self.bind_bring(&step.inside, &step.scope, work).await?;
        }
        let mut after = Tree::new();
        if sends && !(plan.send.is_empty() && plan.remove.is_empty()) {
            self.bind_parent(&step.inside).await?;
            self.bind_remove(&step.inside, &step.scope, &plan.remove).await?;
            if !plan.send.is_empty() {
                self.bind_send(&step.inside, &step.scope, user.clone(), &plan.send, false).await?;
            }
            after = self.bind_seen(&step.inside, &step.scope).await?.tree;
            if step.way == Way::Both {
                distrust(&plan, &user, &mut after);
            }
        }
        let next = match step.read_only {
            true => Base { container: if plan.is_empty() { container } else { after }, user },
            false => base::advanced(&base, &plan, &user, &container, &brought, &after, sends),
        };
        step.keep(next).await
    }
}

/// Where a process may have changed what has just been sent before it was listed, that counts as a change.
fn distrust(plan: &Plan, user: &Tree, after: &mut Tree) {
    for path in &plan.send {
        if let Some(listed) = after.get_mut(path)
            && listed.is_file()
            && user.get(path).is_none_or(|sent| (sent.size, sent.modified) != (listed.size, listed.modified))
        {
            listed.inode = 0;
        }
    }
}

impl Step {
    async fn keep(&self, base: Base) -> Result<()> {
        let (place, kept) = (
            self.place.clone(),
            Kept { host: self.host, source: self.scope.source.clone(), is_file: self.scope.is_file, base },
        );
        blocking(move || place.write(&kept)).await
    }
}
