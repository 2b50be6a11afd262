//! Files by way of the container's agent.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sockerless_ports::{
    link::{
        Channel, LinkError, RunId,
        request::{End, Fault, Reply, Request},
    },
    registry::Archive,
};
use tokio::sync::oneshot;

use super::{fault, unread::Unread};
use crate::{Engine, Error, tuning};

/// Why an agent did not do it.
#[derive(Debug)]
pub(super) enum Problem {
    /// It said why.
    Fault(Fault),
    /// It is not there (any more).
    Link(LinkError),
    /// Who was to send the bytes did not.
    Sender(io::Error),
    /// It answered something else.
    Unexpected,
    /// The daemon's own part of it failed.
    Own(Error),
}

impl Problem {
    /// Without a client's path to speak of.
    pub fn plain(self) -> Error {
        self.told(fault::plain)
    }

    /// With an agent's faults told so.
    pub fn told(self, told: impl FnOnce(Fault) -> Error) -> Error {
        match self {
            Self::Fault(fault) => told(fault),
            Self::Link(error) => fault::gone(&error),
            Self::Sender(error) => {
                Error::new(crate::ErrorKind::Internal, format!("the archive could not be read: {error}"))
            }
            Self::Unexpected => fault::unexpected(),
            Self::Own(error) => error,
        }
    }
}

impl Engine {
    /// Opens a channel for a request. A line that is down is awaited for a while.
    pub(super) async fn agent_ask(
        &self,
        run: &RunId,
        request: Request,
    ) -> Result<(Reply, Box<dyn Channel>), Problem> {
        match tokio::time::timeout(tuning::LINE_PATIENCE, self.link.open(run, request)).await {
            Ok(Ok((Reply::Failed(fault), _))) => Err(Problem::Fault(fault)),
            Ok(answer) => answer.map_err(Problem::Link),
            Err(_) => Err(Problem::Own(self.out_of_reach(run))),
        }
    }

    /// What an agent sends for a request, which is one that it is ready for at once. If it leaves anything out, that is an
    /// error at the end.
    pub(super) async fn fetch(&self, run: &RunId, request: Request) -> Result<Archive, Problem> {
        match self.agent_ask(run, request).await? {
            (Reply::Ready | Reply::Stat(_), channel) => Ok(output(channel)),
            _ => Err(Problem::Unexpected),
        }
    }

    /// The same, where not everything has to be in an archive: what is left out is told once it has ended.
    pub(super) async fn fetch_readable(
        &self,
        run: &RunId,
        request: Request,
    ) -> Result<(Archive, oneshot::Receiver<Unread>), Problem> {
        match self.agent_ask(run, request).await? {
            (Reply::Ready | Reply::Stat(_), channel) => Ok(readable(channel)),
            _ => Err(Problem::Unexpected),
        }
    }

    /// Has an agent take bytes to their end.
    pub(super) async fn send(&self, run: &RunId, request: Request, body: Archive) -> Result<(), Problem> {
        match self.agent_ask(run, request).await? {
            (Reply::Ready, channel) => deliver(channel.as_ref(), body).await,
            _ => Err(Problem::Unexpected),
        }
    }
}

/// What comes out of a channel. An end that is not a good one is an error at the end of the stream, so that nobody takes a
/// part for the whole.
fn output(channel: Box<dyn Channel>) -> Archive {
    until_end(channel, |unread| Err(unread.error()))
}

/// The same with what is left out told once it has ended; nothing is told if that is nothing.
pub(super) fn readable(channel: Box<dyn Channel>) -> (Archive, oneshot::Receiver<Unread>) {
    let (tell, told) = oneshot::channel();
    let archive = until_end(channel, move |unread| {
        // Who does not want to know reads no archive.
        let _ = tell.send(unread);
        Ok(())
    });
    (archive, told)
}

fn until_end(
    channel: Box<dyn Channel>,
    partial: impl FnOnce(Unread) -> io::Result<()> + Send + 'static,
) -> Archive {
    let pieces = stream::unfold(Some((channel, partial)), |state| async move {
        let (channel, partial) = state?;
        if let Some((_, bytes)) = channel.read().await {
            return Some((Ok::<Bytes, io::Error>(bytes), Some((channel, partial))));
        }
        let error = match channel.end().await {
            Ok(End::Done) => return None,
            Ok(End::Partial { fault, left_out, more }) => {
                partial(Unread { fault: Some(fault), left_out, more }).err()?
            }
            Ok(End::Failed(fault)) => io::Error::other(fault.message),
            Ok(End::Exited { .. }) => io::Error::other(fault::unexpected().message),
            Err(error) => io::Error::other(fault::gone(&error).message),
        };
        Some((Err(error), None))
    });
    pieces.boxed()
}

pub(super) async fn deliver(channel: &dyn Channel, mut body: Archive) -> Result<(), Problem> {
    while let Some(piece) = body.next().await {
        // When the agent takes no more, its last word says why.
        if channel.write(piece.map_err(Problem::Sender)?).await.is_err() {
            break;
        }
    }
    channel.finish();
    while channel.read().await.is_some() {}
    match channel.end().await {
        Ok(End::Done) => Ok(()),
        Ok(End::Failed(fault)) => Err(Problem::Fault(fault)),
        Ok(End::Exited { .. } | End::Partial { .. }) => Err(Problem::Unexpected),
        Err(error) => Err(Problem::Link(error)),
    }
}
