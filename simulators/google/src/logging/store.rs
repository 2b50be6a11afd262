//! Entries in the database. What many entries share (log, resource, labels) is kept once, as a source.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use crate::db::Database;
use crate::limits;

/// Tables of the logs.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS log_sources (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL, log TEXT NOT NULL, execution TEXT NOT NULL, resource TEXT NOT NULL,
    labels TEXT NOT NULL, UNIQUE (project, log, resource, labels)
);
CREATE INDEX IF NOT EXISTS log_executions ON log_sources (execution);
CREATE TABLE IF NOT EXISTS log_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source INTEGER NOT NULL, time INTEGER NOT NULL, received INTEGER NOT NULL,
    insert_id TEXT NOT NULL, severity INTEGER NOT NULL, size INTEGER NOT NULL, rest TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS log_of_source ON log_entries (source, time, insert_id);
CREATE INDEX IF NOT EXISTS log_times ON log_entries (time, insert_id);";

/// The label by which executions are found.
pub const EXECUTION: &str = "run.googleapis.com/execution_name";

/// What entries share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    pub project: String,
    /// The log's id, URL-encoded, as in its name.
    pub log: String,
    /// The label [`EXECUTION`], empty without.
    pub execution: String,
    /// JSON of the monitored resource.
    pub resource: String,
    /// JSON of the labels.
    pub labels: String,
}

/// An entry to be added.
#[derive(Debug, Clone)]
pub struct NewEntry {
    pub source: Arc<Source>,
    /// Nanoseconds since 1970.
    pub time: i64,
    /// When it can be read first; nanoseconds since 1970.
    pub received: i64,
    pub insert_id: String,
    /// 0 to 800.
    pub severity: u16,
    /// JSON of the other fields.
    pub rest: String,
}

/// An entry as it was added.
#[derive(Debug)]
pub struct Entry {
    pub id: i64,
    pub project: String,
    pub log: String,
    pub resource: Value,
    pub labels: Value,
    pub time: i64,
    pub received: i64,
    pub insert_id: String,
    pub severity: u16,
    pub rest: Map<String, Value>,
}

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub struct Stock {
    entries: i64,
    bytes: i64,
}

/// Counts what is there.
pub fn stock(db: &Database) -> rusqlite::Result<Stock> {
    db.lock().query_row("SELECT count(*), coalesce(sum(size), 0) FROM log_entries", [], |row| {
        Ok(Stock { entries: row.get(0)?, bytes: row.get(1)? })
    })
}

/// Adds entries, and removes the oldest when there are too many. Gives what there is then.
pub fn add(db: &Database, entries: &[NewEntry], mut stock: Stock) -> rusqlite::Result<Stock> {
    let mut connection = db.lock();
    let transaction = connection.transaction()?;
    let mut last: Option<(Arc<Source>, i64)> = None;
    for entry in entries {
        let source = match &last {
            Some((source, id)) if Arc::ptr_eq(source, &entry.source) => *id,
            _ => source(&transaction, &entry.source)?,
        };
        last = Some((entry.source.clone(), source));
        let size = i64::try_from(entry.rest.len()).unwrap_or(i64::MAX);
        transaction
            .prepare_cached(
                "INSERT INTO log_entries (source, time, received, insert_id, severity, size, rest)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                source,
                entry.time,
                entry.received,
                entry.insert_id,
                entry.severity,
                size,
                entry.rest
            ])?;
        stock.entries += 1;
        stock.bytes += size;
    }
    while stock.entries > limits::LOG_ENTRIES || stock.bytes > limits::LOG_BYTES {
        stock = trim(&transaction, stock)?;
    }
    transaction.commit()?;
    Ok(stock)
}

fn trim(connection: &Connection, stock: Stock) -> rusqlite::Result<Stock> {
    let oldest = "SELECT id FROM log_entries ORDER BY id LIMIT ?1";
    let (entries, bytes): (i64, i64) = connection.query_row(
        &format!("SELECT count(*), coalesce(sum(size), 0) FROM log_entries WHERE id IN ({oldest})"),
        [limits::LOG_TRIM],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    connection.execute(&format!("DELETE FROM log_entries WHERE id IN ({oldest})"), [limits::LOG_TRIM])?;
    connection.execute(
        "DELETE FROM log_sources WHERE NOT EXISTS (SELECT 1 FROM log_entries WHERE source = log_sources.id)",
        [],
    )?;
    if entries == 0 {
        // The count was wrong; begin anew instead of turning for ever.
        return Ok(Stock { entries: 0, bytes: 0 });
    }
    Ok(Stock { entries: stock.entries - entries, bytes: stock.bytes - bytes })
}

fn source(connection: &Connection, source: &Source) -> rusqlite::Result<i64> {
    let known = connection
        .prepare_cached(
            "SELECT id FROM log_sources WHERE project = ?1 AND log = ?2 AND resource = ?3 AND labels = ?4",
        )?
        .query_row((&source.project, &source.log, &source.resource, &source.labels), |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection
        .prepare_cached(
            "INSERT INTO log_sources (project, log, execution, resource, labels) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((&source.project, &source.log, &source.execution, &source.resource, &source.labels))?;
    Ok(connection.last_insert_rowid())
}

/// Where a page begins: behind this entry in the order asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub time: i64,
    pub insert_id: String,
    pub id: i64,
}

/// What the database can sort out before the filter looks at each entry.
#[derive(Debug, Clone)]
pub struct Narrowing {
    /// Nanoseconds, inclusive.
    pub from: i64,
    /// Nanoseconds, inclusive.
    pub to: i64,
    pub execution: Option<String>,
    /// Entries received later are not to be read yet.
    pub now: i64,
}

/// Some entries of a project in order.
pub fn read(
    db: &Database,
    project: &str,
    narrowing: &Narrowing,
    after: Option<&Position>,
    descending: bool,
    limit: usize,
) -> rusqlite::Result<Vec<Entry>> {
    let (compare, order) = if descending { ("<", "DESC") } else { (">", "ASC") };
    let execution = if narrowing.execution.is_some() { "AND s.execution = ?6" } else { "AND ?6 IS NULL" };
    let sql = format!(
        "SELECT e.id, s.project, s.log, s.resource, s.labels, e.time, e.received, e.insert_id, e.severity, e.rest
         FROM log_entries e JOIN log_sources s ON s.id = e.source
         WHERE s.project = ?1 AND e.time >= ?2 AND e.time <= ?3 AND e.received <= ?4
         AND (e.time, e.insert_id, e.id) {compare} (?7, ?8, ?9) {execution}
         ORDER BY e.time {order}, e.insert_id {order}, e.id {order} LIMIT ?5"
    );
    let end = match (after, descending) {
        (Some(position), _) => position.clone(),
        (None, false) => Position { time: i64::MIN, insert_id: String::new(), id: 0 },
        (None, true) => Position { time: i64::MAX, insert_id: "\u{10ffff}".to_owned(), id: i64::MAX },
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = params![
        project,
        narrowing.from,
        narrowing.to,
        narrowing.now,
        limit,
        narrowing.execution,
        end.time,
        end.insert_id,
        end.id
    ];
    let connection = db.lock();
    let mut query = connection.prepare_cached(&sql)?;
    query
        .query_map(values, |row| {
            Ok(Entry {
                id: row.get(0)?,
                project: row.get(1)?,
                log: row.get(2)?,
                resource: parse(&row.get::<_, String>(3)?),
                labels: parse(&row.get::<_, String>(4)?),
                time: row.get(5)?,
                received: row.get(6)?,
                insert_id: row.get(7)?,
                severity: row.get(8)?,
                rest: serde_json::from_str(&row.get::<_, String>(9)?).unwrap_or_default(),
            })
        })?
        .collect()
}

/// Ids of a project's logs behind `after`.
pub fn logs(db: &Database, project: &str, after: &str, limit: usize) -> rusqlite::Result<Vec<String>> {
    let connection = db.lock();
    let mut query = connection.prepare_cached(
        "SELECT DISTINCT log FROM log_sources WHERE project = ?1 AND log > ?2 ORDER BY log LIMIT ?3",
    )?;
    query.query_map((project, after, i64::try_from(limit).unwrap_or(i64::MAX)), |row| row.get(0))?.collect()
}

/// Removes a log with its entries; false when there is none.
pub fn delete(db: &Database, project: &str, log: &str) -> rusqlite::Result<bool> {
    let mut connection = db.lock();
    let transaction = connection.transaction()?;
    transaction.execute(
        "DELETE FROM log_entries WHERE source IN (SELECT id FROM log_sources WHERE project = ?1 AND log = ?2)",
        (project, log),
    )?;
    let removed =
        transaction.execute("DELETE FROM log_sources WHERE project = ?1 AND log = ?2", (project, log))?;
    transaction.commit()?;
    Ok(removed > 0)
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
