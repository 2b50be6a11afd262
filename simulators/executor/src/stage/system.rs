//! What every Linux program expects besides the image's files: /proc, /sys, /dev, and the files
//! of /etc that a container gets from its surroundings.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::Path,
};

use nix::mount::{MsFlags, mount};
use rustix::mount::MountAttrFlags;

use super::{
    mounting::{attach, file_system, make_read_only, place, tree},
    protocol::{Plan, StageFailure},
};
use crate::tuning::SHM_SIZE;

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
];
/// As container runtimes agree: nothing of the machine's inner life.
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Taken along from the old root.
pub(super) struct System {
    proc: OwnedFd,
    sys: OwnedFd,
    devices: Vec<(&'static str, OwnedFd)>,
    files: Vec<(&'static str, OwnedFd)>,
}

impl System {
    /// In sight of the old root.
    pub(super) fn open(plan: &Plan, folder: &Path) -> Result<Self, StageFailure> {
        let internal = |what: &'static str| move |error: io::Error| StageFailure::internal(what, error);
        let restricted = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let mut devices = Vec::new();
        for name in DEVICES {
            devices.push((name, tree(&Path::new("/dev").join(name)).map_err(internal("devices"))?));
        }
        let mut files = Vec::new();
        for (name, content) in [
            ("hosts", plan.hosts.clone()),
            ("resolv.conf", plan.resolv_conf.clone()),
            ("hostname", format!("{}\n", plan.hostname)),
        ] {
            let path = folder.join(name);
            let write = || {
                fs::write(&path, content)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
                tree(&path)
            };
            files.push((name, write().map_err(internal("files of /etc"))?));
        }
        let read_only = restricted | MountAttrFlags::MOUNT_ATTR_RDONLY;
        Ok(Self {
            proc: file_system("proc", restricted).map_err(internal("proc"))?,
            sys: file_system("sysfs", read_only).map_err(internal("sysfs"))?,
            devices,
            files,
        })
    }

    /// In the new root.
    pub(super) fn mount(&self) -> io::Result<()> {
        for folder in ["/proc", "/sys", "/dev", "/etc"] {
            fs::create_dir_all(folder)?;
        }
        attach(&self.proc, "/proc")?;
        attach(&self.sys, "/sys")?;
        self.dev()?;
        for (name, file) in &self.files {
            let target = Path::new("/etc").join(name);
            place(&target, false)?;
            attach(file, &target)?;
        }
        mask()
    }

    fn dev(&self) -> io::Result<()> {
        let tmpfs = |target: &str, options: &str, flags: MsFlags| {
            mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_NOSUID | flags, Some(options))
        };
        tmpfs("/dev", "mode=755,size=64k", MsFlags::MS_STRICTATIME)?;
        for (name, device) in &self.devices {
            let target = Path::new("/dev").join(name);
            place(&target, false)?;
            attach(device, &target)?;
        }
        for folder in ["/dev/pts", "/dev/shm", "/dev/mqueue"] {
            fs::create_dir(folder)?;
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        let devpts = |options: &str| mount(Some("devpts"), "/dev/pts", Some("devpts"), flags, Some(options));
        // Group 5 is `tty`; it may lie outside of a small user namespace.
        devpts("newinstance,ptmxmode=0666,mode=0620,gid=5")
            .or_else(|_| devpts("newinstance,ptmxmode=0666,mode=0620"))?;
        tmpfs("/dev/shm", &format!("mode=1777,size={SHM_SIZE}"), MsFlags::MS_NODEV | MsFlags::MS_NOEXEC)?;
        mount(Some("mqueue"), "/dev/mqueue", Some("mqueue"), flags | MsFlags::MS_NODEV, None::<&str>)?;
        for (content, link) in LINKS {
            symlink(content, link)?;
        }
        Ok(())
    }
}

fn mask() -> io::Result<()> {
    let none = None::<&str>;
    for path in MASKED {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=0k"))?;
            }
            Ok(_) => mount(Some("/dev/null"), path, none, MsFlags::MS_BIND, none)?,
            Err(_) => {}
        }
    }
    for path in READ_ONLY {
        if fs::metadata(path).is_ok() {
            mount(Some(path), path, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
            make_read_only(Path::new(path))?;
        }
    }
    Ok(())
}
