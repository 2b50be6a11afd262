//! What CI runs.

use std::path::PathBuf;

use crate::{
    Result, build,
    command::{self, cargo, root},
    machine, vendors,
};

/// Formatting, lints and tests; with a filter only the tests that match.
pub fn run(filter: Option<&str>) -> Result {
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
    Ok(())
}
