//! Buckets as folders that never change: what gcsfuse shows of them when it may keep what it knows for ever, laid out on disk
//! once for each state of the content. The agent comes so, in no time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::index::{self, Object};
use super::{Files, Storage};
use crate::ids;
use crate::run::MountOptions;

/// Unused layouts that are kept for the next start.
const KEPT: usize = 16;

/// A bucket, or a folder of it, as a folder; it stays while somebody holds it.
#[derive(Debug)]
pub struct Materialised {
    path: PathBuf,
}

impl Materialised {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// All layouts.
pub struct Mounts {
    folder: PathBuf,
    known: Mutex<HashMap<String, Arc<Materialised>>>,
}

impl Mounts {
    /// Begins empty: no task of a former process runs any more.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), known: Mutex::default() })
    }
}

impl Storage {
    /// Lays a bucket out as the options say. Fifty starts of one content cost one layout.
    ///
    /// # Errors
    /// A sentence: no such bucket, or this machine's file system.
    pub async fn materialise(
        &self,
        bucket: &str,
        options: &MountOptions,
    ) -> Result<Arc<Materialised>, String> {
        let objects = self.below(bucket, &options.only_dir)?;
        let key = key(bucket, options, &objects);
        let mut known = self.mounts.known.lock().await;
        if let Some(mount) = known.get(&key) {
            return Ok(mount.clone());
        }
        let (files, folder, options) = (self.files.clone(), self.mounts.folder.clone(), options.clone());
        let path = folder.join(&key);
        let target = path.clone();
        tokio::task::spawn_blocking(move || lay_out(&files, &folder, &target, &objects, &options))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("cannot lay the bucket out: {error}"))?;
        let mount = Arc::new(Materialised { path });
        forget(&mut known).await;
        known.insert(key, mount.clone());
        Ok(mount)
    }

    fn below(&self, bucket: &str, only_dir: &str) -> Result<Vec<Object>, String> {
        let db = self.db.lock();
        let sql = |error: rusqlite::Error| error.to_string();
        if index::bucket(&db, bucket).map_err(sql)?.is_none() {
            return Err(no_bucket(bucket));
        }
        let prefix = if only_dir.is_empty() { String::new() } else { format!("{only_dir}/") };
        let all = index::objects(&db, bucket, &prefix, false, i64::MAX).map_err(sql)?;
        let mut found: Vec<Object> =
            all.into_iter().take_while(|object| object.name.starts_with(&prefix)).collect();
        for object in &mut found {
            object.name.drain(..prefix.len());
        }
        Ok(found)
    }
}

/// gcsfuse cannot tell the two apart.
pub fn no_bucket(bucket: &str) -> String {
    format!("bucket {bucket:?} does not exist or the service account may not read it")
}

/// For a sub path.
pub fn no_folder(sub_path: &str) -> String {
    format!("sub path {sub_path:?} is no folder in the volume")
}

/// Removes layouts that nobody holds when there are many.
async fn forget(known: &mut HashMap<String, Arc<Materialised>>) {
    let idle: Vec<String> =
        known.iter().filter(|(_, mount)| Arc::strong_count(mount) == 1).map(|(key, _)| key.clone()).collect();
    for key in idle.into_iter().skip(KEPT) {
        if let Some(mount) = known.remove(&key)
            && let Err(error) = tokio::fs::remove_dir_all(mount.path()).await
        {
            tracing::warn!(%error, "an old layout cannot be removed");
        }
    }
}

fn key(bucket: &str, options: &MountOptions, objects: &[Object]) -> String {
    let mut options_hash = DefaultHasher::new();
    options.hash(&mut options_hash);
    let mut hash = Sha256::new();
    hash.update(format!("{bucket}\n{}\n", options_hash.finish()));
    for object in objects {
        hash.update(format!("{}\n{}\n", object.name, object.generation));
    }
    hex::encode(&hash.finalize()[..16])
}

fn lay_out(
    files: &Files,
    folder: &Path,
    target: &Path,
    objects: &[Object],
    options: &MountOptions,
) -> std::io::Result<()> {
    let root = folder.join(ids::secret());
    std::fs::create_dir(&root)?;
    let mut folders = vec![root.clone()];
    // Without implicit folders one exists only where an object of its name, with a slash at the end, does.
    let explicit = |dir: &str| objects.iter().any(|object| object.name.strip_suffix('/') == Some(dir));
    for object in objects {
        let name = object.name.trim_end_matches('/');
        let parts: Vec<&str> = name.split('/').collect();
        if name.is_empty() || parts.iter().any(|part| part.is_empty() || *part == "." || *part == "..") {
            continue;
        }
        let parents = if object.name.ends_with('/') { parts.len() } else { parts.len() - 1 };
        let visible = options.implicit_dirs || (1..=parents).all(|depth| explicit(&parts[..depth].join("/")));
        if !visible {
            continue;
        }
        let mut dir = root.clone();
        for part in &parts[..parents] {
            dir.push(part);
            if !dir.is_dir() {
                std::fs::create_dir(&dir)?;
                folders.push(dir.clone());
            }
        }
        if !object.name.ends_with('/') {
            let path = root.join(name);
            if path.is_dir() {
                // gcsfuse shows the folder and hides the file of the same name.
                continue;
            }
            std::fs::copy(files.object(&object.file), &path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(options.file_mode))?;
            own(&path, options)?;
        }
    }
    for dir in folders.iter().rev() {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(options.dir_mode))?;
        own(dir, options)?;
    }
    std::fs::rename(&root, target)
}

fn own(path: &Path, options: &MountOptions) -> std::io::Result<()> {
    if options.uid.is_none() && options.gid.is_none() {
        return Ok(());
    }
    match chown(path, options.uid, options.gid) {
        // An ordinary user cannot give files away; in the container they are root's then, as without the flags.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome,
    }
}
