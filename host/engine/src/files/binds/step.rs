//! One comparison of both sides of a mount, and what follows from it.

use std::sync::Arc;

use sockerless_ports::link::RunId;

use super::{
    base::{self, After, Kept, Place},
    binds,
    bring::Bringing,
    exchange::{Inside, Seen},
    failures::Failures,
    merge::{self, Base, Plan, Tree},
    scan::{Found, Scope},
    source::{self, Wanted},
    turns::Turn,
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
    turn: Arc<Turn>,
}

impl Engine {
    /// Only with the container's gate. Gives what could not be done on the user's side while all the rest was.
    pub(super) async fn bind_step(
        &self,
        entry: &Arc<Entry>,
        run: &RunId,
        index: usize,
        way: Way,
    ) -> Result<Failures> {
        let Some((_, mounted, wanted)) = binds(&entry.spec).find(|(at, ..)| *at == index) else {
            return Ok(Failures::default());
        };
        let folder = self.files.root.join("containers").join(entry.id());
        let place = Place::new(&folder, index);
        let (at, host) = (place.clone(), entry.view().state.host);
        let (kept, wanted) = blocking(move || {
            let kept = at.read()?.filter(|kept| kept.host == host);
            let noted = wanted.real.or_else(|| kept.as_ref().map(|kept| kept.source.clone()));
            let real = noted.map_or_else(|| source::real(&wanted.source), Ok)?;
            Ok((kept, Wanted { real: Some(real), ..wanted }))
        })
        .await?;
        let path = wanted.real.clone().unwrap_or_default();
        let writes = !mounted.read_only && (way != Way::In || kept.is_some());
        let turn = Arc::new(self.files.binds.turns.take(&path, writes).await);
        let (rules, spec, own) = (self.bind_rules(), Arc::clone(&entry.spec), mounted.clone());
        let was_file = kept.as_ref().map(|kept| kept.is_file);
        let scope = blocking(move || rules.scope(&wanted, was_file, &spec, &own)).await?;
        let step = Step {
            scope,
            place,
            inside: self.bind_inside(run, &mounted.destination).await?,
            way,
            read_only: mounted.read_only,
            host,
            turn,
        };
        let (scope, turn) = (step.scope.clone(), Arc::clone(&step.turn));
        let found = blocking(move || {
            let _turn = turn;
            scope.scan()
        })
        .await?;
        if found.left_out > 0 && way == Way::In {
            let (source, count) = (step.scope.root.path().display(), found.left_out);
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
        let is_lost = seen.root.is_none() && !step.scope.root.is_file();
        match (kept.filter(|_| !(is_lost && way == Way::In)), way) {
            (None, Way::In) => self.bind_first(step, found.tree, seen).await.map(|()| Failures::default()),
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
        let fits =
            |root: &sockerless_ports::link::listing::Listed| root.is_directory() != step.scope.root.is_file();
        if !seen.root.as_ref().is_none_or(fits) {
            // As runc says it.
            let message = format!(
                "error mounting {:?} to rootfs at {:?}: not a directory: Are you trying to mount a directory onto a file (or \
                 vice-versa)? Check if the specified host path exists and is the expected type",
                step.scope.root.path().display().to_string(),
                step.inside.path,
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let plan = merge::mirror(None, &user, &seen.tree);
        self.bind_parent(&step.inside).await?;
        self.bind_remove(&step.inside, &step.scope, &plan.remove).await?;
        self.bind_send(&step.inside, &step.scope, user.clone(), &plan.send, !step.scope.root.is_file())
            .await?;
        let container = self.bind_seen(&step.inside, &step.scope).await?.tree;
        step.keep(Base { user, container }).await
    }

    /// What was changed since both sides were the same.
    async fn bind_again(&self, step: Step, base: Base, user: Tree, seen: Seen) -> Result<Failures> {
        if seen.root.is_none() && !step.scope.root.is_file() {
            let message =
                format!("{} is gone in the container: nothing is deleted for that", step.inside.path);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let (container, sends) = (seen.tree, step.way != Way::Back);
        let mut plan = if step.read_only {
            merge::mirror(Some(&base), &user, &container)
        } else {
            merge::merge(&base, &user, &container, &step.scope.tag, sends)
        };
        leave_own(&mut plan, &step.scope);
        if plan == Plan::default() && seen.root.is_some() {
            return Ok(Failures::default());
        }
        for (path, beside) in &plan.conflicts {
            let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
            let (path, beside) = (shown(path), shown(beside));
            let source = step.scope.root.path().display();
            tracing::warn!(run = %step.inside.run, %source, path, beside, "a file was changed on both sides: both are kept");
        }
        let (mut after, mut failures) = (After::default(), Failures::default());
        if !plan.bring.is_empty() || !plan.delete.is_empty() {
            let turn = Arc::clone(&step.turn);
            let work = Bringing::new(plan, base.clone(), user.clone(), container.clone(), turn);
            let done = self.bind_bring(&step.inside, &step.scope, work).await?;
            (plan, after.user, after.undone, failures) = (done.plan, done.tree, done.undone, done.failures);
        }
        if sends && !(plan.send.is_empty() && plan.remove.is_empty()) {
            self.bind_parent(&step.inside).await?;
            self.bind_remove(&step.inside, &step.scope, &plan.remove).await?;
            if !plan.send.is_empty() {
                self.bind_send(&step.inside, &step.scope, user.clone(), &plan.send, false).await?;
            }
            after.container = self.bind_seen(&step.inside, &step.scope).await?.tree;
            if step.way == Way::Both {
                distrust(&plan, &user, &mut after.container);
            }
        }
        let next = match step.read_only {
            true => Base { container: if plan.is_empty() { container } else { after.container }, user },
            false => base::advanced(&base, &plan, &user, &container, &after, sends),
        };
        step.keep(next).await?;
        Ok(failures)
    }
}

/// Takes out of a plan what the container would change of the user's own patterns: what it has of them is its own affair.
fn leave_own(plan: &mut Plan, scope: &Scope) {
    plan.delete.retain(|path| scope.may_change(path));
    plan.bring.retain(|path, to| scope.may_change(path) && scope.may_change(to));
    plan.conflicts.retain(|(path, _)| scope.may_change(path));
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
        let root = &self.scope.root;
        let kept = Kept { host: self.host, source: root.path().to_owned(), is_file: root.is_file(), base };
        let (place, turn) = (self.place.clone(), Arc::clone(&self.turn));
        blocking(move || {
            let _turn = turn;
            place.write(&kept)
        })
        .await
    }
}
