//! Steps that every kind of mount is put together from.

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use nix::mount::{MsFlags, mount};
use rustix::{
    fs::CWD,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    },
};

/// A copy of what is mounted at a path, attached to nothing yet.
pub(super) fn tree(path: &Path) -> io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(CWD, path, flags)?)
}

/// A new file system, attached to nothing yet. In a user namespace the kernel allows proc and
/// sysfs only while others of them are in sight: before the old root goes.
pub(super) fn file_system(kind: &str, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// A FUSE file system that nobody answers for yet, and its connection. The device has to be opened here: the kernel wants
/// it to be of the same user namespace as the mount.
pub(super) fn fuse() -> io::Result<(OwnedFd, OwnedFd)> {
    let device = fs::File::options().read(true).write(true).open(FUSE_DEVICE).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => "; `sudo chmod 666 /dev/fuse` lets every user mount",
            io::ErrorKind::NotFound => "; `sudo modprobe fuse` makes it, unless the kernel lacks it",
            _ => "",
        };
        io::Error::new(error.kind(), format!("{FUSE_DEVICE}: {error}{remedy}"))
    })?;
    let device = OwnedFd::from(device);
    let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [
        ("fd", device.as_raw_fd().to_string().as_str()),
        ("rootmode", "40000"),
        ("user_id", "0"),
        ("group_id", "0"),
    ] {
        fsconfig_set_string(&context, key, value)?;
    }
    // Every user of the container, each by the modes that the files show.
    for flag in ["allow_other", "default_permissions"] {
        fsconfig_set_flag(&context, flag)?;
    }
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let tree = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    Ok((device, tree))
}

const FUSE_DEVICE: &str = "/dev/fuse";

pub(super) fn attach(tree: &OwnedFd, target: impl AsRef<Path>) -> io::Result<()> {
    let target = target.as_ref();
    move_mount(tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(io::Error::from)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", target.display())))
}

/// Makes a mount point if there is none.
pub(super) fn place(target: &Path, folder: bool) -> io::Result<()> {
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

/// Keeps the flags that the mount has: in a user namespace they are locked.
pub(super) fn make_read_only(target: &Path) -> io::Result<()> {
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
