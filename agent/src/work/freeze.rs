//! `docker pause`: every process of the container stops, and goes on later.
//!
//! By signals: the kernel's freezer stops a control group, and the agent is in the container's own.

use std::{
    cell::RefCell,
    collections::HashMap,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sockerless_agent_wire::request::{Fault, FaultKind, Reply};
use tokio::{sync::watch, time::sleep};

use super::{
    fault::{failed, fault},
    processes::stat::{self, Stat},
};
use crate::{shared::Channel, tuning};

thread_local! {
    static FROZEN: Frozen = Frozen::default();
}

/// What is stopped, in the order in which it was.
struct Frozen {
    processes: RefCell<Vec<Id>>,
    is_frozen: watch::Sender<bool>,
}

impl Default for Frozen {
    fn default() -> Self {
        Self { processes: RefCell::default(), is_frozen: watch::Sender::new(false) }
    }
}

/// A process, and not another one that has its number later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Id {
    pid: i32,
    started: u64,
}

impl Id {
    fn of(stat: &Stat) -> Self {
        Self { pid: stat.pid, started: stat.started }
    }
}

/// Whether the container is frozen, and when that changes.
pub fn watch() -> watch::Receiver<bool> {
    FROZEN.with(|frozen| frozen.is_frozen.subscribe())
}

/// A process has begun: what was frozen before it is forgotten, unless it is still there.
pub fn begin() {
    FROZEN.with(|frozen| {
        let is_frozen = {
            let mut processes = frozen.processes.borrow_mut();
            processes.retain(|id| Stat::of(id.pid).is_some_and(|stat| Id::of(&stat) == *id));
            !processes.is_empty()
        };
        frozen.is_frozen.send_replace(is_frozen);
    });
}

/// Stops everything.
pub async fn freeze(channel: Channel) {
    match stop_all(stat::all, signal, tuning::FREEZE).await {
        Ok(stopped) => {
            FROZEN.with(|frozen| {
                frozen.processes.borrow_mut().extend(stopped);
                frozen.is_frozen.send_replace(true);
            });
            channel.answer(Reply::Ready);
        }
        Err(fault) => channel.reply(Reply::Failed(fault)),
    }
}

/// Lets everything go on that was stopped, the last first.
pub async fn thaw(channel: Channel) {
    let stopped = FROZEN.with(|frozen| frozen.processes.take());
    match let_go(&stopped, signal) {
        Ok(()) => {
            FROZEN.with(|frozen| frozen.is_frozen.send_replace(false));
            channel.answer(Reply::Ready);
        }
        Err(fault) => {
            FROZEN.with(|frozen| *frozen.processes.borrow_mut() = stopped);
            channel.reply(Reply::Failed(fault));
        }
    }
}

fn signal(pid: i32, signal: Signal) -> nix::Result<()> {
    kill(Pid::from_raw(pid), signal)
}

/// Stops what runs until nothing does: who is not stopped yet may make more. What was stopped by others stays theirs. What
/// cannot be done is undone.
async fn stop_all(
    all: impl Fn() -> Vec<Stat>,
    signal: impl Fn(i32, Signal) -> nix::Result<()>,
    patience: Duration,
) -> Result<Vec<Id>, Fault> {
    let until = Instant::now() + patience;
    let mut stopped: Vec<Id> = Vec::new();
    loop {
        let mut running = all();
        running.retain(|stat| !stat.is_over() && !stat.is_stopped());
        let mut is_still = true;
        for stat in &running {
            let id = Id::of(stat);
            if stopped.contains(&id) {
                // Who waits for a disk, or for the child of a vfork, will find the signal on the way back.
                is_still &= stat.state == 'D';
                continue;
            }
            is_still = false;
            match signal(stat.pid, Signal::SIGSTOP) {
                Ok(()) => stopped.push(id),
                Err(Errno::ESRCH) => {}
                Err(errno) => {
                    let fault = failed(
                        format_args!("cannot stop process {} ({})", stat.pid, stat.name),
                        &errno.into(),
                    );
                    return Err(undone(&stopped, signal, fault));
                }
            }
        }
        if is_still {
            return Ok(stopped);
        }
        if Instant::now() >= until {
            let fault = fault(FaultKind::Internal, "the container's processes could not be stopped in time");
            return Err(undone(&stopped, signal, fault));
        }
        sleep(tuning::FREEZE_POLL).await;
    }
}

fn undone(stopped: &[Id], signal: impl Fn(i32, Signal) -> nix::Result<()>, fault: Fault) -> Fault {
    match let_go(stopped, signal) {
        Ok(()) => fault,
        Err(more) => Fault { message: format!("{}; {}", fault.message, more.message), ..fault },
    }
}

fn let_go(stopped: &[Id], signal: impl Fn(i32, Signal) -> nix::Result<()>) -> Result<(), Fault> {
    let now: HashMap<i32, u64> = stat::all().iter().map(|stat| (stat.pid, stat.started)).collect();
    let mut refused = None;
    for id in stopped.iter().rev().filter(|id| now.get(&id.pid) == Some(&id.started)) {
        match signal(id.pid, Signal::SIGCONT) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => {
                refused = Some(failed(format_args!("cannot continue process {}", id.pid), &errno.into()))
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Family(Child);

    impl Family {
        fn new(script: &str) -> Self {
            Self(Command::new("sh").args(["-c", script]).stdout(Stdio::null()).spawn().unwrap())
        }

        /// It and what descends from it.
        fn all(&self) -> Vec<Stat> {
            let mut known = vec![self.0.id().cast_signed()];
            let all = stat::all();
            let mut before = 0;
            while before != known.len() {
                before = known.len();
                known.extend(
                    all.iter()
                        .filter(|stat| known.contains(&stat.parent) && !known.contains(&stat.pid))
                        .map(|stat| stat.pid)
                        .collect::<Vec<_>>(),
                );
            }
            all.into_iter().filter(|stat| known.contains(&stat.pid)).collect()
        }
    }

    impl Drop for Family {
        fn drop(&mut self) {
            for stat in self.all().iter().rev() {
                let _ = signal(stat.pid, Signal::SIGKILL);
            }
            let _ = self.0.wait();
        }
    }

    #[tokio::test]
    async fn nothing_runs_in_a_frozen_family_that_never_rests() {
        let family = Family::new("while :; do (sleep 0.01 & wait) & sleep 0.005; done");
        let stopped = stop_all(|| family.all(), signal, Duration::from_secs(20)).await.unwrap();
        assert!(stopped.iter().any(|id| id.pid == family.0.id().cast_signed()));
        let before = family.all();
        // Whose child is stopped between vfork and exec waits for it, with its own signal pending.
        let rests = |stat: &Stat| stat.is_stopped() || stat.is_over() || stat.state == 'D';
        assert!(before.iter().all(rests), "{before:?}");
        let_go(&stopped, signal).unwrap();
        // It makes others again.
        while family.all().iter().all(|stat| before.iter().any(|known| known.pid == stat.pid)) {
            sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn what_ended_while_it_was_frozen_leaves_nothing_frozen() {
        let family = Family::new("exec sleep 1000");
        let stopped = stop_all(|| family.all(), signal, Duration::from_secs(20)).await.unwrap();
        FROZEN.with(|frozen| {
            frozen.processes.replace(stopped);
            frozen.is_frozen.send_replace(true);
        });
        begin();
        assert!(*watch().borrow());
        drop(family);
        begin();
        assert!(!*watch().borrow());
    }

    #[tokio::test]
    async fn who_was_stopped_before_stays_stopped_after() {
        let family = Family::new("exec sleep 1000");
        let pid = family.0.id().cast_signed();
        signal(pid, Signal::SIGSTOP).unwrap();
        while !Stat::of(pid).unwrap().is_stopped() {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(stop_all(|| family.all(), signal, Duration::from_secs(20)).await, Ok(vec![]));
    }

    #[tokio::test]
    async fn what_may_not_be_stopped_is_told_and_the_rest_goes_on() {
        let family = Family::new("sleep 1000 & wait");
        while family.all().len() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        let last = family.all().last().unwrap().pid;
        let refuse = |pid, what| {
            if pid == last && what == Signal::SIGSTOP { Err(Errno::EPERM) } else { signal(pid, what) }
        };
        let fault = stop_all(|| family.all(), refuse, Duration::from_secs(20)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Forbidden);
        while family.all().iter().any(Stat::is_stopped) {
            sleep(Duration::from_millis(1)).await;
        }
    }
}
