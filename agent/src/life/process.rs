//! One process, from its launch to its end.

use std::{
    convert::Infallible,
    io,
    os::unix::net::UnixListener,
    rc::Rc,
    time::{Instant, SystemTime},
};

use nix::libc::{SIGKILL, SIGTERM};
use sockerless_agent_wire::{FromAgent, Launch};
use tokio::{
    net::unix::pipe::{Receiver, Sender},
    sync::oneshot,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

use super::{patience::Patience, rest};
use crate::{
    door, input, memory, mesh,
    output::{self, tee::Tee},
    process::{
        self, Failure, Process, Spec, Streams,
        reap::{self, Ended},
    },
    say,
    shared::{Output, Shared},
    tuning, work,
};

/// Starts the process, sees it to its end, and has that reported. Gives its exit code.
pub async fn lead(shared: &Rc<Shared>, launch: Launch, tees: &[Tee; 2], patience: &Patience) -> i32 {
    let busy = patience.busy();
    let kills = memory::killed();
    let (process, end, sockets) = match start(shared, launch.clone()).await {
        Ok(started) => started,
        Err(Failure { code, message }) => {
            say!("{message}");
            shared.ended(FromAgent::Failed { code, message });
            return code;
        }
    };
    let pid = process.pid;
    // These end with this function.
    let (mut outputs, mut beside) = (JoinSet::new(), JoinSet::new());
    if let Err(error) = carry(shared, process, launch.stdin, tees, &mut outputs, &mut beside) {
        say!("the process's streams are of no use: {error}");
    }
    for socket in sockets {
        beside.spawn_local(door::serve(Rc::clone(shared), socket));
    }
    if let Some(check) = launch.health.clone() {
        beside.spawn_local(work::health(Rc::clone(shared), launch, check));
    }
    let ended = supervise(shared, pid, end).await;
    drop(busy);
    let out_of_memory = ended.code == 128 + SIGKILL && kills.is_some() && memory::killed() > kills;
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let report = FromAgent::Exited {
        code: ended.code,
        signal: ended.signal,
        out_of_memory,
        time: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
    };
    // A full buffer may hold this up until the daemon is back.
    tokio::select! {
        () = async { while outputs.join_next().await.is_some() {} } => {}
        () = rest::over(shared, patience) => {}
    }
    shared.ended(report);
    ended.code
}

/// A process, its end, and the sockets of the daemon's that it has.
type Started = (Process, oneshot::Receiver<Ended>, Vec<UnixListener>);

async fn start(shared: &Rc<Shared>, launch: Launch) -> Result<Started, Failure> {
    let catcher = mesh::prepare(shared);
    let catch = catcher.as_ref().and_then(|catcher| catcher.catch(shared));
    let starting = shared.children.starting();
    let started = spawn_blocking(move || {
        process::furnish(launch.hostname.as_deref(), &launch.tmpfs);
        let sockets = match launch.sockets.as_slice() {
            [] => Vec::new(),
            paths => door::listen(paths, process::group(launch.user.as_deref())?)?,
        };
        Ok((process::start(Spec { catch, ..launch.into() })?, sockets))
    });
    let (mut process, sockets) =
        started.await.unwrap_or_else(|error| Err(Failure { code: 128, message: error.to_string() }))?;
    let end = starting.claim(process.pid);
    if let (Some(catcher), Some(caught)) = (catcher, process.caught.take()) {
        catcher.watch(shared, caught);
    }
    Ok((process, end, sockets))
}

/// Carries the process's streams, from now on.
fn carry(
    shared: &Rc<Shared>,
    process: Process,
    wants_input: bool,
    tees: &[Tee; 2],
    outputs: &mut JoinSet<()>,
    inputs: &mut JoinSet<()>,
) -> io::Result<()> {
    let mut carry = |output, from, tee: &Tee| {
        outputs.spawn_local(output::carry(Rc::clone(shared), output, from, tee.clone()));
    };
    let (into, from_terminal) = match process.streams {
        Streams::Pipes { stdin, stdout, stderr } => {
            shared.started(process.pid, None);
            carry(Output::Stdout, Receiver::from_owned_fd(stdout)?, &tees[0]);
            carry(Output::Stderr, Receiver::from_owned_fd(stderr)?, &tees[1]);
            (stdin.map(Sender::from_owned_fd).transpose()?, false)
        }
        Streams::Terminal(terminal) => {
            let into = Sender::from_owned_fd_unchecked(terminal.try_clone()?)?;
            let from = Receiver::from_owned_fd_unchecked(terminal.try_clone()?)?;
            shared.started(process.pid, Some(terminal));
            carry(Output::Stdout, from, &tees[0]);
            (Some(into), true)
        }
    };
    match into {
        Some(into) if wants_input => {
            inputs.spawn_local(input::carry(Rc::clone(shared), into, from_terminal));
        }
        _ => {
            shared.state().stop_input();
            shared.to_send.notify_one();
        }
    }
    Ok(())
}

/// Waits until the process has ended and nothing is left of it.
async fn supervise(shared: &Shared, pid: u32, end: oneshot::Receiver<Ended>) -> Ended {
    let ended = tokio::select! {
        ended = end => ended.unwrap_or(Ended { pid, code: 255, signal: None }),
        never = end_when_refused(shared) => match never {},
    };
    shared.state().collected();
    let until = Instant::now() + tuning::REST;
    while shared.children.collect() && Instant::now() < until {
        reap::kill_rest();
        sleep(tuning::REST_POLL).await;
    }
    shared.state().gone = true;
    shared.notify();
    ended
}

/// Asks, then makes, the process go when the daemon does not want it.
async fn end_when_refused(shared: &Shared) -> Infallible {
    let reason = shared.until(|state| state.refused.clone()).await;
    say!("the process is ended: {reason}");
    shared.state().signal(SIGTERM);
    sleep(tuning::GRACE).await;
    shared.state().signal(SIGKILL);
    std::future::pending().await
}
