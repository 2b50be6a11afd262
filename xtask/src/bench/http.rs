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
        Ok((status, self.body(length)?))
    }

    /// Sends a `GET` and counts the bytes of the answer's body.
    pub fn count(&mut self, path: &str) -> Result<(u16, u64)> {
        let (status, length) = self.send("GET", path, "", b"")?;
        let mut total = 0;
        match length {
            Length::Known(length) => {
                self.skip(length)?;
                total = length as u64;
            }
            Length::Chunked => loop {
                let size = self.chunk_size()?;
                self.skip(size + 2)?;
                if size == 0 {
                    break;
                }
                total += size as u64;
            },
        }
        Ok((status, total))
    }

    /// Sends a body of these bytes and so many zeros in chunks, as clients send what they make on the way; gives status and
    /// body of the answer.
    pub fn upload(&mut self, path: &str, kind: &str, begin: &[u8], mut zeros: u64) -> Result<(u16, Vec<u8>)> {
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let to = self.0.get_mut();
        to.write_all(&[head.as_bytes(), &chunk(begin)].concat())?;
        let whole = chunk(&vec![0; CHUNK]);
        while zeros >= CHUNK as u64 {
            to.write_all(&whole)?;
            zeros -= CHUNK as u64;
        }
        if zeros > 0 {
            to.write_all(&chunk(&vec![0; usize::try_from(zeros)?]))?;
        }
        to.write_all(b"0\r\n\r\n")?;
        let (status, length) = self.head()?;
        Ok((status, self.body(length)?))
    }

    /// Sends a request that takes the connection over; gives the status once its head is there.
    pub fn hijack(&mut self, path: &str, body: &[u8]) -> Result<u16> {
        Ok(self.send("POST", path, "Connection: Upgrade\r\nUpgrade: tcp\r\n", body)?.0)
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

    fn body(&mut self, length: Length) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        match length {
            Length::Known(length) => self.append(length, &mut content)?,
            Length::Chunked => loop {
                let size = self.chunk_size()?;
                self.append(size, &mut content)?;
                self.skip(2)?;
                if size == 0 {
                    break;
                }
            },
        }
        Ok(content)
    }

    /// Reads so many bytes more. They are not set to zero before: in a build without optimisation that takes as long as the answer.
    fn append(&mut self, length: usize, content: &mut Vec<u8>) -> Result<()> {
        content.reserve(length);
        let read = self.0.by_ref().take(length as u64).read_to_end(content)?;
        if read == length {
            Ok(())
        } else {
            Err(format!("the answer ended after {read} of {length} bytes").into())
        }
    }

    fn chunk_size(&mut self) -> Result<usize> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(usize::from_str_radix(line.trim(), 16)?)
    }

    /// Reads so many bytes and forgets them.
    fn skip(&mut self, mut bytes: usize) -> Result {
        while bytes > 0 {
            let there = self.0.fill_buf()?.len().min(bytes);
            if there == 0 {
                return Err("the daemon hung up".into());
            }
            self.0.consume(there);
            bytes -= there;
        }
        Ok(())
    }
}

/// Bytes in a chunk of an upload. Go's clients send 32 KiB; with more the sender costs less.
const CHUNK: usize = 64 << 10;

fn chunk(content: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", content.len()).as_bytes(), content, b"\r\n"].concat()
}

enum Length {
    Known(usize),
    Chunked,
}
