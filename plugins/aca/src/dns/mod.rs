//! Names in the VNet: A records in a private DNS zone that the operator has linked to it.
//!
//! A zone of the contract, one for each network, is a subtree of that zone: making and linking a zone of its own would
//! take Azure a minute, and a VNet takes only so many. The network's record of itself is a TXT record beside the
//! containers' A records. Jobs cannot be connected to, so what the names lead to is carried by the agents; the records
//! serve all else in the VNet.

mod record;
#[cfg(test)]
mod tests;

use serde_json::json;
use sockerless_plugin_sdk::{
    Cursor, Dns, Error, ErrorCode, Request, Result,
    dns::{AddressRecord, Zone, ZonePage},
    url,
};

use crate::{ContainerApps, arm, limits};
use record::{RecordSet, Subtree, is_name, is_zone};

impl Dns for ContainerApps {
    fn ensure_zone(&self, zone: Zone) -> Result<()> {
        let parent = self.parent()?;
        if !is_zone(&zone.name) {
            return Err(Error::invalid(format!("no zone can be called {:?}", zone.name)));
        }
        let doing = format!("creating the zone {}", zone.name);
        if let Some(there) = self.subtree(&zone.name)? {
            if there.owner != zone.owner || there.domain != zone.domain {
                let message = format!("{doing}: {parent} has one of that name that another made");
                return Err(Error::new(ErrorCode::AlreadyExists, message));
            }
            return Ok(());
        }
        let subtree = Subtree::new(zone, parent);
        let url = self.record_url("TXT", &subtree.name)?;
        let answer = self.send(Request::put(url).json(&subtree.body()?))?;
        self.check(&doing, &answer)
    }

    fn delete_zone(&self, zone: String) -> Result<()> {
        let Some(subtree) = self.subtree(&zone)? else { return Ok(()) };
        let doing = format!("deleting the zone {zone}");
        let sets = self.record_sets(&subtree, &doing)?;
        let urls: Result<Vec<String>> = sets.iter().map(|set| self.record_url("A", &set.name)).collect();
        for answer in self.send_all(urls?.into_iter().map(Request::delete).collect())? {
            if answer.status != 404 {
                self.check(&doing, &answer)?;
            }
        }
        // Last, so that what was begun is found again.
        let answer = self.send(Request::delete(self.record_url("TXT", &zone)?))?;
        if answer.status == 404 { Ok(()) } else { self.check(&doing, &answer) }
    }

    fn upsert(&self, zone: String, record: AddressRecord) -> Result<()> {
        if record.addresses.is_empty() {
            return self.remove_record(zone, record.name);
        }
        let doing = format!("writing the record {} in the zone {zone}", record.name);
        let url = self.record_url("A", &self.inside(&zone, &record.name)?)?;
        let addresses: Vec<_> =
            record.addresses.iter().map(|address| json!({"ipv4Address": address})).collect();
        // A TTL of nothing is refused.
        let properties = json!({"ttl": record.ttl_seconds.max(1), "aRecords": addresses});
        let answer = self.send(Request::put(url).json(&json!({"properties": properties})))?;
        self.check(&doing, &answer)
    }

    fn remove_record(&self, zone: String, name: String) -> Result<()> {
        let inside = match self.inside(&zone, &name) {
            Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
            inside => inside?,
        };
        let answer = self.send(Request::delete(self.record_url("A", &inside)?))?;
        if answer.status == 404 {
            return Ok(());
        }
        self.check(&format!("removing the record {name} from the zone {zone}"), &answer)
    }

    fn records(&self, zone: String) -> Result<Vec<AddressRecord>> {
        let subtree = self.subtree(&zone)?.ok_or_else(|| no_zone(&zone))?;
        let sets = self.record_sets(&subtree, &format!("listing the records of the zone {zone}"))?;
        Ok(sets.into_iter().filter_map(|set| set.into_record(&subtree)).collect())
    }

    fn zones(&self, owner: String, cursor: Option<Cursor>) -> Result<ZonePage> {
        let first = self.list_url("TXT", None)?;
        let cursor = cursor.as_deref().filter(|cursor| !cursor.is_empty());
        let page: arm::Page<RecordSet> = arm::page(self, "listing zones", first, cursor)?;
        let subtrees = page.value.iter().filter_map(RecordSet::subtree);
        let items = subtrees.filter(|subtree| subtree.owner == owner).map(Subtree::into_zone).collect();
        Ok(ZonePage { items, next: page.next_link })
    }
}

fn no_zone(zone: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("there is no zone {zone}"))
}

impl ContainerApps {
    /// The domain of the operator's zone.
    ///
    /// # Errors
    /// `unsupported` when there is none.
    fn parent(&self) -> Result<&str> {
        self.config.zone_name().ok_or_else(|| {
            let message = "no private DNS zone is configured (`dns_zone`, SOCKERLESS_ACA_DNS_ZONE); the agents resolve the names \
                           between containers";
            Error::new(ErrorCode::Unsupported, message)
        })
    }

    /// The id of the operator's zone.
    fn zone_id(&self) -> Result<&str> {
        self.parent()?;
        Ok(self.config.dns_zone.as_deref().unwrap_or_default())
    }

    fn record_url(&self, kind: &str, name: &str) -> Result<String> {
        Ok(self.config.url(&format!("{}/{kind}/{}", self.zone_id()?, url::encode(name))))
    }

    fn list_url(&self, kind: &str, suffix: Option<&str>) -> Result<Request> {
        let url = self.config.url(&format!("{}/{kind}", self.zone_id()?));
        Ok(Request::get(url)
            .query("$top", &limits::RECORDS_PER_PAGE.to_string())
            .query_opt("$recordsetnamesuffix", suffix))
    }

    /// A network's record of itself. None when there is none.
    fn subtree(&self, zone: &str) -> Result<Option<Subtree>> {
        self.parent()?;
        if !is_zone(zone) {
            return Err(Error::invalid(format!("no zone can be called {zone:?}")));
        }
        let answer = self.send(Request::get(self.record_url("TXT", zone)?))?;
        if answer.status == 404 {
            return Ok(None);
        }
        let doing = format!("asking for the zone {zone}");
        self.check(&doing, &answer)?;
        let subtree = answer.json::<RecordSet>()?.subtree();
        let foreign =
            || Error::new(ErrorCode::Conflict, format!("{doing}: it is not one that Sockerless made"));
        subtree.map(Some).ok_or_else(foreign)
    }

    /// A record's name, relative to the operator's zone.
    fn inside(&self, zone: &str, name: &str) -> Result<String> {
        let parent = self.parent()?;
        let subtree = self.subtree(zone)?.ok_or_else(|| no_zone(zone))?;
        let inside = format!("{}.{}", name.to_ascii_lowercase(), subtree.below);
        if !is_name(&inside) || inside.len() + 1 + parent.len() > limits::DOMAIN_CHARS {
            return Err(Error::invalid(format!(
                "{name:?} is no name that DNS could hold in {}.{parent}",
                subtree.below
            )));
        }
        Ok(inside)
    }

    fn record_sets(&self, subtree: &Subtree, doing: &str) -> Result<Vec<RecordSet>> {
        let suffix = format!(".{}", subtree.below);
        let mut sets = Vec::new();
        let mut next = None;
        loop {
            let first = self.list_url("A", Some(&subtree.below))?;
            let page: arm::Page<RecordSet> = arm::page(self, doing, first, next.as_deref())?;
            // The suffix is one of characters, not of labels.
            sets.extend(page.value.into_iter().filter(|set| set.name.ends_with(&suffix)));
            next = page.next_link;
            if next.is_none() {
                return Ok(sets);
            }
        }
    }
}
