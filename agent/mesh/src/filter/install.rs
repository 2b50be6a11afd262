//! Installing the filter in the process that becomes the container's.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::mpsc,
    thread,
};

use super::{handover, program::program};
use crate::kernel;

/// The filter that catches what goes to virtual addresses.
#[derive(Debug)]
pub struct Filter;

/// What the filter has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privileges {
    /// Nothing: setuid programs work as ever.
    Kept,
    /// Without `CAP_SYS_ADMIN` a filter needs "no new privileges": setuid programs (`sudo`, `su`, `ping`) run with their
    /// caller's rights. Worth a warning.
    Forgone,
}

impl Filter {
    /// Installs the filter for the calling thread, and all that it starts or becomes from now on.
    ///
    /// From here on the thread's own `connect`, `sendmsg` and friends wait for who has the listener.
    ///
    /// # Errors
    /// `EBUSY` when a filter with a listener is installed already, `ENOSYS`, `EINVAL` or `EPERM` where the platform has none.
    pub fn install() -> io::Result<(OwnedFd, Privileges)> {
        let program = program();
        // WAIT_KILLABLE_RECV is left out on purpose: with it no signal but a deadly one would reach a program that waits in a
        // caught call (`alarm`, Ctrl-C handlers, profilers). All that is done for a call can be done again instead.
        // Without SPEC_ALLOW, kernels before 5.16 slow a filtered program down, against an attack it cannot make by this filter.
        let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        match kernel::install(&program, flags) {
            Ok(listener) => Ok((listener, Privileges::Kept)),
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
                kernel::forbid_new_privileges()?;
                Ok((kernel::install(&program, flags)?, Privileges::Forgone))
            }
            Err(error) => Err(error),
        }
    }

    /// Installs the filter and sends its listener, with one byte, over a unix socket: a `sendmsg` of its own that the filter
    /// does not see.
    ///
    /// Call it in the stage process while it still has the agent's rights (before it becomes another user), from the thread
    /// that executes the program.
    ///
    /// # Errors
    /// As [`Filter::install`], and what the socket says.
    pub fn install_and_send(socket: impl AsFd) -> io::Result<Privileges> {
        let socket = socket.as_fd();
        // Its filter is none: it is started before.
        let (hand, waits) = mpsc::sync_channel::<OwnedFd>(1);
        thread::scope(|scope| {
            let sender = thread::Builder::new().spawn_scoped(scope, move || match waits.recv() {
                Ok(listener) => handover::send(socket, &listener),
                Err(_) => Ok(()),
            })?;
            let installed = Self::install();
            let privileges = installed.map(|(listener, privileges)| {
                // It waits for just this.
                let _ = hand.send(listener);
                privileges
            });
            drop(hand);
            let sent = sender.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
            privileges.and_then(|privileges| sent.map(|()| privileges))
        })
    }
}
