//! Azure's own Python clients create, list, start, stop and delete what the simulator really executes, by TLS and with logins
//! of Entra, of a shared key and of a managed identity.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use sockerless_tests::{dist, python};

/// The clients at the releases that were tried.
const PACKAGES: &[&str] = &[
    "azure-identity==1.27.0",
    "azure-mgmt-appcontainers==5.1.0",
    "azure-mgmt-privatedns==2.0.0",
    "azure-mgmt-storage==25.3.0",
    "azure-storage-file-share==12.27.1",
];

/// A simulator that ends with the test.
struct Simulator {
    child: Child,
    folder: tempfile::TempDir,
}

impl Simulator {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready.json");
        let child = Command::new(dist::program("sockerless-simulators"))
            .args(["azure", "--state"])
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
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
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
fn azures_own_clients_find_the_cloud_that_they_know() {
    let busybox =
        std::env::var_os("SOCKERLESS_BUSYBOX").map_or_else(|| "/usr/bin/busybox".into(), PathBuf::from);
    assert!(busybox.exists(), "the package busybox-static is missing: {busybox:?}");
    let python = python::with_packages("azure-clients", PACKAGES);
    let mut simulator = Simulator::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/azure_clients.py");
    let status = Command::new(python).arg(script).arg(simulator.ready_file()).arg(&busybox).status().unwrap();
    assert!(status.success(), "{status}");
    assert!(simulator.stop().success(), "the simulator ends well");
    assert!(!simulator.ready_file().exists(), "the ready file goes with the simulator");
}
