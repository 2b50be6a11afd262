//! Small archives.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use sockerless_ports::registry::Archive;
use tar::{EntryType, Header};

/// A member: `dir/`, `link -> target`, `hard => target`, or `file text`.
pub fn tar(members: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        header.set_uid(5);
        header.set_gid(6);
        header.set_mtime(1_700_000_000);
        let (name, kind, link, content) = if let Some((name, target)) = member.split_once(" -> ") {
            (name, EntryType::Symlink, target, "")
        } else if let Some((name, target)) = member.split_once(" => ") {
            (name, EntryType::Link, target, "")
        } else if member.ends_with('/') {
            header.set_mode(0o755);
            (*member, EntryType::Directory, "", "")
        } else {
            let (name, text) = member.split_once(' ').unwrap_or((member, ""));
            (name, EntryType::Regular, "", text)
        };
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The same as [`tar`] writes them, sorted.
pub fn list(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let mut all: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let link = String::from_utf8(entry.link_name_bytes().unwrap_or_default().into_owned()).unwrap();
            match entry.header().entry_type() {
                EntryType::Symlink => format!("{name} -> {link}"),
                EntryType::Link => format!("{name} => {link}"),
                EntryType::Directory => name,
                _ => {
                    let mut text = String::new();
                    std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
                    if text.is_empty() { name } else { format!("{name} {text}") }
                }
            }
        })
        .collect();
    all.sort();
    all
}

/// In pieces, as a client sends it.
pub fn sent(bytes: impl Into<Bytes>) -> Archive {
    let bytes: Bytes = bytes.into();
    let pieces: Vec<_> = bytes.chunks(700).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

/// All of it, or how it broke off.
pub async fn whole(archive: Archive) -> Result<Vec<u8>, String> {
    let pieces: Vec<Bytes> = archive.try_collect().await.map_err(|error| error.to_string())?;
    Ok(pieces.concat())
}

/// What is in it.
pub async fn listed(archive: Archive) -> Vec<String> {
    list(&whole(archive).await.unwrap())
}
