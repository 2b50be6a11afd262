//! Which repository has which blobs, manifests and tags. Blobs themselves are files, named by digest.

use rusqlite::{Connection, OptionalExtension};

/// Tables of the registry.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS registry_blobs (
    repository TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS registry_manifests (
    repository TEXT NOT NULL, digest TEXT NOT NULL, kind TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (repository, digest)
);
CREATE TABLE IF NOT EXISTS registry_tags (
    repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, tag)
) WITHOUT ROWID;";

type Sql<T> = rusqlite::Result<T>;

/// A manifest as it was put.
pub struct Manifest {
    /// `sha256:…`
    pub digest: String,
    /// Its media type.
    pub kind: String,
    /// Byte for byte.
    pub content: Vec<u8>,
}

/// Whether a repository has a blob.
pub fn has_blob(db: &Connection, repository: &str, digest: &str) -> Sql<bool> {
    db.prepare_cached("SELECT 1 FROM registry_blobs WHERE repository = ?1 AND digest = ?2")?
        .exists((repository, digest))
}

/// Gives a blob to a repository.
pub fn add_blob(db: &Connection, repository: &str, digest: &str) -> Sql<()> {
    db.prepare_cached("INSERT OR IGNORE INTO registry_blobs VALUES (?1, ?2)")?
        .execute((repository, digest))?;
    Ok(())
}

/// Takes a blob from a repository: whether it had it, and whether others still do.
pub fn remove_blob(db: &Connection, repository: &str, digest: &str) -> Sql<(bool, bool)> {
    let removed =
        db.execute("DELETE FROM registry_blobs WHERE repository = ?1 AND digest = ?2", (repository, digest))?;
    let others = db.prepare_cached("SELECT 1 FROM registry_blobs WHERE digest = ?1")?.exists([digest])?;
    Ok((removed > 0, others))
}

/// A manifest by tag or digest.
pub fn manifest(db: &Connection, repository: &str, reference: &str) -> Sql<Option<Manifest>> {
    let sql = if reference.contains(':') {
        "SELECT digest, kind, content FROM registry_manifests WHERE repository = ?1 AND digest = ?2"
    } else {
        "SELECT m.digest, m.kind, m.content FROM registry_tags t
         JOIN registry_manifests m ON m.repository = t.repository AND m.digest = t.digest
         WHERE t.repository = ?1 AND t.tag = ?2"
    };
    db.prepare_cached(sql)?
        .query_row((repository, reference), |row| {
            Ok(Manifest { digest: row.get(0)?, kind: row.get(1)?, content: row.get(2)? })
        })
        .optional()
}

/// Adds a manifest, and a tag that points to it.
pub fn put_manifest(db: &Connection, repository: &str, manifest: &Manifest, tag: Option<&str>) -> Sql<()> {
    db.prepare_cached("INSERT OR REPLACE INTO registry_manifests VALUES (?1, ?2, ?3, ?4)")?.execute((
        repository,
        &manifest.digest,
        &manifest.kind,
        &manifest.content,
    ))?;
    if let Some(tag) = tag {
        db.prepare_cached("INSERT OR REPLACE INTO registry_tags VALUES (?1, ?2, ?3)")?.execute((
            repository,
            tag,
            &manifest.digest,
        ))?;
    }
    Ok(())
}

/// Removes a tag, or a manifest with its tags; false when there was none.
pub fn remove_manifest(db: &Connection, repository: &str, reference: &str) -> Sql<bool> {
    if !reference.contains(':') {
        let removed = db.execute(
            "DELETE FROM registry_tags WHERE repository = ?1 AND tag = ?2",
            (repository, reference),
        )?;
        return Ok(removed > 0);
    }
    db.execute("DELETE FROM registry_tags WHERE repository = ?1 AND digest = ?2", (repository, reference))?;
    let removed = db.execute(
        "DELETE FROM registry_manifests WHERE repository = ?1 AND digest = ?2",
        (repository, reference),
    )?;
    Ok(removed > 0)
}

/// Tags of a repository behind `after`; none when there is no such repository.
pub fn tags(db: &Connection, repository: &str, after: &str, limit: i64) -> Sql<Option<Vec<String>>> {
    let known = db
        .prepare_cached("SELECT 1 FROM registry_manifests WHERE repository = ?1 UNION SELECT 1 FROM registry_blobs WHERE repository = ?1")?
        .exists([repository])?;
    if !known {
        return Ok(None);
    }
    let mut query = db.prepare_cached(
        "SELECT tag FROM registry_tags WHERE repository = ?1 AND tag > ?2 ORDER BY tag LIMIT ?3",
    )?;
    query.query_map((repository, after, limit), |row| row.get(0))?.collect::<Sql<_>>().map(Some)
}

/// Repositories behind `after`.
pub fn repositories(db: &Connection, after: &str, limit: i64) -> Sql<Vec<String>> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT repository FROM registry_manifests WHERE repository > ?1 ORDER BY repository LIMIT ?2",
    )?;
    query.query_map((after, limit), |row| row.get(0))?.collect()
}
