//! Both ends of a measurement's traffic. Busybox copies in small pieces, and would be what is measured.
//!
//! A connection begins with an order: one byte says which, eight more (big endian) how many bytes.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

/// Bytes in one write: as much as a pipe holds.
const PIECE: usize = 64 << 10;
/// The server sends so many bytes and hangs up.
const SEND: u8 = b's';
/// The server takes so many bytes and answers [`DONE`].
const TAKE: u8 = b't';
/// The server gives pieces of so many bytes back until the client hangs up.
const ECHO: u8 = b'e';
/// All bytes were taken.
const DONE: u8 = b'.';

/// Writes so many zeros. Errors: those of the writer.
pub fn send(mut to: impl Write, mut bytes: u64) -> io::Result<()> {
    let piece = vec![0; PIECE];
    while bytes > 0 {
        let now = length(bytes);
        to.write_all(&piece[..now])?;
        bytes -= now as u64;
    }
    to.flush()
}

/// Reads so many bytes. Errors: those of the reader; `UnexpectedEof` where there are fewer.
pub fn take(mut from: impl Read, mut bytes: u64) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while bytes > 0 {
        let read = from.read(&mut piece[..length(bytes)])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes -= read as u64;
    }
    Ok(())
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).map_or(PIECE, |bytes| bytes.min(PIECE))
}

/// Obeys the orders of all who connect, for ever. Errors: the listener's; a connection's end that connection alone.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        std::thread::spawn(move || {
            if let Err(error) = obey(stream) {
                eprintln!("{error}");
            }
        });
    }
}

fn obey(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut order = [0; 9];
    stream.read_exact(&mut order)?;
    let [kind, bytes @ ..] = order;
    let bytes = u64::from_be_bytes(bytes);
    match kind {
        SEND => send(stream, bytes),
        TAKE => {
            take(&stream, bytes)?;
            stream.write_all(&[DONE])
        }
        ECHO => {
            let mut piece = vec![0; length(bytes)];
            loop {
                match stream.read_exact(&mut piece) {
                    Ok(()) => stream.write_all(&piece)?,
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("no such order: {kind}"))),
    }
}

fn order(mut stream: &TcpStream, kind: u8, bytes: u64) -> io::Result<()> {
    let mut order = [kind; 9];
    order[1..].copy_from_slice(&bytes.to_be_bytes());
    stream.write_all(&order)
}

/// Has the server send so many bytes; gives the time from the order to the last one.
pub fn download(stream: &TcpStream, bytes: u64) -> io::Result<Duration> {
    let since = Instant::now();
    order(stream, SEND, bytes)?;
    take(stream, bytes)?;
    Ok(since.elapsed())
}

/// Has the server take so many bytes; gives the time from the order to its word that it has them.
pub fn upload(mut stream: &TcpStream, bytes: u64) -> io::Result<Duration> {
    let since = Instant::now();
    order(stream, TAKE, bytes)?;
    send(stream, bytes)?;
    stream.read_exact(&mut [0])?;
    Ok(since.elapsed())
}

/// Sends pieces of so many bytes (at most 64 KiB), each once the one before is back; gives the time of each.
pub fn round_trips(mut stream: &TcpStream, bytes: usize, rounds: usize) -> io::Result<Vec<Duration>> {
    stream.set_nodelay(true)?;
    let mut piece = vec![0; bytes.min(PIECE)];
    order(stream, ECHO, piece.len() as u64)?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let since = Instant::now();
        stream.write_all(&piece)?;
        stream.read_exact(&mut piece)?;
        times.push(since.elapsed());
    }
    Ok(times)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn server() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || serve(&listener));
        TcpStream::connect(address).unwrap()
    }

    #[test]
    fn a_download_brings_all_bytes_and_then_the_end() {
        let stream = server();
        download(&stream, 3 * PIECE as u64 + 1).unwrap();
        assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn an_upload_ends_once_the_server_has_all_bytes() {
        upload(&server(), 3 * PIECE as u64 + 1).unwrap();
    }

    #[test]
    fn each_round_trip_is_timed() {
        assert_eq!(round_trips(&server(), 64, 10).unwrap().len(), 10);
    }

    #[test]
    fn fewer_bytes_than_expected_are_an_error() {
        assert_eq!(take(&[0; 9][..], 10).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
