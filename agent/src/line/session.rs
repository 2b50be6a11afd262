//! One connection.

use std::{pin::pin, rc::Rc, time::Duration};

use bytes::BytesMut;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use sockerless_agent_wire::{Frame, Frames, FromAgent, FromDaemon, Key, Violation, limits};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Lost,
    dial::{Dialler, Socket},
};
use crate::{
    shared::{Heard, Refusal, Shared},
    tuning,
};

type Sink = SplitSink<Socket, Message>;
type Source = SplitStream<Socket>;

/// Connects, greets, and carries what there is until the connection ends.
pub async fn run(shared: &Rc<Shared>, dialler: &Dialler, ticket: &Key, secret: &Key) -> Lost {
    let dialled = timeout(tuning::DIAL, dialler.dial()).await;
    let (mut sink, mut source) = match dialled {
        Ok(Ok(socket)) => socket.split(),
        Ok(Err(lost)) => return lost,
        Err(_) => return Lost::Unreachable("no answer".to_owned()),
    };
    loop {
        let greeting = greet(shared, ticket, secret, &mut sink, &mut source);
        match timeout(tuning::WELCOME, greeting).await {
            Ok(Ok(())) => {}
            Ok(Err(lost)) => return lost,
            Err(_) => return Lost::Silent,
        }
        tokio::select! {
            lost = receive(shared, &mut source) => return lost,
            lost = send(shared, &mut sink) => return lost,
            // Another run has taken the place of the one that this connection was for.
            () = shared.until(|state| state.greet.then_some(())) => {}
        }
    }
}

async fn greet(
    shared: &Rc<Shared>,
    ticket: &Key,
    secret: &Key,
    sink: &mut Sink,
    source: &mut Source,
) -> Result<(), Lost> {
    let hello = shared.state().hello(ticket, secret);
    let mut message = BytesMut::new();
    Frame::control(&FromAgent::Hello(Box::new(hello))).map_err(Violation::from)?.encode(&mut message);
    sink.send(Message::Binary(message.freeze())).await.map_err(Box::new)?;
    loop {
        let mut frames = next(source).await?;
        while let Some(frame) = frames.next() {
            // What was said to a run before this one means nothing any more.
            let Frame::Control(json) = frame.map_err(Violation::from)? else { continue };
            match FromDaemon::parse(&json).map_err(Violation::from)? {
                FromDaemon::Welcome { version, streams, session, channels } => {
                    shared.resume(version, &streams, session, &channels)?;
                    return take(shared, frames);
                }
                FromDaemon::Refused { reason, again } => {
                    return Err(Lost::Refused(Refusal { reason, again }));
                }
                _ => {}
            }
        }
    }
}

async fn next(source: &mut Source) -> Result<Frames, Lost> {
    loop {
        match source.next().await {
            Some(Ok(Message::Binary(bytes))) => return Ok(Frames::new(bytes)),
            Some(Ok(Message::Close(_))) | None => return Err(Lost::Closed),
            Some(Ok(Message::Text(_))) => return Err(Violation::Unexpected("text").into()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(Box::new(error).into()),
        }
    }
}

fn take(shared: &Shared, frames: Frames) -> Result<(), Lost> {
    let mut heard = Heard::default();
    for frame in frames {
        let frame = frame.map_err(Violation::from)?;
        if let Frame::Control(json) = &frame
            && let Ok(FromDaemon::Refused { reason, again }) = FromDaemon::parse(json)
        {
            return Err(Lost::Refused(Refusal { reason, again }));
        }
        shared.state().take(frame, &mut heard)?;
    }
    shared.heard(heard);
    Ok(())
}

async fn receive(shared: &Shared, source: &mut Source) -> Lost {
    loop {
        let taken = match timeout(Duration::from_millis(limits::SILENCE_MS), next(source)).await {
            Ok(frames) => frames.and_then(|frames| take(shared, frames)),
            Err(_) => Err(Lost::Silent),
        };
        if let Err(lost) = taken {
            return lost;
        }
    }
}

async fn send(shared: &Shared, sink: &mut Sink) -> Lost {
    let mut message = BytesMut::new();
    // What may wait has waited.
    let mut all = false;
    // It is left to run when what had to be said has gone along with something else: a timer that is earlier than all others
    // costs two calls of the kernel, and there would be one for each message.
    let mut later_is_due = pin!(sleep(Duration::ZERO));
    let mut running = false;
    loop {
        // At the latest after that time it is sent.
        let _ = timeout(tuning::GATHER, gathered(shared)).await;
        let more = shared.to_send.notified();
        let (sent, later) = {
            let mut state = shared.state();
            (state.send(all, &mut message), state.has_later())
        };
        if let Err(error) = sent {
            return Violation::from(error).into();
        }
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
    }
}

/// Until there is enough to send, or no reason to wait.
async fn gathered(shared: &Shared) {
    loop {
        let more = shared.to_send.notified();
        if !shared.state().may_gather() {
            return;
        }
        more.await;
    }
}
