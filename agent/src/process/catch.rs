//! How a stage gets its filter, and the agent the filter's listener.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

use nix::errno::Errno;
use sockerless_mesh::{Filter, Privileges, filter};

use super::Caught;

// On the line, before anything else that the stage says: GIVEN with the listener and KEPT or FORGONE; or REFUSED and the
// error's number (4 bytes, big endian).
const GIVEN: u8 = 0;
const REFUSED: u8 = 1;
const KEPT: u8 = 0;
const FORGONE: u8 = 1;

/// In the stage. A container whose connections cannot be caught runs all the same. Errors: of the line.
pub fn install(line: &mut UnixStream) -> io::Result<()> {
    match Filter::install_and_send(&*line) {
        Ok(Privileges::Kept) => line.write_all(&[KEPT]),
        Ok(Privileges::Forgone) => line.write_all(&[FORGONE]),
        Err(error) => {
            let [a, b, c, d] = error.raw_os_error().unwrap_or(Errno::EIO as i32).to_be_bytes();
            line.write_all(&[REFUSED, a, b, c, d])
        }
    }
}

/// In the agent. A stage that fails before it comes to that begins with its failure: what was read of that goes to `answer`.
pub fn receive(line: &mut UnixStream, answer: &mut Vec<u8>) -> Caught {
    let mut first = [REFUSED];
    let (count, listener) = filter::receive(&*line, &mut first)?;
    match (count, first, listener) {
        (1, [GIVEN], Some(listener)) => {
            let mut cost = [KEPT];
            line.read_exact(&mut cost)?;
            Ok((listener, if cost == [KEPT] { Privileges::Kept } else { Privileges::Forgone }))
        }
        (1, [REFUSED], None) => {
            let mut number = [0; 4];
            line.read_exact(&mut number)?;
            Err(io::Error::from_raw_os_error(i32::from_be_bytes(number)))
        }
        // The stage is gone, or has said that there will be no process.
        (count, ..) => {
            answer.extend_from_slice(&first[..count]);
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}
