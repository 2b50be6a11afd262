//! Changes: what a zone holds is replaced as a whole or not at all.

use http::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::error::{DnsError, Result};
use super::rrset::RecordSet;
use super::store::{self, Zone};
use crate::{limits, time};

/// A change, read and not yet judged.
#[derive(Debug, Default)]
pub struct Change {
    pub deletions: Vec<RecordSet>,
    pub additions: Vec<RecordSet>,
    /// Whether the zone's own records may go: not by itself.
    pub of_server: bool,
}

impl Change {
    /// Reads a checked `Change`.
    ///
    /// # Errors
    /// 400 that names the field, 403 beyond a quota.
    pub fn read(body: &Value, zone: &Zone) -> Result<Self> {
        let sets = |side: &str, quota: &str, most: usize| -> Result<Vec<RecordSet>> {
            let list = body[side].as_array().map_or(&[] as &[Value], Vec::as_slice);
            if list.len() > most {
                return Err(DnsError::quota(&format!("entity.change.{side}"), quota, most));
            }
            let read = |(index, set): (usize, &Value)| {
                RecordSet::read(set, &format!("entity.change.{side}[{index}]"), &zone.dns_name)
            };
            list.iter().enumerate().map(read).collect()
        };
        let change = Self {
            deletions: sets("deletions", "rrsetDeletionsPerChange", limits::DNS_SETS_PER_CHANGE)?,
            additions: sets("additions", "rrsetAdditionsPerChange", limits::DNS_SETS_PER_CHANGE)?,
            of_server: false,
        };
        if change.deletions.is_empty() && change.additions.is_empty() {
            return Err(DnsError::required("entity.change"));
        }
        let size = change.additions.iter().flat_map(|set| &set.data).map(String::len).sum::<usize>();
        if size > limits::DNS_DATA_PER_CHANGE {
            return Err(DnsError::quota(
                "entity.change",
                "totalRrdataSizePerChange",
                limits::DNS_DATA_PER_CHANGE,
            ));
        }
        Ok(change)
    }

    /// What the zone holds afterwards.
    ///
    /// # Errors
    /// 404, 409 and 412 as the record sets that are there demand it; 400 for what no zone may hold; 403 beyond a quota.
    pub fn judge(&self, zone: &Zone, mut sets: Vec<RecordSet>) -> Result<Vec<RecordSet>> {
        let place = |side: &str, set: &RecordSet| format!("entity.change.{side}[{}][{}]", set.name, set.kind);
        let same = |one: &RecordSet, other: &RecordSet| one.name == other.name && one.kind == other.kind;
        for gone in &self.deletions {
            let place = place("deletions", gone);
            let Some(index) = sets.iter().position(|set| same(set, gone)) else {
                return Err(DnsError::missing(&place, &gone.title()));
            };
            if !sets[index].is(gone) {
                return Err(DnsError::precondition(&place));
            }
            sets.remove(index);
        }
        for new in &self.additions {
            let place = place("additions", new);
            if sets.iter().any(|set| same(set, new)) {
                return Err(DnsError::exists(&place, &new.title()));
            }
            let alone = |set: &RecordSet| set.kind == "CNAME";
            if sets.iter().any(|set| set.name == new.name && (alone(set) || alone(new))) {
                let message = format!(
                    "The resource record set '{place}' is invalid because the DNS name '{}' may have either one CNAME \
                     resource record set or resource record sets of other types, but not both.",
                    new.name
                );
                return Err(DnsError::new(
                    StatusCode::BAD_REQUEST,
                    "cnameResourceRecordSetConflict",
                    message,
                ));
            }
            sets.push(new.clone());
        }
        for kind in ["SOA", "NS"] {
            if !sets.iter().any(|set| set.kind == kind && set.name == zone.dns_name) {
                let message = format!(
                    "A managed zone must contain exactly one resource record set of type '{kind}' at the apex."
                );
                return Err(DnsError::new(StatusCode::BAD_REQUEST, "invalidZoneApex", message));
            }
        }
        if sets.len() > limits::DNS_SETS_PER_ZONE {
            return Err(DnsError::quota("entity.change", "rrsetsPerManagedZone", limits::DNS_SETS_PER_ZONE));
        }
        Ok(sets)
    }

    /// Judges it and carries it out, in one transaction. Gives the change's number and resource, which is pending.
    ///
    /// # Errors
    /// As [`Change::judge`].
    pub fn apply(&self, db: &mut Connection, zone: &Zone) -> Result<(i64, Value)> {
        let transaction = db.transaction()?;
        if !self.of_server {
            self.judge(zone, store::rrsets(&transaction, zone.id)?)?;
        }
        for gone in &self.deletions {
            store::remove_rrset(&transaction, zone.id, &gone.name, &gone.kind)?;
        }
        for new in &self.additions {
            store::put_rrset(&transaction, zone.id, new)?;
        }
        let change = store::add_change(&transaction, zone.id, |id| self.resource(id))?;
        transaction.commit()?;
        Ok(change)
    }

    fn resource(&self, id: i64) -> Value {
        let sets = |list: &[RecordSet]| list.iter().map(RecordSet::resource).collect::<Vec<_>>();
        let mut resource = json!({
            "kind": "dns#change",
            "id": id.to_string(),
            "startTime": time::millis(time::now()),
            "status": "pending",
        });
        for (side, list) in [("additions", &self.additions), ("deletions", &self.deletions)] {
            if !list.is_empty() {
                resource[side] = json!(sets(list));
            }
        }
        resource
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, kind: &str, data: &str) -> RecordSet {
        RecordSet { name: format!("{name}z."), kind: kind.into(), ttl: 10, data: vec![data.into()] }
    }

    fn zone() -> Zone {
        Zone { project: "p".into(), name: "z".into(), id: 1, dns_name: "z.".into(), doc: Value::Null }
    }

    fn held() -> Vec<RecordSet> {
        vec![set("", "SOA", "n. h. 1 1 1 1 1"), set("", "NS", "n."), set("a.", "A", "10.0.0.1")]
    }

    fn judge(deletions: &[RecordSet], additions: &[RecordSet]) -> Result<Vec<RecordSet>> {
        let change =
            Change { deletions: deletions.to_vec(), additions: additions.to_vec(), of_server: false };
        change.judge(&zone(), held())
    }

    #[test]
    fn a_record_set_is_replaced_by_deleting_and_adding_it() {
        let after = judge(&[set("a.", "A", "10.0.0.1")], &[set("a.", "A", "10.0.0.2")]).unwrap();
        assert_eq!(after.len(), 3);
        assert!(after.contains(&set("a.", "A", "10.0.0.2")));
    }

    #[test]
    fn each_refusal_has_the_words_of_the_api() {
        let refused = |deletions: &[RecordSet], additions: &[RecordSet]| {
            let error = judge(deletions, additions).unwrap_err();
            (error.status.as_u16(), error.reason, error.message)
        };
        assert_eq!(
            refused(&[], &[set("a.", "A", "10.0.0.2")]),
            (
                409,
                "alreadyExists",
                "The resource 'entity.change.additions[a.z.][A]' named 'a.z. (A)' already exists".into()
            )
        );
        assert_eq!(
            refused(&[set("b.", "A", "10.0.0.1")], &[]),
            (
                404,
                "notFound",
                "The 'entity.change.deletions[b.z.][A]' resource named 'b.z. (A)' does not exist.".into()
            )
        );
        assert_eq!(
            refused(&[set("a.", "A", "10.0.0.9")], &[]),
            (412, "conditionNotMet", "Precondition not met for 'entity.change.deletions[a.z.][A]'".into())
        );
        assert_eq!(refused(&[], &[set("a.", "CNAME", "b.z.")]).1, "cnameResourceRecordSetConflict");
        assert_eq!(refused(&[set("", "NS", "n.")], &[]).1, "invalidZoneApex");
    }
}
