//! Pythons with clients of others.

use std::{fs, path::PathBuf, process::Command};

use crate::dist;

/// A Python with packages (`name==version`) in a virtual environment below the target folder, made once. The environment's
/// `SOCKERLESS_TEST_VENV` names a folder with one that has them already.
pub fn with_packages(name: &str, packages: &[&str]) -> PathBuf {
    if let Some(venv) = std::env::var_os("SOCKERLESS_TEST_VENV") {
        return PathBuf::from(venv).join("bin/python");
    }
    let venv = dist::target().join(name);
    if !venv.join("complete").exists() {
        checked(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        checked(Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).args(packages));
        fs::write(venv.join("complete"), "").expect("the folder was made above");
    }
    venv.join("bin/python")
}

/// Runs a command that has to succeed.
#[track_caller]
fn checked(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
