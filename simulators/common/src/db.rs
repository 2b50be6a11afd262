//! A simulator's own state: SQLite files.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

/// The table of [`Database::setting`].
pub const SETTINGS: &str =
    "CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

/// The database. Calls are short: they run on the caller's thread.
pub struct Database {
    connection: Mutex<Connection>,
}

impl Database {
    /// Opens or creates the file with these tables. A cloud loses nothing when its process dies, so the log is written
    /// ahead; a power cut may cost the last moments, which a simulator can afford.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(path: &Path, tables: &[&str]) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        // Idle memory stays small: the page cache is 2 MiB.
        connection.pragma_update(None, "cache_size", -2_048)?;
        connection.set_prepared_statement_cache_capacity(64);
        for schema in tables {
            connection.execute_batch(schema)?;
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// The connection, for this caller alone. Nobody may hold it across an await.
    pub fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a statement leaves no half transaction: SQLite rolls it back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A value that outlives the process.
    pub fn setting(&self, key: &str) -> rusqlite::Result<Option<String>> {
        use rusqlite::OptionalExtension;
        self.lock()
            .prepare_cached("SELECT value FROM settings WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()
    }

    /// Sets such a value.
    pub fn set_setting(&self, key: &str, value: &str) -> rusqlite::Result<()> {
        self.lock()
            .prepare_cached(
                "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
            )?
            .execute([key, value])?;
        Ok(())
    }
}
