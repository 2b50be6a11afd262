//! Compressed archives: told by their first bytes, as dockerd does.

use std::{
    io::{self, Cursor, Read},
    process::{Command, Stdio},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use sockerless_ports::registry::Archive;

use super::pipe::{Pipe, through};
use crate::{Error, ErrorKind, Result};

/// As many bytes tell the kind.
const HEAD: usize = 6;

/// The plain archive. What cannot be unpacked is an error within it.
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
        [b'B', b'Z', b'h', ..] => Ok(through(whole, |input, output| by_program("bzip2", input, output))),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Ok(through(whole, |input, output| by_program("xz", input, output)))
        }
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

/// Leaves it to a program of this machine, as dockerd does for xz.
fn by_program(name: &str, input: &mut (dyn Read + Send), output: &mut Pipe) -> io::Result<()> {
    let started =
        Command::new(name).args(["-d", "-c", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut program = started.map_err(|error| {
        io::Error::other(format!(
            "{name} compression needs the program {name} on the daemon's machine ({error}): install it, or send the \
             archive plain or compressed with gzip or zstd"
        ))
    })?;
    let (Some(mut stdin), Some(mut stdout)) = (program.stdin.take(), program.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let copied = std::thread::scope(|scope| {
        // When the program ends early its own word counts; the rest of the input is not wanted.
        let sending = scope.spawn(move || match io::copy(input, &mut stdin) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => finish(input),
        });
        let received = io::copy(&mut stdout, output);
        // So that it notices, and does not write for ever to nobody.
        drop(stdout);
        let sent = sending.join().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        received.and(sent)
    });
    let status = program.wait()?;
    copied?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{name} compression is damaged"))) }
}
