//! Resources as documents in the database. Ids are compared without regard to case.

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use sockerless_simulator_common::Database;

use crate::error::{ArmError, Result};
use crate::{limits, time};

/// The tables of resources and operations.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS resources (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    parent TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    listed INTEGER NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS resource_children ON resources (kind, parent, seq);
CREATE TABLE IF NOT EXISTS operations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, done INTEGER NOT NULL, doc TEXT NOT NULL
);";

/// A resource by its id.
pub fn get(db: &Database, id: &str) -> Result<Option<Value>> {
    read(&db.lock(), id)
}

fn read(connection: &Connection, id: &str) -> Result<Option<Value>> {
    let mut query = connection.prepare_cached("SELECT doc FROM resources WHERE id = ?1")?;
    let text: Option<String> = query.query_row([id.to_ascii_lowercase()], |row| row.get(0)).optional()?;
    text.map(|text| decode(&text)).transpose()
}

fn decode(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| ArmError::internal(format!("a stored document is broken: {error}")))
}

/// Sets a resource; true when there was none. `listed` is when listings have it first, nanoseconds since 1970.
pub fn put(db: &Database, kind: &str, parent: &str, id: &str, doc: &Value, listed: i64) -> Result<bool> {
    let connection = db.lock();
    let id = id.to_ascii_lowercase();
    let text = doc.to_string();
    let updated =
        connection.prepare_cached("UPDATE resources SET doc = ?2 WHERE id = ?1")?.execute((&id, &text))?;
    if updated > 0 {
        return Ok(false);
    }
    connection
        .prepare_cached("INSERT INTO resources (kind, parent, id, listed, doc) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((kind.to_ascii_lowercase(), parent.to_ascii_lowercase(), &id, listed, &text))?;
    Ok(true)
}

/// Changes a resource in one step and gives the new document; none when it is gone.
pub fn update(db: &Database, id: &str, change: impl FnOnce(&mut Value)) -> Result<Option<Value>> {
    let connection = db.lock();
    let Some(mut doc) = read(&connection, id)? else { return Ok(None) };
    change(&mut doc);
    connection
        .prepare_cached("UPDATE resources SET doc = ?2 WHERE id = ?1")?
        .execute((id.to_ascii_lowercase(), doc.to_string()))?;
    Ok(Some(doc))
}

/// Removes a resource with all below it; false when there was none.
pub fn delete(db: &Database, id: &str) -> Result<bool> {
    let connection = db.lock();
    let id = id.to_ascii_lowercase();
    let removed = connection.prepare_cached("DELETE FROM resources WHERE id = ?1")?.execute([&id])?;
    // `0` follows `/` in ASCII: the range holds what begins with the id and a slash.
    connection
        .prepare_cached("DELETE FROM resources WHERE id > ?1 AND id < ?2")?
        .execute((format!("{id}/"), format!("{id}0")))?;
    Ok(removed > 0)
}

/// A page of what listings have below a parent, oldest first, behind `after`; and where the next one begins.
pub fn list(
    db: &Database,
    kind: &str,
    parent: &str,
    after: i64,
    most: usize,
) -> Result<(Vec<Value>, Option<i64>)> {
    let connection = db.lock();
    let mut query = connection.prepare_cached(
        "SELECT seq, doc FROM resources WHERE kind = ?1 AND (parent = ?2 OR (parent > ?3 AND parent < ?4)) AND listed <= ?5
         AND seq > ?6 ORDER BY seq LIMIT ?7",
    )?;
    let parent = parent.to_ascii_lowercase();
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    // A subscription lists what is in its groups.
    let (low, high) = (format!("{parent}/resourcegroups/"), format!("{parent}/resourcegroups0"));
    let rows = query.query_map(
        (kind.to_ascii_lowercase(), &parent, low, high, time::to_nanos(time::now()), after, limit),
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
    )?;
    let mut found = Vec::new();
    for row in rows {
        let (seq, text) = row?;
        found.push((seq, decode(&text)?));
    }
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|(seq, _)| *seq);
    Ok((found.into_iter().map(|(_, doc)| doc).collect(), next))
}

/// All resources of a kind below a parent, listed or not.
pub fn children(db: &Database, kind: &str, parent: &str) -> Result<Vec<Value>> {
    let connection = db.lock();
    let mut query = connection
        .prepare_cached("SELECT doc FROM resources WHERE kind = ?1 AND parent = ?2 ORDER BY seq")?;
    let rows = query
        .query_map((kind.to_ascii_lowercase(), parent.to_ascii_lowercase()), |row| row.get::<_, String>(0))?;
    rows.map(|row| decode(&row?)).collect()
}

/// All resources of a kind.
pub fn all(db: &Database, kind: &str) -> Result<Vec<Value>> {
    let connection = db.lock();
    let mut query = connection.prepare_cached("SELECT doc FROM resources WHERE kind = ?1 ORDER BY seq")?;
    let rows = query.query_map([kind.to_ascii_lowercase()], |row| row.get::<_, String>(0))?;
    rows.map(|row| decode(&row?)).collect()
}

/// An operation by its name.
pub fn operation(db: &Database, id: &str) -> Result<Option<Value>> {
    let connection = db.lock();
    let mut query = connection.prepare_cached("SELECT doc FROM operations WHERE id = ?1")?;
    let text: Option<String> = query.query_row([id], |row| row.get(0)).optional()?;
    text.map(|text| decode(&text)).transpose()
}

/// Sets an operation; finished ones are forgotten when there are many.
pub fn set_operation(db: &Database, id: &str, done: bool, doc: &Value) -> Result<()> {
    let connection = db.lock();
    connection
        .prepare_cached(
            "INSERT INTO operations (id, done, doc) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET done = ?2, doc = ?3",
        )?
        .execute((id, done, doc.to_string()))?;
    if done {
        connection
            .prepare_cached(
                "DELETE FROM operations WHERE done = 1 AND seq <= (SELECT max(seq) FROM operations) - ?1",
            )?
            .execute([limits::OPERATIONS])?;
    }
    Ok(())
}

/// Names of the operations that are not finished.
pub fn open_operations(db: &Database) -> Result<Vec<String>> {
    let connection = db.lock();
    let mut query = connection.prepare_cached("SELECT id FROM operations WHERE done = 0")?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
