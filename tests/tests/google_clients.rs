//! Google's own Python clients create, run, describe and list what the simulator really executes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// The clients at the releases that were tried.
const PACKAGES: &[&str] = &[
    "google-cloud-run==0.16.2",
    "google-cloud-storage==3.17.1",
    "google-cloud-logging==3.17.0",
    "google-cloud-dns==0.37.2",
    "dnspython==2.9.2",
];

/// The folder that cargo builds into: this test is in `TARGET/PROFILE/deps`.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

fn checked(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// The simulators' binary, built if it is not up to date.
fn simulators() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "sockerless-simulators", "--target-dir"]);
    checked(build.arg(target()).current_dir(root));
    target().join("debug/sockerless-simulators")
}

/// A Python with the clients: `SOCKERLESS_TEST_VENV`, or one of our own below the target folder.
fn python() -> PathBuf {
    if let Some(venv) = std::env::var_os("SOCKERLESS_TEST_VENV") {
        return PathBuf::from(venv).join("bin/python");
    }
    let venv = target().join("google-clients");
    let wanted = PACKAGES.join("\n");
    let complete = venv.join("complete");
    if std::fs::read_to_string(&complete).is_ok_and(|found| found == wanted) {
        return venv.join("bin/python");
    }
    checked(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    checked(Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).args(PACKAGES));
    std::fs::write(complete, wanted).unwrap();
    venv.join("bin/python")
}

/// A simulator that ends with the test.
struct Simulator {
    child: Child,
    folder: tempfile::TempDir,
}

impl Simulator {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready.json");
        let child = Command::new(simulators())
            .args(["google", "--state"])
            .arg(folder.path().join("state"))
            .arg("--ready-file")
            .arg(&ready)
            .spawn()
            .unwrap();
        let mut simulator = Self { child, folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !ready.exists() {
            if let Some(status) = simulator.child.try_wait().unwrap() {
                panic!("the simulator ended with {status}");
            }
            assert!(Instant::now() < deadline, "the simulator is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        simulator
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    fn stop(&mut self) -> ExitStatus {
        checked(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        self.child.wait().unwrap()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
        }
    }
}

#[test]
fn googles_own_clients_find_the_cloud_that_they_know() {
    let busybox = std::env::var_os("SOCKERLESS_BUSYBOX").unwrap_or_else(|| "/usr/bin/busybox".into());
    assert!(Path::new(&busybox).exists(), "the package busybox-static is missing: {busybox:?}");
    let mut simulator = Simulator::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/google_clients.py");
    checked(Command::new(python()).arg(script).arg(simulator.ready_file()).arg(&busybox));
    assert!(simulator.stop().success(), "the simulator ends well");
    assert!(!simulator.ready_file().exists(), "the ready file goes with the simulator");
}
