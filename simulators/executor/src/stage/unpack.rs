//! Turns one layer's tar into a folder of an overlay file system.
//!
//! The work is done with the folder as root directory, so that no link inside the layer can lead
//! out of it; an entry whose own name has `..` is refused.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs,
    io::{self, BufReader, Read},
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, OpenOptionsExt, symlink},
        },
    },
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::AT_FDCWD,
    sys::{
        stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, makedev, mknod, utimensat},
        time::TimeSpec,
    },
    unistd::{Gid, Uid, chroot, fchownat},
};
use rustix::fs::XattrFlags;
use tar::{Archive, Entry, EntryType};

use super::remove::enter_user_namespace;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Metadata of aufs, no deletion.
const AUFS: &[u8] = b".wh..wh.";

/// Arguments: the user namespace or `-`, and the folder. The layer's blob is standard input.
pub(crate) fn run(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let namespace = args.next().unwrap_or_default();
    let folder = args.next().unwrap_or_default();
    let blob = fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    enter_user_namespace(&namespace)?;
    nix::sys::stat::umask(Mode::empty());
    chroot(folder.as_os_str())?;
    std::env::set_current_dir("/")?;
    let rootless = namespace != "-";
    Unpacker { rootless, folders: HashMap::new() }.unpack(decompress(blob)?)
}

/// By the first bytes; media types of old images lie about it.
fn decompress(blob: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut blob = BufReader::with_capacity(256 * 1024, blob);
    let magic = io::BufRead::fill_buf(&mut blob)?;
    Ok(match magic {
        [0x1f, 0x8b, ..] => {
            Box::new(BufReader::with_capacity(256 * 1024, flate2::bufread::MultiGzDecoder::new(blob)))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(ruzstd::decoding::StreamingDecoder::new(blob).map_err(io::Error::other)?)
        }
        _ => Box::new(blob),
    })
}

struct Unpacker {
    rootless: bool,
    /// Times of folders are set last: each file put into one changes them.
    folders: HashMap<PathBuf, TimeSpec>,
}

impl Unpacker {
    fn unpack(mut self, tar: Box<dyn Read>) -> io::Result<()> {
        let mut archive = Archive::new(tar);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
            self.entry(&mut entry, &name)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", name.display())))?;
        }
        // Reads what follows the archive's end, so that a broken compressed stream is noticed.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        for (folder, time) in &self.folders {
            set_time(folder, time)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut Entry<'_, Box<dyn Read>>, name: &Path) -> io::Result<()> {
        let path = inside(name)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.parents(parent)?;
        }
        let last = path.file_name().unwrap_or_default().as_bytes().to_vec();
        if last == OPAQUE {
            return self.opaque(path.parent().unwrap_or(Path::new("/")));
        }
        if last.starts_with(AUFS) {
            return Ok(());
        }
        if let Some(hidden) = last.strip_prefix(WHITEOUT) {
            if hidden.is_empty() || hidden == b"." || hidden == b".." {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a whiteout of nothing"));
            }
            let path = path.with_file_name(OsStr::from_bytes(hidden));
            clear(&path)?;
            // A character device 0/0: needs no privilege.
            mknod(&path, SFlag::S_IFCHR, Mode::empty(), 0)?;
            return Ok(());
        }
        self.file(entry, kind, &path)
    }

    fn file(&mut self, entry: &mut Entry<'_, Box<dyn Read>>, kind: EntryType, path: &Path) -> io::Result<()> {
        let mode = entry.header().mode()? & 0o7777;
        let is_folder = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
        if !(is_folder && kind == EntryType::Directory) {
            clear(path)?;
        }
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                io::copy(entry, &mut file)?;
            }
            EntryType::Directory => {
                if !is_folder {
                    fs::DirBuilder::new().mode(0o700).create(path)?;
                }
            }
            EntryType::Symlink => symlink(OsStr::from_bytes(&link(entry)?), path)?,
            EntryType::Link => {
                let target = inside(Path::new(OsStr::from_bytes(&link(entry)?)))?;
                fs::hard_link(target, path)?;
                // The other name has brought owner and mode.
                return Ok(());
            }
            EntryType::Char | EntryType::Block => {
                let flag = if kind == EntryType::Char { SFlag::S_IFCHR } else { SFlag::S_IFBLK };
                let number = |part: Option<u32>| u64::from(part.unwrap_or_default());
                let header = entry.header();
                let device = makedev(number(header.device_major()?), number(header.device_minor()?));
                match mknod(path, flag, Mode::empty(), device) {
                    // An ordinary user makes no devices; the container's /dev is its own anyway.
                    Err(Errno::EPERM) if self.rootless => return Ok(()),
                    result => result?,
                }
            }
            EntryType::Fifo => nix::unistd::mkfifo(path, Mode::empty())?,
            other => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("entry of type {other:?}")));
            }
        }
        self.attributes(entry, kind, path, mode)
    }

    fn attributes(
        &mut self,
        entry: &mut Entry<'_, Box<dyn Read>>,
        kind: EntryType,
        path: &Path,
        mode: u32,
    ) -> io::Result<()> {
        let id =
            |value: u64| u32::try_from(value).map_err(|_| io::Error::other(format!("user or group {value}")));
        let (uid, gid) = (id(entry.header().uid()?)?, id(entry.header().gid()?)?);
        fchownat(
            AT_FDCWD,
            path,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
        )
        .map_err(|error| {
            let hint = if self.rootless && error == Errno::EINVAL {
                "; the range in /etc/subuid and /etc/subgid does not reach it"
            } else {
                ""
            };
            io::Error::other(format!("owner {uid}:{gid}: {error}{hint}"))
        })?;
        if kind != EntryType::Symlink {
            // After the owner, whose change drops set-user-ID.
            fchmodat(AT_FDCWD, path, Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink)?;
        }
        self.extended(entry, path)?;
        let time = TimeSpec::new(i64::try_from(entry.header().mtime()?).unwrap_or_default(), 0);
        if kind == EntryType::Directory {
            self.folders.insert(path.to_owned(), time);
            return Ok(());
        }
        self.folders.remove(path);
        set_time(path, &time)
    }

    fn extended(&self, entry: &mut Entry<'_, Box<dyn Read>>, path: &Path) -> io::Result<()> {
        let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
        for extension in extensions {
            let extension = extension?;
            let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") else { continue };
            // How overlayfs marks its own files is no business of an image.
            if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
                continue;
            }
            match rustix::fs::lsetxattr(path, name, extension.value_bytes(), XattrFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOTSUP) => {}
                Err(rustix::io::Errno::PERM) if self.rootless => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn opaque(&self, folder: &Path) -> io::Result<()> {
        let name = if self.rootless { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
        Ok(rustix::fs::lsetxattr(folder, name, b"y", XattrFlags::empty())?)
    }

    /// Folders that the archive does not name itself.
    fn parents(&self, folder: &Path) -> io::Result<()> {
        if fs::metadata(folder).is_ok() {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)
    }
}

/// An entry's name as a path below the root.
fn inside(name: &Path) -> io::Result<PathBuf> {
    let mut path = PathBuf::from("/");
    for component in name.components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the name leads out of the layer"));
            }
        }
    }
    Ok(path)
}

fn link(entry: &Entry<'_, Box<dyn Read>>) -> io::Result<Vec<u8>> {
    let target = entry.link_name_bytes().map(|name| name.into_owned());
    target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a link without a target"))
}

/// What an earlier entry of the same name left.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() && path != Path::new("/") => fs::remove_dir_all(path),
        Ok(meta) if !meta.is_dir() => fs::remove_file(path),
        _ => Ok(()),
    }
}

fn set_time(path: &Path, time: &TimeSpec) -> io::Result<()> {
    match utimensat(AT_FDCWD, path, time, time, UtimensatFlags::NoFollowSymlink) {
        // A later entry has replaced the folder.
        Err(Errno::ENOENT) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_below_the_root() {
        for (name, path) in [("./", "/"), ("a/b", "/a/b"), ("/etc/./x", "/etc/x"), ("..a/b..", "/..a/b..")] {
            assert_eq!(inside(Path::new(name)).unwrap(), Path::new(path));
        }
    }

    #[test]
    fn a_name_with_a_step_upwards_is_refused() {
        for name in ["../x", "a/../../x", "/..", "a/.."] {
            assert!(inside(Path::new(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn compression_is_told_from_the_content() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gzip, b"plain").unwrap();
        let zstd =
            ruzstd::encoding::compress_to_vec(&b"plain"[..], ruzstd::encoding::CompressionLevel::Fastest);
        for blob in [gzip.finish().unwrap(), zstd, b"plain".to_vec()] {
            let mut text = String::new();
            decompress(io::Cursor::new(blob)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "plain");
        }
    }
}
