//! A store in memory.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use sockerless_ports::store::{Change, Kind, Record, Store, StoreError};

#[derive(Debug, Default)]
pub struct Kept(Mutex<BTreeMap<(&'static str, String), String>>);

#[async_trait]
impl Store for Kept {
    async fn load(&self, kind: Kind) -> Result<Vec<Record>, StoreError> {
        let all = self.0.lock().unwrap();
        let of_kind = all.iter().filter(|((name, _), _)| *name == kind.name());
        Ok(of_kind.map(|((_, key), content)| Record { key: key.clone(), content: content.clone() }).collect())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut all = self.0.lock().unwrap();
        for change in changes {
            match change {
                Change::Put(kind, record) => drop(all.insert((kind.name(), record.key), record.content)),
                Change::Delete(kind, key) => drop(all.remove(&(kind.name(), key))),
            }
        }
        Ok(())
    }
}
