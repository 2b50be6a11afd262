//! `docker cp`: files as tar archives, in and out.

mod fields;
mod header;
mod left_out;
mod pack;
mod place;
mod reader;
mod unpack;
mod whiteout;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use sockerless_agent_wire::request::{End, Fault, FaultKind, Put, Reply};
use tar::EntryType;
use tokio::sync::oneshot;

pub use self::{header::Member, pack::Packer};
use self::{reader::Reader, unpack::Unpacker};
use super::{
    fault::{failed, fault},
    files::{
        clock,
        mounts::Mounts,
        path::{Root, absolute, base},
        tree::{Cross, Found, Tree},
    },
    stream::{In, Out},
    transfer,
};
use crate::shared::Channel;

/// Looks at a path.
pub async fn stat(channel: Channel, path: String) {
    let stat = transfer::work(move || Root::container().stat(&path)).await;
    channel.answer(stat.map_or_else(Reply::Failed, Reply::Stat));
}

/// Reads a path as a tar stream.
pub async fn get(channel: Channel, path: String) {
    transfer::send(channel, move |out| pack(&Root::container(), &Mounts::read(), &path, out)).await;
}

/// Unpacks a tar stream.
pub async fn put(channel: Channel, put: Put) {
    transfer::receive(channel, move |reply, input| unpack(&Root::container(), &put, reply, input)).await;
}

/// The archive's members are named after the last part of the path as it was asked for.
fn pack(root: &Root, mounts: &Mounts, path: &str, out: &mut Out) -> Result<End, Fault> {
    let stat = root.stat(path)?;
    let absolute = absolute(path);
    let named = |error: std::io::Error| failed(format_args!("open {absolute}"), &error);
    let resolved = root.resolve(&absolute).map_err(named)?;
    let meta = fs::symlink_metadata(root.place(&resolved)).map_err(named)?;
    // Better to be refused at once than in the midst.
    if meta.is_dir() {
        fs::read_dir(root.place(&resolved)).map_err(named)?;
    } else if meta.is_file() {
        File::open(root.place(&resolved)).map_err(named)?;
    }
    out.reply(Reply::Stat(stat));
    let from: PathBuf = resolved.components().collect();
    let name = if base(&absolute) == "/" { "" } else { base(&absolute) };
    let mut archive = Packer::new(false, clock::since());
    let mut add = |found: Found<'_>| {
        let name = renamed(&from, name, found.path);
        if found.foreign && found.meta.is_dir() {
            return archive.member(
                out,
                &Member { mode: 0o755, ..Member::new([&name[..], b"/"].concat(), EntryType::Directory) },
            );
        }
        archive.add(out, root, &found, &name)
    };
    Tree { root, mounts, cross: Cross::Volumes, unseen: false }.walk(&from, &meta, &mut add)?;
    archive.finish(out)
}

/// The name in the archive: the beginning of the path is another.
fn renamed(from: &Path, name: &str, path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let rest = path.strip_prefix(from).unwrap_or(path).as_os_str().as_bytes();
    if rest.is_empty() { name.into() } else { [name.as_bytes(), b"/", rest].concat() }
}

fn unpack(root: &Root, put: &Put, reply: oneshot::Sender<Reply>, input: In) -> Result<(), Fault> {
    let absolute = absolute(&put.path);
    let named = |error: std::io::Error| failed(format_args!("lstat {absolute}"), &error);
    let target = root.follow(Path::new(&absolute)).map_err(named)?;
    if !fs::symlink_metadata(root.place(&target)).map_err(named)?.is_dir() {
        return Err(fault(FaultKind::Invalid, "extraction point is not a directory"));
    }
    // Who asked may have gone; then the input ends before it is complete.
    let _ = reply.send(Reply::Ready);
    let mut reader = Reader::new(input);
    let Put { keep_kind, owners, layer, any_links, .. } = *put;
    Unpacker { root, target, keep_kind, owners, layer, any_links }.unpack(&mut reader)?;
    reader.drain()
}

#[cfg(test)]
mod tests;
