//! All containers, in memory: what every read is answered from.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{
        Arc, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::{Mutex, Notify, watch};

use super::{returning::Returning, spec::Spec, summary::Kept};
use crate::{Error, ErrorKind, Result, life::State};

/// A container. Its view is replaced as a whole, so readers never wait for writers.
pub(crate) struct Entry {
    /// As it was when the container was created, or when the daemon started: resources and restart policy are those of
    /// [`View::spec`].
    pub spec: Arc<Spec>,
    view: watch::Sender<Arc<View>>,
    /// Held while a change of the view is made durable: one change at a time.
    pub gate: Mutex<()>,
    /// Held while its processes are frozen or thawed.
    pub freezing: Mutex<()>,
    /// What its ended process changed is being brought back.
    pub returning: Returning,
    /// Clients that still read the output.
    pub readers: Readers,
    /// How a list shows it.
    pub summary: Kept,
}

/// What changes of a container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// Without a slash.
    pub name: String,
    pub state: State,
    /// With what `docker update` has changed of it since it was created.
    pub spec: Arc<Spec>,
}

impl Entry {
    pub fn new(spec: Arc<Spec>, name: String, state: State) -> Self {
        let view = watch::Sender::new(Arc::new(View { name, state, spec: Arc::clone(&spec) }));
        Self {
            spec,
            view,
            gate: Mutex::new(()),
            freezing: Mutex::new(()),
            returning: Returning::default(),
            readers: Readers::default(),
            summary: Kept::default(),
        }
    }

    pub fn id(&self) -> &str {
        &self.spec.id
    }

    /// How it is now.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Follows its changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Shows a change to everybody. Only while holding the gate.
    pub fn publish(&self, view: View) -> Arc<View> {
        let view = Arc::new(view);
        self.view.send_replace(Arc::clone(&view));
        view
    }
}

/// Counts the readers of a container's output, so that its log outlives them.
#[derive(Clone, Default)]
pub(crate) struct Readers(Arc<(AtomicUsize, Notify)>);

/// One reader, until it is dropped.
pub(crate) struct Reader(Readers);

impl Readers {
    pub fn enter(&self) -> Reader {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        Reader(self.clone())
    }

    pub fn is_empty(&self) -> bool {
        self.0.0.load(Ordering::SeqCst) == 0
    }

    /// Waits until the last has left.
    pub async fn left(&self) {
        loop {
            let left = self.0.1.notified();
            if self.is_empty() {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.0.0.0.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.1.notify_waiters();
        }
    }
}

/// The containers by id and by name. A name can be taken before its container is there.
#[derive(Default)]
pub(crate) struct Table(RwLock<Index>);

#[derive(Default)]
struct Index {
    entries: BTreeMap<String, Arc<Entry>>,
    /// The same, newest first: a list that had to sort them would touch the specification of each.
    ages: BTreeMap<Reverse<(Timestamp, String)>, Arc<Entry>>,
    /// Name to id.
    names: HashMap<String, String>,
}

fn age(entry: &Entry) -> Reverse<(Timestamp, String)> {
    Reverse((entry.spec.created, entry.id().to_owned()))
}

impl Table {
    // A panic cannot leave the index half changed: every change below is one insertion or removal
    // for each map, of what was made before. So a poisoned lock is as good as any.
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes a name for a container. Errors: the id of the container that has it.
    pub fn reserve(&self, name: &str, id: &str) -> std::result::Result<(), String> {
        let mut index = self.write();
        match index.names.get(name) {
            Some(holder) if holder != id => Err(holder.clone()),
            _ => {
                index.names.insert(name.to_owned(), id.to_owned());
                Ok(())
            }
        }
    }

    /// Gives a name back, if the container has it.
    pub fn release(&self, name: &str, id: &str) {
        let mut index = self.write();
        if index.names.get(name).is_some_and(|holder| holder == id) {
            index.names.remove(name);
        }
    }

    /// Adds a container whose name is reserved.
    pub fn insert(&self, entry: Arc<Entry>) {
        let (id, age) = (entry.id().to_owned(), age(&entry));
        let mut index = self.write();
        index.ages.insert(age, Arc::clone(&entry));
        index.entries.insert(id, entry);
    }

    /// Takes a container and its name out.
    pub fn remove(&self, entry: &Entry) {
        let (name, age) = (&entry.view().name, age(entry));
        let mut index = self.write();
        index.ages.remove(&age);
        index.entries.remove(entry.id());
        if index.names.get(name).is_some_and(|holder| holder == entry.id()) {
            index.names.remove(name);
        }
    }

    /// By full id.
    pub fn get(&self, id: &str) -> Option<Arc<Entry>> {
        self.read().entries.get(id).cloned()
    }

    /// All, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.read().entries.values().cloned().collect()
    }

    /// All, newest first.
    pub fn newest(&self) -> Vec<Arc<Entry>> {
        self.read().ages.values().cloned().collect()
    }

    /// By full id, name or the beginning of an id, in this order, as dockerd looks them up.
    /// Errors: not found, or several ids begin so.
    pub fn find(&self, reference: &str) -> Result<Arc<Entry>> {
        let missing = || Error::new(ErrorKind::NotFound, format!("No such container: {reference}"));
        let index = self.read();
        if let Some(entry) = index.entries.get(reference) {
            return Ok(Arc::clone(entry));
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(id) = index.names.get(name) {
            return index.entries.get(id).cloned().ok_or_else(missing);
        }
        if reference.is_empty() {
            return Err(missing());
        }
        let mut matches = index
            .entries
            .range::<str, _>((Bound::Included(reference), Bound::Unbounded))
            .take_while(|(id, _)| id.starts_with(reference));
        match (matches.next(), matches.next()) {
            (Some((_, entry)), None) => Ok(Arc::clone(entry)),
            (None, _) => Err(missing()),
            (Some(_), Some(_)) => Err(Error::new(
                ErrorKind::Invalid,
                format!("Multiple IDs found with provided prefix: {reference}"),
            )),
        }
    }
}
