//! An exec's streams for the one client that started it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sockerless_ports::link::{Channel, Output};
use tokio_util::sync::CancellationToken;

use super::exec::Exec;
use crate::{
    Attachment, Engine, Error, ErrorKind, OutputChunk, OutputStream, Result,
    containers::{DetachScanner, Input},
};

impl Engine {
    /// Gives the client what the process writes, as it comes from the agent.
    pub(super) fn attach_exec(
        self: &Arc<Self>,
        exec: Arc<Exec>,
        channel: Arc<dyn Channel>,
        raw: bool,
    ) -> Attachment {
        let detached = CancellationToken::new();
        let request = &exec.plan.request;
        let input = request.stdin.then(|| {
            Box::new(ExecInput {
                engine: Arc::clone(self),
                exec: Arc::clone(&exec),
                channel: Arc::clone(&channel),
                // The notation was checked when the exec was made.
                keys: DetachScanner::parse(exec.plan.detach_keys.as_deref()).ok().filter(|_| request.tty),
                detached: detached.clone(),
            }) as Box<dyn Input>
        });
        let tap = Tap { engine: Arc::clone(self), exec, channel, over: false };
        let chunks = stream::unfold(tap, |mut tap| async move {
            let chunk = tap.next().await?;
            Some((Ok(chunk), tap))
        });
        let gone = self.closing().clone();
        let chunks = chunks.take_until(async move {
            tokio::select! { () = gone.cancelled() => {}, () = detached.cancelled() => {} }
        });
        Attachment { output: OutputStream { tty: raw, chunks: chunks.boxed() }, input }
    }

    /// Throws away what nobody reads, and waits for the end.
    pub(super) async fn drain_exec(self: &Arc<Self>, exec: &Arc<Exec>, channel: &dyn Channel) {
        while channel.read().await.is_some() {}
        self.end_exec(exec, channel).await;
    }
}

/// Reads from the agent's channel for as long as the client does; then somebody else has to.
struct Tap {
    engine: Arc<Engine>,
    exec: Arc<Exec>,
    channel: Arc<dyn Channel>,
    over: bool,
}

impl Tap {
    async fn next(&mut self) -> Option<OutputChunk> {
        let plan = &self.exec.plan;
        loop {
            match self.channel.read().await {
                Some((output, bytes)) => {
                    let wanted = if output == Output::Stdout { plan.stdout } else { plan.stderr };
                    if wanted {
                        return Some(OutputChunk { output, bytes });
                    }
                }
                None => {
                    // The exit code is there before the client sees the end of the output and asks for it.
                    self.engine.end_exec(&self.exec, self.channel.as_ref()).await;
                    self.over = true;
                    return None;
                }
            }
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if !self.over {
            let (engine, exec, channel) =
                (Arc::clone(&self.engine), Arc::clone(&self.exec), Arc::clone(&self.channel));
            self.engine.spawn(async move { engine.drain_exec(&exec, channel.as_ref()).await });
        }
    }
}

struct ExecInput {
    engine: Arc<Engine>,
    exec: Arc<Exec>,
    channel: Arc<dyn Channel>,
    /// Only a terminal has detach keys.
    keys: Option<DetachScanner>,
    detached: CancellationToken,
}

impl ExecInput {
    fn closed() -> Error {
        Error::new(ErrorKind::Conflict, "the process takes no input any more")
    }

    /// A terminal's input is not closed by a client that goes: as with a terminal anywhere, the process is told by a key.
    fn finish(&self) {
        if !self.exec.plan.request.tty {
            self.channel.finish();
        }
    }
}

#[async_trait]
impl Input for ExecInput {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if self.detached.is_cancelled() {
            return Err(Self::closed());
        }
        let (bytes, detached) = DetachScanner::pass(&mut self.keys, bytes);
        if !bytes.is_empty() {
            self.channel.write(bytes).await.map_err(|_| Self::closed())?;
        }
        if detached {
            self.engine.announce_exec(&self.exec, "exec_detach", &[]);
            self.detached.cancel();
            return Err(Self::closed());
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

impl Drop for ExecInput {
    fn drop(&mut self) {
        // The client is gone, with or without a word.
        self.finish();
    }
}
