//! Zones, their record sets and their changes in the database.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::rrset::RecordSet;

/// Tables of Cloud DNS.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS dns_zones (
    project TEXT NOT NULL, name TEXT NOT NULL, id INTEGER NOT NULL, dns_name TEXT NOT NULL, doc TEXT NOT NULL,
    PRIMARY KEY (project, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dns_rrsets (
    zone INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, ttl INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (zone, name, type)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dns_changes (
    zone INTEGER NOT NULL, id INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (zone, id)
) WITHOUT ROWID;";

/// A managed zone.
#[derive(Debug, Clone)]
pub struct Zone {
    pub project: String,
    pub name: String,
    /// Unique for ever, as the API's `id`.
    pub id: i64,
    /// With its final dot.
    pub dns_name: String,
    /// The resource.
    pub doc: Value,
}

fn zone_of(row: &Row<'_>) -> rusqlite::Result<Zone> {
    Ok(Zone {
        project: row.get(0)?,
        name: row.get(1)?,
        id: row.get(2)?,
        dns_name: row.get(3)?,
        doc: json_of(row, 4)?,
    })
}

fn json_of<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// A zone by name.
pub fn zone(db: &Connection, project: &str, name: &str) -> rusqlite::Result<Option<Zone>> {
    db.prepare_cached(
        "SELECT project, name, id, dns_name, doc FROM dns_zones WHERE project = ?1 AND name = ?2",
    )?
    .query_row([project, name], zone_of)
    .optional()
}

/// Zones of a project by name, behind `after`; all projects' when none is given.
pub fn zones(db: &Connection, project: Option<&str>, after: &str) -> rusqlite::Result<Vec<Zone>> {
    let mut statement = db.prepare_cached(
        "SELECT project, name, id, dns_name, doc FROM dns_zones
         WHERE (?1 IS NULL OR project = ?1) AND name > ?2 ORDER BY name",
    )?;
    statement.query_map(params![project, after], zone_of)?.collect()
}

/// Adds a zone.
pub fn add_zone(db: &Connection, zone: &Zone) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO dns_zones VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        zone.project,
        zone.name,
        zone.id,
        zone.dns_name,
        zone.doc.to_string()
    ])?;
    Ok(())
}

/// Removes a zone with all that belongs to it.
pub fn remove_zone(db: &Connection, zone: &Zone) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM dns_rrsets WHERE zone = ?1")?.execute([zone.id])?;
    db.prepare_cached("DELETE FROM dns_changes WHERE zone = ?1")?.execute([zone.id])?;
    db.prepare_cached("DELETE FROM dns_zones WHERE project = ?1 AND name = ?2")?
        .execute([&zone.project, &zone.name])?;
    Ok(())
}

fn rrset_of(row: &Row<'_>) -> rusqlite::Result<RecordSet> {
    Ok(RecordSet { name: row.get(0)?, kind: row.get(1)?, ttl: row.get(2)?, data: json_of(row, 3)? })
}

/// All record sets of a zone, by name and type.
pub fn rrsets(db: &Connection, zone: i64) -> rusqlite::Result<Vec<RecordSet>> {
    let mut statement = db
        .prepare_cached("SELECT name, type, ttl, data FROM dns_rrsets WHERE zone = ?1 ORDER BY name, type")?;
    statement.query_map([zone], rrset_of)?.collect()
}

/// One record set.
pub fn rrset(db: &Connection, zone: i64, name: &str, kind: &str) -> rusqlite::Result<Option<RecordSet>> {
    db.prepare_cached(
        "SELECT name, type, ttl, data FROM dns_rrsets WHERE zone = ?1 AND name = ?2 AND type = ?3",
    )?
    .query_row(params![zone, name, kind], rrset_of)
    .optional()
}

/// Adds or replaces a record set.
pub fn put_rrset(db: &Connection, zone: i64, set: &RecordSet) -> rusqlite::Result<()> {
    let data = Value::from(set.data.clone()).to_string();
    db.prepare_cached("INSERT OR REPLACE INTO dns_rrsets VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![zone, set.name, set.kind, set.ttl, data])?;
    Ok(())
}

/// Removes a record set.
pub fn remove_rrset(db: &Connection, zone: i64, name: &str, kind: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM dns_rrsets WHERE zone = ?1 AND name = ?2 AND type = ?3")?
        .execute(params![zone, name, kind])?;
    Ok(())
}

/// Adds a change and gives its number: they count from 0 in each zone.
pub fn add_change(
    db: &Connection,
    zone: i64,
    doc: impl FnOnce(i64) -> Value,
) -> rusqlite::Result<(i64, Value)> {
    let id: i64 = db
        .prepare_cached("SELECT COALESCE(MAX(id) + 1, 0) FROM dns_changes WHERE zone = ?1")?
        .query_row([zone], |row| row.get(0))?;
    let doc = doc(id);
    db.prepare_cached("INSERT INTO dns_changes VALUES (?1, ?2, ?3)")?.execute(params![
        zone,
        id,
        doc.to_string()
    ])?;
    Ok((id, doc))
}

/// Changes of a zone, the newest first, older than `before`.
pub fn changes(db: &Connection, zone: i64, before: i64) -> rusqlite::Result<Vec<(i64, Value)>> {
    let mut statement =
        db.prepare_cached("SELECT id, doc FROM dns_changes WHERE zone = ?1 AND id < ?2 ORDER BY id DESC")?;
    statement.query_map([zone, before], |row| Ok((row.get(0)?, json_of(row, 1)?)))?.collect()
}

/// One change.
pub fn change(db: &Connection, zone: i64, id: i64) -> rusqlite::Result<Option<Value>> {
    db.prepare_cached("SELECT doc FROM dns_changes WHERE zone = ?1 AND id = ?2")?
        .query_row([zone, id], |row| json_of(row, 0))
        .optional()
}
