//! All execs, in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sockerless_ports::store::{Change, Kind};

use super::exec::{Exec, Stage};

/// The execs by id, and those that have not ended by container.
#[derive(Default)]
pub(crate) struct Execs(Mutex<Index>);

#[derive(Default)]
struct Index {
    all: HashMap<String, Arc<Exec>>,
    live: HashMap<String, Vec<Arc<Exec>>>,
}

impl Execs {
    // Each change leaves both maps as good as they were: a poisoned lock is as good as any.
    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one. Those of an earlier start of its container that nobody has started never will be: they go.
    pub fn insert(&self, exec: &Arc<Exec>) {
        let mut guard = self.index();
        let Index { all, live } = &mut *guard;
        let live = live.entry(exec.container().to_owned()).or_default();
        live.retain(|other| {
            let stale = other.stage() == Stage::Created && other.plan.run != exec.plan.run;
            if stale {
                all.remove(other.id());
            }
            !stale
        });
        if exec.is_live() {
            live.push(Arc::clone(exec));
        }
        all.insert(exec.id().to_owned(), Arc::clone(exec));
    }

    pub fn get(&self, id: &str) -> Option<Arc<Exec>> {
        self.index().all.get(id).cloned()
    }

    /// The ids of a container's execs that have not ended; none when there are none, as dockerd shows it.
    pub fn live(&self, container: &str, generation: u32) -> Option<Vec<String>> {
        let index = self.index();
        let live = index.live.get(container)?.iter();
        let ids: Vec<_> = live
            .filter(|exec| exec.plan.run.generation == generation)
            .map(|exec| exec.id().to_owned())
            .collect();
        (!ids.is_empty()).then_some(ids)
    }

    /// It has ended: it is shown by its id alone.
    pub fn end(&self, exec: &Exec) {
        let mut index = self.index();
        if let Some(live) = index.live.get_mut(exec.container()) {
            live.retain(|other| other.id() != exec.id());
            if live.is_empty() {
                index.live.remove(exec.container());
            }
        }
    }

    /// Forgets one. False: it was forgotten before.
    pub fn remove(&self, exec: &Exec) -> bool {
        self.end(exec);
        self.index().all.remove(exec.id()).is_some()
    }

    /// Forgets those of a container that is being removed; the changes forget them for good.
    pub fn forget(&self, container: &str) -> Vec<Change> {
        let mut index = self.index();
        index.live.remove(container);
        let gone = index.all.extract_if(|_, exec| exec.container() == container);
        gone.map(|(id, _)| Change::Delete(Kind::Exec, id)).collect()
    }
}
