//! Asks a server from within its network, which no other way leads into.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use nix::sched::{CloneFlags, setns};

use super::remove::enter_user_namespace;
use crate::{
    pod::{Probe, Question},
    tuning::PROBE_ANSWER,
};

/// Arguments: the user namespace or `-`, then the question as JSON. No error: the server is there.
pub(crate) fn run(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let (namespace, question) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let question: Question = serde_json::from_slice(question.as_encoded_bytes())?;
    enter_user_namespace(&namespace)?;
    setns(fs::File::open(&question.network)?, CloneFlags::CLONE_NEWNET)?;
    ask(&question)
}

fn ask(question: &Question) -> io::Result<()> {
    let began = Instant::now();
    let (Probe::Tcp { port } | Probe::Http { port, .. }) = question.probe;
    let server = SocketAddr::new(question.address, port);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{server}: {error}"));
    let mut stream = TcpStream::connect_timeout(&server, question.timeout).map_err(named)?;
    let Probe::Http { path, headers, .. } = &question.probe else { return Ok(()) };
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut answer = Vec::new();
    stream.set_write_timeout(Some(question.timeout)).map_err(named)?;
    stream.write_all(request.as_bytes()).map_err(named)?;
    // Byte by byte would be slow, and a server that sends nothing more may keep the line open.
    while !answer.contains(&b'\n') && (answer.len() as u64) < PROBE_ANSWER {
        let left = question.timeout.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(named(io::ErrorKind::TimedOut.into()));
        }
        stream.set_read_timeout(Some(left)).map_err(named)?;
        let mut chunk = [0; 512];
        match stream.read(&mut chunk).map_err(named)? {
            0 => break,
            count => answer.extend_from_slice(&chunk[..count]),
        }
    }
    match status(&answer) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(io::Error::other(format!("{server}: HTTP status {status}"))),
        None => Err(io::Error::other(format!("{server}: no answer in HTTP"))),
    }
}

/// Of `HTTP/1.1 200 OK`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = String::from_utf8_lossy(answer.split(|byte| *byte == b'\n').next()?).into_owned();
    let mut words = line.split_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\nA: b\r\n"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503"), Some(503));
        assert_eq!(status(b"220 mail.example ESMTP\r\n"), None);
        assert_eq!(status(b""), None);
    }
}
