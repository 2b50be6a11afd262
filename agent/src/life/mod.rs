//! The agent's life: wait, run, report, rest; and the same again for another run of its container, or go.

mod patience;
mod process;
mod rest;

use std::rc::Rc;

use nix::libc::SIGTERM;
use sockerless_agent_wire::Launch;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_local,
};

use self::patience::Patience;
use crate::{
    line, output::tee::Tee, process::children, say, settings::Settings, shared::Shared, signals, tuning, work,
};

/// Runs to the end; gives the agent's exit code.
pub async fn run(settings: Settings) -> i32 {
    let shared = Shared::new(settings.run.clone(), settings.buffer);
    if let Some(etc) = &settings.etc {
        shared.etc.get_or_init(|| etc.clone());
    }
    let patience = Patience::new(settings.linger, settings.pod.as_ref());
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
    let code = loop {
        let launch = match awaited(&shared, &patience).await {
            Ok(launch) => launch,
            Err(code) => break code,
        };
        let code = process::lead(&shared, *launch, &tees, &patience).await;
        match rest::rest(&shared, &patience).await {
            Some(successor) => shared.renew(successor),
            None => break code,
        }
    };
    // The last bytes of the log; blocking is all that is left to do.
    tees.iter().for_each(|tee| tee.finish(tuning::TEE_END));
    code
}

fn tees() -> std::io::Result<[Tee; 2]> {
    Ok([Tee::new(std::io::stdout())?, Tee::new(std::io::stderr())?])
}

/// Waits for the launch; an exit code if there will be none.
async fn awaited(shared: &Shared, patience: &Patience) -> Result<Box<Launch>, i32> {
    let never = async {
        patience.quiet(tuning::NEVER_WELCOMED).await;
        shared.until(|state| (!state.welcomed).then_some(())).await;
    };
    let abandoned = async {
        shared.until(|state| state.welcomed.then_some(())).await;
        rest::abandoned(shared, patience, patience.linger.max(tuning::UNWANTED)).await;
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
        () = abandoned => {
            say!("nothing was started: the daemon is gone");
            Err(tuning::CANNOT_RUN)
        }
    }
}
