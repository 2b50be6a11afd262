//! Owns a task's namespaces from outside: prepares them, waits for a task, starts it, passes
//! signals on and reports its end. When the executor is gone, so is the task.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::{Child, ExitStatus, Stdio},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns, unshare},
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};

use super::{
    explain_refusal, nested,
    protocol::{
        Channel, FromInit, FromKeeper, NetworkPlan, Plan, Prepare, StageFailure, ToKeeper, release_output,
    },
    remove::remove_tree,
};
use crate::{cgroup::TaskCgroup, network::attach};

/// One task, or none when the executor leaves first.
pub(crate) fn run() -> io::Result<()> {
    let mut control = Channel::from_stdin()?;
    let Some(ToKeeper::Prepare(prepare)) = control.receive()? else { return Ok(()) };
    let mut keeper = match Keeper::prepare(&prepare, &mut control) {
        Ok(Some(keeper)) => keeper,
        Ok(None) => return Ok(()),
        Err(error) => {
            let failure = StageFailure::internal("preparing namespaces", error);
            return control.send(&FromKeeper::Failed(failure));
        }
    };
    control.send(&FromKeeper::Ready)?;
    let end = keeper.serve(&mut control);
    if end.is_err() {
        // Nothing may survive a keeper that lost its way.
        let _ = keeper.init.kill();
        let _ = keeper.init.wait();
    }
    if let Ok(Some(end)) = &end {
        control.send(end)?;
    }
    keeper.clean_up()?;
    end.map(drop)
}

struct Keeper {
    init: Child,
    /// Open until init becomes the command.
    line: Option<Channel>,
    children: SignalFd,
    executing: bool,
    started: bool,
    failure: Option<StageFailure>,
    task: Option<(Box<Plan>, Option<TaskCgroup>)>,
}

impl Keeper {
    fn prepare(prepare: &Prepare, control: &mut Channel) -> io::Result<Option<Self>> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;

        if let Some(path) = &prepare.user_namespace {
            setns(std::fs::File::open(path)?, CloneFlags::CLONE_NEWUSER)?;
        }
        let outside = attach::Outside::open(&prepare.network)?;
        let namespaces = CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS;
        unshare(namespaces)
            .map_err(|error| io::Error::other(format!("namespaces: {error}{}", explain_refusal())))?;

        let (line, theirs) = UnixStream::pair()?;
        // Starts while the network is made.
        let init = nested(&prepare.program, "init").stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        release_output()?;
        attach::loopback()?;
        match (&prepare.network, outside) {
            (NetworkPlan::Bridge { .. }, Some(outside)) => outside.attach()?,
            _ => {
                control.send(&FromKeeper::Unshared)?;
                let Some(ToKeeper::Connected) = control.receive()? else { return Ok(None) };
            }
        }
        Ok(Some(Self {
            init,
            line: Some(Channel::new(line)),
            children,
            executing: false,
            started: false,
            failure: None,
            task: None,
        }))
    }

    /// Until the command has ended (its end) or the executor has gone (None).
    fn serve(&mut self, control: &mut Channel) -> io::Result<Option<FromKeeper>> {
        loop {
            while let Some(message) = control.buffered()? {
                match message {
                    ToKeeper::Start(plan) => self.start(plan)?,
                    ToKeeper::Signal(number) => self.signal(number),
                    ToKeeper::Prepare(_) | ToKeeper::Connected => {}
                }
            }
            let (control_ready, line_ready) = self.wait(control)?;
            if line_ready && self.read_line()? {
                control.send(&FromKeeper::Started(self.init.id()))?;
            }
            if let Some(status) = self.init.try_wait()? {
                while self.line.is_some() {
                    if self.read_line()? {
                        control.send(&FromKeeper::Started(self.init.id()))?;
                    }
                }
                return Ok(Some(self.end(status)));
            }
            if control_ready && control.fill()? == 0 {
                self.init.kill()?;
                self.init.wait()?;
                return Ok(None);
            }
        }
    }

    /// Blocks; says whether control and init's line have something.
    fn wait(&self, control: &Channel) -> io::Result<(bool, bool)> {
        let mut fds = vec![
            PollFd::new(control.stream().as_fd(), PollFlags::POLLIN),
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(line) = &self.line {
            fds.push(PollFd::new(line.stream().as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |index: usize| fds.get(index).and_then(PollFd::any).unwrap_or(false);
        let answer = (ready(0), ready(2));
        if ready(1) {
            while self.children.read_signal()?.is_some() {}
        }
        Ok(answer)
    }

    fn start(&mut self, plan: Box<Plan>) -> io::Result<()> {
        let cgroup = TaskCgroup::create(&plan.cgroup, &plan.task);
        let prepared = cgroup.and_then(|cgroup| {
            cgroup.attach(self.init.id())?;
            let folder = plan.state.join("tasks").join(&plan.task);
            std::fs::create_dir_all(&folder)?;
            if let Some(line) = &mut self.line {
                line.send(&plan)?;
            }
            Ok(cgroup)
        });
        match prepared {
            Ok(cgroup) => self.task = Some((plan, Some(cgroup))),
            Err(error) => {
                self.task = Some((plan, None));
                self.failure = Some(StageFailure::internal("limits and files of the task", error));
                self.init.kill()?;
            }
        }
        Ok(())
    }

    fn signal(&mut self, number: i32) {
        // Not reaped yet, so the number cannot have gone to another process; a process that
        // ended meanwhile is no error.
        if let (Ok(signal), Ok(pid)) = (Signal::try_from(number), i32::try_from(self.init.id())) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// True when init has just become the command.
    fn read_line(&mut self) -> io::Result<bool> {
        let Some(line) = &mut self.line else { return Ok(false) };
        let ended = line.fill()? == 0;
        while let Some(message) = line.buffered()? {
            match message {
                FromInit::Executing => self.executing = true,
                FromInit::Failed(failure) => self.failure = Some(failure),
            }
        }
        if ended {
            self.line = None;
            if self.executing && self.failure.is_none() {
                self.started = true;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn end(&mut self, status: ExitStatus) -> FromKeeper {
        if let Some(failure) = self.failure.take() {
            return FromKeeper::Failed(failure);
        }
        let killed =
            self.task.as_ref().and_then(|(_, cgroup)| cgroup.as_ref()).is_some_and(TaskCgroup::out_of_memory);
        if !self.started {
            let why = if killed { "; the memory limit is too small to start anything" } else { "" };
            return FromKeeper::Failed(StageFailure::internal("the task's init", format!("{status}{why}")));
        }
        FromKeeper::Exited { code: status.code(), signal: status.signal(), out_of_memory: killed }
    }

    fn clean_up(self) -> io::Result<()> {
        let Some((plan, cgroup)) = self.task else { return Ok(()) };
        if let Some(cgroup) = cgroup {
            cgroup.remove();
        }
        remove_tree(&plan.state.join("tasks").join(&plan.task))
    }
}
