//! A bucket's objects as the file system needs them: found, listed, replaced and moved at once, without a request.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fuser::Errno;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
pub use sockerless_simulator_common::fuse::Result;

use crate::db::Database;
use crate::storage::content::Files;
use crate::storage::index::{self, Object};
use crate::storage::{Generations, content};
use crate::{ids, limits, time};

/// What gcsfuse keeps of a file that an object has no field for.
pub const MTIME: &str = "gcsfuse_mtime";
/// Where a symbolic link leads.
pub const TARGET: &str = "gcsfuse_symlink_target";

/// The objects below a prefix of a bucket. Names here are relative to it.
#[derive(Clone)]
pub struct Objects {
    pub db: Arc<Database>,
    pub files: Files,
    pub generations: Arc<Generations>,
    pub bucket: String,
    /// Empty, or with a slash at its end.
    pub prefix: String,
}

/// What lies directly in a folder.
pub struct Child {
    /// Without a slash.
    pub name: String,
    pub folder: bool,
    /// The object of that name, of a folder that has none: nothing.
    pub object: Option<Object>,
}

fn sql(error: rusqlite::Error) -> Errno {
    tracing::error!(%error, "the simulator's database failed");
    Errno::EIO
}

pub fn disk(error: io::Error) -> Errno {
    tracing::error!(%error, "the simulator's file system failed");
    Errno::EIO
}

impl Objects {
    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// An object.
    pub fn get(&self, name: &str) -> Result<Option<Object>> {
        index::object(&self.db.lock(), &self.bucket, &self.full(name)).map_err(sql)
    }

    /// Whether anything begins with that name.
    pub fn any_below(&self, folder: &str) -> Result<bool> {
        let prefix = self.full(folder);
        let found = index::objects(&self.db.lock(), &self.bucket, &prefix, false, 1).map_err(sql)?;
        Ok(found.first().is_some_and(|object| object.name.starts_with(&prefix)))
    }

    /// All objects whose names begin so, the one of exactly that name included; at most `most`.
    pub fn all_below(&self, folder: &str, most: usize) -> Result<Vec<Object>> {
        let prefix = self.full(folder);
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let found = index::objects(&self.db.lock(), &self.bucket, &prefix, false, limit).map_err(sql)?;
        Ok(found.into_iter().take_while(|object| object.name.starts_with(&prefix)).collect())
    }

    /// The children of a folder (empty, or with a slash at its end), as a listing with a delimiter gives them.
    pub fn children(&self, folder: &str) -> Result<Vec<Child>> {
        let prefix = self.full(folder);
        let mut children: Vec<Child> = Vec::new();
        let (mut from, mut after) = (prefix.clone(), false);
        loop {
            let page = index::objects(&self.db.lock(), &self.bucket, &from, after, limits::FUSE_LIST_PAGE)
                .map_err(sql)?;
            let Some(last) = page.last().map(|object| object.name.clone()) else { return Ok(children) };
            (from, after) = (last, true);
            for object in page {
                let Some(rest) = object.name.strip_prefix(&prefix) else { return Ok(children) };
                match rest.split_once('/') {
                    None if rest.is_empty() => {}
                    None => {
                        children.push(Child { name: rest.to_owned(), folder: false, object: Some(object) })
                    }
                    Some(("", _)) => {}
                    Some((name, below)) => {
                        if children.last().is_none_or(|last| last.name != name || !last.folder) {
                            let (name, object) = (name.to_owned(), below.is_empty().then(|| object.clone()));
                            children.push(Child { name, folder: true, object });
                        }
                        // The rest of that folder is skipped: '0' comes after '/'.
                        let next = format!("{prefix}{name}0");
                        if next > from {
                            (from, after) = (next, false);
                        }
                    }
                }
            }
        }
    }

    /// Where an object's content is.
    pub fn content(&self, object: &Object) -> PathBuf {
        self.files.object(&object.file)
    }

    /// A file to write to before it becomes an object's content.
    pub fn stage(&self) -> Result<(PathBuf, File)> {
        let path = self.files.staging();
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(disk)?;
        Ok((path, file))
    }

    /// Makes a staged file the object's content, provided that the object's generation is still that one (0: that there is
    /// none). Otherwise somebody else was quicker: a stale file handle, and the staged file is lost, as gcsfuse has it.
    pub fn put(
        &self,
        name: &str,
        staged: &Path,
        source: i64,
        metadata: Map<String, Value>,
    ) -> Result<Object> {
        let (size, crc32c, md5) = checksums(staged).map_err(disk)?;
        let file = ids::secret();
        std::fs::rename(staged, self.files.object(&file)).map_err(disk)?;
        let outcome = self.commit(name, source, |created, now| Object {
            bucket: self.bucket.clone(),
            name: self.full(name),
            generation: self.generations.next(),
            metageneration: 1,
            size,
            file: file.clone(),
            crc32c: crc32c.clone(),
            md5: Some(md5.clone()),
            created: created.unwrap_or_else(|| now.clone()),
            updated: now,
            doc: Map::from_iter([
                ("contentType".to_owned(), json!("application/octet-stream")),
                ("metadata".to_owned(), Value::Object(metadata.clone())),
            ]),
        });
        if outcome.is_err() {
            self.files.remove(&file);
        }
        outcome
    }

    fn commit(
        &self,
        name: &str,
        source: i64,
        object: impl FnOnce(Option<String>, String) -> Object,
    ) -> Result<Object> {
        let db = self.db.lock();
        if index::bucket(&db, &self.bucket).map_err(sql)?.is_none() {
            return Err(Errno::EIO);
        }
        let old = index::object(&db, &self.bucket, &self.full(name)).map_err(sql)?;
        if old.as_ref().map_or(0, |old| old.generation) != source {
            return Err(Errno::ESTALE);
        }
        let new = object(None, time::millis(time::now()));
        index::put_object(&db, &new).map_err(sql)?;
        drop(db);
        if let Some(old) = old {
            self.files.remove(&old.file);
        }
        Ok(new)
    }

    /// Adds an object without content that must not be there yet: a folder, or a link.
    pub fn put_empty(&self, name: &str, metadata: Map<String, Value>) -> Result<Object> {
        let (path, _) = self.stage()?;
        let outcome = self.put(name, &path, 0, metadata);
        outcome.map_err(|error| if error.code() == Errno::ESTALE.code() { Errno::EEXIST } else { error })
    }

    /// Removes an object; whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let db = self.db.lock();
        let Some(old) = index::object(&db, &self.bucket, &self.full(name)).map_err(sql)? else {
            return Ok(false);
        };
        index::remove_object(&db, &self.bucket, &old.name).map_err(sql)?;
        drop(db);
        self.files.remove(&old.file);
        Ok(true)
    }

    /// Copies an object to another name and removes it: two steps in the cloud, too.
    pub fn rename(&self, from: &Object, to: &str) -> Result<Object> {
        let to = self.full(to);
        let db = self.db.lock();
        let old = index::object(&db, &self.bucket, &to).map_err(sql)?;
        let mut new = from.clone();
        new.name = to;
        new.generation = self.generations.next();
        index::put_object(&db, &new).map_err(sql)?;
        index::remove_object(&db, &self.bucket, &from.name).map_err(sql)?;
        drop(db);
        if let Some(old) = old {
            self.files.remove(&old.file);
        }
        Ok(new)
    }

    /// Sets a key of an object's metadata.
    pub fn set_metadata(&self, name: &str, key: &str, value: String) -> Result<Object> {
        let db = self.db.lock();
        let mut object =
            index::object(&db, &self.bucket, &self.full(name)).map_err(sql)?.ok_or(Errno::ENOENT)?;
        object.metageneration += 1;
        object.updated = time::millis(time::now());
        let metadata = object.doc.entry("metadata").or_insert_with(|| json!({}));
        metadata[key] = json!(value);
        index::put_object(&db, &object).map_err(sql)?;
        Ok(object)
    }
}

/// A key of an object's metadata.
pub fn metadata<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.doc.get("metadata")?.get(key)?.as_str()
}

fn checksums(path: &Path) -> io::Result<(u64, String, String)> {
    let mut from = File::open(path)?;
    let (mut size, mut crc32c, mut md5) = (0, 0, Md5::new());
    let mut block = vec![0; limits::COPY_BLOCK];
    loop {
        let count = from.read(&mut block)?;
        if count == 0 {
            return Ok((size, content::encode_crc(crc32c), STANDARD.encode(md5.finalize())));
        }
        size += count as u64;
        crc32c = crc32c::crc32c_append(crc32c, &block[..count]);
        md5.update(&block[..count]);
    }
}
