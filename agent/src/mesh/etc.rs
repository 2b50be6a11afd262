//! The files that tell names: `/etc/hosts` and `/etc/resolv.conf`, where the agent may write them.

use std::{
    cell::{Cell, RefCell},
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use sockerless_agent_wire::mesh::MeshView;

use super::{hosts, resolver};
use crate::say;

/// Both files.
pub struct Etc {
    /// None where they are others', too.
    folder: Option<PathBuf>,
    /// `resolv.conf` as the cloud has written it.
    resolver: String,
    /// What the cloud has written into `hosts`.
    cloud: RefCell<Option<Vec<String>>>,
    /// The lines in `hosts` that are the agent's; none before the first.
    written: RefCell<Option<Vec<String>>>,
    /// It was said that a file cannot be written.
    said: Cell<bool>,
}

impl Etc {
    /// In a folder, if they are to be written at all.
    pub fn new(folder: Option<&Path>) -> Self {
        let place = folder.unwrap_or(Path::new("/etc")).join("resolv.conf");
        Self {
            folder: folder.map(Path::to_path_buf),
            // One that cannot be read names no servers.
            resolver: fs::read_to_string(place).unwrap_or_default(),
            cloud: RefCell::default(),
            written: RefCell::default(),
            said: Cell::default(),
        }
    }

    /// Who is asked for names where nobody has said otherwise.
    pub fn name_servers(&self) -> Vec<IpAddr> {
        resolver::servers(&self.resolver)
    }

    /// Whether `hosts` can be written.
    pub fn is_writable(&self) -> Result<(), String> {
        let Some(folder) = &self.folder else {
            return Err("/etc/hosts is not this container's alone".to_owned());
        };
        let place = folder.join("hosts");
        let opened = fs::OpenOptions::new().append(true).create(true).open(&place);
        opened.map(drop).map_err(|error| format!("{}: {error}", place.display()))
    }

    /// A process is about to be started: both files are as if the container were new.
    pub fn begin(&self, view: &MeshView, lines: Vec<String>) {
        let Some(folder) = &self.folder else { return };
        let place = folder.join("hosts");
        let mut cloud = self.cloud.borrow_mut();
        let cloud = cloud.get_or_insert_with(|| {
            // An image's own file does not count, as under dockerd.
            let file = if is_mounted(&place) {
                fs::read_to_string(&place).unwrap_or_default()
            } else {
                String::new()
            };
            hosts::of_the_cloud(&file, &view.own_names)
        });
        self.wrote(&place, write(&place, &hosts::whole(cloud, &lines)));
        self.written.replace(Some(lines));
        let place = folder.join("resolv.conf");
        // As it was, where a run before this one had asked for something.
        let wanted = resolver::changed(&self.resolver, view).unwrap_or_else(|| self.resolver.clone());
        if fs::read_to_string(&place).unwrap_or_default() != wanted {
            self.wrote(&place, write(&place, &wanted));
        }
    }

    /// Others have come or gone. What the container's programs have written stays.
    pub fn update(&self, lines: Vec<String>) {
        let Some(folder) = &self.folder else { return };
        let mut written = self.written.borrow_mut();
        let Some(before) = written.as_mut().filter(|before| **before != lines) else { return };
        let place = folder.join("hosts");
        let updated =
            fs::read_to_string(&place).and_then(|file| write(&place, &hosts::changed(&file, before, &lines)));
        self.wrote(&place, updated);
        *before = lines;
    }

    fn wrote(&self, place: &Path, wrote: io::Result<()>) {
        if let Err(error) = wrote
            && !self.said.replace(true)
        {
            say!(
                "{} cannot be written, names are known to programs that ask a name server: {error}",
                place.display()
            );
        }
    }
}

/// In place: it may be a mount, and programs may watch it.
fn write(place: &Path, text: &str) -> io::Result<()> {
    fs::write(place, text)
}

fn is_mounted(place: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1).is_some_and(|mounted| Path::new(mounted) == place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("172.18.0.3\t{name}")).collect()
    }

    #[test]
    fn each_start_writes_the_files_anew_and_changes_leave_what_programs_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let (hosts, resolver) = (folder.path().join("hosts"), folder.path().join("resolv.conf"));
        fs::write(&hosts, "1.2.3.4 of-the-image\n").unwrap();
        fs::write(&resolver, "nameserver 10.0.0.1\n").unwrap();
        let etc = Etc::new(Some(folder.path()));
        etc.update(lines(&["early"]));
        assert_eq!(fs::read_to_string(&hosts).unwrap(), "1.2.3.4 of-the-image\n", "nothing was started yet");
        let view = MeshView { name_servers: vec!["1.1.1.1".parse().unwrap()], ..MeshView::default() };
        etc.begin(&view, lines(&["db"]));
        assert!(!fs::read_to_string(&hosts).unwrap().contains("of-the-image"));
        assert_eq!(fs::read_to_string(&resolver).unwrap(), "nameserver 1.1.1.1\n");
        assert_eq!(etc.name_servers(), [IpAddr::from([10, 0, 0, 1])]);
        let file = fs::read_to_string(&hosts).unwrap();
        fs::write(&hosts, file + "9.9.9.9 mine\n").unwrap();
        etc.update(lines(&["cache"]));
        let file = fs::read_to_string(&hosts).unwrap();
        assert!(file.contains("9.9.9.9 mine\n172.18.0.3\tcache\n") && !file.contains("db"), "{file}");
        etc.begin(&MeshView::default(), lines(&["db"]));
        assert!(!fs::read_to_string(&hosts).unwrap().contains("mine"));
        assert_eq!(fs::read_to_string(&resolver).unwrap(), "nameserver 10.0.0.1\n");
    }

    #[test]
    fn files_that_are_others_too_are_left_alone() {
        let etc = Etc::new(None);
        assert!(etc.is_writable().is_err());
        let before = fs::read_to_string("/etc/hosts").unwrap_or_default();
        etc.begin(&MeshView::default(), lines(&["db"]));
        etc.update(lines(&["cache"]));
        assert_eq!(fs::read_to_string("/etc/hosts").unwrap_or_default(), before);
    }
}
