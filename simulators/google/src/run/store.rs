//! Jobs, executions, tasks and operations as documents in the database.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};

use crate::db::Database;
use crate::error::{ApiError, Result};
use crate::{ids, limits, time};

/// The table of all four.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS run_resources (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    parent TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    done INTEGER NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS run_children ON run_resources (kind, parent, seq);
CREATE INDEX IF NOT EXISTS run_open ON run_resources (kind, done) WHERE done = 0;";

/// Which collection a document is in, and the order of its listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Oldest first.
    Job,
    /// Newest first.
    Execution,
    /// By index.
    Task,
    /// Newest first.
    Operation,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Execution => "execution",
            Self::Task => "task",
            Self::Operation => "operation",
        }
    }
}

/// A document by its full name.
pub fn get(db: &Database, name: &str) -> Result<Option<Value>> {
    read(&db.lock(), name)
}

fn read(connection: &Connection, name: &str) -> Result<Option<Value>> {
    let mut query = connection.prepare_cached("SELECT doc FROM run_resources WHERE name = ?1")?;
    let text: Option<String> = query.query_row([name], |row| row.get(0)).optional()?;
    text.map(|text| decode(&text)).transpose()
}

/// Adds a document; false when there is one of that name.
pub fn insert(db: &Database, kind: Kind, parent: &str, name: &str, doc: &Value) -> Result<bool> {
    let connection = db.lock();
    let mut insert = connection.prepare_cached(
        "INSERT INTO run_resources (kind, parent, name, done, doc) VALUES (?1, ?2, ?3, 0, ?4) ON CONFLICT (name) DO NOTHING",
    )?;
    Ok(insert.execute((kind.word(), parent, name, doc.to_string()))? == 1)
}

/// Changes a document in one step and gives the new one; none when it is gone. It gets a new `etag` and `updateTime`
/// if it has them.
pub fn update(db: &Database, name: &str, change: impl FnOnce(&mut Value)) -> Result<Option<Value>> {
    let connection = db.lock();
    let Some(mut doc) = read(&connection, name)? else { return Ok(None) };
    change(&mut doc);
    if doc.get("etag").is_some() {
        doc["etag"] = json!(etag());
        doc["updateTime"] = json!(time::micros(time::now()));
    }
    connection
        .prepare_cached("UPDATE run_resources SET doc = ?2 WHERE name = ?1")?
        .execute((name, doc.to_string()))?;
    Ok(Some(doc))
}

/// Marks a document as one that changes no more; [`open`] leaves it out.
pub fn finish(db: &Database, name: &str) -> Result<()> {
    db.lock().prepare_cached("UPDATE run_resources SET done = 1 WHERE name = ?1")?.execute([name])?;
    Ok(())
}

/// Marks a finished document as one that changes again.
pub fn reopen(db: &Database, name: &str) -> Result<()> {
    db.lock().prepare_cached("UPDATE run_resources SET done = 0 WHERE name = ?1")?.execute([name])?;
    Ok(())
}

/// Names of what was not finished, oldest first.
pub fn open(db: &Database, kind: Kind) -> rusqlite::Result<Vec<String>> {
    let connection = db.lock();
    let mut query =
        connection.prepare("SELECT name FROM run_resources WHERE kind = ?1 AND done = 0 ORDER BY seq")?;
    query.query_map([kind.word()], |row| row.get(0))?.collect()
}

/// Removes a document and all below it; false when there was none.
pub fn delete(db: &Database, name: &str) -> Result<bool> {
    let connection = db.lock();
    let removed = connection.prepare_cached("DELETE FROM run_resources WHERE name = ?1")?.execute([name])?;
    // `0` follows `/` in ASCII: the range holds what begins with the name and a slash.
    connection
        .prepare_cached("DELETE FROM run_resources WHERE name > ?1 AND name < ?2")?
        .execute((format!("{name}/"), format!("{name}0")))?;
    Ok(removed == 1)
}

/// Removes finished documents of a collection but for the newest ones.
pub fn forget(db: &Database, kind: Kind, parent: &str, keep: i64) -> Result<()> {
    db.lock()
        .prepare_cached(
            "DELETE FROM run_resources WHERE kind = ?1 AND parent = ?2 AND done = 1 AND seq <
             (SELECT seq FROM run_resources WHERE kind = ?1 AND parent = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3)",
        )?
        .execute((kind.word(), parent, keep))?;
    Ok(())
}

/// How many a collection holds.
pub fn count(db: &Database, kind: Kind, parent: &str) -> Result<usize> {
    let connection = db.lock();
    let mut query =
        connection.prepare_cached("SELECT count(*) FROM run_resources WHERE kind = ?1 AND parent = ?2")?;
    Ok(query.query_row((kind.word(), parent), |row| row.get(0))?)
}

/// A page of a collection and the token of the next. `size` of 0 is the default.
///
/// # Errors
/// 400 for a token that is none of ours, or a negative size.
pub fn list(db: &Database, kind: Kind, parent: &str, size: i64, token: Option<&str>) -> Result<Page> {
    page(db, kind, (parent, parent), size, token)
}

/// As [`list`], over all collections whose parents' names begin with this and a slash.
///
/// # Errors
/// As [`list`].
pub fn list_below(db: &Database, kind: Kind, parents: &str, size: i64, token: Option<&str>) -> Result<Page> {
    // `0` follows `/` in ASCII, and no name is the prefix alone.
    page(db, kind, (&format!("{parents}/"), &format!("{parents}0")), size, token)
}

/// Documents, and the token of what follows.
type Page = (Vec<Value>, Option<String>);

/// `parents` are the first and the last of them.
fn page(db: &Database, kind: Kind, parents: (&str, &str), size: i64, token: Option<&str>) -> Result<Page> {
    let size = match usize::try_from(size) {
        Ok(0) => limits::PAGE,
        Ok(size) => size.min(limits::PAGE),
        Err(_) => return Err(ApiError::field("page_size", "page_size must not be negative.")),
    };
    let newest_first = matches!(kind, Kind::Execution | Kind::Operation);
    let after = match token {
        Some(token) => STANDARD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok()?.strip_prefix("seq:")?.parse::<i64>().ok())
            .ok_or_else(|| ApiError::field("page_token", "The page token is invalid."))?,
        None if newest_first => i64::MAX,
        None => 0,
    };
    let connection = db.lock();
    // One parent is an equality, so that the index gives the order, too.
    let which = if parents.0 == parents.1 { "parent = ?2 AND ?3 = ?3" } else { "parent BETWEEN ?2 AND ?3" };
    let order = if newest_first { "seq < ?4 ORDER BY seq DESC" } else { "seq > ?4 ORDER BY seq" };
    let mut query = connection.prepare_cached(&format!(
        "SELECT seq, doc FROM run_resources WHERE kind = ?1 AND {which} AND {order} LIMIT ?5"
    ))?;
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let rows: Vec<(i64, String)> = query
        .query_map((kind.word(), parents.0, parents.1, after, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let next = (rows.len() > size).then(|| STANDARD.encode(format!("seq:{}", rows[size - 1].0)));
    let docs = rows.iter().take(size).map(|(_, text)| decode(text)).collect::<Result<_>>()?;
    Ok((docs, next))
}

/// A new fingerprint, quoted as Cloud Run's are.
pub fn etag() -> String {
    format!("\"{}\"", STANDARD.encode(ids::secret()))
}

fn decode(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        ApiError::new(crate::error::Code::Internal, format!("A stored resource is broken: {error}"))
    })
}
