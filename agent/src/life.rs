//! The agent's life: wait, run, report, go.

use std::{
    convert::Infallible,
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use nix::libc::{SIGKILL, SIGTERM};
use sockerless_agent_wire::{FromAgent, Launch};
use tokio::{
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
    sync::oneshot::Receiver,
    task::{JoinSet, spawn_blocking, spawn_local},
    time::sleep,
};

use crate::{
    input, line, memory,
    output::{self, tee::Tee},
    process::{
        self, Failure, Process, Streams, children,
        reap::{self, Ended},
    },
    say,
    settings::Settings,
    shared::{Output, Shared},
    signals, tuning, work,
};

/// Runs to the end; gives the agent's exit code.
pub async fn run(settings: Settings) -> i32 {
    let shared = Shared::new(settings.buffer);
    let linger = settings.linger;
    let (children, tees) = match (signals::forward(&shared), signal(SignalKind::child()), tees()) {
        (Ok(()), Ok(children), Ok(tees)) => (children, tees),
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
            say!("cannot start: {error}");
            return tuning::CANNOT_RUN;
        }
    };
    spawn_local(children::keep(Rc::clone(&shared), children));
    spawn_local(work::serve(Rc::clone(&shared)));
    spawn_local(line::keep(Rc::clone(&shared), settings));
    let launch = match awaited(&shared).await {
        Ok(launch) => launch,
        Err(code) => return code,
    };
    let code = lead(&shared, *launch, &tees, linger).await;
    // The last bytes of the log; blocking is all that is left to do.
    tees.iter().for_each(|tee| tee.finish(tuning::TEE_END));
    code
}

fn tees() -> std::io::Result<[Tee; 2]> {
    Ok([Tee::new(std::io::stdout())?, Tee::new(std::io::stderr())?])
}

/// Waits for the launch; an exit code if there will be none.
async fn awaited(shared: &Shared) -> Result<Box<Launch>, i32> {
    let never = async {
        sleep(tuning::NEVER_WELCOMED).await;
        shared.until(|state| (!state.welcomed).then_some(())).await;
    };
    tokio::select! {
        biased;
        launch = shared.launch() => Ok(launch),
        reason = shared.until(|state| state.refused.clone()) => {
            say!("nothing was started: {reason}");
            Err(tuning::CANNOT_RUN)
        }
        () = shared.until(|state| state.terminated.map(|_| ())) => Err(128 + SIGTERM),
        () = never => {
            say!("nothing was started: the daemon was never reached");
            Err(tuning::CANNOT_RUN)
        }
    }
}

/// Starts the process, sees it to its end, and the news of that to the daemon.
async fn lead(shared: &Rc<Shared>, launch: Launch, tees: &[Tee; 2], linger: Duration) -> i32 {
    let wants_input = launch.stdin;
    let kills = memory::killed();
    let template = launch.clone();
    let starting = shared.children.starting();
    let started = spawn_blocking(move || {
        process::furnish(launch.hostname.as_deref(), &launch.tmpfs);
        process::start(launch.into())
    })
    .await;
    let started = started.unwrap_or_else(|error| Err(Failure { code: 128, message: error.to_string() }));
    let process = match started {
        Ok(process) => process,
        Err(Failure { code, message }) => {
            say!("{message}");
            shared.ended(FromAgent::Failed { code, message });
            farewell(shared, Instant::now() + linger).await;
            return code;
        }
    };
    let pid = process.pid;
    let end = starting.claim(pid);
    let mut outputs = match connect(shared, process, wants_input, tees) {
        Ok(outputs) => outputs,
        Err(error) => {
            say!("the process's streams are of no use: {error}");
            JoinSet::new()
        }
    };
    if let Some(check) = template.health.clone() {
        spawn_local(work::health(Rc::clone(shared), template, check));
    }
    let ended = supervise(shared, pid, end).await;
    let until = Instant::now() + linger;
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
        () = over(shared, until) => {}
    }
    shared.ended(report);
    farewell(shared, until).await;
    ended.code
}

/// Carries the process's streams, from now on.
fn connect(
    shared: &Rc<Shared>,
    process: Process,
    wants_input: bool,
    tees: &[Tee; 2],
) -> std::io::Result<JoinSet<()>> {
    let mut outputs = JoinSet::new();
    let mut carry = |output, from, tee: &Tee| {
        outputs.spawn_local(output::carry(Rc::clone(shared), output, from, tee.clone()));
    };
    let (into, from_terminal) = match process.streams {
        Streams::Pipes { stdin, stdout, stderr } => {
            shared.started(process.pid, None);
            carry(Output::Stdout, pipe::Receiver::from_owned_fd(stdout)?, &tees[0]);
            carry(Output::Stderr, pipe::Receiver::from_owned_fd(stderr)?, &tees[1]);
            (stdin.map(pipe::Sender::from_owned_fd).transpose()?, false)
        }
        Streams::Terminal(terminal) => {
            let into = pipe::Sender::from_owned_fd_unchecked(terminal.try_clone()?)?;
            let from = pipe::Receiver::from_owned_fd_unchecked(terminal.try_clone()?)?;
            shared.started(process.pid, Some(terminal));
            carry(Output::Stdout, from, &tees[0]);
            (Some(into), true)
        }
    };
    match into {
        Some(into) if wants_input => drop(spawn_local(input::carry(Rc::clone(shared), into, from_terminal))),
        _ => {
            shared.state().stop_input();
            shared.to_send.notify_one();
        }
    }
    Ok(outputs)
}

/// Waits until the process has ended and nothing is left of it.
async fn supervise(shared: &Shared, pid: u32, end: Receiver<Ended>) -> Ended {
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

/// Asks, then makes, the process go when the daemon does not want it. Never returns.
async fn end_when_refused(shared: &Shared) -> Infallible {
    let reason = shared.until(|state| state.refused.clone()).await;
    say!("the process is ended: {reason}");
    shared.state().signal(SIGTERM);
    sleep(tuning::GRACE).await;
    shared.state().signal(SIGKILL);
    std::future::pending().await
}

/// Until the daemon knows the end, or does not care, or there is no more time.
async fn farewell(shared: &Shared, until: Instant) {
    tokio::select! {
        () = shared.until(|state| state.confirmed.then_some(())) => {}
        () = over(shared, until) => say!("the daemon was not told of the end"),
    }
}

/// The daemon does not want this agent, or there is no more time: the given one, or what the cloud leaves after its SIGTERM.
async fn over(shared: &Shared, until: Instant) {
    tokio::select! {
        _ = shared.until(|state| state.refused.clone()) => {}
        () = sleep(until.saturating_duration_since(Instant::now())) => {}
        () = async {
            let since = shared.until(|state| state.terminated).await;
            sleep((since + tuning::TERMINATED).saturating_duration_since(Instant::now())).await;
        } => {}
    }
}
