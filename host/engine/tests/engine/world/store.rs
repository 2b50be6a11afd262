use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use sockerless_ports::{
    Store,
    store::{Change, Kind, Record, StoreError},
};
use tokio::sync::watch;

/// Records in memory, with a power cut to order.
pub struct FakeStore {
    records: Mutex<BTreeMap<(&'static str, String), String>>,
    commits: AtomicUsize,
    /// From this commit on nothing is kept any more.
    cut: AtomicUsize,
    /// How often the power came back.
    cuts: AtomicUsize,
    /// Records with this text are not kept yet, and who commits them waits.
    held: watch::Sender<Option<&'static str>>,
    /// How many wait.
    waiting: watch::Sender<usize>,
}

impl Default for FakeStore {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            commits: AtomicUsize::new(0),
            cut: AtomicUsize::new(usize::MAX),
            cuts: AtomicUsize::new(0),
            held: watch::Sender::default(),
            waiting: watch::Sender::default(),
        }
    }
}

impl FakeStore {
    pub fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    /// So many commits succeed from now on.
    pub fn cut_after(&self, commits: usize) {
        self.cut.store(self.commits() + commits, Ordering::SeqCst);
    }

    /// Power again; what was held is lost.
    pub fn heal(&self) {
        self.cut.store(usize::MAX, Ordering::SeqCst);
        self.cuts.fetch_add(1, Ordering::SeqCst);
        self.release();
    }

    /// The disk is slow with records that have this text: nobody who commits one hears of it before [`Self::release`].
    pub fn hold(&self, text: &'static str) {
        self.held.send_replace(Some(text));
    }

    pub fn release(&self) {
        self.held.send_replace(None);
    }

    /// Waits until somebody waits for such a record.
    pub async fn holds(&self) {
        self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.unwrap();
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.records.lock().unwrap().keys().filter(|(name, _)| *name == kind.name()).count()
    }

    pub fn text(&self) -> String {
        format!("{:?}", self.records.lock().unwrap())
    }
}

/// One that waits, or is given up.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[async_trait]
impl Store for FakeStore {
    async fn load(&self, kind: Kind) -> Result<Vec<Record>, StoreError> {
        let records = self.records.lock().unwrap();
        let of_kind = records.iter().filter(|((name, _), _)| *name == kind.name());
        Ok(of_kind.map(|((_, key), content)| Record { key: key.clone(), content: content.clone() }).collect())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let is_held = |text: &&str| {
            let has =
                |change: &Change| matches!(change, Change::Put(_, record) if record.content.contains(*text));
            changes.iter().any(has)
        };
        if self.held.borrow().as_ref().is_some_and(is_held) {
            let (_waiting, cuts) = (Waiting::new(&self.waiting), self.cuts.load(Ordering::SeqCst));
            self.held.subscribe().wait_for(Option::is_none).await.unwrap();
            if self.cuts.load(Ordering::SeqCst) != cuts {
                return Err(StoreError("the power was off".into()));
            }
        }
        let mut records = self.records.lock().unwrap();
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        if number >= self.cut.load(Ordering::SeqCst) {
            return Err(StoreError("the power is off".into()));
        }
        for change in changes {
            match change {
                Change::Put(kind, record) => {
                    records.insert((kind.name(), record.key), record.content);
                }
                Change::Delete(kind, key) => {
                    records.remove(&(kind.name(), key));
                }
            }
        }
        Ok(())
    }
}
