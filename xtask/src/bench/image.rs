//! The image of all measurements: busybox, and beside it the program that makes their traffic.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sockerless_tests::images::{ImageSpec, archive, busybox_layer};
use tempfile::TempDir;

use super::subject::docker;
use crate::{Result, command};

/// It runs in any image, as the agent does.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// An archive for `docker load`.
pub struct Image {
    _folder: TempDir,
    archive: PathBuf,
}

impl Image {
    /// Builds the program and writes the archive of `busybox:latest`.
    pub fn new() -> Result<Self> {
        let root = command::root();
        let package = "sockerless-traffic";
        command::run(command::cargo(&root).args([
            "build",
            "--release",
            "--package",
            package,
            "--target",
            TARGET,
        ]))?;
        let program = fs::read(root.join("target").join(TARGET).join("release").join(package))?;
        let mut layer = busybox_layer()?;
        layer.file("bin/traffic", 0o755, program)?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("image.tar");
        fs::write(&path, archive(&ImageSpec::new("busybox:latest"), layer)?)?;
        Ok(Self { _folder: folder, archive: path })
    }

    /// Loads it.
    pub fn load(&self, socket: &Path) -> Result {
        command::read(docker(socket).args(["load", "--quiet", "--input"]).arg(&self.archive)).map(drop)
    }
}
