//! Bind mounts: a directory of the container that the daemon keeps in step with one of its own machine's.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use nix::errno::Errno;
use sockerless_agent_wire::{
    listing::Listed,
    request::{End, Fault, Name, Reply},
};

use super::{
    archive::Packer,
    fault::{errno, failed},
    files::{
        clock,
        mounts::{self, Mounts},
        path::{Root, absolute},
        tree::{Cross, Found, Tree},
    },
    stream::Out,
    transfer,
};
use crate::shared::Channel;

/// Lists a path and what is below it.
pub async fn scan(channel: Channel, path: String, except: Vec<Name>) {
    transfer::send(channel, move |out| {
        let root = Root::container();
        mounts::note(&root, &path);
        // Not what others stand for: that would be taken for removed by the list of a directory around it.
        list(&root, &Mounts::read(), &path, &except, out)
    })
    .await;
}

/// Reads things below a directory.
pub async fn pick(channel: Channel, path: String, names: Vec<Name>) {
    transfer::send(channel, move |out| pack(&Root::container(), &path, &names, out)).await;
}

/// Removes things below a directory.
pub async fn remove(channel: Channel, path: String, names: Vec<Name>) {
    let removed = transfer::work(move || clear(&Root::container(), &path, &names)).await;
    channel.answer(removed.map_or_else(Reply::Failed, |()| Reply::Ready));
}

/// Where a path really is, all links followed, and what is there.
fn really(root: &Root, path: &str) -> Result<(PathBuf, Metadata), Fault> {
    let absolute = absolute(path);
    let named = |error: io::Error| failed(format_args!("lstat {absolute}"), &error);
    let real = root.follow(Path::new(&absolute)).map_err(named)?;
    // Without a `/` at its end.
    let real: PathBuf = real.components().collect();
    let meta = fs::symlink_metadata(root.place(&real)).map_err(named)?;
    Ok((real, meta))
}

fn list(root: &Root, mounts: &Mounts, path: &str, except: &[Name], out: &mut Out) -> Result<End, Fault> {
    let (from, meta) = really(root, path)?;
    out.reply(Reply::Ready);
    let mut add = |found: Found<'_>| {
        let relative = found.path.strip_prefix(&from).unwrap_or(found.path);
        if except.iter().any(|name| relative.starts_with(OsStr::from_bytes(&name.0))) {
            return Ok(());
        }
        let mut listed = Listed::new(relative.as_os_str().as_bytes(), found.meta);
        // What is below a mount is not gone, it is out of sight.
        listed.closed = found.foreign || found.closed.is_some();
        if listed.is_symlink() {
            match fs::read_link(root.place(found.path)) {
                Ok(target) => listed.target = target.into_os_string().as_bytes().to_owned(),
                // It has just become something else, or nothing.
                Err(_) => return Ok(()),
            }
        }
        listed.encode(out.buffer());
        out.sent()
    };
    Tree { root, mounts, cross: Cross::Never, unseen: true }.walk(&from, &meta, &mut add)?;
    Ok(End::Done)
}

fn pack(root: &Root, path: &str, names: &[Name], out: &mut Out) -> Result<End, Fault> {
    let (from, _) = really(root, path)?;
    out.reply(Reply::Ready);
    let mut archive = Packer::new(true, clock::since());
    for Name(name) in names {
        let path = from.join(OsStr::from_bytes(name));
        match fs::symlink_metadata(root.place(&path)) {
            Ok(meta) => {
                let found = Found { path: &path, meta: &meta, foreign: false, closed: None };
                archive.add(out, root, &found, name)?;
            }
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(failed(format_args!("lstat {}", path.display()), &error)),
        }
    }
    archive.finish(out)
}

fn clear(root: &Root, path: &str, names: &[Name]) -> Result<(), Fault> {
    let (from, _) = really(root, path)?;
    for Name(name) in names {
        let path = from.join(OsStr::from_bytes(name));
        let place = root.place(&path);
        let removed = match fs::symlink_metadata(&place) {
            Ok(meta) if meta.is_dir() => match fs::remove_dir(&place) {
                Err(error)
                    if matches!(errno(&error), Some(Errno::ENOTEMPTY | Errno::EEXIST | Errno::EBUSY)) =>
                {
                    Ok(())
                }
                removed => removed,
            },
            Ok(_) => fs::remove_file(&place),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if !is_gone(&error) => {
                return Err(failed(format_args!("unlinkat {}", path.display()), &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A path that leads to nothing, or through something that is no directory any more.
fn is_gone(error: &io::Error) -> bool {
    matches!(errno(error), Some(Errno::ENOENT | Errno::ENOTDIR))
}

#[cfg(test)]
mod tests;
