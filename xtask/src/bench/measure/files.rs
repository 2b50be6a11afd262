//! What `docker cp` asks for.

use std::time::{Duration, Instant};

use super::{FEW, median, megabytes, remove, sleeper};
use crate::{
    Result,
    bench::{http::Connection, subject::Subject},
};

/// Bytes in the file.
const SIZE: u64 = 1_000_000_000;
/// A tar's unit, and the empty ones at its end.
const BLOCK: u64 = 512;

/// A file of a running container, out.
pub fn out(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    measured(subject, |subject, container| {
        put(subject, container)?;
        // What was written must not be on its way to the disk still.
        nix::unistd::sync();
        let times = (0..FEW).map(|_| get(subject, container)).collect::<Result<_>>()?;
        Ok(median(times))
    })
}

/// A file, into a running container.
pub fn into(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    measured(subject, |subject, container| {
        let times = (0..FEW).map(|_| put(subject, container)).collect::<Result<_>>()?;
        Ok(median(times))
    })
}

fn measured(
    subject: &mut dyn Subject,
    take: impl FnOnce(&dyn Subject, &str) -> Result<Duration>,
) -> Result<Vec<f64>> {
    let id = sleeper(&mut Connection::open(subject.socket())?)?;
    let time = take(subject, &id);
    remove(subject, &id)?;
    Ok(vec![megabytes(SIZE, time?)])
}

fn get(subject: &dyn Subject, container: &str) -> Result<Duration> {
    let since = Instant::now();
    let (status, bytes) = Connection::open(subject.socket())?
        .count(&format!("/v1.41/containers/{container}/archive?path=/tmp/file"))?;
    let time = since.elapsed();
    if status == 200 && bytes > SIZE {
        Ok(time)
    } else {
        Err(format!("archive out: status {status}, {bytes} bytes").into())
    }
}

fn put(subject: &dyn Subject, container: &str) -> Result<Duration> {
    let mut header = tar::Header::new_ustar();
    header.set_path("file")?;
    header.set_mode(0o644);
    header.set_size(SIZE);
    header.set_cksum();
    let zeros = SIZE.next_multiple_of(BLOCK) + 2 * BLOCK;
    let since = Instant::now();
    let (status, body) = Connection::open(subject.socket())?.upload(
        &format!("/v1.41/containers/{container}/archive?path=/tmp"),
        "application/x-tar",
        header.as_bytes(),
        zeros,
    )?;
    let time = since.elapsed();
    if status == 200 {
        Ok(time)
    } else {
        Err(format!("archive in: status {status}: {}", String::from_utf8_lossy(&body)).into())
    }
}
