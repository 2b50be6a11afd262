//! By the docker CLI.

use std::{fs, path::Path};

use crate::{Result, bench::subject::docker, command};

/// `docker ARGS`: its output.
pub fn run(socket: &Path, arguments: &[&str]) -> Result<String> {
    command::read(docker(socket).args(arguments))
}

/// The same, with the seconds that it took.
pub fn timed(socket: &Path, arguments: &[&str]) -> Result<(String, f64)> {
    let since = uptime()?;
    let output = run(socket, arguments)?;
    Ok((output, uptime()? - since))
}

/// Seconds since the machine began, by the clock that a container shares with it.
pub fn uptime() -> Result<f64> {
    let text = fs::read_to_string("/proc/uptime")?;
    Ok(text.split(' ').next().ok_or("no uptime")?.parse()?)
}

/// The value in the middle.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
