//! The container's file system: the image's layers under a writable one, with the task's mounts.
//!
//! Whatever comes from this machine is opened before the old root goes and attached after it, so
//! that no link inside an image can lead a mount out of it.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{fchdir, pivot_root},
};

use super::{
    mounting::{attach, fuse, make_read_only, place, tree},
    protocol::{Plan, PlanMount, StageFailure},
    system::System,
};
use crate::{served::hand_over, spec::FailureReason, tuning::MOUNT_OPTIONS_LIMIT};

/// Builds the root file system in this process's mount namespace and moves into it.
pub(crate) fn enter(plan: &Plan) -> Result<(), StageFailure> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|error| StageFailure::internal("private mounts", error))?;
    let folder = plan.state.join("tasks").join(&plan.task);
    let root =
        overlay(plan, &folder).map_err(|error| StageFailure::internal("overlay file system", error))?;
    let system = System::open(plan, &folder)?;
    let sources = plan.mounts.iter().map(Source::open).collect::<Result<Vec<_>, _>>()?;
    change_root(&root).map_err(|error| StageFailure::internal("changing the root", error))?;
    system.mount().map_err(|error| StageFailure::internal("system mounts", error))?;
    for (mount, source) in plan.mounts.iter().zip(sources) {
        user_mount(mount, source).map_err(|error| {
            StageFailure::new(FailureReason::MountFailed, format!("mount at {}: {error}", mount.path))
        })?;
    }
    Ok(())
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

/// What a mount of the task shows, taken along from the old root.
struct Source {
    tree: OwnedFd,
    folder: bool,
}

impl Source {
    /// None for memory.
    fn open(mount: &PlanMount) -> Result<Option<Self>, StageFailure> {
        if let Some(socket) = &mount.served {
            let tree = served(socket).map_err(|error| {
                let message = format!("mount at {}: a file system in user space: {error}", mount.path);
                StageFailure::new(FailureReason::MountFailed, message)
            })?;
            return Ok(Some(Self { tree, folder: true }));
        }
        let Some(path) = &mount.source else { return Ok(None) };
        let open = || Ok(Self { folder: fs::metadata(path)?.is_dir(), tree: tree(path)? });
        open().map(Some).map_err(|error: io::Error| {
            let message = format!("mount at {}: {}: {error}", mount.path, path.display());
            StageFailure::new(FailureReason::MountFailed, message)
        })
    }
}

/// A FUSE file system whose connection is handed over at a socket.
fn served(socket: &Path) -> io::Result<OwnedFd> {
    let (device, tree) = fuse()?;
    hand_over(socket, &device)?;
    Ok(tree)
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
