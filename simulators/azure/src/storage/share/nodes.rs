//! Inodes: what the kernel knows of the files by their numbers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The root's number.
pub const ROOT: u64 = 1;

/// All inodes of a mount: numbers and paths on this disk.
#[derive(Debug)]
pub struct Nodes {
    paths: HashMap<u64, (PathBuf, u64)>,
    numbers: HashMap<PathBuf, u64>,
    next: u64,
}

impl Nodes {
    /// The root alone, which is never forgotten.
    pub fn new(root: PathBuf) -> Self {
        let mut nodes = Self { paths: HashMap::new(), numbers: HashMap::new(), next: ROOT };
        nodes.look_up(&root);
        nodes
    }

    /// The path of a number.
    pub fn path(&self, number: u64) -> Option<&Path> {
        self.paths.get(&number).map(|(path, _)| path.as_path())
    }

    /// The number of a path that has one.
    pub fn number(&self, path: &Path) -> Option<u64> {
        self.numbers.get(path).copied()
    }

    /// The number of a path, which the kernel holds once more.
    pub fn look_up(&mut self, path: &Path) -> u64 {
        if let Some(number) = self.numbers.get(path) {
            if let Some((_, held)) = self.paths.get_mut(number) {
                *held += 1;
            }
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.paths.insert(number, (path.to_owned(), 1));
        self.numbers.insert(path.to_owned(), number);
        number
    }

    /// The kernel holds a number less often.
    pub fn forget(&mut self, number: u64, count: u64) {
        let Some((path, held)) = self.paths.get_mut(&number) else { return };
        *held = held.saturating_sub(count);
        if *held == 0 && number != ROOT {
            let path = path.clone();
            self.paths.remove(&number);
            // The path may belong to a newer file by now.
            if self.numbers.get(&path) == Some(&number) {
                self.numbers.remove(&path);
            }
        }
    }

    /// A path has no file any more: the next one of that name is another.
    pub fn unname(&mut self, path: &Path) {
        self.numbers.remove(path);
    }

    /// What was at a path is at another now, with all below it.
    pub fn rename(&mut self, from: &Path, to: &Path) {
        self.unname(to);
        let moved: Vec<(PathBuf, u64)> = self
            .numbers
            .iter()
            .filter(|(path, _)| path.starts_with(from))
            .map(|(path, number)| (path.clone(), *number))
            .collect();
        for (path, number) in moved {
            self.numbers.remove(&path);
            let new = match path.strip_prefix(from) {
                Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
                Ok(rest) => to.join(rest),
                Err(_) => continue,
            };
            if let Some((path, _)) = self.paths.get_mut(&number) {
                *path = new.clone();
            }
            self.numbers.insert(new, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_follows_its_file_to_another_name() {
        let mut nodes = Nodes::new("/r".into());
        let folder = nodes.look_up(Path::new("/r/a"));
        let file = nodes.look_up(Path::new("/r/a/f"));
        nodes.rename(Path::new("/r/a"), Path::new("/r/b"));
        assert_eq!(nodes.path(file), Some(Path::new("/r/b/f")));
        assert_eq!(nodes.look_up(Path::new("/r/b")), folder);
        nodes.forget(folder, 1);
        assert!(nodes.path(folder).is_some());
        nodes.forget(folder, 1);
        assert!(nodes.path(folder).is_none());
        nodes.unname(Path::new("/r/b/f"));
        assert_ne!(nodes.look_up(Path::new("/r/b/f")), file);
    }
}
