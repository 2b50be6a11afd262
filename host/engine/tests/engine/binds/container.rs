//! What an agent does for bind mounts, in a folder that stands for a container's file system.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sockerless_ports::link::{
    Output,
    listing::Listed,
    request::{End, Fault, FaultKind, LeftOut, Name, PathStat, Reply, Request},
};

use crate::world::*;

/// A container's file system.
#[derive(Clone)]
pub struct Inside {
    folder: Arc<tempfile::TempDir>,
    /// Seconds before things are read.
    slow: Arc<AtomicU64>,
    /// Seconds until a list comes that was promised.
    stall: Arc<AtomicU64>,
    /// Directories that something is mounted over.
    covered: Arc<Mutex<Vec<PathBuf>>>,
    /// Files that the agent may not read.
    hidden: Arc<Mutex<Vec<PathBuf>>>,
    /// Done once, when things are about to be read.
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

impl Inside {
    /// That of all containers of a world.
    pub fn of(world: &World) -> Self {
        let inside = Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            slow: Arc::default(),
            stall: Arc::default(),
            covered: Arc::default(),
            hidden: Arc::default(),
            meanwhile: Arc::default(),
        };
        let served = inside.clone();
        world.link.serve(move |request, end: AgentEnd| {
            let inside = served.clone();
            async move { inside.answer(request, end).await }
        });
        inside
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// From now on.
    pub fn slow_down(&self, seconds: u64) {
        self.slow.store(seconds, Ordering::SeqCst);
    }

    /// From now on.
    pub fn stall(&self, seconds: u64) {
        self.stall.store(seconds, Ordering::SeqCst);
    }

    pub fn cover(&self, path: &str) {
        self.covered.lock().unwrap().push(self.at(path));
    }

    pub fn hide(&self, path: &str) {
        self.hidden.lock().unwrap().push(self.at(path));
    }

    /// What the user does once both sides are listed, and before anything is brought.
    pub fn meanwhile(&self, edit: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(edit));
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    async fn answer(&self, request: Request, end: AgentEnd) {
        match request {
            Request::Stat { path } => match fs::symlink_metadata(self.at(&path)) {
                Ok(_) => end.reply(Reply::Stat(PathStat::default())),
                Err(_) => end.reply(missing()),
            },
            Request::Scan { path, except } => {
                let from = self.at(&path);
                if !from.exists() {
                    return end.reply(missing());
                }
                let mut list = Vec::new();
                self.scan(&from, &from, &except, &mut list);
                end.reply(Reply::Ready);
                tokio::time::sleep(Duration::from_secs(self.stall.load(Ordering::SeqCst))).await;
                for piece in list.chunks(1000) {
                    end.write(Output::Stdout, piece.to_vec()).await;
                }
                end.end(End::Done);
            }
            Request::Put(put) => {
                if !self.at(&put.path).is_dir() {
                    return end.reply(missing());
                }
                end.reply(Reply::Ready);
                let archive = end.read_all().await;
                let mut archive = tar::Archive::new(archive.as_slice());
                archive.set_preserve_permissions(true);
                for entry in archive.entries().unwrap() {
                    let mut entry = entry.unwrap();
                    let leads_out = entry.link_name().unwrap().is_some_and(|link| link.starts_with(".."));
                    assert!(put.any_links || !leads_out, "an agent refuses that");
                    entry.unpack_in(self.at(&put.path)).unwrap();
                }
                end.end(End::Done);
            }
            Request::Pick { path, names } => {
                tokio::time::sleep(Duration::from_secs(self.slow.load(Ordering::SeqCst))).await;
                let meanwhile = self.meanwhile.lock().unwrap().take();
                meanwhile.into_iter().for_each(|edit| edit());
                end.reply(Reply::Ready);
                let mut archive = tar::Builder::new(Vec::new());
                archive.follow_symlinks(false);
                let mut left_out = Vec::new();
                for Name(name) in names {
                    let name = String::from_utf8(name).unwrap();
                    let from = self.at(&path).join(&name);
                    if self.hidden.lock().unwrap().contains(&from) {
                        left_out.push(LeftOut { name, ..LeftOut::default() });
                        continue;
                    }
                    match fs::symlink_metadata(&from) {
                        Ok(meta) if meta.is_dir() => archive.append_dir(&name, &from).unwrap(),
                        Ok(_) => archive.append_path_with_name(&from, &name).unwrap(),
                        Err(_) => {}
                    }
                }
                let archive = archive.into_inner().unwrap();
                for piece in archive.chunks(1000) {
                    end.write(Output::Stdout, piece.to_vec()).await;
                }
                end.end(match left_out.first() {
                    None => End::Done,
                    Some(LeftOut { name, .. }) => {
                        let message = format!("open {path}/{name}: permission denied");
                        let fault = Fault { kind: FaultKind::Forbidden, message };
                        End::Partial { fault, left_out, more: 0 }
                    }
                });
            }
            Request::Remove { path, names } => {
                for Name(name) in names {
                    let from = self.at(&path).join(String::from_utf8(name).unwrap());
                    let removed = if from.is_dir() { fs::remove_dir(&from) } else { fs::remove_file(&from) };
                    assert!(!removed.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied));
                }
                end.reply(Reply::Ready);
            }
            other => panic!("{other:?}"),
        }
    }

    fn scan(&self, from: &Path, path: &Path, except: &[Name], list: &mut Vec<u8>) {
        use std::os::unix::ffi::OsStrExt;
        let relative = path.strip_prefix(from).unwrap().as_os_str().as_bytes();
        if except.iter().any(|name| name.0 == relative) {
            return;
        }
        let meta = fs::symlink_metadata(path).unwrap();
        let mut listed = Listed::new(relative, &meta);
        listed.closed = self.covered.lock().unwrap().iter().any(|covered| covered == path);
        if meta.is_symlink() {
            listed.target = fs::read_link(path).unwrap().into_os_string().as_bytes().to_vec();
        }
        listed.encode(list);
        if meta.is_dir() && !listed.closed {
            for entry in fs::read_dir(path).unwrap() {
                self.scan(from, &entry.unwrap().path(), except, list);
            }
        }
    }
}

fn missing() -> Reply {
    Reply::Failed(Fault { kind: FaultKind::NotFound, message: "no such file or directory".into() })
}
