//! Files from their opening to their closing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::SystemTime;

use fuser::{Errno, FileAttr};
use serde_json::{Map, json};

use super::super::nodes::{Dirty, Kind};
use super::super::objects::{MTIME, Result, disk};
use super::{Handle, Tree};
use crate::time;

impl Tree {
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

fn stamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| time::nanos(time::now()), time::nanos)
}
