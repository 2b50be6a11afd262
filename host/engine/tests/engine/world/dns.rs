use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use sockerless_ports::backend::*;

use super::FakeCloud;

/// The zones of a cloud in memory.
#[derive(Default)]
pub struct FakeZones(Mutex<BTreeMap<String, ZoneAndRecords>>);

type ZoneAndRecords = (Zone, BTreeMap<String, AddressRecord>);

impl FakeZones {
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    pub fn get(&self, name: &str) -> Option<Zone> {
        self.0.lock().unwrap().get(name).map(|(zone, _)| zone.clone())
    }

    /// Names with their addresses, as `web 172.18.0.2`.
    pub fn lines(&self, zone: &str) -> Vec<String> {
        let zones = self.0.lock().unwrap();
        let records = zones.get(zone).into_iter().flat_map(|(_, records)| records.values());
        records.map(|record| format!("{} {}", record.name, record.addresses.join(" "))).collect()
    }

    /// Waits until a zone has these lines.
    pub async fn become_lines(&self, zone: &str, wanted: &[&str]) {
        for _ in 0..10_000 {
            if self.lines(zone) == wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{:?} instead of {wanted:?}", self.lines(zone));
    }

    /// A zone that no store knows of.
    pub fn plant(&self, name: &str, owner: &str) {
        let zone = Zone { name: name.into(), domain: "x.".into(), owner: owner.into(), labels: vec![] };
        self.0.lock().unwrap().insert(name.into(), (zone, BTreeMap::new()));
    }
}

fn missing() -> Error {
    Error::new(ErrorCode::NotFound, "no such zone")
}

#[async_trait]
impl Dns for FakeCloud {
    async fn ensure_zone(&self, zone: &Zone) -> Result<()> {
        tokio::task::yield_now().await;
        self.check("ensure-zone")?;
        self.zones
            .0
            .lock()
            .unwrap()
            .entry(zone.name.clone())
            .or_insert_with(|| (zone.clone(), BTreeMap::new()));
        self.answer("ensure-zone", ())
    }

    async fn delete_zone(&self, zone: &str) -> Result<()> {
        tokio::task::yield_now().await;
        self.check("delete-zone")?;
        self.zones.0.lock().unwrap().remove(zone);
        self.answer("delete-zone", ())
    }

    async fn upsert(&self, zone: &str, record: &AddressRecord) -> Result<()> {
        self.check("upsert")?;
        assert!(record.ttl_seconds == 10 && !record.addresses.is_empty());
        let mut zones = self.zones.0.lock().unwrap();
        let (_, records) = zones.get_mut(zone).ok_or_else(missing)?;
        records.insert(record.name.clone(), record.clone());
        Ok(())
    }

    async fn remove_record(&self, zone: &str, name: &str) -> Result<()> {
        self.check("remove-record")?;
        let mut zones = self.zones.0.lock().unwrap();
        let (_, records) = zones.get_mut(zone).ok_or_else(missing)?;
        records.remove(name);
        Ok(())
    }

    async fn records(&self, zone: &str) -> Result<Vec<AddressRecord>> {
        self.check("records")?;
        let zones = self.zones.0.lock().unwrap();
        let (_, records) = zones.get(zone).ok_or_else(missing)?;
        Ok(records.values().cloned().collect())
    }

    /// One on each page.
    async fn zones(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Zone>> {
        self.check("zones")?;
        let zones = self.zones.0.lock().unwrap();
        let own: Vec<Zone> =
            zones.values().map(|(zone, _)| zone.clone()).filter(|zone| zone.owner == owner).collect();
        let at: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let next = (at + 1 < own.len()).then(|| (at + 1).to_string());
        Ok(Page { items: own.into_iter().skip(at).take(1).collect(), next })
    }
}
