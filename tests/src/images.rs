//! Images made from what the machine has, in the form that `docker load` takes.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Where Debian's `busybox-static` puts its only file.
pub const BUSYBOX: &str = "/bin/busybox";

/// A layer in work: a file system of a few entries.
pub struct Layer(Builder<Vec<u8>>);

impl Default for Layer {
    fn default() -> Self {
        Self(Builder::new(Vec::new()))
    }
}

impl Layer {
    fn entry(
        &mut self,
        path: &str,
        kind: EntryType,
        mode: u32,
        content: &[u8],
        link: Option<&str>,
    ) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        match link {
            Some(target) => self.0.append_link(&mut header, path, target),
            None => self.0.append_data(&mut header, path, content),
        }
    }

    /// A folder.
    pub fn folder(&mut self, path: &str, mode: u32) -> io::Result<&mut Self> {
        self.entry(path, EntryType::Directory, mode, &[], None).map(|()| self)
    }

    /// A file.
    pub fn file(&mut self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> io::Result<&mut Self> {
        self.entry(path, EntryType::Regular, mode, content.as_ref(), None).map(|()| self)
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<&mut Self> {
        self.entry(path, EntryType::Symlink, 0o777, &[], Some(target)).map(|()| self)
    }

    /// The layer's tar.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.0.into_inner()
    }
}

/// The root file system of a busybox image.
pub fn busybox_layer() -> io::Result<Layer> {
    let busybox = fs::read(BUSYBOX).map_err(|error| {
        io::Error::new(error.kind(), format!("{BUSYBOX}: {error}; install the Debian package busybox-static"))
    })?;
    let applets = std::process::Command::new(BUSYBOX).arg("--list").output()?;
    let mut layer = Layer::default();
    for (path, mode) in
        [("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var", 0o755)]
    {
        layer.folder(path, mode)?;
    }
    layer.file("bin/busybox", 0o755, busybox)?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|name| *name != "busybox") {
        layer.link(&format!("bin/{applet}"), "busybox")?;
    }
    layer.file(
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    )?;
    layer.file("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\nstaff:x:50:nobody\n")?;
    Ok(layer)
}

/// What an image's configuration says beside its layers.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    /// `repository:tag`.
    pub name: String,
    /// `config` of the OCI image configuration.
    pub config: Value,
    /// The platform's architecture.
    pub architecture: String,
}

impl ImageSpec {
    /// An image whose default command is a shell.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            config: json!({"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}),
            architecture: "amd64".into(),
        }
    }

    /// Sets a field of `config`.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }
}

/// Hexadecimal SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The archive that `docker save` would write for an image of one layer.
pub fn archive(spec: &ImageSpec, layer: Layer) -> io::Result<Vec<u8>> {
    let layer = layer.finish()?;
    let config = json!({
        "architecture": spec.architecture,
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": spec.config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "busybox-static of Debian"}],
    })
    .to_string();
    let config_file = format!("{}.json", sha256(config.as_bytes()));
    let manifest =
        json!([{"Config": config_file, "RepoTags": [spec.name], "Layers": ["layer.tar"]}]).to_string();
    let mut archive = Layer::default();
    archive.file(&config_file, 0o644, config)?;
    archive.file("layer.tar", 0o644, layer)?;
    archive.file("manifest.json", 0o644, manifest)?;
    archive.finish()
}

/// Writes the busybox image's archive, unless it is there already.
pub fn write_busybox(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let path = folder.join(format!("{}.tar", name.replace([':', '/'], "-")));
    if !path.exists() {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&archive(&ImageSpec::new(name), busybox_layer()?)?)?;
        file.persist(&path)?;
    }
    Ok(path)
}
