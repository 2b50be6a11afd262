//! The database: how it is opened, and its migrations.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode};
use sockerless_ports::store::StoreError;

use crate::tuning;

/// Step n takes a database of schema n to n + 1. Released steps never change.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE daemon    (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
    CREATE TABLE container (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
    CREATE TABLE intent    (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
    CREATE TABLE network   (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
    CREATE TABLE volume    (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
    CREATE TABLE image     (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
    ",
    "CREATE TABLE exec (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;",
];

/// Opens the file and brings it to the newest schema.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    let name = path.display().to_string();
    // What a dead daemon left in the write-ahead log is the one moment to look the file over;
    // after an orderly end the log is gone.
    let unclean = std::fs::metadata(wal(path)).is_ok_and(|m| m.len() > 0);
    let fault = |e: rusqlite::Error| explain(&name, &e);
    let mut connection = Connection::open(path).map_err(fault)?;
    connection.busy_timeout(Duration::from_millis(tuning::BUSY_MS)).map_err(fault)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(fault)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fault)?;
    connection.pragma_update(None, "journal_size_limit", tuning::WAL_KEEP).map_err(fault)?;
    if unclean {
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fault)?;
        if verdict != "ok" {
            return Err(damaged(&name, &verdict));
        }
    }
    migrate(&mut connection, &name)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, name: &str) -> Result<(), StoreError> {
    let fault = |e: rusqlite::Error| explain(name, &e);
    let found: usize =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fault)?;
    let newest = MIGRATIONS.len();
    if found > newest {
        return Err(StoreError(format!(
            "{name} was written by a newer sockerless (schema {found}; this one knows {newest}): \
             run that version, or choose another state directory"
        )));
    }
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = connection.transaction().map_err(fault)?;
        transaction.execute_batch(sql).map_err(fault)?;
        transaction.pragma_update(None, "user_version", step + 1).map_err(fault)?;
        transaction.commit().map_err(fault)?;
    }
    Ok(())
}

/// An error of SQLite, in words that say what to do.
pub fn explain(name: &str, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(name, &error.to_string()),
        Some(ErrorCode::DiskFull) => StoreError(format!("the disk that holds {name} is full")),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            StoreError(format!("{name} cannot be written: {error}"))
        }
        _ => StoreError(format!("{name}: {error}")),
    }
}

fn damaged(name: &str, what: &str) -> StoreError {
    StoreError(format!(
        "{name} is damaged ({what}): restore it from a backup, or move it away to begin with an empty state"
    ))
}

fn wal(path: &Path) -> std::path::PathBuf {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    wal.into()
}
