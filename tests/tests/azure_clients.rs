//! Azure's own Python clients create, list, start, stop and delete what the simulator really executes, by TLS and with logins
//! of Entra, of a shared key and of a managed identity. What they see of what the daemon made: `azure/seen.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use sockerless_tests::{
    Simulator, python,
    simulator::{busybox, checked, script},
};

#[test]
fn azures_own_clients_find_the_cloud_that_they_know() {
    let busybox = busybox();
    let python = python::with_packages("azure-clients", python::AZURE);
    let mut simulator = Simulator::start("azure");
    let mut clients = Command::new(python);
    checked(clients.arg(script("azure_clients.py")).arg(simulator.ready_file()).arg(&busybox));
    assert!(simulator.stop().success(), "the simulator ends well");
    assert!(!simulator.ready_file().exists(), "the ready file goes with the simulator");
}
