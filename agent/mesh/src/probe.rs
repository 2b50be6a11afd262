//! Whether the rung works here.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Arc, mpsc},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    thread::{CapabilitySet, capabilities},
};

use crate::{
    Filter, Privileges,
    caller::{Call, encode},
    kernel, tuning,
};

/// What can be done here.
#[derive(Debug)]
pub struct Probe {
    /// Whether calls can be caught, by a trial of all that it takes; or why not.
    pub seccomp: Result<Privileges, String>,
    /// What will not work as under Docker all the same, in sentences for the user.
    pub warnings: Vec<String>,
}

/// Tries the rung `seccomp` in a thread of its own, which ends with it. Takes less than a millisecond.
#[must_use]
pub fn probe() -> Probe {
    let seccomp = trial();
    let mut warnings = Vec::new();
    if let Ok(privileges) = seccomp {
        if privileges == Privileges::Forgone {
            warnings.push(
                "setuid programs (sudo, su) do not gain rights: catching connections needs \"no new privileges\" without \
                 CAP_SYS_ADMIN"
                    .into(),
            );
        }
        let has = |capability| capabilities(None).is_ok_and(|sets| sets.effective.contains(capability));
        // With both, whoever looks becomes the program's user for that long.
        let may = has(CapabilitySet::SYS_PTRACE) || has(CapabilitySet::SETUID | CapabilitySet::SETGID);
        if !may {
            warnings.push(
                "connections of programs that run as another user than the container's first process are not caught: \
                 CAP_SYS_PTRACE, or CAP_SETUID and CAP_SETGID, are missing"
                    .into(),
            );
        }
    }
    Probe { seccomp, warnings }
}

/// A call is caught, its socket shared, its memory read and written, and its answer heard.
fn trial() -> Result<Privileges, String> {
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("bind"))?;
    let number = socket.as_raw_fd();
    let (hand, installed) = mpsc::sync_channel::<io::Result<(OwnedFd, Privileges)>>(1);
    let caller = thread::Builder::new()
        .stack_size(tuning::STACK)
        .spawn(move || {
            let filter = Filter::install();
            let works = filter.is_ok();
            // It waits for just this.
            let _ = hand.send(filter);
            if works { socket.local_addr() } else { Err(io::ErrorKind::Unsupported.into()) }
        })
        .map_err(failed("thread"))?;
    let (listener, privileges) = installed
        .recv()
        .map_err(|error| format!("thread: {error}"))?
        .map_err(failed("seccomp filter with a listener"))?;
    let seems = SocketAddr::from(([192, 0, 2, 1], 1));
    let answered = answer(listener, number, seems);
    // The listener is closed by now: the thread waits for nobody.
    let told = caller.join();
    answered?;
    match told {
        Ok(Ok(address)) if address == seems => Ok(privileges),
        Ok(Ok(address)) => Err(format!("a caught call went on by itself: {address}")),
        Ok(Err(error)) => Err(format!("a caught call failed: {error}")),
        Err(_) => Err("a caught call ended its thread".into()),
    }
}

fn answer(listener: OwnedFd, socket: i32, seems: SocketAddr) -> Result<(), String> {
    let limit = Timespec::try_from(tuning::TRIAL).ok();
    let ready = poll(&mut [PollFd::new(&listener, PollFlags::IN)], limit.as_ref());
    if ready.map_err(|errno| format!("poll of the listener: {errno}"))? == 0 {
        return Err("no call was caught".into());
    }
    let told = kernel::receive(listener.as_fd()).map_err(|error| format!("notification: {error}"))?;
    let call = Call::new(Arc::new(listener), told);
    let shared = call.socket(socket).map_err(|error| format!("pidfd_getfd: {error}"))?;
    drop(shared);
    let [_, base, length_at, ..] = call.told.arguments;
    let told = call.tell(&encode(seems, false), base, length_at);
    told.map_err(|errno: Errno| format!("process_vm_writev: {errno}"))?;
    if call.answer(Ok(0)) { Ok(()) } else { Err("the answer to a caught call was not heard".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_says_whether_calls_are_caught_here_or_why_not() {
        let probe = probe();
        match probe.seccomp {
            Ok(privileges) => assert_eq!(
                privileges == Privileges::Forgone,
                probe.warnings.iter().any(|warning| warning.contains("setuid"))
            ),
            Err(reason) => assert!(!reason.is_empty()),
        }
        // The filter was that of a thread which has ended: this one is free.
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    }
}
