//! `docker attach`, and the terminal's size.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sockerless_ports::{
    link::{LinkError, RunId, TerminalSize},
    logs::{LogQuery, Position},
};
use tokio_util::sync::CancellationToken;

use super::{DetachScanner, table::Entry};
use crate::{
    AttachRequest, Engine, Error, ErrorKind, OutputChunk, OutputStream, Result, error::needs_agent,
    life::Phase, supervisor::run_id,
};

/// An attached client's view of a container.
pub struct Attachment {
    /// What the container writes.
    pub output: OutputStream,
    /// Where to put what the client writes, when it asked for that and the container takes it.
    pub input: Option<Box<dyn Input>>,
}

/// A container's standard input, for one client. Before the container has started, calls wait for that, so
/// that a client may write early.
#[async_trait]
pub trait Input: Send {
    /// Writes; returns when there is room for more. An error says that nothing is taken any more; the
    /// output may go on.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;
    /// The client has no more. Closes the process's input if it was to be closed (`StdinOnce`).
    async fn close(&mut self) -> Result<()>;
}

impl Engine {
    /// `POST /containers/{id}/attach`. What is written from the moment of this call on is in the output, even if
    /// the container starts later; the output ends with the run.
    ///
    /// Errors: 400 for malformed detach keys, 404, 409 while it is being removed, 501 for standard input without an agent.
    pub async fn attach(&self, reference: &str, request: AttachRequest) -> Result<Attachment> {
        let entry = self.containers.find(reference)?;
        let keys = DetachScanner::parse(request.detach_keys.as_deref())?;
        let view = entry.view();
        if matches!(view.state.phase, Phase::Removing | Phase::Removed | Phase::Dead) {
            let message = format!("container {} is being removed and cannot be attached to", entry.id());
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let wants_input = request.stdin && request.stream && entry.spec.open_stdin();
        let without_agent =
            if view.state.is_live() { !view.state.agent } else { self.link.callback_url().is_none() };
        if wants_input && without_agent {
            return Err(needs_agent("standard input"));
        }
        let reader = entry.readers.enter();
        let position = self.logs.end(entry.id()).await?;
        // The run that lives, or the next one.
        let run = run_id(&entry, view.state.ended + 1);
        let detached = CancellationToken::new();
        let output = self.follow(&entry, &request, run.generation, position)?;
        let output = self.guard(output, reader).take_until(detached.clone().cancelled_owned()).boxed();
        let input = wants_input.then(|| {
            let tty = entry.spec.tty();
            let input = Stdin {
                engine: self.shared().ok(),
                alone: !request.stdout && !request.stderr,
                once: entry.spec.config.stdin_once.unwrap_or_default() && !tty,
                keys: tty.then_some(keys),
                entry: Arc::clone(&entry),
                run,
                detached,
            };
            Box::new(input) as Box<dyn Input>
        });
        self.events.container(&entry, &view.name, "attach", &[]);
        Ok(Attachment { output: OutputStream { tty: entry.spec.tty(), chunks: output }, input })
    }

    fn follow(
        &self,
        entry: &Arc<Entry>,
        request: &AttachRequest,
        generation: u32,
        position: Position,
    ) -> Result<stream::BoxStream<'static, Result<OutputChunk>>> {
        let engine = self.shared()?;
        let (mut changes, mut ends) = (entry.subscribe(), entry.subscribe());
        let id = entry.id().to_owned();
        let AttachRequest { logs, stream, stdout, stderr, .. } = *request;
        let query =
            move |from, follow| LogQuery { stdout, stderr, from, follow, hold: true, ..LogQuery::default() };
        let wanted = stdout || stderr;
        // A run that lives is read in one go, old and new.
        let one_go = logs && stream && entry.view().state.is_live();
        let before = {
            let (engine, id) = (Arc::clone(&engine), id.clone());
            stream::once(async move { Ok(engine.logs.read(&id, query(None, one_go)).await?) })
                .map(flatten)
                .flatten()
        };
        let after = stream::once(async move {
            let reached = changes.wait_for(|view| {
                let state = &view.state;
                (state.is_live() && state.generation >= generation)
                    || state.ended >= generation
                    || state.phase == Phase::Removed
            });
            let live = reached.await.is_ok_and(|view| view.state.is_live());
            Ok(engine.logs.read(&id, query(Some(position), live)).await?)
        })
        .map(flatten)
        .flatten();
        Ok(match (logs && wanted, stream && wanted) {
            (true, true) if !one_go => before.chain(after).boxed(),
            (true, _) => before.boxed(),
            (false, true) => after.boxed(),
            // Input alone: the client stays until the run ends, or until it has no more.
            (false, false) if stream => stream::once(async move {
                let over = |view: &Arc<super::View>| {
                    view.state.ended >= generation || view.state.phase == Phase::Removed
                };
                // An error says that the container is gone: just as well.
                let _ = ends.wait_for(over).await;
            })
            .filter_map(|()| std::future::ready(None))
            .boxed(),
            (false, false) => stream::empty().boxed(),
        })
    }

    /// `POST /containers/{id}/resize`.
    ///
    /// Errors: 404, 409 when it does not run, 501 without an agent.
    pub async fn resize(&self, reference: &str, size: TerminalSize) -> Result<()> {
        let entry = self.containers.find(reference)?;
        let view = entry.view();
        if view.state.phase != Phase::Running {
            return Err(Error::new(ErrorKind::Conflict, format!("container {} is not running", entry.id())));
        }
        if !view.state.agent {
            return Err(needs_agent("a terminal's size"));
        }
        let run = run_id(&entry, view.state.generation);
        match self.link.resize(&run, size).await {
            Ok(()) => {
                let attributes = [("height", size.rows.to_string()), ("width", size.columns.to_string())];
                self.events.container(&entry, &view.name, "resize", &attributes);
                Ok(())
            }
            Err(LinkError::Closed | LinkError::Unknown) => {
                Err(Error::new(ErrorKind::Conflict, format!("container {} is not running", entry.id())))
            }
        }
    }
}

type Chunks = stream::BoxStream<
    'static,
    std::result::Result<sockerless_ports::logs::LogChunk, sockerless_ports::logs::LogError>,
>;

/// A reading, or the error that there is none.
fn flatten(chunks: Result<Chunks>) -> stream::BoxStream<'static, Result<OutputChunk>> {
    match chunks {
        Ok(chunks) => chunks
            .map(|chunk| {
                let chunk = chunk?;
                Ok(OutputChunk { output: chunk.output, bytes: chunk.bytes })
            })
            .boxed(),
        Err(error) => stream::iter([Err(error)]).boxed(),
    }
}

struct Stdin {
    engine: Option<Arc<Engine>>,
    entry: Arc<Entry>,
    run: RunId,
    once: bool,
    /// There is no output that the client could wait for.
    alone: bool,
    /// Only a terminal has detach keys.
    keys: Option<DetachScanner>,
    detached: CancellationToken,
}

impl Stdin {
    fn closed() -> Error {
        Error::new(ErrorKind::Conflict, "the process takes no input any more")
    }

    /// Waits until the process is there to read.
    async fn ready(&self) -> Result<&Arc<Engine>> {
        let engine = self.engine.as_ref().ok_or_else(Self::closed)?;
        let generation = self.run.generation;
        let mut changes = self.entry.subscribe();
        let settled = |view: &Arc<super::View>| {
            view.state.launched >= generation
                || view.state.ended >= generation
                || view.state.phase == Phase::Removed
        };
        let view = engine.until(&mut changes, settled).await?;
        if view.state.ended >= generation || view.state.phase == Phase::Removed {
            return Err(Self::closed());
        }
        Ok(engine)
    }
}

#[async_trait]
impl Input for Stdin {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if self.detached.is_cancelled() {
            return Err(Self::closed());
        }
        let (bytes, detached) = DetachScanner::pass(&mut self.keys, bytes);
        if !bytes.is_empty() {
            let engine = self.ready().await?;
            engine.link.write_stdin(&self.run, bytes).await.map_err(|_| Self::closed())?;
        }
        if detached {
            if let Some(engine) = &self.engine {
                engine.events.container(&self.entry, &self.entry.view().name, "detach", &[]);
            }
            self.detached.cancel();
            return Err(Self::closed());
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if self.detached.is_cancelled() {
            return Ok(());
        }
        if self.once {
            let engine = self.ready().await?;
            // An error says that the process was faster.
            let _ = engine.link.close_stdin(&self.run).await;
        }
        if self.alone {
            self.detached.cancel();
        }
        Ok(())
    }
}
