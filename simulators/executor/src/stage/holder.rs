//! Keeps a user namespace alive until the executor is gone.

use std::io;

use nix::sched::{CloneFlags, unshare};

use super::{explain_refusal, protocol::Channel};

/// Says `true` once the namespace is there, and waits for the end of the line.
pub(crate) fn run() -> io::Result<()> {
    let mut channel = Channel::from_stdin()?;
    if let Err(error) = unshare(CloneFlags::CLONE_NEWUSER) {
        return Err(io::Error::other(format!("user namespace: {error}{}", explain_refusal())));
    }
    channel.send(&true)?;
    while channel.fill()? > 0 {}
    Ok(())
}
