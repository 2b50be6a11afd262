//! A process beside the container's own.

use std::{io, rc::Rc};

use bytes::{Buf, BytesMut};
use sockerless_agent_wire::request::{End, Exec, FaultKind, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::{Receiver, Sender},
    task::{JoinSet, spawn_blocking},
    time::timeout,
};

use crate::{
    process::{self, Failure, Process, Streams, terminal},
    shared::{Channel, Output, Shared},
    tuning,
};

/// Runs it from its start to its end.
pub async fn run(shared: Rc<Shared>, channel: Channel, exec: Exec) {
    if !shared.state().is_running() {
        return channel.fail(FaultKind::Conflict, "the container is not running");
    }
    let wants_input = exec.stdin;
    let starting = shared.children.starting();
    let started = spawn_blocking(move || process::start(exec.into())).await;
    let started = started.unwrap_or_else(|error| Err(Failure { code: 128, message: error.to_string() }));
    let Process { pid, streams } = match started {
        Ok(process) => process,
        Err(Failure { code, message }) => return channel.reply(Reply::Unstarted { code, message }),
    };
    let end = starting.claim(pid);
    channel.reply(Reply::Started { pid });
    let channel = Rc::new(channel);
    // What carries its streams ends with this function.
    let (mut outputs, mut inputs) = (JoinSet::new(), JoinSet::new());
    if carry(&channel, streams, wants_input, &mut outputs, &mut inputs).is_err() {
        channel.stop_input();
    }
    let code = end.await.map_or(255, |ended| ended.code);
    // What it left behind may hold its outputs open.
    let _ = timeout(tuning::REST, async { while outputs.join_next().await.is_some() {} }).await;
    outputs.shutdown().await;
    inputs.shutdown().await;
    if let Ok(channel) = Rc::try_unwrap(channel) {
        channel.end(End::Exited { code });
    }
}

fn carry(
    channel: &Rc<Channel>,
    streams: Streams,
    wants_input: bool,
    outputs: &mut JoinSet<()>,
    inputs: &mut JoinSet<()>,
) -> io::Result<()> {
    let (into, from_terminal) = match streams {
        Streams::Pipes { stdin, stdout, stderr } => {
            outputs.spawn_local(output(Rc::clone(channel), Output::Stdout, Receiver::from_owned_fd(stdout)?));
            outputs.spawn_local(output(Rc::clone(channel), Output::Stderr, Receiver::from_owned_fd(stderr)?));
            (stdin.map(Sender::from_owned_fd).transpose()?, false)
        }
        Streams::Terminal(terminal) => {
            let into = Sender::from_owned_fd_unchecked(terminal.try_clone()?)?;
            let from = Receiver::from_owned_fd_unchecked(terminal.try_clone()?)?;
            outputs.spawn_local(output(Rc::clone(channel), Output::Stdout, from));
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

/// Reads until the end of the output.
async fn output(channel: Rc<Channel>, output: Output, mut from: Receiver) {
    let mut buffer = BytesMut::new();
    loop {
        if buffer.capacity() < tuning::PIECE_LEAST {
            buffer.reserve(tuning::PIECE);
        }
        match from.read_buf(&mut buffer).await {
            // A terminal's end is an error.
            Ok(0) | Err(_) => return channel.finish(output),
            Ok(_) => {
                if channel.write(output, buffer.split().freeze()).await.is_err() {
                    return;
                }
            }
        }
    }
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
