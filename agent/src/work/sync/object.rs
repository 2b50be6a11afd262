//! Objects of the storage, as files of its mount: written once, whole, and never changed.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::version::Id;

/// The beginning of a SHA-256.
pub fn digest(bytes: &[u8]) -> Id {
    let mut id = Id::default();
    let whole = sockerless_tree::Digest::of(bytes);
    id.copy_from_slice(&whole.0[..16]);
    id
}

/// A name that nobody else has.
pub fn name() -> io::Result<Id> {
    let mut id = Id::default();
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut id).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(id)
}

/// With what it was about.
pub fn at(place: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", place.display()))
}

/// Something that is being written. What is not finished does not count: nothing names it.
pub struct Draft {
    place: PathBuf,
    file: io::BufWriter<File>,
    pub length: u64,
}

impl Draft {
    /// The folder is made when missing.
    pub fn new(place: &Path) -> io::Result<Self> {
        let open = || {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            File::options().write(true).create_new(true).open(place)
        };
        let file = open().map_err(|error| at(place, &error))?;
        let file = io::BufWriter::with_capacity(super::limits::STEP, file);
        Ok(Self { place: place.to_owned(), file, length: 0 })
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| at(&self.place, &error))
    }

    /// Sees it to the storage: some clients upload when a file is closed, and say there that they could not.
    pub fn finish(self) -> io::Result<()> {
        let Self { place, file, length } = self;
        let finish = || {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            nix::unistd::close(file)?;
            match fs::metadata(&place)?.len() {
                there if there == length => Ok(()),
                there => Err(io::Error::other(format!("{there} of {length} bytes arrived"))),
            }
        };
        finish().map_err(|error: io::Error| at(&place, &error))
    }
}

/// Writes something whole. What is there under that name is the same.
pub fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(place).is_ok_and(|meta| meta.len() == bytes.len() as u64) {
        return Ok(());
    }
    let mut draft = match Draft::new(place) {
        // Left behind by somebody who did not come to its end.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(place).map_err(|error| at(place, &error))?;
            Draft::new(place)?
        }
        draft => draft?,
    };
    draft.write(bytes)?;
    draft.finish()
}
