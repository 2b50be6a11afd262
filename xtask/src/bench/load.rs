//! Many clients at once, from one thread: sixteen blocked threads would take more of the machine than the daemon that is
//! measured.

use std::{
    io::{ErrorKind, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Result;

/// Keeps each of some clients busy with one `GET` after the other; gives the requests a second.
/// Errors: an answer that is not 200, or a connection that ends.
pub fn rate(socket: &Path, clients: usize, path: &str, time: Duration) -> Result<f64> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n").into_bytes();
    let mut clients = (0..clients).map(|_| Client::open(socket)).collect::<Result<Vec<_>>>()?;
    let since = Instant::now();
    for client in &mut clients {
        client.stream.write_all(&request)?;
    }
    let mut answers = 0_u32;
    while since.elapsed() < time {
        let ready: Vec<bool> = {
            let mut all: Vec<_> =
                clients.iter().map(|client| PollFd::new(client.stream.as_fd(), PollFlags::POLLIN)).collect();
            poll(&mut all, PollTimeout::NONE)?;
            all.iter().map(|one| one.any().unwrap_or(true)).collect()
        };
        for (client, _) in clients.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            if client.read()? {
                answers += 1;
                client.stream.write_all(&request)?;
            }
        }
    }
    Ok(f64::from(answers) / since.elapsed().as_secs_f64())
}

struct Client {
    stream: UnixStream,
    /// Of the answer that is under way; the first `filled` bytes.
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes of the first whole answer.
    usual: Option<usize>,
}

/// How an answer begins that is as wanted.
const GOOD: &[u8] = b"HTTP/1.1 200 ";

impl Client {
    fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, buffer: vec![0; 1 << 16], filled: 0, usual: None })
    }

    /// Reads what is there; gives whether the answer is whole.
    fn read(&mut self) -> Result<bool> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err("the daemon hung up".into()),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let answer = &self.buffer[..self.filled];
        // Answers to the same request are alike, and reading each costs as much as giving it: one that looks like the first is
        // not read. If that were wrong, the rest of it would be no answer, which is an error.
        let whole = self.usual == Some(self.filled) && answer.starts_with(GOOD) || is_whole(answer)?;
        if whole {
            self.usual.get_or_insert(self.filled);
            self.filled = 0;
        }
        Ok(whole)
    }
}

/// Whether a whole answer stands there. Errors: its status is not 200, or it is no HTTP.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(false);
    };
    let (head, body) = (std::str::from_utf8(&answer[..head])?, &answer[head + 4..]);
    let mut lines = head.split("\r\n");
    if lines.next().and_then(|line| line.split(' ').nth(1)) != Some("200") {
        return Err(format!("the daemon answers {head}").into());
    }
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            return Ok(body.len() >= value.parse()?);
        }
    }
    // Without a length it is chunked, and the last chunk is empty.
    Ok(body.ends_with(b"\r\n0\r\n\r\n"))
}
