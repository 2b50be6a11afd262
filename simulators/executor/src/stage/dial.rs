//! A connection to a server within its network, which no other way leads into: standard input and output carry it.

use std::{
    ffi::OsString,
    fs, io,
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd,
    path::PathBuf,
    thread,
};

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};

use super::remove::enter_user_namespace;
use crate::tuning::DIAL_TIMEOUT;

/// What the stage is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Door {
    /// `/proc/PID/ns/net`
    pub network: PathBuf,
    /// The server's address there.
    pub server: SocketAddr,
}

/// Arguments: the user namespace or `-`, then the door as JSON. Ends with what the server has to say.
pub(crate) fn run(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let (namespace, door) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let door: Door = serde_json::from_slice(door.as_encoded_bytes())?;
    enter_user_namespace(&namespace)?;
    setns(fs::File::open(&door.network)?, CloneFlags::CLONE_NEWNET)?;
    let mut down = TcpStream::connect_timeout(&door.server, DIAL_TIMEOUT)?;
    let mut up = down.try_clone()?;
    // Not by `Stdin` and `Stdout`, which wait for the end of a line.
    let mut input = fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
    thread::spawn(move || {
        // A failure is the other end's: it is seen below.
        let _ = io::copy(&mut input, &mut up);
        let _ = up.shutdown(Shutdown::Write);
    });
    io::copy(&mut down, &mut output).map(drop)
}
