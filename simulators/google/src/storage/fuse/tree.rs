//! What the calls of the kernel do to inodes and objects.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, INodeNo};
use serde_json::{Map, Value, json};

use super::nodes::{Dirty, Kind, Node, Nodes, ROOT};
use super::objects::{self, MTIME, Objects, Result, TARGET, disk, metadata};
use crate::run::MountOptions;
use crate::storage::index::Object;
use crate::{limits, time};

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

    /// A new file, here alone until it is closed.
    pub fn create(&mut self, parent: u64, name: &str) -> Result<(FileAttr, u64)> {
        let name = self.child(parent, name)?;
        let source = self.objects.get(&name)?.map_or(0, |object| object.generation);
        let (path, file) = self.objects.stage()?;
        let ino = self.nodes.find(name, Kind::File);
        let node = self.node_mut(ino)?;
        node.dirty = Some(Dirty { path, file, source, mtime: SystemTime::now() });
        node.handles += 1;
        let attr = self.known(ino, None)?;
        Ok((attr, self.handle(Handle::File { ino, reader: None })))
    }

    /// Opens a file: what is read is the generation of this moment.
    pub fn open(&mut self, ino: u64) -> Result<u64> {
        let reader = self.reader(ino)?;
        self.node_mut(ino)?.handles += 1;
        Ok(self.handle(Handle::File { ino, reader }))
    }

    fn reader(&self, ino: u64) -> Result<Option<(PathBuf, File)>> {
        let node = self.node(ino)?;
        if node.dirty.is_some() {
            return Ok(None);
        }
        let object = self.objects.get(&node.name)?.ok_or(Errno::ENOENT)?;
        let path = self.objects.content(&object);
        match File::open(&path) {
            Ok(file) => Ok(Some((path, file))),
            // Replaced between the two.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Errno::ESTALE),
            Err(error) => Err(disk(error)),
        }
    }

    /// Reads at most `size` bytes.
    pub fn read(&mut self, handle: u64, offset: u64, size: u32) -> Result<Vec<u8>> {
        let Some(Handle::File { ino, reader }) = self.handles.get(&handle) else { return Err(Errno::EBADF) };
        let (ino, stale) = (*ino, reader.as_ref().is_none_or(|(path, _)| !path.exists()));
        let node = self.node(ino)?;
        let mut content = vec![0; size as usize];
        if let Some(dirty) = &node.dirty {
            let count = read_at(&dirty.file, &mut content, offset).map_err(disk)?;
            content.truncate(count);
            return Ok(content);
        }
        if stale {
            // What this mount wrote itself it may read on; what somebody else did makes the handle stale.
            let object = self.objects.get(&node.name)?.filter(|object| object.generation == node.own);
            object.ok_or(Errno::ESTALE)?;
            let fresh = self.reader(ino)?;
            if let Some(Handle::File { reader, .. }) = self.handles.get_mut(&handle) {
                *reader = fresh;
            }
        }
        let Some(Handle::File { reader: Some((_, file)), .. }) = self.handles.get(&handle) else {
            return Err(Errno::EBADF);
        };
        let count = read_at(file, &mut content, offset).map_err(disk)?;
        content.truncate(count);
        Ok(content)
    }

    /// Takes the content out of the bucket to change it: all of it, as gcsfuse does. `keep` bytes are needed.
    fn stage(&mut self, ino: u64, keep: u64) -> Result<()> {
        let node = self.node(ino)?;
        if node.dirty.is_some() {
            return Ok(());
        }
        let object = self.objects.get(&node.name)?.ok_or(Errno::ESTALE)?;
        let (path, mut file) = self.objects.stage()?;
        if keep > 0 {
            let mut from = File::open(self.objects.content(&object)).map_err(disk)?;
            io::copy(&mut from, &mut file).map_err(disk)?;
        }
        let dirty = Dirty { path, file, source: object.generation, mtime: SystemTime::now() };
        self.node_mut(ino)?.dirty = Some(dirty);
        Ok(())
    }

    /// Writes into the staged content.
    pub fn write(&mut self, handle: u64, offset: u64, data: &[u8]) -> Result<()> {
        let Some(Handle::File { ino, .. }) = self.handles.get(&handle) else { return Err(Errno::EBADF) };
        let ino = *ino;
        self.stage(ino, u64::MAX)?;
        if let Some(dirty) = &mut self.node_mut(ino)?.dirty {
            dirty.file.write_all_at(data, offset).map_err(disk)?;
            dirty.mtime = SystemTime::now();
        }
        Ok(())
    }

    /// Cuts or fills up; without an open handle it is written at once.
    pub fn truncate(&mut self, ino: u64, size: u64) -> Result<()> {
        self.stage(ino, size)?;
        let node = self.node_mut(ino)?;
        if let Some(dirty) = &mut node.dirty {
            dirty.file.set_len(size).map_err(disk)?;
            dirty.mtime = SystemTime::now();
        }
        if node.handles == 0 { self.sync(ino) } else { Ok(()) }
    }

    /// Sets the time of the last change.
    pub fn touch(&mut self, ino: u64, mtime: SystemTime) -> Result<()> {
        let node = self.node_mut(ino)?;
        if let Some(dirty) = &mut node.dirty {
            dirty.mtime = mtime;
            return Ok(());
        }
        if node.kind != Kind::File || node.gone {
            return Ok(());
        }
        let name = node.name.clone();
        self.objects.set_metadata(&name, MTIME, stamp(mtime)).map(drop)
    }

    /// Makes what is staged the object's content.
    pub fn sync(&mut self, ino: u64) -> Result<()> {
        let objects = self.objects.clone();
        let node = self.node_mut(ino)?;
        // Of a file without a name nothing is ever written.
        if node.gone {
            return Ok(());
        }
        let Some(dirty) = node.dirty.take() else { return Ok(()) };
        let set = Map::from_iter([(MTIME.to_owned(), json!(stamp(dirty.mtime)))]);
        match objects.put(&node.name, &dirty.path, dirty.source, set) {
            Ok(object) => {
                node.own = object.generation;
                Ok(())
            }
            Err(error) => {
                self.nodes.unname(ino);
                Err(error)
            }
        }
    }

    /// `close`: what is staged is written.
    pub fn flush(&mut self, handle: u64) -> Result<()> {
        match self.handles.get(&handle) {
            Some(Handle::File { ino, .. }) => self.sync(*ino),
            _ => Err(Errno::EBADF),
        }
    }

    /// `fsync`: changes of a file that was there are written. A new one is streamed, and is an object when it is closed.
    pub fn fsync(&mut self, handle: u64) -> Result<()> {
        let Some(Handle::File { ino, .. }) = self.handles.get(&handle) else { return Err(Errno::EBADF) };
        let ino = *ino;
        let streamed = self.node(ino)?.dirty.as_ref().is_some_and(|dirty| dirty.source == 0);
        if streamed { Ok(()) } else { self.sync(ino) }
    }

    /// The last one who had it open has closed it.
    pub fn release(&mut self, handle: u64) {
        let Some(Handle::File { ino, .. }) = self.handles.remove(&handle) else { return };
        let Some(node) = self.nodes.get_mut(ino) else { return };
        node.handles = node.handles.saturating_sub(1);
        if node.handles > 0 {
            return;
        }
        if node.gone {
            if let Some(dirty) = node.dirty.take() {
                self.objects.files.remove_staged(&dirty.path);
            }
        } else if self.sync(ino).is_err() {
            // Told to whoever closed it; here nobody listens any more.
            tracing::debug!(ino, "a file was not written");
        }
        self.nodes.drop_unused(ino);
    }

    /// A folder's content as it is now.
    pub fn open_folder(&mut self, ino: u64) -> Result<u64> {
        let folder = folder_of(&self.node(ino)?.name);
        let mut entries =
            vec![(ino, FileType::Directory, ".".to_owned()), (ROOT, FileType::Directory, "..".to_owned())];
        let mut names: HashMap<String, FileType> = HashMap::new();
        for child in self.objects.children(&folder)? {
            let kind = match (child.folder, &child.object) {
                (true, None) if !self.options.implicit_dirs => continue,
                (true, _) => FileType::Directory,
                (false, Some(object)) if kind_of(object) == Kind::Link => FileType::Symlink,
                (false, _) => FileType::RegularFile,
            };
            let known = names.entry(child.name).or_insert(kind);
            if kind == FileType::Directory {
                *known = kind;
            }
        }
        for ino in self.nodes.below(&folder) {
            let node = self.node(ino)?;
            let name = node.name.get(folder.len()..).unwrap_or_default();
            if node.dirty.is_some() && !name.contains('/') {
                names.entry(name.to_owned()).or_insert(FileType::RegularFile);
            }
        }
        let mut names: Vec<(String, FileType)> = names.into_iter().collect();
        names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (index, (name, kind)) in names.into_iter().enumerate() {
            let number = self.nodes.number(&format!("{folder}{name}"));
            // A number that no inode has: who wants the real one looks it up.
            entries.push((number.unwrap_or(limits::FUSE_UNKNOWN + index as u64), kind, name));
        }
        Ok(self.handle(Handle::Folder(entries)))
    }

    /// The entries from an offset on.
    pub fn entries(&self, handle: u64, offset: u64) -> Result<&[(u64, FileType, String)]> {
        let Some(Handle::Folder(entries)) = self.handles.get(&handle) else { return Err(Errno::EBADF) };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(entries.len());
        Ok(&entries[from..])
    }

    /// A folder: an object with a slash at its end.
    pub fn make_folder(&mut self, parent: u64, name: &str) -> Result<FileAttr> {
        let name = self.child(parent, name)?;
        if self.resolve(&name)?.is_some() {
            return Err(Errno::EEXIST);
        }
        self.objects.put_empty(&format!("{name}/"), Map::new())?;
        let ino = self.nodes.find(name, Kind::Folder);
        self.known(ino, None)
    }

    /// A symbolic link: an object without content that says where it leads.
    pub fn make_link(&mut self, parent: u64, name: &str, target: &str) -> Result<FileAttr> {
        let name = self.child(parent, name)?;
        let target = Map::from_iter([(TARGET.to_owned(), Value::from(target))]);
        let object = self.objects.put_empty(&name, target)?;
        let ino = self.nodes.find(name, Kind::Link);
        self.known(ino, Some(&object))
    }

    /// Removes a file or link.
    pub fn unlink(&mut self, parent: u64, name: &str) -> Result<()> {
        let name = self.child(parent, name)?;
        let ino = self.nodes.number(&name);
        let new = ino.and_then(|ino| self.nodes.get(ino)).is_some_and(|node| node.dirty.is_some());
        if !self.objects.remove(&name)? && !new {
            return Err(Errno::ENOENT);
        }
        if let Some(ino) = ino {
            self.nodes.unname(ino);
        }
        Ok(())
    }

    /// Whether a folder has anything in it.
    fn is_empty(&self, name: &str) -> Result<bool> {
        let folder = folder_of(name);
        let prefix = format!("{}{folder}", self.objects.prefix);
        let held = self.objects.all_below(&folder, 2)?.iter().any(|object| object.name != prefix);
        let new = self.nodes.below(&folder).into_iter().filter_map(|ino| self.nodes.get(ino));
        Ok(!held && !new.into_iter().any(|node| node.dirty.is_some()))
    }

    /// Removes an empty folder.
    pub fn remove_folder(&mut self, parent: u64, name: &str) -> Result<()> {
        let name = self.child(parent, name)?;
        if !self.is_folder(&name)? {
            return Err(if self.objects.get(&name)?.is_some() { Errno::ENOTDIR } else { Errno::ENOENT });
        }
        if !self.is_empty(&name)? {
            return Err(Errno::ENOTEMPTY);
        }
        self.objects.remove(&folder_of(&name))?;
        if let Some(ino) = self.nodes.number(&name) {
            self.nodes.unname(ino);
        }
        Ok(())
    }

    /// Another name. A file is copied and removed; a folder object by object.
    pub fn rename(
        &mut self,
        (parent, name): (u64, &str),
        (to_parent, to_name): (u64, &str),
        replace: bool,
    ) -> Result<()> {
        let (from, to) = (self.child(parent, name)?, self.child(to_parent, to_name)?);
        if let Some(ino) = self.nodes.number(&from) {
            self.sync(ino)?;
        }
        let (kind, object) = self.resolve(&from)?.ok_or(Errno::ENOENT)?;
        let there = self.resolve(&to)?;
        if there.is_some() && !replace {
            return Err(Errno::EEXIST);
        }
        let to_folder = matches!(&there, Some((Kind::Folder, _)));
        match object {
            Some(_) if to_folder => Err(Errno::EISDIR),
            Some(object) => {
                let moved = self.objects.rename(&object, &to)?;
                if let Some(ino) = self.nodes.number(&from) {
                    self.nodes.rename(ino, &to);
                    self.node_mut(ino)?.own = moved.generation;
                } else if let Some(ino) = self.nodes.number(&to) {
                    self.nodes.unname(ino);
                }
                Ok(())
            }
            None if kind != Kind::Folder => Err(Errno::ENOENT),
            None if there.is_some() && !to_folder => Err(Errno::ENOTDIR),
            None if to_folder && !self.is_empty(&to)? => Err(Errno::ENOTEMPTY),
            None => self.rename_folder(&from, &to),
        }
    }

    fn rename_folder(&mut self, from: &str, to: &str) -> Result<()> {
        let (from_folder, to_folder) = (folder_of(from), folder_of(to));
        for ino in self.nodes.below(&from_folder) {
            self.sync(ino)?;
        }
        let most = usize::try_from(self.options.rename_dir_limit).unwrap_or(usize::MAX);
        let prefix = format!("{}{from_folder}", self.objects.prefix);
        let all = self.objects.all_below(&from_folder, most.saturating_add(2))?;
        if all.iter().filter(|object| object.name != prefix).count() > most {
            return Err(Errno::EMFILE);
        }
        for object in &all {
            let rest = object.name.strip_prefix(&prefix).unwrap_or_default();
            self.objects.rename(object, &format!("{to_folder}{rest}"))?;
        }
        for ino in self.nodes.below(&from_folder) {
            let rest = self.node(ino)?.name.get(from_folder.len()..).unwrap_or_default().to_owned();
            let name = format!("{to_folder}{rest}");
            let own = self.objects.get(&name)?.map_or(0, |object| object.generation);
            self.nodes.rename(ino, &name);
            self.node_mut(ino)?.own = own;
        }
        if let Some(ino) = self.nodes.number(from) {
            self.nodes.rename(ino, to);
        }
        Ok(())
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

fn read_at(file: &File, content: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < content.len() {
        match file.read_at(&mut content[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn mtime_of(object: &Object) -> SystemTime {
    let text = objects::metadata(object, MTIME).unwrap_or(&object.updated);
    let time: Option<jiff::Timestamp> = text.parse().ok();
    time.map_or(UNIX_EPOCH, SystemTime::from)
}

fn stamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| time::nanos(time::now()), time::nanos)
}
