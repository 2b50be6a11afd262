//! Lines in the database.

use std::sync::Arc;

use rusqlite::params;
use sockerless_simulator_common::Database;

use crate::limits;

/// The table of the lines.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS log_rows (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, received INTEGER NOT NULL, job TEXT NOT NULL, app TEXT NOT NULL,
    replica TEXT NOT NULL, container TEXT NOT NULL, image TEXT NOT NULL, stream TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS log_replicas ON log_rows (replica, id);";

/// What the lines of a container share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    pub job: String,
    pub app: String,
    pub replica: String,
    pub container: String,
    pub image: String,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: i64,
    pub source: Arc<Source>,
    /// Nanoseconds since 1970.
    pub time: i64,
    /// When it can be found first; nanoseconds since 1970.
    pub received: i64,
    /// `stdout` or `stderr`.
    pub stream: String,
    pub text: String,
}

/// Adds lines; the oldest go when there are too many.
pub fn add(db: &Database, rows: &[Row]) -> rusqlite::Result<()> {
    let mut connection = db.lock();
    let transaction = connection.transaction()?;
    for row in rows {
        let source = &row.source;
        transaction
            .prepare_cached(
                "INSERT INTO log_rows (time, received, job, app, replica, container, image, stream, text)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                row.time,
                row.received,
                source.job,
                source.app,
                source.replica,
                source.container,
                source.image,
                row.stream,
                row.text
            ])?;
    }
    let last = transaction.last_insert_rowid();
    let first: i64 =
        transaction.query_row("SELECT coalesce(min(id), 0) FROM log_rows", [], |row| row.get(0))?;
    if last - first > limits::LOG_ROWS {
        transaction.execute("DELETE FROM log_rows WHERE id < ?1", [first + limits::LOG_TRIM])?;
    }
    transaction.commit()
}

/// What the database can sort out before the query looks at each line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Nanoseconds, inclusive.
    pub from: i64,
    /// Replicas whose names begin so.
    pub replica: String,
    /// Lines received later are not to be found yet.
    pub now: i64,
}

/// Lines in the order in which they were written, each given to `take` until that says to stop.
pub fn read(db: &Database, narrowing: &Narrowing, mut take: impl FnMut(Row) -> bool) -> rusqlite::Result<()> {
    let connection = db.lock();
    let mut query = connection.prepare_cached(
        "SELECT id, time, received, job, app, replica, container, image, stream, text FROM log_rows
         WHERE replica >= ?1 AND replica < ?2 AND time >= ?3 AND received <= ?4 ORDER BY id",
    )?;
    let end = format!("{}\u{10ffff}", narrowing.replica);
    let mut rows = query.query(params![narrowing.replica, end, narrowing.from, narrowing.now])?;
    let mut last = Arc::new(Source::default());
    while let Some(row) = rows.next()? {
        let source = Source {
            job: row.get(3)?,
            app: row.get(4)?,
            replica: row.get(5)?,
            container: row.get(6)?,
            image: row.get(7)?,
        };
        if *last != source {
            last = Arc::new(source);
        }
        let row = Row {
            id: row.get(0)?,
            source: last.clone(),
            time: row.get(1)?,
            received: row.get(2)?,
            stream: row.get(8)?,
            text: row.get(9)?,
        };
        if !take(row) {
            break;
        }
    }
    Ok(())
}
