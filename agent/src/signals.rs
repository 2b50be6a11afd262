//! What the cloud sends to the first process.

use std::{io, rc::Rc};

use tokio::signal::unix::{SignalKind, signal};

use crate::shared::Shared;

/// Passed on to the process. Those that are not here end or stop the agent itself, as it should be, or mean nothing to it.
const FORWARDED: [i32; 7] = {
    use nix::libc::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM]
};

/// Clouds announce with these that they move the machine; the process shall not stop for that.
const IGNORED: [i32; 4] = {
    use nix::libc::{SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU};
    [SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU]
};

/// Listens from now on.
pub fn forward(shared: &Rc<Shared>) -> io::Result<()> {
    for number in FORWARDED {
        let mut signals = signal(SignalKind::from_raw(number))?;
        let shared = Rc::clone(shared);
        tokio::task::spawn_local(async move {
            while signals.recv().await.is_some() {
                shared.cloud_sent(number);
            }
        });
    }
    for number in IGNORED {
        // The handler stays for good.
        drop(signal(SignalKind::from_raw(number))?);
    }
    Ok(())
}
