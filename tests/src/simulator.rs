//! A cloud's simulator without a daemon, for the clouds' own clients.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
};

use serde_json::Value;

use crate::{dist, until};

/// A simulator that ends with the test.
pub struct Simulator {
    child: Child,
    folder: tempfile::TempDir,
}

impl Simulator {
    /// Starts one of a cloud (`google`, `azure`); returns when it answers.
    #[track_caller]
    pub fn start(cloud: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ready = folder.path().join("ready.json");
        let child = Command::new(dist::program("sockerless-simulators"))
            .args([cloud, "--state"])
            .arg(folder.path().join("state"))
            .arg("--ready-file")
            .arg(&ready)
            .spawn()
            .expect("the simulator starts");
        let mut simulator = Self { child, folder };
        until("the simulator's ready file", || {
            if let Some(status) = simulator.child.try_wait().expect("it is ours") {
                panic!("the simulator ended with {status}");
            }
            ready.exists().then_some(())
        });
        simulator
    }

    /// The file that says how to reach it.
    pub fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    /// What stands there.
    #[track_caller]
    pub fn info(&self) -> Value {
        let text = std::fs::read(self.ready_file()).expect("it was written whole");
        serde_json::from_slice(&text).expect("it is JSON")
    }

    /// Ends it.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        checked(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        self.child.wait().expect("it is ours")
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
        }
    }
}

/// Runs a command that has to succeed.
#[track_caller]
pub fn checked(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// What images are made of.
#[track_caller]
pub fn busybox() -> PathBuf {
    let busybox =
        std::env::var_os("SOCKERLESS_BUSYBOX").map_or_else(|| "/usr/bin/busybox".into(), PathBuf::from);
    assert!(busybox.exists(), "the package busybox-static is missing: {busybox:?}");
    busybox
}

/// A script of `tests/python`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}
