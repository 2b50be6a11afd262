//! What the daemon keeps of a container's files: a folder for each container, with the layer of its last run and the
//! archives that were copied in while no agent was there, in order.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// The folder of one container.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// An archive that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub file: PathBuf,
    /// They are unpacked in this order.
    pub sequence: u32,
    pub kind: PieceKind,
    pub bytes: u64,
}

/// How it is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Everything that was changed up to the end of this generation, over the image. All pieces before it are in it.
    Layer { generation: u32 },
    /// As a client sent it.
    Put(Destination),
}

/// Where a client's archive goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Destination {
    /// As the client gave it.
    pub path: String,
    /// `noOverwriteDirNonDir`.
    pub keep_kind: bool,
}

/// A file that is being written. It vanishes unless it is kept.
#[derive(Debug)]
pub(super) struct Draft {
    pub path: PathBuf,
    file: File,
    left: u64,
    limit: u64,
}

impl Folder {
    pub fn new(root: &Path, container: &str) -> Self {
        Self(root.join("containers").join(container))
    }

    /// What is kept, in the order in which it is to be unpacked.
    pub fn pieces(&self) -> Result<Vec<Piece>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.failed(&error))?,
        };
        let mut pieces = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.failed(&error))?;
            if let Some(piece) = self.piece(&entry).map_err(|error| self.failed(&error))? {
                pieces.push(piece);
            }
        }
        pieces.sort_by_key(|piece| piece.sequence);
        // What a layer contains may still be there when the daemon ended before it could remove it.
        let layer = pieces.iter().rposition(|piece| matches!(piece.kind, PieceKind::Layer { .. }));
        Ok(pieces.split_off(layer.unwrap_or_default()))
    }

    fn piece(&self, entry: &fs::DirEntry) -> io::Result<Option<Piece>> {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((sequence, kind)) = name.strip_suffix(".tar").and_then(|name| name.split_once('-')) else {
            return Ok(None);
        };
        let Ok(sequence) = sequence.parse() else { return Ok(None) };
        let kind = match kind.strip_prefix("layer-").map(str::parse) {
            Some(Ok(generation)) => PieceKind::Layer { generation },
            _ => PieceKind::Put(serde_json::from_slice(&fs::read(self.destination(sequence))?)?),
        };
        Ok(Some(Piece { file: entry.path(), sequence, kind, bytes: entry.metadata()?.len() }))
    }

    fn destination(&self, sequence: u32) -> PathBuf {
        self.0.join(format!("{sequence}-put.json"))
    }

    /// A file to write to, `limit` bytes at most.
    pub fn draft(&self, limit: u64) -> Result<Draft> {
        let open = || {
            fs::create_dir_all(&self.0)?;
            let path = self.0.join(format!("{}.draft", hex::encode(rand::random::<[u8; 8]>())));
            Ok((File::options().read(true).write(true).create_new(true).open(&path)?, path))
        };
        let (file, path) = open().map_err(|error: io::Error| self.failed(&error))?;
        Ok(Draft { path, file, left: limit, limit })
    }

    /// Keeps a client's archive behind all others, durably.
    pub fn keep_put(&self, draft: &Draft, destination: &Destination) -> Result<()> {
        let keep = || {
            let sequence = self.next()?;
            let mut file = File::create(self.destination(sequence))?;
            file.write_all(&serde_json::to_vec(destination)?)?;
            file.sync_all()?;
            self.rename(draft, &format!("{sequence}-put.tar"))
        };
        keep().map_err(|error| self.failed(&error))
    }

    /// Keeps a generation's layer in the place of all that was kept before, durably.
    pub fn keep_layer(&self, draft: &Draft, generation: u32) -> Result<()> {
        let keep = || {
            let sequence = self.next()?;
            self.rename(draft, &format!("{sequence}-layer-{generation}.tar"))?;
            for entry in fs::read_dir(&self.0)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let older = name.split_once('-').and_then(|(number, _)| number.parse::<u32>().ok());
                if older.is_some_and(|number| number < sequence) {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        keep().map_err(|error: io::Error| self.failed(&error))
    }

    fn next(&self) -> io::Result<u32> {
        let mut last = 0;
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let number = name.split_once('-').and_then(|(number, _)| number.parse().ok());
            last = last.max(number.unwrap_or_default());
        }
        Ok(last + 1)
    }

    fn rename(&self, draft: &Draft, name: &str) -> io::Result<()> {
        draft.file.sync_all()?;
        fs::rename(&draft.path, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes it with all that is in it.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::new(ErrorKind::Internal, format!("{}: {error}", self.0.display()))
    }
}

impl Draft {
    /// What was written, to be read.
    pub fn reader(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let limit = self.limit;
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!(
                    "more than the {limit} bytes that the daemon may still keep of this container's files \
                     (setting `files_limit`)"
                ),
            )
        })?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a temporary file stays until the next start");
        }
    }
}

/// Removes the folders of containers that are no more, and what was being written when the last daemon ended.
pub(super) fn sweep(root: &Path, is_there: impl Fn(&str) -> bool) -> io::Result<()> {
    let folders = match fs::read_dir(root.join("containers")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        folders => folders?,
    };
    for folder in folders {
        let folder = folder?;
        if !is_there(&folder.file_name().to_string_lossy()) {
            fs::remove_dir_all(folder.path())?;
            continue;
        }
        for entry in fs::read_dir(folder.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "draft") {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(folder: &Folder) -> Vec<(PieceKind, Vec<u8>)> {
        let pieces = folder.pieces().unwrap();
        pieces.into_iter().map(|piece| (piece.kind, fs::read(piece.file).unwrap())).collect()
    }

    fn draft(folder: &Folder, bytes: &[u8]) -> Draft {
        let mut draft = folder.draft(100).unwrap();
        draft.write_all(bytes).unwrap();
        draft
    }

    #[test]
    fn pieces_come_in_order_and_a_layer_takes_the_place_of_all_before_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path(), "c");
        assert_eq!(folder.pieces().unwrap(), []);
        let to = |path: &str| Destination { path: path.into(), keep_kind: false };
        folder.keep_put(&draft(&folder, b"1"), &to("/a")).unwrap();
        folder.keep_put(&draft(&folder, b"2"), &to("/b")).unwrap();
        let puts = [(PieceKind::Put(to("/a")), b"1".to_vec()), (PieceKind::Put(to("/b")), b"2".to_vec())];
        assert_eq!(kept(&folder), puts);
        folder.keep_layer(&draft(&folder, b"3"), 7).unwrap();
        assert_eq!(kept(&folder), [(PieceKind::Layer { generation: 7 }, b"3".to_vec())]);
        folder.keep_put(&draft(&folder, b"4"), &to("/c")).unwrap();
        assert_eq!(kept(&folder).len(), 2);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 3, "and nothing else is left");
    }

    #[test]
    fn what_is_not_kept_vanishes_and_a_sweep_takes_what_a_dead_daemon_left() {
        let root = tempfile::tempdir().unwrap();
        let (folder, gone) = (Folder::new(root.path(), "c"), Folder::new(root.path(), "gone"));
        drop(draft(&folder, b"x"));
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
        std::mem::forget(draft(&folder, b"x"));
        drop(draft(&gone, b"x"));
        sweep(root.path(), |name| name == "c").unwrap();
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
        assert!(!gone.0.exists() && folder.0.exists());
        sweep(&root.path().join("nowhere"), |_| false).unwrap();
    }

    #[test]
    fn a_draft_takes_no_more_than_it_may() {
        let root = tempfile::tempdir().unwrap();
        let mut draft = Folder::new(root.path(), "c").draft(3).unwrap();
        draft.write_all(b"abc").unwrap();
        let error = draft.write_all(b"d").unwrap_err().to_string();
        assert!(error.contains("files_limit"), "{error}");
    }
}
