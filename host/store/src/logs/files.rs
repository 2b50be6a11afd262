//! A log's files. Each is named by the position of its first byte, so that dropping the oldest moves nothing.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::fault::Fault;

const SUFFIX: &str = ".log";

/// Which files there are. Records never straddle two of them.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    /// Positions of their first bytes, ascending; empty before the first.
    starts: Mutex<Vec<u64>>,
}

impl Files {
    /// None known yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, starts: Mutex::default() }
    }

    fn starts(&self) -> MutexGuard<'_, Vec<u64>> {
        // Each change is one insertion or removal.
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file's place.
    pub fn path(&self, start: u64) -> PathBuf {
        self.directory.join(format!("{start:020}{SUFFIX}"))
    }

    /// Looks what is there; gives the positions.
    pub fn discover(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        match fs::read_dir(&self.directory) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry?.file_name();
                    let start = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
                    found.extend(start.and_then(|start| start.parse::<u64>().ok()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        found.sort_unstable();
        self.starts().clone_from(&found);
        Ok(found)
    }

    /// The oldest position that can be read.
    pub fn floor(&self) -> u64 {
        self.starts().first().copied().unwrap_or(0)
    }

    /// The position of the newest file.
    pub fn last(&self) -> u64 {
        self.starts().last().copied().unwrap_or(0)
    }

    /// A new file begins.
    pub fn push(&self, start: u64) {
        let mut starts = self.starts();
        if starts.last() != Some(&start) {
            starts.push(start);
        }
    }

    /// Deletes the oldest until `most` are left, but none that ends after `hold`. Gives whether any went.
    pub fn drop_oldest(&self, most: usize, hold: u64) -> io::Result<bool> {
        let mut dropped = false;
        loop {
            let oldest = {
                let mut starts = self.starts();
                let ends = starts.get(1).copied();
                match ends {
                    Some(ends) if starts.len() > most && ends <= hold => starts.remove(0),
                    _ => return Ok(dropped),
                }
            };
            dropped = true;
            match fs::remove_file(self.path(oldest)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    /// The file that holds a position: where it begins, and where the next one does, if there is one.
    pub fn open(&self, at: u64) -> Result<(File, u64, Option<u64>), Fault> {
        let (start, end) = {
            let starts = self.starts();
            let next = starts.partition_point(|start| *start <= at);
            match next.checked_sub(1) {
                Some(this) => (starts[this], starts.get(next).copied()),
                None => return Err(Fault::Dropped),
            }
        };
        match File::open(self.path(start)) {
            Ok(file) => Ok((file, start, end)),
            // It went between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound && at < self.floor() => Err(Fault::Dropped),
            Err(error) => Err(error.into()),
        }
    }
}
