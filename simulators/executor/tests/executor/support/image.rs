//! Images made in memory.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

const APPLETS: [&str; 24] = [
    "sh", "echo", "cat", "true", "false", "sleep", "kill", "id", "env", "pwd", "ls", "nc", "wget", "dd",
    "stat", "hostname", "head", "tail", "grep", "mkdir", "chmod", "touch", "readlink", "ps",
];

pub struct Image {
    pub layers: Vec<Vec<u8>>,
    pub config: Value,
}

/// One entry of a layer.
pub struct Entry<'a> {
    pub path: &'a str,
    pub kind: tar::EntryType,
    pub mode: u32,
    pub owner: (u64, u64),
    pub content: &'a [u8],
    pub link: &'a str,
}

impl<'a> Entry<'a> {
    pub fn file(path: &'a str, content: &'a [u8]) -> Self {
        Self { path, kind: tar::EntryType::Regular, mode: 0o644, owner: (0, 0), content, link: "" }
    }

    pub fn folder(path: &'a str) -> Self {
        Self { kind: tar::EntryType::Directory, mode: 0o755, ..Self::file(path, b"") }
    }

    pub fn symlink(path: &'a str, link: &'a str) -> Self {
        Self { kind: tar::EntryType::Symlink, link, ..Self::file(path, b"") }
    }

    pub fn hard_link(path: &'a str, link: &'a str) -> Self {
        Self { kind: tar::EntryType::Link, ..Self::symlink(path, link) }
    }

    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub fn owner(self, uid: u64, gid: u64) -> Self {
        Self { owner: (uid, gid), ..self }
    }
}

impl Image {
    /// Debian's busybox-static with links for the applets that the tests use, PATH set, `sh` as CMD.
    pub fn busybox() -> Self {
        let path = std::env::var("SOCKERLESS_TEST_BUSYBOX").unwrap_or_else(|_| "/bin/busybox".into());
        let binary =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}; package busybox-static"));
        let names: Vec<String> = APPLETS.iter().map(|name| format!("bin/{name}")).collect();
        let passwd = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";
        let group = b"root:x:0:\napp:x:1001:\nstaff:x:50:app\n";
        let mut entries = vec![
            Entry::folder("bin/"),
            Entry::file("bin/busybox", &binary).mode(0o755),
            Entry::folder("etc/"),
            Entry::file("etc/passwd", passwd),
            Entry::file("etc/group", group),
            Entry::folder("root/").mode(0o700),
            Entry::folder("tmp/").mode(0o1777),
            Entry::folder("srv/"),
        ];
        entries.extend(names.iter().map(|name| Entry::symlink(name, "busybox")));
        Self {
            layers: vec![layer(&entries)],
            config: json!({"Env": ["PATH=/bin", "FROM_IMAGE=1"], "Cmd": ["sh"]}),
        }
    }

    pub fn layer(mut self, entries: &[Entry<'_>]) -> Self {
        self.layers.push(layer(entries));
        self
    }

    pub fn config(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }
}

/// A gzipped tar. Names are written as they are, however wicked.
pub fn layer(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        let name = &mut header.as_old_mut().name;
        name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        let link = &mut header.as_old_mut().linkname;
        link[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(entry.owner.0);
        header.set_gid(entry.owner.1);
        header.set_mtime(1_000_000_000);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        builder.append(&header, entry.content).unwrap();
    }
    let mut gzip = builder.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}
