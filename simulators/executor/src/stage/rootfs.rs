//! The container's file system: the image's layers under a writable one, and what every Linux
//! program expects besides.
//!
//! Whatever comes from this machine is opened before the old root goes and attached after it, so
//! that no link inside an image can lead a mount out of it.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{fchdir, pivot_root},
};
use rustix::{
    fs::CWD,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsmount,
        fsopen, move_mount, open_tree,
    },
};

use super::protocol::{Plan, PlanMount, StageFailure};
use crate::{
    spec::FailureReason,
    tuning::{MOUNT_OPTIONS_LIMIT, SHM_SIZE},
};

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

/// Builds the root file system in this process's mount namespace and moves into it.
pub(crate) fn enter(plan: &Plan) -> Result<(), StageFailure> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|error| StageFailure::internal("private mounts", error))?;
    let folder = plan.state.join("tasks").join(&plan.task);
    let root =
        overlay(plan, &folder).map_err(|error| StageFailure::internal("overlay file system", error))?;
    let opened = Opened::open(plan, &folder)?;
    change_root(&root).map_err(|error| StageFailure::internal("changing the root", error))?;
    opened.system().map_err(|error| StageFailure::internal("system mounts", error))?;
    for (mount, source) in plan.mounts.iter().zip(opened.mounts) {
        user_mount(mount, source).map_err(|error| {
            StageFailure::new(FailureReason::MountFailed, format!("mount at {}: {error}", mount.path))
        })?;
    }
    Ok(())
}

fn context(what: &str) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Mounts the layers at `tasks/ID/root`. Paths are relative to `layers`, which keeps 127 of them
/// within one page and needs no escaping.
fn overlay(plan: &Plan, folder: &Path) -> io::Result<PathBuf> {
    let make = |name: &str, mode: u32| fs::DirBuilder::new().mode(mode).create(folder.join(name));
    make("upper", 0o755)?;
    fs::set_permissions(folder.join("upper"), fs::Permissions::from_mode(0o755))?;
    make("work", 0o700)?;
    make("root", 0o700)?;
    std::env::set_current_dir(plan.state.join("layers"))?;
    let task = Path::new("../tasks").join(&plan.task);
    let mut options = format!(
        "lowerdir={},upperdir={},workdir={}",
        plan.layers.join(":"),
        task.join("upper").display(),
        task.join("work").display()
    );
    if plan.rootless {
        options.push_str(",userxattr");
    }
    if options.len() + ",volatile".len() > MOUNT_OPTIONS_LIMIT {
        return Err(io::Error::other(format!("{} layers are more than one mount takes", plan.layers.len())));
    }
    let target = task.join("root");
    let attempt =
        |options: &str| mount(Some("overlay"), &target, Some("overlay"), MsFlags::MS_NODEV, Some(options));
    // Nobody needs the writable layer after a crash, so nothing of it is synchronised to disk.
    // Kernels before 5.10 do not know that.
    attempt(&format!("{options},volatile")).or_else(|_| attempt(&options))?;
    Ok(folder.join("root"))
}

/// What is taken along from the old root.
struct Opened {
    proc: OwnedFd,
    sys: OwnedFd,
    devices: Vec<(&'static str, OwnedFd)>,
    files: Vec<(&'static str, OwnedFd)>,
    mounts: Vec<Option<Source>>,
}

struct Source {
    tree: OwnedFd,
    folder: bool,
}

impl Opened {
    fn open(plan: &Plan, folder: &Path) -> Result<Self, StageFailure> {
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
        let mut mounts = Vec::new();
        for mount in &plan.mounts {
            let source = match &mount.source {
                None => None,
                Some(path) => Some(Source::open(path).map_err(|error| {
                    let message = format!("mount at {}: {}: {error}", mount.path, path.display());
                    StageFailure::new(FailureReason::MountFailed, message)
                })?),
            };
            mounts.push(source);
        }
        Ok(Self {
            proc: file_system("proc", restricted).map_err(internal("proc"))?,
            sys: file_system("sysfs", restricted | MountAttrFlags::MOUNT_ATTR_RDONLY)
                .map_err(internal("sysfs"))?,
            devices,
            files,
            mounts,
        })
    }

    /// /proc, /sys, /dev and the files of /etc.
    fn system(&self) -> io::Result<()> {
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

impl Source {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { folder: fs::metadata(path)?.is_dir(), tree: tree(path)? })
    }
}

/// A copy of what is mounted at a path, attached to nothing yet.
fn tree(path: &Path) -> io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(CWD, path, flags)?)
}

/// A new file system, attached to nothing yet. In a user namespace the kernel allows proc and
/// sysfs only while others of them are in sight: before the old root goes.
fn file_system(kind: &str, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn attach(tree: &OwnedFd, target: impl AsRef<Path>) -> io::Result<()> {
    let target = target.as_ref();
    move_mount(tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|error| context(&target.display().to_string())(error.into()))
}

fn change_root(root: &Path) -> io::Result<()> {
    let old = fs::File::open("/")?;
    std::env::set_current_dir(root)?;
    pivot_root(".", ".")?;
    // Both roots lie at the same place now, the old one on top.
    fchdir(&old)?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")
}

/// Makes a mount point if there is none.
fn place(target: &Path, folder: bool) -> io::Result<()> {
    if fs::metadata(target).is_ok() {
        return Ok(());
    }
    if folder {
        return fs::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    // A dangling link would be followed out of its place: it makes way.
    if fs::symlink_metadata(target).is_ok() {
        fs::remove_file(target)?;
    }
    fs::File::create(target).map(drop)
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

/// Keeps the flags that the mount has: in a user namespace they are locked.
fn make_read_only(target: &Path) -> io::Result<()> {
    use nix::sys::statvfs::{FsFlags, statvfs};
    let have = statvfs(target)?.flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (flag, kept) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if have.contains(flag) {
            flags |= kept;
        }
    }
    mount(None::<&str>, target, None::<&str>, flags, None::<&str>)?;
    Ok(())
}

fn user_mount(spec: &PlanMount, source: Option<Source>) -> io::Result<()> {
    let target = Path::new(&spec.path);
    match source {
        Some(source) => {
            place(target, source.folder)?;
            attach(&source.tree, target)?;
            if spec.read_only {
                make_read_only(target)?;
            }
        }
        None => {
            place(target, true)?;
            let mut options = "mode=0777".to_owned();
            if let Some(size) = spec.size {
                options.push_str(&format!(",size={size}"));
            }
            let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            if spec.read_only {
                flags |= MsFlags::MS_RDONLY;
            }
            mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options.as_str()))?;
        }
    }
    Ok(())
}
