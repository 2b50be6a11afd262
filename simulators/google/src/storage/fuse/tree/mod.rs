//! What the calls of the kernel do to inodes and objects.

mod content;
mod names;

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, INodeNo};

use super::nodes::{Kind, Node, Nodes};
use super::objects::{self, MTIME, Objects, Result, TARGET, disk, metadata};
use crate::limits;
use crate::run::MountOptions;
use crate::storage::index::Object;

/// Something that is open.
enum Handle {
    File { ino: u64, reader: Option<(PathBuf, File)> },
    Folder(Vec<(u64, FileType, String)>),
}

/// A mount's inodes and handles over the objects.
pub struct Tree {
    pub objects: Objects,
    pub options: MountOptions,
    pub nodes: Nodes,
    handles: HashMap<u64, Handle>,
    last_handle: u64,
}

fn folder_of(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name}/") }
}

impl Tree {
    /// Nothing is known yet.
    pub fn new(objects: Objects, options: MountOptions) -> Self {
        Self { objects, options, nodes: Nodes::new(), handles: HashMap::new(), last_handle: 0 }
    }

    fn node(&self, ino: u64) -> Result<&Node> {
        self.nodes.get(ino).ok_or(Errno::ESTALE)
    }

    fn node_mut(&mut self, ino: u64) -> Result<&mut Node> {
        self.nodes.get_mut(ino).ok_or(Errno::ESTALE)
    }

    /// The name of a folder's child.
    pub fn child(&self, parent: u64, name: &str) -> Result<String> {
        if name.len() > 255 || name.contains(['\n', '\r']) {
            return Err(if name.len() > 255 { Errno::ENAMETOOLONG } else { Errno::EINVAL });
        }
        let parent = self.node(parent)?;
        if parent.kind != Kind::Folder {
            return Err(Errno::ENOTDIR);
        }
        Ok(format!("{}{name}", folder_of(&parent.name)))
    }

    fn is_folder(&self, name: &str) -> Result<bool> {
        let folder = folder_of(name);
        let explicit = name.is_empty() || self.objects.get(&folder)?.is_some();
        Ok(explicit || (self.options.implicit_dirs && self.objects.any_below(&folder)?))
    }

    /// What a name is; None when there is nothing. A folder hides a file of the same name.
    fn resolve(&self, name: &str) -> Result<Option<(Kind, Option<Object>)>> {
        let new =
            self.nodes.number(name).and_then(|ino| self.nodes.get(ino)).filter(|node| node.dirty.is_some());
        if new.is_some() {
            return Ok(Some((Kind::File, None)));
        }
        if self.is_folder(name)? {
            return Ok(Some((Kind::Folder, None)));
        }
        Ok(self.objects.get(name)?.map(|object| (kind_of(&object), Some(object))))
    }

    /// Finds a child and counts that the kernel knows it.
    pub fn lookup(&mut self, parent: u64, name: &str) -> Result<Option<FileAttr>> {
        let name = self.child(parent, name)?;
        let Some((kind, object)) = self.resolve(&name)? else { return Ok(None) };
        let ino = self.nodes.find(name, kind);
        self.known(ino, object.as_ref()).map(Some)
    }

    fn known(&mut self, ino: u64, object: Option<&Object>) -> Result<FileAttr> {
        self.node_mut(ino)?.lookups += 1;
        self.attr_of(ino, object)
    }

    /// An inode's attributes as they are now.
    pub fn attr(&self, ino: u64) -> Result<FileAttr> {
        let node = self.node(ino)?;
        if node.kind == Kind::Folder || node.dirty.is_some() || node.gone {
            if node.kind == Kind::Folder && !self.is_folder(&node.name)? {
                return Err(Errno::ENOENT);
            }
            return self.attr_of(ino, None);
        }
        let object = self.objects.get(&node.name)?.ok_or(Errno::ENOENT)?;
        self.attr_of(ino, Some(&object))
    }

    fn attr_of(&self, ino: u64, object: Option<&Object>) -> Result<FileAttr> {
        let node = self.node(ino)?;
        let (size, mtime) = match (&node.dirty, object) {
            (Some(dirty), _) => (dirty.file.metadata().map_err(disk)?.len(), dirty.mtime),
            (None, Some(object)) => (object.size, mtime_of(object)),
            (None, None) => (0, node.made),
        };
        let (kind, mode, links) = match node.kind {
            Kind::Folder => (FileType::Directory, self.options.dir_mode, 1),
            Kind::File => (FileType::RegularFile, self.options.file_mode, if node.gone { 0 } else { 1 }),
            Kind::Link => (FileType::Symlink, 0o777, 1),
        };
        let target = object.filter(|_| node.kind == Kind::Link).and_then(|object| metadata(object, TARGET));
        Ok(FileAttr {
            ino: INodeNo(ino),
            size: target.map_or(size, |target| target.len() as u64),
            blocks: size.div_ceil(512),
            atime: mtime,
            mtime,
            ctime: mtime,
            crtime: mtime,
            kind,
            perm: u16::try_from(mode).unwrap_or(0),
            nlink: links,
            uid: self.options.uid.unwrap_or(0),
            gid: self.options.gid.unwrap_or(0),
            rdev: 0,
            blksize: limits::FUSE_BLOCK,
            flags: 0,
        })
    }

    /// Where a symbolic link leads.
    pub fn target(&self, ino: u64) -> Result<String> {
        let object = self.objects.get(&self.node(ino)?.name)?.ok_or(Errno::ENOENT)?;
        metadata(&object, TARGET).map(str::to_owned).ok_or(Errno::EINVAL)
    }

    fn handle(&mut self, handle: Handle) -> u64 {
        self.last_handle += 1;
        self.handles.insert(self.last_handle, handle);
        self.last_handle
    }

    /// How long the kernel may keep what it knows.
    pub fn keep(&self) -> Duration {
        self.options.metadata_ttl
    }
}

impl Drop for Tree {
    /// What nobody closed, as when the machine was switched off, is lost.
    fn drop(&mut self) {
        for dirty in self.nodes.take_dirty() {
            self.objects.files.remove_staged(&dirty.path);
        }
    }
}

fn kind_of(object: &Object) -> Kind {
    if metadata(object, TARGET).is_some() { Kind::Link } else { Kind::File }
}

fn mtime_of(object: &Object) -> SystemTime {
    let text = objects::metadata(object, MTIME).unwrap_or(&object.updated);
    let time: Option<jiff::Timestamp> = text.parse().ok();
    time.map_or(UNIX_EPOCH, SystemTime::from)
}
