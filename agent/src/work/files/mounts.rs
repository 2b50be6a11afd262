//! What is mounted into the container's file system.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::path::{Root, absolute};
use crate::work::sync;

/// Kinds of file systems that show the machine, not files.
const MACHINE: [&str; 21] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// What every container has there is the machine's, too, whatever its kind.
const FOLDERS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Files that whoever runs a container writes into it; no part of it for Docker.
const MAINTAINED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// Where the storage of synced volumes is mounted, for the agent alone.
const STORES: &str = "/.sockerless-volumes";

/// Where directories really are that stand for mounts: the daemon knows them by paths that may lead through links.
static RESOLVED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Notes that a path stands for a mount. It need not exist yet.
pub fn note(root: &Root, path: &str) {
    // What cannot be followed shows where it is needed.
    if let Ok(real) = root.follow(Path::new(&absolute(path))) {
        RESOLVED.lock().unwrap_or_else(PoisonError::into_inner).insert(real.components().collect());
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Mounts {
    /// Where, and whether it shows the machine.
    points: BTreeMap<PathBuf, bool>,
    /// Where the agent came from.
    agent: Option<PathBuf>,
}

impl Mounts {
    /// Those of the agent's own namespace.
    pub fn read() -> Self {
        // Without a /proc there is nothing to know; directories still show it by their device.
        let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let mut mounts = Self::parse(&table, std::env::current_exe().ok().as_deref());
        // On the container's own disk, and volumes all the same.
        for path in sync::places() {
            mounts.points.entry(path).or_insert(false);
        }
        mounts
    }

    /// With all that stands for mounts, where it really is.
    pub fn read_all() -> Self {
        let mut mounts = Self::read();
        for path in RESOLVED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            mounts.points.entry(path.clone()).or_insert(false);
        }
        mounts
    }

    /// With directories that are to be taken for mounts.
    pub fn with(mut self, directories: Vec<String>) -> Self {
        self.points.extend(directories.into_iter().map(|path| (path.into(), false)));
        self
    }

    /// Reads a table of mounts (`man 5 proc`, mountinfo).
    pub fn parse(table: &[u8], agent: Option<&Path>) -> Self {
        let mut points = BTreeMap::new();
        for line in table.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b' ');
            let Some(point) = fields.nth(4).map(unescape) else { continue };
            let kind = fields.skip_while(|field| *field != b"-").nth(1).unwrap_or_default();
            let is_machine = MACHINE.iter().any(|known| known.as_bytes() == kind)
                || FOLDERS.iter().any(|folder| point.starts_with(folder));
            if point != Path::new("/") {
                points.insert(point, is_machine);
            }
        }
        let holds = |point: &&PathBuf| agent.is_some_and(|agent| agent.starts_with(point));
        let agent = points.keys().filter(holds).max_by_key(|point| point.as_os_str().len()).cloned();
        Self { points, agent }
    }

    /// Whether something is mounted there.
    pub fn has(&self, path: &Path) -> bool {
        self.points.contains_key(path)
    }

    /// Whether what is mounted there shows the machine.
    pub fn is_machine(&self, path: &Path) -> bool {
        self.points.get(path).copied().unwrap_or_default()
    }

    /// Whether that is the agent's own mount, which nobody shall see.
    pub fn is_agent(&self, path: &Path) -> bool {
        self.agent.as_deref() == Some(path) || path == Path::new(STORES)
    }

    /// Whether a path is among the files that are written by whoever runs the container.
    pub fn is_maintained(path: &Path) -> bool {
        MAINTAINED.iter().any(|file| Path::new(file) == path)
    }
}

/// Spaces and the like stand as `\040`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                plain.push(byte);
                rest = &after[3..];
            }
            _ => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_known_by_place_and_kind_and_the_agents_is_hidden() {
        let table = b"1 0 0:1 / / rw - overlay overlay rw\n\
            2 1 0:2 / /proc rw,nosuid shared:1 master:2 - proc proc rw\n\
            3 1 8:1 /v /my\\040data\\134x rw - ext4 /dev/sda1 rw\n\
            4 1 0:3 / /dev/shm rw - tmpfs shm rw\n\
            5 1 8:1 /a /.sockerless ro - ext4 /dev/sda1 rw\n\
            6 1 8:1 /hosts /etc/hosts rw - ext4 /dev/sda1 rw\n";
        let mounts = Mounts::parse(table, Some(Path::new("/.sockerless/sockerless-agent")));
        assert!(!mounts.has(Path::new("/")));
        assert!(mounts.has(Path::new("/my data\\x")) && !mounts.is_machine(Path::new("/my data\\x")));
        assert!(mounts.is_machine(Path::new("/proc")) && mounts.is_machine(Path::new("/dev/shm")));
        assert!(mounts.is_agent(Path::new("/.sockerless")) && !mounts.is_agent(Path::new("/etc/hosts")));
        assert!(mounts.has(Path::new("/etc/hosts")) && !mounts.has(Path::new("/etc")));
        assert!(Mounts::parse(table, Some(Path::new("/usr/bin/agent"))).agent.is_none());
    }
}
