//! Compressed archives: told by their first bytes, as dockerd does.

use std::io::{self, Cursor, Read};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use sockerless_ports::registry::Archive;

use super::pipe::through;
use crate::{Error, ErrorKind, Result};

/// As many bytes tell the kind.
const HEAD: usize = 6;

/// The plain archive. Errors: 400 for a compression that nobody here can undo.
pub(super) async fn unpacked(mut body: Archive) -> Result<Archive> {
    let mut head = BytesMut::new();
    while head.len() < HEAD {
        match body.next().await {
            Some(Ok(piece)) => head.extend_from_slice(&piece),
            Some(Err(error)) => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    format!("the archive could not be read: {error}"),
                ));
            }
            None => break,
        }
    }
    let head: Bytes = head.freeze();
    let begin = head.clone();
    let whole = stream::once(async move { Ok(head) }).chain(body).boxed();
    match begin.as_ref() {
        [0x1f, 0x8b, ..] => Ok(through(whole, |input, output| {
            let mut decoder = flate2::read::MultiGzDecoder::new(input);
            io::copy(&mut decoder, output)?;
            finish(&mut decoder.into_inner())
        })),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(through(whole, |input, output| {
            loop {
                // Frames may follow each other.
                let mut frame = [0; 4];
                if fill(input, &mut frame)? == 0 {
                    return Ok(());
                }
                let mut rest = Cursor::new(frame).chain(&mut *input);
                let mut decoder =
                    ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(io::Error::other)?;
                io::copy(&mut decoder, output)?;
            }
        })),
        [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(unsupported("xz")),
        _ => Ok(whole),
    }
}

/// Reads what a sender puts behind the last member of its archive.
fn finish(input: &mut dyn Read) -> io::Result<()> {
    io::copy(input, &mut io::sink()).map(drop)
}

fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn unsupported(name: &str) -> Error {
    let message = format!(
        "{name} compression is not supported: send the archive plain, or compressed with gzip or zstd"
    );
    Error::new(ErrorKind::Invalid, message)
}
