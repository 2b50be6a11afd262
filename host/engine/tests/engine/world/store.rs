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

/// Records in memory, with a power cut to order.
pub struct FakeStore {
    records: Mutex<BTreeMap<(&'static str, String), String>>,
    commits: AtomicUsize,
    /// From this commit on nothing is kept any more.
    cut: AtomicUsize,
}

impl Default for FakeStore {
    fn default() -> Self {
        Self { records: Mutex::default(), commits: AtomicUsize::new(0), cut: AtomicUsize::new(usize::MAX) }
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

    pub fn heal(&self) {
        self.cut.store(usize::MAX, Ordering::SeqCst);
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.records.lock().unwrap().keys().filter(|(name, _)| *name == kind.name()).count()
    }

    pub fn text(&self) -> String {
        format!("{:?}", self.records.lock().unwrap())
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
