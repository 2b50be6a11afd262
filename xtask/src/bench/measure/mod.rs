//! The measurements. Each is the same code for both daemons.

pub mod agents;
pub mod binds;
mod cli;
pub mod daemon;
pub mod exec;
pub mod files;
pub mod mesh;
pub mod output;
pub mod ports;
pub mod volumes;

use std::{fs, time::Duration};

use super::{http::Connection, subject::Subject};
use crate::Result;

/// How often a short operation is repeated; the median counts.
const REPEATS: usize = 20;
/// How often an operation of seconds is repeated; the median counts.
const FEW: usize = 3;

fn create_one(connection: &mut Connection, command: &[&str]) -> Result<String> {
    create_with(connection, command, serde_json::json!({}))
}

/// With further fields of the request.
fn create_with(
    connection: &mut Connection,
    command: &[&str],
    mut request: serde_json::Value,
) -> Result<String> {
    request["Image"] = "busybox:latest".into();
    request["Cmd"] = command.into();
    let (status, body) =
        connection.request("POST", "/v1.41/containers/create", request.to_string().as_bytes())?;
    let body: serde_json::Value = serde_json::from_slice(&body)?;
    body["Id"].as_str().map(str::to_owned).ok_or_else(|| format!("create: status {status}: {body}").into())
}

fn start(connection: &mut Connection, id: &str) -> Result {
    let (status, body) = connection.request("POST", &format!("/v1.41/containers/{id}/start"), b"")?;
    if status == 204 {
        Ok(())
    } else {
        Err(format!("start: {status}: {}", String::from_utf8_lossy(&body)).into())
    }
}

/// A container that does nothing.
fn sleeper(connection: &mut Connection) -> Result<String> {
    let id = create_one(connection, &["sleep", "86400"])?;
    start(connection, &id)?;
    Ok(id)
}

fn remove(subject: &dyn Subject, id: &str) -> Result {
    let path = format!("/v1.41/containers/{id}?force=1");
    let (status, body) = Connection::open(subject.socket())?.request("DELETE", &path, b"")?;
    if status == 204 {
        Ok(())
    } else {
        Err(format!("remove: {status}: {}", String::from_utf8_lossy(&body)).into())
    }
}

/// Resident memory of a process in KiB.
fn resident(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(kib.trim().trim_end_matches(" kB").parse()?)
}

fn median(times: Vec<Duration>) -> Duration {
    part(times, 0.5)
}

/// The time that this part of all do not exceed.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few thousand
fn part(mut times: Vec<Duration>, part: f64) -> Duration {
    times.sort();
    let index = (times.len() as f64 * part) as usize;
    times.get(index).or(times.last()).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn megabytes(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}
