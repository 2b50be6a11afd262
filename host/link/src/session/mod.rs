//! One connection of one agent.

mod tell;

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::{
    FutureExt, SinkExt, StreamExt,
    future::{BoxFuture, FusedFuture},
    stream::{SplitSink, SplitStream},
};
use sockerless_agent_wire::{Frame, Frames, FromAgent, FromDaemon, Hello, Violation, limits};
use sockerless_ports::link::Output;
use tokio::{
    sync::{OwnedMutexGuard, OwnedSemaphorePermit},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::{
    AgentLink,
    door::{self, Rejection},
    gate::Allowance,
    relay,
    run::{Run, Taken, Welcome},
    server::Socket,
    tuning,
};

type Sink = SplitSink<Socket, Message>;
type Source = SplitStream<Socket>;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the agent closed the connection")]
    Closed,
    #[error("nothing was heard from the agent")]
    Silent,
    #[error("the agent was refused: {0}")]
    Refused(String),
    #[error("another connection of the same agent replaced it")]
    Replaced,
    #[error("the agent has come for the next run")]
    Succeeded,
    #[error(transparent)]
    Violation(#[from] Violation),
    #[error(transparent)]
    Socket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
}

/// What a connection has that has yet to prove itself.
pub struct Stranger {
    /// Its place among the strangers.
    pub permit: OwnedSemaphorePermit,
    /// What it may say.
    pub allowance: Allowance,
}

/// Serves an agent until the connection ends.
pub async fn serve(link: &AgentLink, socket: Socket, stranger: Stranger) {
    let (sink, mut source) = socket.split();
    let hello = match timeout(tuning::GREETING, greeting(&mut source)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(end)) => return tracing::debug!(%end, "a connection without a hello"),
        Err(_) => return tracing::debug!("a connection without a hello"),
    };
    let mut stranger = Some(stranger);
    let mut greeted = Some((hello, sink, source));
    while let Some((hello, mut sink, source)) = greeted.take() {
        match door::admit(link, &hello).await {
            Ok((run, version)) => {
                // Its place among the strangers is free.
                if let Some(Stranger { permit, allowance }) = stranger.take() {
                    drop(permit);
                    allowance.lift();
                }
                greeted = session(link, &run, &hello, version, sink, source).await;
            }
            Err(rejection) => {
                let Rejection { reason, again } = &rejection;
                tracing::warn!(
                    run = hello.run.escape_debug().to_string(),
                    reason,
                    again,
                    "an agent was refused"
                );
                goodbye(&mut sink, rejection).await;
            }
        }
    }
}

async fn greeting(source: &mut Source) -> Result<Box<Hello>, End> {
    let mut frames = next(source).await?;
    match frames.next() {
        Some(Ok(Frame::Control(json))) => match FromAgent::parse(&json).map_err(Violation::from)? {
            FromAgent::Hello(hello) => Ok(hello),
            _ => Err(Violation::Unexpected("message before the hello").into()),
        },
        Some(Err(error)) => Err(Violation::from(error).into()),
        _ => Err(Violation::Unexpected("frame before the hello").into()),
    }
}

async fn next(source: &mut Source) -> Result<Frames, End> {
    loop {
        match source.next().await {
            Some(Ok(Message::Binary(bytes))) => return Ok(Frames::new(bytes)),
            Some(Ok(Message::Close(_))) | None => return Err(End::Closed),
            Some(Ok(Message::Text(_))) => return Err(Violation::Unexpected("text").into()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(Box::new(error).into()),
        }
    }
}

async fn goodbye(sink: &mut Sink, Rejection { reason, again }: Rejection) {
    let goodbye = async {
        say(sink, &FromDaemon::Refused { reason, again }).await?;
        sink.close().await.map_err(|error| End::Socket(Box::new(error)))
    };
    // Whoever is refused may be gone already.
    let _ = timeout(tuning::GOODBYE, goodbye).await;
}

async fn say(sink: &mut Sink, message: &FromDaemon) -> Result<(), End> {
    let mut bytes = BytesMut::new();
    Frame::control(message).map_err(Violation::from)?.encode(&mut bytes);
    sink.send(Message::Binary(bytes.freeze())).await.map_err(|error| Box::new(error).into())
}

/// A hello on a connection.
type Greeted = (Box<Hello>, Sink, Source);

/// An agent that proved itself. Gives its next hello, when it goes on to another run.
async fn session(
    link: &AgentLink,
    run: &Arc<Run>,
    hello: &Hello,
    version: u32,
    mut sink: Sink,
    source: Source,
) -> Option<Greeted> {
    let cut = CancellationToken::new();
    std::mem::replace(&mut run.state().cut, cut.clone()).cancel();
    let begin = async {
        // The connection before has ended and is told to the end first.
        let socket = Arc::clone(&run.socket).lock_owned().await;
        let turn = run.told().await;
        let kept =
            [run.events.kept(&run.id, Output::Stdout).await, run.events.kept(&run.id, Output::Stderr).await];
        (Place { socket, turn }, kept)
    };
    let (place, kept) = tokio::select! {
        biased;
        () = run.gone.cancelled() => {
            goodbye(&mut sink, dismissed()).await;
            return None;
        }
        () = cut.cancelled() => return None,
        begun = begin => begun,
    };
    let welcome = run.state().resume(hello, version, kept);
    relay_on(link, run);
    let welcome = match welcome {
        Ok(Welcome { streams, session, channels }) => {
            FromDaemon::Welcome { version, streams, session, channels }
        }
        Err(violation) => {
            tracing::warn!(run = %run.id, %violation, "an agent cannot go on where the daemon is");
            goodbye(&mut sink, Rejection::for_now(violation.to_string())).await;
            return None;
        }
    };
    if let Err(end) = say(&mut sink, &welcome).await {
        tracing::debug!(run = %run.id, %end, "the agent did not wait for its welcome");
        return None;
    }
    if let Some(before) = run.take_before() {
        link.succeeded(&before);
    }
    run.state().connected = true;
    run.room.notify_waiters();
    tracing::debug!(run = %run.id, version, software = hello.software.escape_debug().to_string(), "an agent's line is up");

    link.look(run);
    let (end, greeted) = converse(link, run, hello.idle, (&cut, place), sink, source).await;
    tracing::debug!(run = %run.id, %end, "an agent's line is down");
    greeted
}

/// What a connection holds.
struct Place {
    socket: OwnedMutexGuard<()>,
    /// Not before the one before has told everything.
    turn: BoxFuture<'static, OwnedMutexGuard<()>>,
}

async fn converse(
    link: &AgentLink,
    run: &Arc<Run>,
    idle: bool,
    (cut, place): (&CancellationToken, Place),
    mut sink: Sink,
    mut source: Source,
) -> (End, Option<Greeted>) {
    let Place { socket, turn } = place;
    let over = CancellationToken::new();
    let telling = async {
        let turn = turn.await;
        tell::tell(link, run, idle, &over).await;
        turn
    };
    let mut telling = std::pin::pin!(telling.fuse());
    let mut turn = None;
    let end = {
        let mut receiving = std::pin::pin!(receive(link, run, &mut source));
        let mut sending = std::pin::pin!(send(run, &mut sink));
        tokio::select! {
            biased;
            () = run.gone.cancelled() => End::Refused(dismissed().reason),
            () = cut.cancelled() => End::Replaced,
            end = &mut receiving => end,
            end = &mut sending => end,
            // It ends by itself only when the engine refuses the agent: that has yet to be said.
            told = &mut telling => {
                turn = Some(told);
                timeout(tuning::GOODBYE, sending).await.unwrap_or(End::Silent)
            }
        }
    };
    let hello = {
        let mut state = run.state();
        state.connected = false;
        state.hello.take()
    };
    let mut greeted = None;
    match hello {
        Some(hello) => greeted = Some((hello, sink, source)),
        None => {
            if run.gone.is_cancelled() {
                goodbye(&mut sink, dismissed()).await;
                hung_up(&mut source).await;
            }
            // The socket is closed while the engine may still be at work with what came.
            drop((sink, source));
        }
    }
    drop(socket);
    over.cancel();
    run.to_tell.notify_one();
    if !telling.is_terminated() {
        turn = Some(telling.await);
    }
    if greeted.is_none() {
        run.events.line(&run.id, false).await;
    }
    drop(turn);
    (end, greeted)
}

/// Until a dismissed agent has gone, or should have.
async fn hung_up(source: &mut Source) {
    let _ = timeout(tuning::GOODBYE, async { while next(source).await.is_ok() {} }).await;
}

fn dismissed() -> Rejection {
    Rejection::finally("the run is over")
}

/// Carries out what came of the last message for connections between containers.
fn relay_on(link: &AgentLink, run: &Arc<Run>) {
    let (mut notes, mut connects) = (Vec::new(), Vec::new());
    run.state().relay.take_notes(&mut notes, &mut connects);
    relay::deliver(notes);
    connects.into_iter().for_each(|connect| relay::join(link, run, connect));
}

async fn receive(link: &AgentLink, run: &Arc<Run>, source: &mut Source) -> End {
    loop {
        let frames = match timeout(Duration::from_millis(limits::SILENCE_MS), next(source)).await {
            Ok(Ok(frames)) => frames,
            Ok(Err(end)) => return end,
            Err(_) => return End::Silent,
        };
        let taken = run.state().take_all(frames);
        // What was taken before a fault counts.
        relay_on(link, run);
        let Taken { relayed, succeeded } = match taken {
            Ok(taken) => taken,
            Err(violation) => {
                tracing::warn!(run = %run.id, %violation, "an agent broke the protocol");
                return violation.into();
            }
        };
        if !relayed {
            run.to_tell.notify_one();
            run.to_send.notify_one();
            run.room.notify_waiters();
        }
        if succeeded {
            return End::Succeeded;
        }
    }
}

async fn send(run: &Run, sink: &mut Sink) -> End {
    let mut message = BytesMut::new();
    // What may wait has waited.
    let mut all = false;
    // It is left to run when what had to be said has gone along with something else: a timer that is earlier than all others
    // wakes the runtime's driver, and there would be one for each message.
    let mut later_is_due = pin!(sleep(Duration::ZERO));
    let mut running = false;
    loop {
        let more = run.to_send.notified();
        let (sent, later) = {
            let mut state = run.state();
            (state.send(all, &mut message), state.relay.has_later())
        };
        let last = match sent {
            Ok(last) => last,
            Err(error) => return Violation::from(error).into(),
        };
        all = false;
        if message.is_empty() {
            // An idle line keeps no buffer.
            message = BytesMut::new();
            if later && !running {
                later_is_due.as_mut().reset(Instant::now() + tuning::LATER);
                running = true;
            }
            tokio::select! {
                biased;
                () = more => continue,
                () = &mut later_is_due, if running => {
                    running = false;
                    all = later;
                    continue;
                }
                () = sleep(Duration::from_millis(limits::HEARTBEAT_MS)) => {}
            }
            Frame::Alive.encode(&mut message);
        }
        if let Err(error) = sink.send(Message::Binary(message.split().freeze())).await {
            return Box::new(error).into();
        }
        if last {
            // Best effort: the agent closes, too.
            let _ = timeout(tuning::GOODBYE, sink.close()).await;
            return End::Refused("by the engine".to_owned());
        }
    }
}
