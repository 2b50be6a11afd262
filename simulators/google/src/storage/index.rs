//! Which buckets and objects there are: metadata in the database, content in files.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Map, Value};

/// Tables of Cloud Storage.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, project TEXT NOT NULL, metageneration INTEGER NOT NULL, doc TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
    size INTEGER NOT NULL, file TEXT NOT NULL, crc32c TEXT NOT NULL, md5 TEXT, created TEXT NOT NULL, updated TEXT NOT NULL,
    doc TEXT NOT NULL, PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, name TEXT NOT NULL, query TEXT NOT NULL, doc TEXT NOT NULL
) WITHOUT ROWID;";

/// A bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    pub project: String,
    pub metageneration: i64,
    /// What the user set, and its times.
    pub doc: Map<String, Value>,
}

/// An object's live version.
#[derive(Debug, Clone)]
pub struct Object {
    pub bucket: String,
    pub name: String,
    pub generation: i64,
    pub metageneration: i64,
    /// Bytes.
    pub size: u64,
    /// Name of the file with its content.
    pub file: String,
    /// Big-endian, base64.
    pub crc32c: String,
    /// Base64; a composed object has none.
    pub md5: Option<String>,
    pub created: String,
    pub updated: String,
    /// What the user set: contentType, metadata, ….
    pub doc: Map<String, Value>,
}

type Sql<T> = rusqlite::Result<T>;

fn map(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn text(map: &Map<String, Value>) -> String {
    Value::Object(map.clone()).to_string()
}

/// A bucket by name.
pub fn bucket(db: &Connection, name: &str) -> Sql<Option<Bucket>> {
    db.prepare_cached("SELECT name, project, metageneration, doc FROM buckets WHERE name = ?1")?
        .query_row([name], read_bucket)
        .optional()
}

fn read_bucket(row: &Row<'_>) -> Sql<Bucket> {
    Ok(Bucket {
        name: row.get(0)?,
        project: row.get(1)?,
        metageneration: row.get(2)?,
        doc: map(&row.get::<_, String>(3)?),
    })
}

/// Buckets of a project by name, from `after` on.
pub fn buckets(db: &Connection, project: &str, prefix: &str, after: &str, limit: i64) -> Sql<Vec<Bucket>> {
    let mut query = db.prepare_cached(
        "SELECT name, project, metageneration, doc FROM buckets
         WHERE project = ?1 AND name > ?2 AND substr(name, 1, length(?3)) = ?3 ORDER BY name LIMIT ?4",
    )?;
    query.query_map((project, after, prefix, limit), read_bucket)?.collect()
}

/// Adds or replaces a bucket.
pub fn put_bucket(db: &Connection, bucket: &Bucket) -> Sql<()> {
    db.prepare_cached("INSERT OR REPLACE INTO buckets VALUES (?1, ?2, ?3, ?4)")?.execute((
        &bucket.name,
        &bucket.project,
        bucket.metageneration,
        text(&bucket.doc),
    ))?;
    Ok(())
}

/// Removes a bucket.
pub fn remove_bucket(db: &Connection, name: &str) -> Sql<()> {
    db.prepare_cached("DELETE FROM buckets WHERE name = ?1")?.execute([name])?;
    Ok(())
}

const OBJECT: &str = "SELECT bucket, name, generation, metageneration, size, file, crc32c, md5, created, updated, doc FROM objects";

fn read_object(row: &Row<'_>) -> Sql<Object> {
    Ok(Object {
        bucket: row.get(0)?,
        name: row.get(1)?,
        generation: row.get(2)?,
        metageneration: row.get(3)?,
        size: u64::try_from(row.get::<_, i64>(4)?).unwrap_or_default(),
        file: row.get(5)?,
        crc32c: row.get(6)?,
        md5: row.get(7)?,
        created: row.get(8)?,
        updated: row.get(9)?,
        doc: map(&row.get::<_, String>(10)?),
    })
}

/// An object by name.
pub fn object(db: &Connection, bucket: &str, name: &str) -> Sql<Option<Object>> {
    db.prepare_cached(&format!("{OBJECT} WHERE bucket = ?1 AND name = ?2"))?
        .query_row((bucket, name), read_object)
        .optional()
}

/// Objects in the order of their names, from `from` on (without it when `after`).
pub fn objects(db: &Connection, bucket: &str, from: &str, after: bool, limit: i64) -> Sql<Vec<Object>> {
    let compare = if after { ">" } else { ">=" };
    db.prepare_cached(&format!("{OBJECT} WHERE bucket = ?1 AND name {compare} ?2 ORDER BY name LIMIT ?3"))?
        .query_map((bucket, from, limit), read_object)?
        .collect()
}

/// Adds or replaces an object.
pub fn put_object(db: &Connection, object: &Object) -> Sql<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute((
        &object.bucket,
        &object.name,
        object.generation,
        object.metageneration,
        i64::try_from(object.size).unwrap_or(i64::MAX),
        &object.file,
        &object.crc32c,
        &object.md5,
        &object.created,
        &object.updated,
        text(&object.doc),
    ))?;
    Ok(())
}

/// Removes an object.
pub fn remove_object(db: &Connection, bucket: &str, name: &str) -> Sql<()> {
    db.prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND name = ?2")?.execute((bucket, name))?;
    Ok(())
}

/// A resumable upload that was begun.
#[derive(Debug, Clone)]
pub struct Upload {
    pub id: String,
    pub bucket: String,
    pub name: String,
    /// The raw query string with the preconditions.
    pub query: String,
    /// The object's metadata.
    pub doc: Map<String, Value>,
}

/// An upload by id.
pub fn upload(db: &Connection, id: &str) -> Sql<Option<Upload>> {
    db.prepare_cached("SELECT id, bucket, name, query, doc FROM uploads WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Upload {
                id: row.get(0)?,
                bucket: row.get(1)?,
                name: row.get(2)?,
                query: row.get(3)?,
                doc: map(&row.get::<_, String>(4)?),
            })
        })
        .optional()
}

/// Adds an upload.
pub fn put_upload(db: &Connection, upload: &Upload) -> Sql<()> {
    db.prepare_cached("INSERT INTO uploads VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        &upload.id,
        &upload.bucket,
        &upload.name,
        &upload.query,
        text(&upload.doc),
    ))?;
    Ok(())
}

/// Removes an upload.
pub fn remove_upload(db: &Connection, id: &str) -> Sql<()> {
    db.prepare_cached("DELETE FROM uploads WHERE id = ?1")?.execute([id])?;
    Ok(())
}
