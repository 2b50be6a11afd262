//! What folders hold, and what becomes of names.

use std::collections::HashMap;

use fuser::{Errno, FileAttr, FileType};
use serde_json::{Map, Value};

use super::super::nodes::{Kind, ROOT};
use super::super::objects::{Result, TARGET};
use super::{Handle, Tree, folder_of, kind_of};
use crate::limits;

impl Tree {
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
}
