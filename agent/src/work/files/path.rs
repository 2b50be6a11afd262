//! Paths, as Docker's archive calls take them.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use nix::errno::Errno;
use sockerless_agent_wire::request::{Fault, PathStat};

use crate::work::fault::failed;

/// As many links as dockerd follows on one path.
const LINKS: usize = 255;

/// Where the container's file system begins: `/`, but for tests.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

impl Root {
    /// The one that the agent sees.
    pub fn container() -> Self {
        Self(PathBuf::from("/"))
    }

    /// One in a folder.
    #[cfg(test)]
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Where an absolute path of the container is for system calls. A trailing `/` or `/.` stays.
    pub fn place(&self, path: &Path) -> PathBuf {
        if self.0.as_os_str() == "/" {
            return path.to_owned();
        }
        let mut place = self.0.as_os_str().to_owned();
        place.push(path);
        place.into()
    }

    /// Follows all links on a path, the last part's, too, and never out of this root. What does not exist is taken as it is.
    pub fn follow(&self, path: &Path) -> io::Result<PathBuf> {
        self.trace(path).map(|(leads, _)| leads)
    }

    /// As [`Root::follow`], with the links on the way.
    pub fn trace(&self, path: &Path) -> io::Result<(PathBuf, Vec<PathBuf>)> {
        let mut done = PathBuf::from("/");
        let mut left = parts(path);
        let mut links = Vec::new();
        while let Some(part) = left.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(&part);
            let place = self.place(&done);
            match fs::symlink_metadata(&place) {
                Ok(found) if found.is_symlink() => {
                    if links.len() == LINKS {
                        return Err(Errno::ELOOP.into());
                    }
                    links.push(done.clone());
                    let target = fs::read_link(&place)?;
                    done.pop();
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                    left.extend(parts(&target));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok((done, links))
    }

    /// What an absolute path as [`absolute`] gives it means: links before its last part are followed, the last one's own is
    /// not, unless the path ends in `/` or `/.`.
    pub fn resolve(&self, absolute: &str) -> io::Result<PathBuf> {
        let (directory, last) = absolute.rsplit_once('/').unwrap_or(("", absolute));
        let directory = Path::new(if directory.is_empty() { "/" } else { directory });
        let mut text = self.follow(directory)?.into_os_string();
        if text != "/" {
            text.push("/");
        }
        text.push(last);
        Ok(text.into())
    }

    /// What a path is, as `HEAD /containers/{id}/archive` tells it.
    pub fn stat(&self, path: &str) -> Result<PathStat, Fault> {
        let absolute = absolute(path);
        let failed = |error: io::Error| failed(format_args!("lstat {absolute}"), &error);
        let resolved = self.resolve(&absolute).map_err(failed)?;
        let found = fs::symlink_metadata(self.place(&resolved)).map_err(failed)?;
        let link = if found.is_symlink() {
            self.follow(Path::new(&absolute)).map_err(failed)?.to_string_lossy().into_owned()
        } else {
            String::new()
        };
        Ok(PathStat {
            name: base(&absolute).to_owned(),
            size: found.size(),
            mode: found.mode(),
            modified: found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec()),
            link,
        })
    }
}

/// The parts of a path that mean something, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<OsString> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect();
    parts.reverse();
    parts
}

/// A client's path, absolute and without what means nothing, but with the `/` or `/.` that it ended in.
pub fn absolute(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    let mut absolute = format!("/{}", kept.join("/"));
    if base(path) == "." {
        if !absolute.ends_with('/') {
            absolute.push('/');
        }
        absolute.push('.');
    }
    if path.ends_with('/') && !absolute.ends_with('/') {
        absolute.push('/');
    }
    absolute
}

/// The last part of a path; `/` for the root and `.` for nothing.
pub fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    match path.trim_end_matches('/') {
        "" => "/",
        path => path.rsplit('/').next().unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_path_ends_in_is_kept_and_the_rest_is_cleaned() {
        for (path, clean, last) in [
            ("", "/.", "."),
            (".", "/.", "."),
            ("/", "/", "/"),
            ("/.", "/.", "."),
            ("//", "/", "/"),
            ("a", "/a", "a"),
            ("/a/", "/a/", "a"),
            ("/a/.", "/a/.", "."),
            ("/a/./", "/a/./", "."),
            ("/a//b/../c", "/a/c", "c"),
            ("../../etc/", "/etc/", "etc"),
            ("/a/..", "/", "/"),
            ("..", "/", "/"),
        ] {
            assert_eq!((absolute(path).as_str(), base(&absolute(path))), (clean, last), "{path:?}");
        }
    }

    fn tree() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("real/inner")).unwrap();
        fs::write(at("real/file"), "12345").unwrap();
        symlink("/real", at("absolute")).unwrap();
        symlink("../../../../real", at("real/escape")).unwrap();
        symlink("absolute/file", at("chain")).unwrap();
        symlink("nowhere/at/all", at("broken")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let root = Root::at(folder.path());
        (folder, root)
    }

    #[test]
    fn links_never_lead_out_of_the_root() {
        let (_folder, root) = tree();
        for (path, leads) in [
            ("/absolute", "/real"),
            ("/absolute/inner", "/real/inner"),
            ("/real/escape/file", "/real/file"),
            ("/chain", "/real/file"),
            ("/broken", "/nowhere/at/all"),
            ("/none/../real", "/real"),
            ("/../../real", "/real"),
        ] {
            assert_eq!(root.follow(Path::new(path)).unwrap(), Path::new(leads), "{path}");
        }
        assert!(root.follow(Path::new("/loop/x")).is_err());
    }

    #[test]
    fn the_last_link_is_followed_only_where_the_path_asks_for_a_directory() {
        let (_folder, root) = tree();
        let kind = |path: &str| {
            root.stat(path).map(|stat| (stat.name, stat.mode & 0o170_000, stat.link)).map_err(|f| f.message)
        };
        let of = |name: &str, mode: u32, link: &str| Ok((name.to_owned(), mode, link.to_owned()));
        assert_eq!(kind("/absolute"), of("absolute", 0o120_000, "/real"));
        assert_eq!(kind("/absolute/"), of("absolute", 0o040_000, ""));
        assert_eq!(kind("/absolute/."), of(".", 0o040_000, ""));
        assert_eq!(kind("absolute/file"), of("file", 0o100_000, ""));
        assert_eq!(kind("/"), of("/", 0o040_000, ""));
        assert_eq!(kind("broken"), of("broken", 0o120_000, "/nowhere/at/all"));
        assert_eq!(kind("/none"), Err("lstat /none: no such file or directory".to_owned()));
        assert_eq!(kind("/real/file/"), Err("lstat /real/file/: not a directory".to_owned()));
        assert_eq!(kind("/real/file/x"), Err("lstat /real/file/x: not a directory".to_owned()));
    }

    #[test]
    fn size_and_times_are_the_files() {
        let (_folder, root) = tree();
        let stat = root.stat("real/file").unwrap();
        assert_eq!(stat.size, 5);
        let modified = fs::metadata(root.place(Path::new("/real/file"))).unwrap().modified().unwrap();
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(i128::from(stat.modified), since.as_nanos() as i128);
    }
}
