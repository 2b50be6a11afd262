//! What a container writes.

use std::time::Instant;

use super::{create_one, megabytes, remove, start};
use crate::{
    Result,
    bench::{http::Connection, subject::Subject},
};

/// Bytes in the log.
const LOG: u64 = 100_000_000;
/// Bytes through attach: blocks of 64 KiB.
const ATTACH: u64 = 6_400 << 16;

/// Reading the log of a container that has ended.
pub fn logs(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let mut connection = Connection::open(subject.socket())?;
    let script = format!(
        "yes 'a line of the usual length, as build tools write them by the thousand' | head -c {LOG}"
    );
    let id = create_one(&mut connection, &["sh", "-c", &script])?;
    start(&mut connection, &id)?;
    connection.request("POST", &format!("/v1.41/containers/{id}/wait"), b"")?;
    let since = Instant::now();
    let (status, bytes) =
        Connection::open(subject.socket())?.count(&format!("/v1.41/containers/{id}/logs?stdout=1"))?;
    let time = since.elapsed();
    remove(subject, &id)?;
    if status != 200 || bytes < LOG {
        return Err(format!("status {status}, {bytes} bytes").into());
    }
    Ok(vec![megabytes(LOG, time)])
}

/// From the start of a container that writes as fast as it can until the end of the stream.
pub fn attach(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let mut connection = Connection::open(subject.socket())?;
    // busybox's `head -c` copies byte by byte, and would be what is measured.
    let script = format!("dd if=/dev/zero bs=65536 count={} 2>/dev/null", ATTACH >> 16);
    let id = create_one(&mut connection, &["sh", "-c", &script])?;
    let mut attached = Connection::open(subject.socket())?;
    let path = format!("/v1.41/containers/{id}/attach?stream=1&stdout=1&stderr=1");
    let status = attached.hijack(&path, b"")?;
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
    Ok(vec![megabytes(ATTACH, time)])
}
