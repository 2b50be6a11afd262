//! Names in the VPC: private zones of Cloud DNS.
//!
//! A zone is seen from one VPC network. Containers of Cloud Run cannot be connected to, so what the names lead to is carried
//! by the agents; the zone serves all else in the VPC.

mod name;
#[cfg(test)]
mod tests;
mod wire;

use serde_json::json;
use sockerless_plugin_sdk::{
    Cursor, Dns, Error, ErrorCode, Request, Response, Result,
    dns::{AddressRecord, Zone, ZonePage},
    url,
};

use crate::{CloudRun, google, limits};
use wire::{ManagedZone, ManagedZones, RecordSet, RecordSets};

impl Dns for CloudRun {
    fn ensure_zone(&self, zone: Zone) -> Result<()> {
        let network = self.names()?;
        if !name::is_zone(&zone.name) || !name::is_domain(&zone.domain) {
            return Err(Error::invalid(format!(
                "no zone can be called {:?} for {:?}",
                zone.name, zone.domain
            )));
        }
        let doing = format!("creating the zone {}", zone.name);
        let body = wire::zone(&zone, network)?;
        let answer = self.send(Request::post(self.zones_url()).json(&body))?;
        if answer.status != 409 {
            return self.check(&doing, &answer).map_err(hinted);
        }
        let refused = google::error(&doing, &answer, self.host.now());
        let there = self.zone(&zone.name)?;
        match there.owner() {
            Some(owner) if owner == zone.owner && there.dns_name == zone.domain => Ok(()),
            _ => Err(Error { code: ErrorCode::AlreadyExists, ..refused }),
        }
    }

    fn delete_zone(&self, zone: String) -> Result<()> {
        self.names()?;
        let doing = format!("deleting the zone {zone}");
        let there = match self.zone(&zone) {
            Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
            there => there?,
        };
        if there.owner().is_none() {
            let message = format!("{doing}: it is not one that Sockerless made");
            return Err(Error::new(ErrorCode::Conflict, message));
        }
        self.empty(&there, &doing)?;
        let answer = self.send(Request::delete(self.zone_url(&zone)))?;
        if answer.status == 404 {
            return Ok(());
        }
        // Somebody was quicker with a new record: the host comes again.
        if answer.status == 400 && google::reason(&answer) == "containerNotEmpty" {
            return Err(self.disturbed(&doing, &answer));
        }
        self.check(&doing, &answer)
    }

    fn upsert(&self, zone: String, record: AddressRecord) -> Result<()> {
        self.names()?;
        if record.addresses.is_empty() {
            return self.remove_record(zone, record.name);
        }
        let doing = format!("writing the record {} in the zone {zone}", record.name);
        let name = name::absolute(&record.name, &self.zone(&zone)?.dns_name)?;
        let new = RecordSet::addresses(name, record.addresses, record.ttl_seconds);
        // Most records are new: that costs one call, and the replacement of an old one three.
        let mut answer = self.change(&zone, &[], std::slice::from_ref(&new))?;
        if answer.status == 409 && google::reason(&answer) == "alreadyExists" {
            let old = self.record_set(&zone, &new.name, &doing)?;
            if old.as_ref() == Some(&new) {
                return Ok(());
            }
            answer = self.change(&zone, old.as_slice(), std::slice::from_ref(&new))?;
            if matches!(answer.status, 404 | 409 | 412) {
                return Err(self.disturbed(&doing, &answer));
            }
        }
        self.check(&doing, &answer)
    }

    fn remove_record(&self, zone: String, name: String) -> Result<()> {
        self.names()?;
        let doing = format!("removing the record {name} from the zone {zone}");
        let there = match self.zone(&zone) {
            Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
            there => there?,
        };
        let name = name::absolute(&name, &there.dns_name)?;
        let Some(old) = self.record_set(&zone, &name, &doing)? else { return Ok(()) };
        let answer = self.change(&zone, &[old], &[])?;
        match answer.status {
            404 => Ok(()),
            412 => Err(self.disturbed(&doing, &answer)),
            _ => self.check(&doing, &answer),
        }
    }

    fn records(&self, zone: String) -> Result<Vec<AddressRecord>> {
        self.names()?;
        let there = self.zone(&zone)?;
        let mut records = Vec::new();
        let mut token = String::new();
        loop {
            let page = self.record_sets(&zone, &token, &format!("listing the records of the zone {zone}"))?;
            for set in page.rrsets.into_iter().filter(|set| set.kind == "A") {
                let Some(name) = name::relative(&set.name, &there.dns_name) else { continue };
                records.push(AddressRecord {
                    name: name.to_owned(),
                    addresses: set.rrdatas,
                    ttl_seconds: set.ttl,
                });
            }
            if page.next_page_token.is_empty() {
                return Ok(records);
            }
            token = page.next_page_token;
        }
    }

    /// `managedZones.list` has no filter by label, so a page may hold fewer of the owner's zones than were read, or none.
    fn zones(&self, owner: String, cursor: Option<Cursor>) -> Result<ZonePage> {
        self.names()?;
        let request = Request::get(self.zones_url())
            .query("maxResults", &limits::ZONES_PER_PAGE.to_string())
            .query_opt("pageToken", cursor.as_deref());
        let answer = self.send(request)?;
        self.check("listing zones", &answer)?;
        let page: ManagedZones = answer.json()?;
        let items = page.managed_zones.into_iter().filter_map(ManagedZone::into_zone);
        let items = items.filter(|zone| zone.owner == owner).collect();
        Ok(ZonePage { items, next: Some(page.next_page_token).filter(|token| !token.is_empty()) })
    }
}

/// What helps an operator whose project has no such network, or who has no rights there.
fn hinted(error: Error) -> Error {
    let hint = match error.code {
        ErrorCode::NotFound | ErrorCode::InvalidArgument => "see `dns_network` (SOCKERLESS_GCR_DNS_NETWORK)",
        ErrorCode::PermissionDenied => "roles/dns.admin is wanted, and the API dns.googleapis.com",
        _ => return error,
    };
    Error { message: format!("{}; {hint}, or switch zones off: `dns` = off", error.message), ..error }
}

impl CloudRun {
    /// The network that sees the zones.
    ///
    /// # Errors
    /// `unsupported` when the operator wants no zones.
    fn names(&self) -> Result<&str> {
        self.config.dns_network.as_deref().ok_or_else(|| {
            let message = "zones in Cloud DNS are switched off (`dns`, SOCKERLESS_GCR_DNS); the agents resolve the names \
                           between containers";
            Error::new(ErrorCode::Unsupported, message)
        })
    }

    /// The URL of all zones.
    pub fn zones_url(&self) -> String {
        format!("{}/dns/v1/projects/{}/managedZones", self.config.dns, url::encode(&self.config.project))
    }

    fn zone_url(&self, zone: &str) -> String {
        format!("{}/{}", self.zones_url(), url::encode(zone))
    }

    fn zone(&self, zone: &str) -> Result<ManagedZone> {
        let answer = self.send(Request::get(self.zone_url(zone)))?;
        self.check(&format!("asking for the zone {zone}"), &answer)?;
        answer.json()
    }

    fn change(&self, zone: &str, deletions: &[RecordSet], additions: &[RecordSet]) -> Result<Response> {
        let mut body = json!({});
        for (side, sets) in [("deletions", deletions), ("additions", additions)] {
            if !sets.is_empty() {
                body[side] = json!(sets);
            }
        }
        self.send(Request::post(format!("{}/changes", self.zone_url(zone))).json(&body))
    }

    /// The addresses of a name; none when it has none, or when the zone is gone.
    fn record_set(&self, zone: &str, name: &str, doing: &str) -> Result<Option<RecordSet>> {
        let url = format!("{}/rrsets/{}/A", self.zone_url(zone), url::encode(name));
        let answer = self.send(Request::get(url))?;
        if answer.status == 404 {
            return Ok(None);
        }
        self.check(doing, &answer)?;
        answer.json().map(Some)
    }

    fn record_sets(&self, zone: &str, token: &str, doing: &str) -> Result<RecordSets> {
        let request = Request::get(format!("{}/rrsets", self.zone_url(zone)))
            .query_opt("pageToken", Some(token).filter(|token| !token.is_empty()));
        let answer = self.send(request)?;
        self.check(doing, &answer)?;
        answer.json()
    }

    /// Takes all out of a zone but what it cannot be without.
    fn empty(&self, zone: &ManagedZone, doing: &str) -> Result<()> {
        let mut sets = Vec::new();
        let mut token = String::new();
        loop {
            let page = self.record_sets(&zone.name, &token, doing)?;
            sets.extend(page.rrsets.into_iter().filter(|set| !set.is_apex(&zone.dns_name)));
            if page.next_page_token.is_empty() {
                break;
            }
            token = page.next_page_token;
        }
        for part in sets.chunks(limits::RECORDS_PER_CHANGE) {
            let answer = self.change(&zone.name, part, &[])?;
            if matches!(answer.status, 404 | 412) {
                return Err(self.disturbed(doing, &answer));
            }
            self.check(doing, &answer)?;
        }
        Ok(())
    }

    /// Another change came between reading and writing: the host shall try again.
    fn disturbed(&self, doing: &str, answer: &Response) -> Error {
        let refused = google::error(doing, answer, self.host.now());
        Error {
            provider_status: refused.provider_status,
            ..Error::not_ready(refused.message, limits::NOT_READY_RETRY_MS)
        }
    }
}
