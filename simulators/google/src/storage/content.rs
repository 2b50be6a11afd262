//! The files that hold objects' content: written once, never changed.

use std::path::{Path, PathBuf};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use md5::{Digest, Md5};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::{Result, StorageError};
use crate::{ids, limits};

/// Folders of the content.
#[derive(Debug, Clone)]
pub struct Files {
    objects: PathBuf,
    incoming: PathBuf,
    resumable: PathBuf,
}

/// Content that is complete and belongs to no object yet.
#[derive(Debug)]
pub struct Content {
    /// The file's name among the objects'.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// As the API has it.
    pub crc32c: String,
    /// As the API has it.
    pub md5: Option<String>,
}

impl Files {
    /// Makes the folders, and removes what a killed process left half written.
    pub fn open(state: &Path) -> std::io::Result<Self> {
        let files = Self {
            objects: state.join("objects"),
            incoming: state.join("incoming"),
            resumable: state.join("resumable"),
        };
        if files.incoming.exists() {
            std::fs::remove_dir_all(&files.incoming)?;
        }
        for folder in [&files.objects, &files.incoming, &files.resumable] {
            std::fs::create_dir_all(folder)?;
        }
        Ok(files)
    }

    /// Where an object's content is.
    pub fn object(&self, file: &str) -> PathBuf {
        self.objects.join(file)
    }

    /// Where a resumable upload grows.
    pub fn resumable(&self, id: &str) -> PathBuf {
        self.resumable.join(id)
    }

    /// A path for content that a mount writes.
    pub fn staging(&self) -> PathBuf {
        self.incoming.join(ids::secret())
    }

    /// Removes what was staged and will be no object.
    pub fn remove_staged(&self, path: &Path) {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(%error, path = %path.display(), "staged content cannot be removed");
        }
    }

    /// [`Files::discard`] for a thread that may wait.
    pub fn remove(&self, file: &str) {
        self.remove_staged(&self.object(file));
    }

    /// Removes content that no object has any more; readers that opened it read on.
    pub async fn discard(&self, file: &str) {
        if let Err(error) = fs::remove_file(self.object(file)).await {
            tracing::warn!(%error, file, "content cannot be removed");
        }
    }

    /// Begins new content.
    pub async fn create(&self) -> Result<Writer> {
        let file = ids::secret();
        let path = self.incoming.join(&file);
        let out = File::create(&path).await?;
        Ok(Writer { files: self.clone(), file, path, out, size: 0, crc32c: 0, md5: Some(Md5::new()) })
    }

    /// The same content for another object: a second name of the file.
    pub async fn link(&self, file: &str) -> Result<String> {
        let other = ids::secret();
        fs::hard_link(self.object(file), self.object(&other)).await?;
        Ok(other)
    }

    /// Takes over a file that was written elsewhere in the state's folder.
    pub async fn adopt(&self, path: &Path) -> Result<Content> {
        let mut from = File::open(path).await?;
        let (mut size, mut crc32c, mut md5) = (0, 0, Md5::new());
        let mut block = vec![0; limits::COPY_BLOCK];
        loop {
            let count = from.read(&mut block).await?;
            if count == 0 {
                break;
            }
            size += count as u64;
            crc32c = crc32c::crc32c_append(crc32c, &block[..count]);
            md5.update(&block[..count]);
        }
        let file = ids::secret();
        fs::rename(path, self.object(&file)).await?;
        Ok(Content { file, size, crc32c: encode_crc(crc32c), md5: Some(STANDARD.encode(md5.finalize())) })
    }
}

/// Content in the making; dropped without [`Writer::finish`] it is removed.
pub struct Writer {
    files: Files,
    file: String,
    path: PathBuf,
    out: File,
    size: u64,
    crc32c: u32,
    md5: Option<Md5>,
}

impl Writer {
    /// Adds bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).await?;
        self.size += bytes.len() as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        Ok(())
    }

    /// Adds a file's content.
    pub async fn append(&mut self, path: &Path) -> Result<()> {
        let mut from = File::open(path).await?;
        let mut block = vec![0; limits::COPY_BLOCK];
        loop {
            let count = from.read(&mut block).await?;
            if count == 0 {
                return Ok(());
            }
            self.write(&block[..count]).await?;
        }
    }

    /// Adds a request's body.
    pub async fn body(&mut self, body: Body) -> Result<()> {
        let mut stream = body.into_data_stream();
        while let Some(chunk) = stream.next().await {
            self.write(&received(chunk)?).await?;
        }
        Ok(())
    }

    /// Goes without an MD5: composed objects have none.
    pub fn without_md5(mut self) -> Self {
        self.md5 = None;
        self
    }

    /// Completes the content.
    pub async fn finish(mut self) -> Result<Content> {
        self.out.flush().await?;
        fs::rename(&self.path, self.files.object(&self.file)).await?;
        Ok(Content {
            file: std::mem::take(&mut self.file),
            size: self.size,
            crc32c: encode_crc(self.crc32c),
            md5: self.md5.take().map(|md5| STANDARD.encode(md5.finalize())),
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Finished content has given its name away.
        if !self.file.is_empty()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "unfinished content cannot be removed");
        }
    }
}

/// A chunk of a request's body; a client that went away is the client's fault.
pub fn received(chunk: std::result::Result<Bytes, axum::Error>) -> Result<Bytes> {
    chunk.map_err(|error| StorageError::invalid(format!("The request's body ended early: {error}")))
}

/// As the API has it: big-endian, base64.
pub fn encode_crc(crc32c: u32) -> String {
    STANDARD.encode(crc32c.to_be_bytes())
}
