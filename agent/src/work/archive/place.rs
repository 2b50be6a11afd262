//! One member of an archive becomes a file.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink},
    },
    path::Path,
};

use nix::{errno::Errno, unistd::geteuid};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, mknodat, utimensat,
};
use sockerless_agent_wire::request::{Fault, FaultKind};
use tar::EntryType;

use super::{header::Member, reader::Reader};
use crate::{
    say,
    work::fault::{errno, failed, fault},
};

/// Makes it, with its content; false for what is left out. Nothing is in its place, but for a directory where it is one.
pub fn create(
    place: &Path,
    member: &Member,
    linked: Option<&Path>,
    reader: &mut Reader,
) -> Result<bool, Fault> {
    let shown = place.display();
    let step = |what: &str, done: io::Result<()>| {
        done.map_err(|error| failed(format_args!("{what} {shown}"), &error))
    };
    match member.kind {
        EntryType::Regular => file(place, member, reader)?,
        EntryType::Directory => match fs::DirBuilder::new().mode(open_to_owner(member.mode)).create(place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => step("mkdir", made)?,
        },
        EntryType::Symlink => step("symlink", symlink(OsStr::from_bytes(&member.link), place))?,
        EntryType::Link => {
            let to = linked.unwrap_or(place);
            fs::hard_link(to, place).map_err(|error| {
                let fault = failed(format_args!("link {} {shown}", to.display()), &error);
                // The archive names what it does not have: that is not the path that was asked for.
                let kind = if fault.kind == FaultKind::NotFound { FaultKind::Invalid } else { fault.kind };
                Fault { kind, ..fault }
            })?;
        }
        EntryType::Fifo => step("mkfifo", node(place, FileType::Fifo, member))?,
        EntryType::Char => return device(place, FileType::CharacterDevice, member),
        EntryType::Block => return device(place, FileType::BlockDevice, member),
        other => {
            let message = format!("unhandled tar header type {}", other.as_byte());
            return Err(fault(FaultKind::Invalid, message));
        }
    }
    Ok(true)
}

fn file(place: &Path, member: &Member, reader: &mut Reader) -> Result<(), Fault> {
    let step = |what: &str, error: io::Error| failed(format_args!("{what} {}", place.display()), &error);
    let mut options = File::options();
    // What was in its place is gone: no link is followed.
    options.write(true).create_new(true).mode(member.mode & 0o700 | 0o600);
    let mut file = options.open(place).map_err(|error| step("open", error))?;
    while let Some(piece) = reader.content()? {
        file.write_all(&piece).map_err(|error| step("write", error))?;
    }
    Ok(())
}

fn node(place: &Path, kind: FileType, member: &Member) -> io::Result<()> {
    let device = nix::sys::stat::makedev(u64::from(member.device.0), u64::from(member.device.1));
    Ok(mknodat(CWD, place, kind, Mode::from_raw_mode(member.mode), device)?)
}

/// Few may make devices; dockerd without root leaves them out, too.
fn device(place: &Path, kind: FileType, member: &Member) -> Result<bool, Fault> {
    match node(place, kind, member) {
        Err(error) if errno(&error) == Some(Errno::EPERM) => {
            say!("the device {} is left out: the agent may not make one", place.display());
            Ok(false)
        }
        made => {
            made.map(|()| true).map_err(|error| failed(format_args!("mknod {}", place.display()), &error))
        }
    }
}

/// Gives it its owner (without the right to give files away it stays the agent's user), attributes, permissions and times,
/// in this order: a new owner costs the setuid bit.
pub fn dress(place: &Path, member: &Member, owners: bool) -> Result<(), Fault> {
    if member.kind.is_dir() && !is_ours(place) {
        return Ok(());
    }
    if owners && geteuid().is_root() {
        let Member { uid, gid, .. } = *member;
        lchown(place, Some(uid), Some(gid)).map_err(|error| {
            let shown = place.display().to_string();
            failed(format_args!("failed to Lchown {shown:?} for UID {uid}, GID {gid}"), &error)
        })?;
    }
    for (name, value) in &member.attributes {
        match lsetxattr(place, OsStr::from_bytes(name), value, XattrFlags::empty()) {
            Ok(()) => {}
            // As dockerd: a file without its capability is better than no file.
            Err(rustix::io::Errno::PERM | rustix::io::Errno::NOTSUP) => {
                say!("{} has lost its {}", place.display(), String::from_utf8_lossy(name));
            }
            Err(error) => return Err(failed(format_args!("lsetxattr {}", place.display()), &error.into())),
        }
    }
    let is_link = match member.kind {
        EntryType::Link => fs::symlink_metadata(place).is_ok_and(|found| found.is_symlink()),
        kind => kind.is_symlink(),
    };
    if !is_link {
        let mode = if member.kind.is_dir() { open_to_owner(member.mode) } else { member.mode };
        permit(place, mode)?;
    }
    date(place, member)
}

/// What can be given to a directory only once all is in it.
pub fn finish_directory(place: &Path, member: &Member) -> Result<(), Fault> {
    // A later member may have replaced it.
    if !fs::symlink_metadata(place).is_ok_and(|found| found.is_dir()) || !is_ours(place) {
        return Ok(());
    }
    if open_to_owner(member.mode) != member.mode {
        permit(place, member.mode)?;
    }
    date(place, member)
}

/// Without root's rights, a directory that was there (`/tmp`, say) may be another's: it stays as it is.
fn is_ours(directory: &Path) -> bool {
    let own = geteuid();
    own.is_root() || fs::symlink_metadata(directory).is_ok_and(|found| found.uid() == own.as_raw())
}

/// Who is not root must be able to write into a directory that he is about to fill.
fn open_to_owner(mode: u32) -> u32 {
    if geteuid().is_root() { mode } else { mode | 0o700 }
}

fn permit(place: &Path, mode: u32) -> Result<(), Fault> {
    fs::set_permissions(place, fs::Permissions::from_mode(mode))
        .map_err(|error| failed(format_args!("chmod {}", place.display()), &error))
}

fn date(place: &Path, member: &Member) -> Result<(), Fault> {
    // Nothing was read before it was written.
    let accessed = member.accessed.map_or(member.modified, |accessed| accessed.max(member.modified));
    let time =
        |(seconds, nanoseconds): (i64, u32)| Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) };
    let times = Timestamps { last_access: time(accessed), last_modification: time(member.modified) };
    utimensat(CWD, place, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| failed(format_args!("chtimes {}", place.display()), &error.into()))
}
