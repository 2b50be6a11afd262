//! The Python docker SDK, as Compose's forerunners, Testcontainers and many scripts use it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};

use sockerless_tests::{Daemon, Output, python};

/// Runs one part of `python/docker_sdk.py` against a daemon of its own.
#[track_caller]
fn part(name: &str) {
    let daemon = Daemon::with_busybox();
    let python = python::with_packages("docker-sdk", &["docker==7.1.0"]);
    let output: Output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/docker_sdk.py"))
        .args([name, &format!("unix://{}", daemon.socket().display())])
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into();
    output.ok();
}

#[test]
fn exec_run_gives_output_in_every_form() {
    part("exec");
}

#[test]
fn exec_by_the_low_level_api_is_a_socket() {
    part("sockets");
}

#[test]
fn top_and_stats_have_the_fields_that_scripts_read() {
    part("usage");
}

#[test]
fn a_container_with_a_published_port_can_be_reached() {
    part("ports");
}

#[test]
fn archives_go_in_and_out_before_and_after_the_start() {
    part("files");
}

#[test]
fn networks_with_aliases_are_made_by_both_levels_of_the_sdk() {
    part("networks");
}
