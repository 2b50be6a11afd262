//! Blobs on disk: layers of loaded and imported images, named by their digest.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sockerless_ports::registry::ImageError;

use crate::digest;

/// The store of blobs.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    staging: PathBuf,
    next: AtomicU64,
}

impl Blobs {
    /// Opens it, and throws away what was being written when the last daemon ended.
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        let (root, staging) = (directory.join("blobs/sha256"), directory.join("staging"));
        let prepare = || {
            match fs::remove_dir_all(&staging) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            fs::create_dir_all(&root)?;
            fs::create_dir_all(&staging)
        };
        prepare().map_err(|e| failed(directory, &e))?;
        Ok(Self { root, staging, next: AtomicU64::new(0) })
    }

    /// A new file that vanishes unless it is kept.
    pub fn stage(&self) -> io::Result<(File, Staged)> {
        let path = self.staging.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        Ok((File::create_new(&path)?, Staged { path }))
    }

    /// Makes a staged file the blob of that digest, durably.
    pub fn keep(&self, staged: &Staged, digest: &str) -> Result<(), ImageError> {
        let path = self.path(digest)?;
        if path.exists() {
            return Ok(());
        }
        let keep = || {
            File::open(&staged.path)?.sync_all()?;
            fs::rename(&staged.path, &path)?;
            File::open(&self.root)?.sync_all()
        };
        keep().map_err(|e| failed(&path, &e))
    }

    /// Where a blob is or would be.
    pub fn path(&self, digest: &str) -> Result<PathBuf, ImageError> {
        let digits =
            digest::digits(digest).ok_or_else(|| ImageError::Internal(format!("no digest: {digest:?}")))?;
        Ok(self.root.join(digits))
    }

    /// Removes all blobs that nobody needs.
    pub fn sweep(&self, needed: &HashSet<String>) -> Result<(), ImageError> {
        let sweep = || -> io::Result<()> {
            for entry in fs::read_dir(&self.root)? {
                let entry = entry?;
                let name = entry.file_name();
                if !needed.contains(&format!("sha256:{}", name.to_string_lossy())) {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        sweep().map_err(|e| failed(&self.root, &e))
    }
}

fn failed(path: &Path, error: &io::Error) -> ImageError {
    ImageError::Internal(format!("{}: {error}", path.display()))
}

/// A file that is being written.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a temporary file stays until the next start");
        }
    }
}
