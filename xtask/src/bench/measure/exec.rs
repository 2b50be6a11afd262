//! Further processes in a container.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{FEW, REPEATS, median, megabytes, milliseconds, remove, sleeper};
use crate::{
    Result,
    bench::{
        http::Connection,
        subject::{Subject, docker},
    },
    command,
};

/// Bytes that an exec writes.
const OUTPUT: u64 = 6_400 << 16;

/// Median of the docker CLI's `exec … true`.
pub fn nothing(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let id = sleeper(&mut Connection::open(subject.socket())?)?;
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let since = Instant::now();
        command::run(docker(subject.socket()).args(["exec", &id, "true"]).stdout(Stdio::null()))?;
        times.push(since.elapsed());
    }
    remove(subject, &id)?;
    Ok(vec![milliseconds(median(times))])
}

/// From the start of an exec that writes as fast as it can until the end of the stream.
pub fn output(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let id = sleeper(&mut Connection::open(subject.socket())?)?;
    let times = (0..FEW).map(|_| write(subject, &id)).collect::<Result<Vec<_>>>();
    remove(subject, &id)?;
    Ok(vec![megabytes(OUTPUT, median(times?))])
}

fn write(subject: &dyn Subject, container: &str) -> Result<Duration> {
    let mut connection = Connection::open(subject.socket())?;
    let command = json!({"Cmd": ["traffic", "send", OUTPUT.to_string()], "AttachStdout": true});
    let path = format!("/v1.41/containers/{container}/exec");
    let (status, body) = connection.request("POST", &path, command.to_string().as_bytes())?;
    let body: serde_json::Value = serde_json::from_slice(&body)?;
    let exec = body["Id"].as_str().ok_or_else(|| format!("exec: status {status}: {body}"))?;
    let since = Instant::now();
    let status = connection.hijack(&format!("/v1.41/exec/{exec}/start"), b"{}")?;
    let bytes = connection.drain()?;
    let time = since.elapsed();
    if status != 101 || bytes < OUTPUT {
        return Err(format!("exec: status {status}, {bytes} bytes arrived").into());
    }
    Ok(time)
}
