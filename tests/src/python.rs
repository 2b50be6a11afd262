//! Pythons with clients of others.

use std::{fs, path::PathBuf, process::Command};

use crate::{dist, simulator::checked};

/// Azure's clients at the releases that were tried.
pub const AZURE: &[&str] = &[
    "azure-identity==1.27.0",
    "azure-mgmt-appcontainers==5.1.0",
    "azure-mgmt-privatedns==2.0.0",
    "azure-mgmt-storage==25.3.0",
    "azure-storage-file-share==12.27.1",
];

/// A Python with packages (`name==version`) in a virtual environment below the target folder, made once. The environment's
/// `SOCKERLESS_TEST_VENV` names a folder with one that has them already.
pub fn with_packages(name: &str, packages: &[&str]) -> PathBuf {
    if let Some(venv) = std::env::var_os("SOCKERLESS_TEST_VENV") {
        return PathBuf::from(venv).join("bin/python");
    }
    let venv = dist::target().join(name);
    let (complete, wanted) = (venv.join("complete"), packages.join("\n"));
    if !fs::read_to_string(&complete).is_ok_and(|found| found == wanted) {
        checked(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        checked(Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).args(packages));
        fs::write(complete, wanted).expect("the folder was made above");
    }
    venv.join("bin/python")
}
