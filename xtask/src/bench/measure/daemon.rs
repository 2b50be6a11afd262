//! The daemon itself, and the shortest run.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use super::{REPEATS, create_one, median, milliseconds, remove, resident};
use crate::{
    Result,
    bench::{
        http::Connection,
        load,
        subject::{Subject, docker},
    },
    command,
};

/// How long a rate is measured.
const RATE: Duration = Duration::from_secs(3);
/// Clients at once.
const CLIENTS: usize = 16;
/// Containers in the list.
const CONTAINERS: usize = 1_000;

/// Median time from the start of the process to its first answer.
pub fn ready(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..REPEATS / 4 {
        subject.stop()?;
        times.push(subject.start()?);
    }
    Ok(vec![milliseconds(median(times))])
}

/// Resident memory of all processes that wait, after a container has run.
pub fn idle_memory(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    command::read(docker(subject.socket()).args(["run", "--rm", "busybox", "true"]))?;
    let mut sum = 0.0;
    for process in subject.processes() {
        sum += resident(process)? / 1024.0;
    }
    Ok(vec![sum])
}

/// Requests a second with kept-alive connections.
pub fn ping(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    Ok(vec![load::rate(subject.socket(), CLIENTS, "/_ping", RATE)?])
}

/// Requests a second for one container.
pub fn inspect(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let id = create_one(&mut Connection::open(subject.socket())?, &["true"])?;
    let rate = load::rate(subject.socket(), 1, &format!("/v1.41/containers/{id}/json"), RATE);
    remove(subject, &id)?;
    Ok(vec![rate?])
}

/// Median of one create after the other.
pub fn create(subject: &mut dyn Subject) -> Result<Vec<f64>> {
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
    Ok(vec![milliseconds(median(times))])
}

/// Median of listing all containers.
pub fn list(subject: &mut dyn Subject) -> Result<Vec<f64>> {
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
    if status == 200 {
        Ok(vec![milliseconds(median(times))])
    } else {
        Err(format!("prune: status {status}").into())
    }
}

/// Median of the docker CLI's `run --rm busybox true`.
pub fn run(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let since = Instant::now();
        command::run(
            docker(subject.socket()).args(["run", "--rm", "busybox", "true"]).stdout(Stdio::null()),
        )?;
        times.push(since.elapsed());
    }
    Ok(vec![milliseconds(median(times))])
}
