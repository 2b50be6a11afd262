//! Requests that move files: a worker on a thread of its own, and the channel that it serves.

use sockerless_agent_wire::request::{End, Fault, FaultKind, Reply};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::{JoinError, spawn_blocking},
};

use super::{
    fault::fault,
    stream::{In, Out},
};
use crate::{
    shared::{Channel, Output},
    tuning,
};

/// Each transfer has a thread, and some of the agent's must be left to start processes.
static TRANSFERS: Semaphore = Semaphore::const_new(tuning::TRANSFERS);

/// Does something short that may have to wait for a disk. It does not wait for transfers.
pub async fn work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    flat(spawn_blocking(work).await)
}

/// Answers with what the worker replies, then with what it writes, and with the end that it gives.
pub async fn send(channel: Channel, work: impl FnOnce(&mut Out) -> Result<End, Fault> + Send + 'static) {
    let _place = TRANSFERS.acquire().await;
    let (reply, replied) = oneshot::channel();
    let (pieces, mut came) = mpsc::channel(tuning::TRANSFER_PIECES);
    let working = spawn_blocking(move || {
        let mut out = Out::new(reply, pieces);
        let end = work(&mut out)?;
        out.flush().map(|()| end)
    });
    let begun = replied.await;
    let is_begun = begun.is_ok();
    if let Ok(reply) = begun {
        channel.reply(reply);
        while let Some(piece) = came.recv().await {
            if channel.write(Output::Stdout, piece).await.is_err() {
                break;
            }
        }
    }
    drop(came);
    conclude(channel, is_begun, working.await);
}

/// Answers with what the worker replies, and gives it the input.
pub async fn receive(
    channel: Channel,
    work: impl FnOnce(oneshot::Sender<Reply>, In) -> Result<(), Fault> + Send + 'static,
) {
    let _place = TRANSFERS.acquire().await;
    let (reply, replied) = oneshot::channel();
    let (pieces, came) = mpsc::channel(tuning::TRANSFER_PIECES);
    let working = spawn_blocking(move || work(reply, In::new(came)).map(|()| End::Done));
    let begun = replied.await;
    let is_begun = begun.is_ok();
    if let Ok(reply) = begun {
        channel.reply(reply);
        loop {
            let piece = tokio::select! {
                piece = channel.read() => piece,
                () = pieces.closed() => break,
            };
            let is_end = piece.is_none();
            // An input that ends because nobody wants this any more is not complete.
            if is_end && is_closed(&channel).await {
                break;
            }
            if pieces.send(piece).await.is_err() || is_end {
                break;
            }
        }
    }
    drop(pieces);
    conclude(channel, is_begun, working.await);
}

async fn is_closed(channel: &Channel) -> bool {
    tokio::select! {
        biased;
        () = channel.closed() => true,
        () = std::future::ready(()) => false,
    }
}

fn conclude(channel: Channel, is_begun: bool, result: Result<Result<End, Fault>, JoinError>) {
    match flat(result) {
        Ok(end) => channel.end(end),
        Err(fault) if is_begun => channel.end(End::Failed(fault)),
        Err(fault) => channel.reply(Reply::Failed(fault)),
    }
}

fn flat<T>(result: Result<Result<T, Fault>, JoinError>) -> Result<T, Fault> {
    result.unwrap_or_else(|error| Err(fault(FaultKind::Internal, error.to_string())))
}
