//! A job as GitLab Runner's docker executor runs it: services, a helper and a build container that share volumes, each started once
//! for every stage and given its script by attach.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};

use sockerless_tests::{Daemon, Output, python};

/// Runs `python/gitlab_runner.py` against a daemon of its own.
#[track_caller]
fn job(mode: &str) {
    let daemon = Daemon::start();
    daemon.load_programs();
    let output: Output = Command::new(python::with_packages("docker-sdk", &["docker==7.1.0"]))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/gitlab_runner.py"))
        .args([mode, &format!("unix://{}", daemon.socket().display())])
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into();
    output.ok();
}

#[test]
fn a_job_finds_its_services_on_a_network_of_its_own() {
    job("network");
}

#[test]
fn a_job_finds_its_services_by_links() {
    job("links");
}
