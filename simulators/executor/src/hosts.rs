//! Names that all tasks know, those that run already among them: as a cloud's own name server would tell them.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::IpAddr,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The lines of /etc/hosts that are added to each task's.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Mutex<Vec<String>>);

impl Hosts {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a new task's file has of them.
    pub(crate) fn text(&self) -> String {
        self.lines().iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// For tasks that begin from now on; the others' files are to be completed.
    pub(crate) fn add(&self, address: IpAddr, names: &str) {
        let line = format!("{address}\t{names}");
        let mut lines = self.lines();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }

    /// Tasks that begin from now on do not know it; others find nobody there.
    pub(crate) fn remove(&self, address: IpAddr, names: &str) {
        let line = format!("{address}\t{names}");
        self.lines().retain(|known| *known != line);
    }

    /// Adds to a task's file what it has not; what its programs have written stays.
    pub(crate) fn complete(&self, file: &Path) -> io::Result<()> {
        // Held to the end: each line is added once.
        let lines = self.lines();
        if lines.is_empty() {
            return Ok(());
        }
        let text = match fs::read_to_string(file) {
            // Its task has not made it yet, and will with all lines, or is over.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        let missing = lines.iter().filter(|line| !text.lines().any(|known| known == **line));
        let missing: String = missing.flat_map(|line| [line, "\n"]).collect();
        if missing.is_empty() {
            return Ok(());
        }
        // A program's last line may lack its end.
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        File::options().append(true).open(file)?.write_all(format!("{end}{missing}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_completed_once_and_keeps_what_programs_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let (file, hosts) = (folder.path().join("hosts"), Hosts::default());
        let address = IpAddr::from([10, 0, 0, 1]);
        hosts.complete(&file).unwrap();
        hosts.add(address, "web web.example");
        hosts.add(address, "web web.example");
        hosts.complete(&file).unwrap();
        assert!(!file.exists());
        fs::write(&file, "9.9.9.9 mine").unwrap();
        for _ in 0..2 {
            hosts.complete(&file).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), "9.9.9.9 mine\n10.0.0.1\tweb web.example\n");
        }
        hosts.remove(address, "web web.example");
        assert_eq!(hosts.text(), "");
    }
}
