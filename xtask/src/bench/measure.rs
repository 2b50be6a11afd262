//! The measurements. Each is the same code for both daemons.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    http::Connection,
    load,
    subject::{Subject, docker},
};
use crate::{Result, command};

/// How often a short operation is repeated; the median counts.
const REPEATS: usize = 20;
/// How long a rate is measured.
const RATE: Duration = Duration::from_secs(3);
/// Clients at once.
const CLIENTS: usize = 16;
/// Containers in the list.
const CONTAINERS: usize = 1_000;
/// Bytes in the log.
const LOG: u64 = 100_000_000;
/// Bytes through attach: blocks of 64 KiB.
const ATTACH: u64 = 6_400 << 16;

/// Median time from the start of the process to its first answer.
pub fn ready(subject: &mut dyn Subject) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..REPEATS / 4 {
        subject.stop()?;
        times.push(subject.start()?);
    }
    Ok(median(times))
}

/// Resident memory of all processes that wait, after a container has run.
pub fn idle_memory(subject: &mut dyn Subject) -> Result<f64> {
    command::read(docker(subject.socket()).args(["run", "--rm", "busybox", "true"]))?;
    let mut sum = 0.0;
    for process in subject.processes() {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        sum += kib.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0;
    }
    Ok(sum)
}

/// Requests a second with kept-alive connections.
pub fn ping(subject: &mut dyn Subject) -> Result<f64> {
    load::rate(subject.socket(), CLIENTS, "/_ping", RATE)
}

/// Requests a second for one container.
pub fn inspect(subject: &mut dyn Subject) -> Result<f64> {
    let id = create_one(&mut Connection::open(subject.socket())?, &["true"])?;
    let rate = load::rate(subject.socket(), 1, &format!("/v1.41/containers/{id}/json"), RATE);
    remove(subject, &id)?;
    rate
}

/// Median of one create after the other.
pub fn create(subject: &mut dyn Subject) -> Result<f64> {
    let mut connection = Connection::open(subject.socket())?;
    let (mut times, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS * 2 {
        let since = Instant::now();
        ids.push(create_one(&mut connection, &["true"])?);
        times.push(since.elapsed());
    }
    for id in ids {
        remove(subject, &id)?;
    }
    Ok(median(times))
}

/// Median of listing all containers.
pub fn list(subject: &mut dyn Subject) -> Result<f64> {
    let mut connection = Connection::open(subject.socket())?;
    for _ in 0..CONTAINERS {
        create_one(&mut connection, &["true"])?;
    }
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let since = Instant::now();
        let (status, body) = connection.request("GET", "/v1.41/containers/json?all=1", b"")?;
        times.push(since.elapsed());
        let listed = serde_json::from_slice::<Vec<serde_json::Value>>(&body)?.len();
        if status != 200 || listed < CONTAINERS {
            return Err(format!("status {status}, {listed} containers listed").into());
        }
    }
    let (status, _) = connection.request("POST", "/v1.41/containers/prune", b"")?;
    if status == 200 { Ok(median(times)) } else { Err(format!("prune: status {status}").into()) }
}

/// Median of the docker CLI's `run --rm busybox true`.
pub fn run(subject: &mut dyn Subject) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let since = Instant::now();
        command::run(
            docker(subject.socket()).args(["run", "--rm", "busybox", "true"]).stdout(Stdio::null()),
        )?;
        times.push(since.elapsed());
    }
    Ok(median(times))
}

/// Reading the log of a container that has ended.
pub fn logs(subject: &mut dyn Subject) -> Result<f64> {
    let mut connection = Connection::open(subject.socket())?;
    let script = format!(
        "yes 'a line of the usual length, as build tools write them by the thousand' | head -c {LOG}"
    );
    let id = create_one(&mut connection, &["sh", "-c", &script])?;
    start(&mut connection, &id)?;
    connection.request("POST", &format!("/v1.41/containers/{id}/wait"), b"")?;
    let since = Instant::now();
    let (status, bytes) = Connection::open(subject.socket())?.count(
        "GET",
        &format!("/v1.41/containers/{id}/logs?stdout=1"),
        "",
    )?;
    let time = since.elapsed();
    remove(subject, &id)?;
    if status != 200 || bytes < LOG {
        return Err(format!("status {status}, {bytes} bytes").into());
    }
    Ok(megabytes(LOG, time))
}

/// From the start of a container that writes as fast as it can until the end of the stream.
pub fn attach(subject: &mut dyn Subject) -> Result<f64> {
    let mut connection = Connection::open(subject.socket())?;
    // busybox's `head -c` copies byte by byte, and would be what is measured.
    let script = format!("dd if=/dev/zero bs=65536 count={} 2>/dev/null", ATTACH >> 16);
    let id = create_one(&mut connection, &["sh", "-c", &script])?;
    let mut attached = Connection::open(subject.socket())?;
    let status = attached.hijack(&format!("/v1.41/containers/{id}/attach?stream=1&stdout=1&stderr=1"))?;
    if status != 101 {
        return Err(format!("attach: status {status}").into());
    }
    start(&mut connection, &id)?;
    let since = Instant::now();
    let bytes = attached.drain()?;
    let time = since.elapsed();
    remove(subject, &id)?;
    if bytes < ATTACH {
        return Err(format!("{bytes} bytes arrived").into());
    }
    Ok(megabytes(ATTACH, time))
}

fn create_one(connection: &mut Connection, command: &[&str]) -> Result<String> {
    let body = serde_json::json!({"Image": "busybox:latest", "Cmd": command}).to_string();
    let (status, body) = connection.request("POST", "/v1.41/containers/create", body.as_bytes())?;
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

fn remove(subject: &dyn Subject, id: &str) -> Result {
    let path = format!("/v1.41/containers/{id}?force=1");
    let (status, body) = Connection::open(subject.socket())?.request("DELETE", &path, b"")?;
    if status == 204 {
        Ok(())
    } else {
        Err(format!("remove: {status}: {}", String::from_utf8_lossy(&body)).into())
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn megabytes(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}
