//! As little HTTP as a measurement needs: what is measured is the daemon, not the client.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use crate::Result;

/// A kept-alive connection.
pub struct Connection(BufReader<UnixStream>);

impl Connection {
    /// Connects.
    pub fn open(socket: &Path) -> Result<Self> {
        Ok(Self(BufReader::with_capacity(1 << 17, UnixStream::connect(socket)?)))
    }

    /// Sends a request and reads the whole answer; gives status and body.
    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let (status, length) = self.send(method, path, "", body)?;
        let mut content = Vec::new();
        match length {
            Length::Known(length) => {
                content.resize(length, 0);
                self.0.read_exact(&mut content)?;
            }
            Length::Chunked => while self.chunk(&mut content)? {},
        }
        Ok((status, content))
    }

    /// Sends a request and counts the bytes of the answer's body until the daemon hangs up or ends it.
    pub fn count(&mut self, method: &str, path: &str, headers: &str) -> Result<(u16, u64)> {
        let (status, length) = self.send(method, path, headers, b"")?;
        let mut total = 0;
        if matches!(length, Length::Chunked) && status != 101 {
            let mut content = Vec::new();
            while self.chunk(&mut content)? {
                total += content.len() as u64;
                content.clear();
            }
            return Ok((status, total));
        }
        let mut buffer = vec![0; 1 << 17];
        loop {
            match self.0.read(&mut buffer)? {
                0 => return Ok((status, total)),
                read => total += read as u64,
            }
        }
    }

    /// Sends a request that takes the connection over; gives the status once its head is there.
    pub fn hijack(&mut self, path: &str) -> Result<u16> {
        Ok(self.send("POST", path, "Connection: Upgrade\r\nUpgrade: tcp\r\n", b"")?.0)
    }

    /// Counts what comes on a connection that was taken over, until its end.
    pub fn drain(&mut self) -> Result<u64> {
        let mut buffer = vec![0; 1 << 17];
        let mut total = 0;
        loop {
            match self.0.read(&mut buffer)? {
                0 => return Ok(total),
                read => total += read as u64,
            }
        }
    }

    fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<(u16, Length)> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\n{headers}");
        if !body.is_empty() {
            head.push_str("Content-Type: application/json\r\n");
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.0.get_mut().write_all(&request)?;
        self.head()
    }

    fn head(&mut self) -> Result<(u16, Length)> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status =
            line.split(' ').nth(1).and_then(|code| code.trim().parse().ok()).ok_or("no HTTP answer")?;
        let mut length = Length::Known(0);
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok((status, length));
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Length::Known(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                length = Length::Chunked;
            }
        }
    }

    fn chunk(&mut self, content: &mut Vec<u8>) -> Result<bool> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16)?;
        let start = content.len();
        content.resize(start + size + 2, 0);
        self.0.read_exact(&mut content[start..])?;
        content.truncate(start + size);
        Ok(size > 0)
    }
}

enum Length {
    Known(usize),
    Chunked,
}
