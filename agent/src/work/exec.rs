//! A process beside the container's own.

use std::{cell::Cell, io, rc::Rc, time::Instant};

use bytes::{Buf, BytesMut};
use sockerless_agent_wire::request::{End, Exec, FaultKind, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::{Receiver, Sender},
    sync::Notify,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

use crate::{
    mesh,
    process::{self, Failure, Process, Spec, Streams, terminal},
    shared::{Channel, Output, Shared},
    tuning,
};

/// Runs it from its start to its end.
pub async fn run(shared: Rc<Shared>, channel: Channel, exec: Exec) {
    if !shared.state().is_running() {
        return channel.fail(FaultKind::Conflict, "the container is not running");
    }
    let wants_input = exec.stdin;
    let catcher = mesh::catcher(&shared);
    let catch = catcher.as_ref().and_then(|catcher| catcher.catch(&shared));
    let starting = shared.children.starting();
    let started = spawn_blocking(move || process::start(Spec { catch, ..exec.into() })).await;
    let started = started.unwrap_or_else(|error| Err(Failure { code: 128, message: error.to_string() }));
    let Process { pid, streams, caught } = match started {
        Ok(process) => process,
        Err(failure) => {
            let code = code(&failure);
            return channel.reply(Reply::Unstarted { code, message: failure.message });
        }
    };
    let end = starting.claim(pid);
    if let (Some(catcher), Some(caught)) = (catcher, caught) {
        catcher.watch(&shared, caught);
    }
    channel.reply(Reply::Started { pid });
    let channel = Rc::new(channel);
    let gone = Rc::new(Gone::default());
    // What carries its streams ends with this function.
    let (mut outputs, mut inputs) = (JoinSet::new(), JoinSet::new());
    if carry(&channel, &gone, streams, wants_input, &mut outputs, &mut inputs).is_err() {
        channel.stop_input();
    }
    let code = end.await.map_or(LOST, |ended| ended.code);
    gone.now();
    while outputs.join_next().await.is_some() {}
    inputs.shutdown().await;
    if let Ok(channel) = Rc::try_unwrap(channel) {
        channel.end(End::Exited { code });
    }
}

/// The exit code of a process whose end nobody saw.
const LOST: i32 = 255;

/// When the process ended; what it left behind may hold its outputs open.
#[derive(Default)]
struct Gone {
    since: Cell<Option<Instant>>,
    changed: Notify,
}

impl Gone {
    fn now(&self) {
        self.since.set(Some(Instant::now()));
        self.changed.notify_waiters();
    }

    /// Nothing has come for a while since then.
    async fn quiet(&self) {
        loop {
            let changed = self.changed.notified();
            if self.since.get().is_some() {
                return sleep(tuning::REST).await;
            }
            changed.await;
        }
    }

    /// That was a while ago.
    fn is_past(&self) -> bool {
        self.since.get().is_some_and(|since| since.elapsed() >= tuning::REST)
    }
}

/// dockerd's exit code for an exec that could not be started: all but a program that is not there counts as one that
/// cannot be executed.
fn code(failure: &Failure) -> i32 {
    if failure.code == 127 && failure.message.starts_with("exec: ") { 127 } else { 126 }
}

fn carry(
    channel: &Rc<Channel>,
    gone: &Rc<Gone>,
    streams: Streams,
    wants_input: bool,
    outputs: &mut JoinSet<()>,
    inputs: &mut JoinSet<()>,
) -> io::Result<()> {
    let (into, from_terminal) = match streams {
        Streams::Pipes { stdin, stdout, stderr } => {
            for (kind, from) in [(Output::Stdout, stdout), (Output::Stderr, stderr)] {
                let from = Receiver::from_owned_fd(from)?;
                outputs.spawn_local(output(Rc::clone(channel), Rc::clone(gone), kind, from));
            }
            (stdin.map(Sender::from_owned_fd).transpose()?, false)
        }
        Streams::Terminal(terminal) => {
            let into = Sender::from_owned_fd_unchecked(terminal.try_clone()?)?;
            let from = Receiver::from_owned_fd_unchecked(terminal.try_clone()?)?;
            outputs.spawn_local(output(Rc::clone(channel), Rc::clone(gone), Output::Stdout, from));
            let sized = Rc::clone(channel);
            inputs.spawn_local(async move {
                loop {
                    terminal::resize(&terminal, sized.resized().await);
                }
            });
            (Some(into), true)
        }
    };
    match into {
        Some(into) if wants_input => {
            inputs.spawn_local(input(Rc::clone(channel), into, from_terminal));
        }
        _ => channel.stop_input(),
    }
    Ok(())
}

/// Reads until the end of the output, or until there is nothing more that the process itself can have written.
async fn output(channel: Rc<Channel>, gone: Rc<Gone>, output: Output, mut from: Receiver) {
    let mut buffer = BytesMut::new();
    // What others write is not read for ever.
    let mut left = usize::try_from(tuning::PIPE).unwrap_or_default();
    while left > 0 {
        if channel.room(output).await.is_err() {
            return;
        }
        if buffer.capacity() < tuning::PIECE_LEAST {
            buffer.reserve(tuning::PIECE);
        }
        let read = tokio::select! {
            biased;
            read = from.read_buf(&mut buffer) => read,
            () = gone.quiet() => break,
        };
        match read {
            // A terminal's end is an error.
            Ok(0) | Err(_) => break,
            Ok(count) => {
                if gone.is_past() {
                    left = left.saturating_sub(count);
                }
                if channel.write(output, buffer.split().freeze()).await.is_err() {
                    return;
                }
            }
        }
    }
    channel.finish(output);
}

/// Writes what comes until the end of it, or until the process takes no more; then closes.
async fn input(channel: Rc<Channel>, mut into: Sender, terminal: bool) {
    while let Some(mut bytes) = channel.read().await {
        while bytes.has_remaining() {
            if !matches!(into.write_buf(&mut bytes).await, Ok(1..)) {
                return channel.stop_input();
            }
        }
    }
    if terminal {
        // It has no end: the client has gone, another may come.
        std::future::pending::<()>().await;
    }
}
