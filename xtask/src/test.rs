//! What CI runs.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result, build,
    command::{self, cargo, root},
    machine, vendors,
};

/// The backend that CI runs beside the default one, and the end-to-end tests that it runs there: what a backend is in a few minutes.
const BESIDE: (&str, [&str; 5]) = ("aca", ["life", "limits", "run", "shares", "volumes"]);

/// Formatting, lints and tests; with a filter only the tests that match, with a backend only the end-to-end tests, on it.
pub fn run(filter: Option<&str>, backend: Option<&str>) -> Result {
    if let Some(backend) = backend {
        machine::prepare_build()?;
        machine::prepare_tests()?;
        let dist = build::all(false)?;
        return command::run(end_to_end(backend, &dist).arg("--no-fail-fast").args(filter));
    }
    machine::prepare_build()?;
    machine::prepare_tests()?;
    let (root, plugins) = (root(), root().join("plugins"));
    if filter.is_none() {
        for folder in [&root, &plugins] {
            command::run(cargo(folder).args(["fmt", "--all", "--check"]))?;
        }
        vendors::check(&root)?;
    }
    let dist: PathBuf = build::all(false)?;
    if filter.is_none() {
        command::run(cargo(&root).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
        command::run(cargo(&plugins).args(["clippy", "--target", "wasm32-wasip2", "--", "-D", "warnings"]))?;
    }
    let native = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut in_plugins = cargo(&plugins);
    in_plugins.args(["test", "--target", &native]);
    let mut in_root = cargo(&root);
    in_root.args(["test", "--workspace", "--no-fail-fast"]).env("SOCKERLESS_DIST", &dist);
    for command in [&mut in_plugins, &mut in_root] {
        command::run(command.args(filter))?;
    }
    if filter.is_none() {
        let (backend, suites) = BESIDE;
        let suites = suites.iter().flat_map(|suite| ["--test", suite]);
        command::run(end_to_end(backend, &dist).arg("--no-fail-fast").args(suites))?;
    }
    Ok(())
}

/// `cargo test` of the end-to-end tests on a backend.
fn end_to_end(backend: &str, dist: &Path) -> Command {
    let mut command = cargo(&root());
    command.args(["test", "--package", "sockerless-tests"]);
    command.env("SOCKERLESS_DIST", dist).env("SOCKERLESS_BACKEND", backend);
    command
}
