//! `docker exec`, second half: it runs.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sockerless_ports::link::{
    Channel, Output,
    request::{Reply, Request},
};

use super::{
    create::active,
    exec::{Exec, Stage},
    words,
};
use crate::{
    Attachment, Engine, Error, ErrorKind, ExecStart, OutputChunk, OutputStream, Result, ask::unexpected,
};

impl Engine {
    /// `POST /exec/{id}/start`. Returns when the process runs, with its streams unless it was started detached. A process that
    /// could not be started writes the reason, as dockerd has it, and leaves its exit code to `inspect`; detached, the
    /// reason is the error.
    ///
    /// The exec goes on when the client goes away, also in the middle of this call.
    ///
    /// Errors: 404, 409 when it was started before or the container does not run, 503 when the agent is out of reach.
    pub async fn start_exec(&self, id: &str, request: ExecStart) -> Result<Option<Attachment>> {
        let exec = self.find_exec(id)?;
        self.check_active(&exec)?;
        let claimed = exec.step(|stage| (stage == Stage::Created).then_some(Stage::Starting));
        let conflict =
            |what: &str| Err(Error::new(ErrorKind::Conflict, format!("Error: Exec command {id} {what}")));
        match claimed {
            Stage::Created => {}
            Stage::Starting | Stage::Running { .. } => return conflict("is already running"),
            Stage::Ended { .. } => return conflict("has already run"),
        }
        let engine = self.shared()?;
        self.complete(Box::pin(async move { engine.run_exec(exec, request).await })).await
    }

    /// By its id. Errors: 404 in dockerd's words.
    pub(super) fn find_exec(&self, id: &str) -> Result<Arc<Exec>> {
        let missing = || Error::new(ErrorKind::NotFound, format!("No such exec instance: {id}"));
        let exec = self.execs.get(id).ok_or_else(missing)?;
        let entry = self.containers.get(exec.container()).ok_or_else(missing)?;
        let state = &entry.view().state;
        // What was not started ends with its container's run.
        if exec.stage() == Stage::Created
            && (!state.is_live() || state.generation != exec.plan.run.generation)
        {
            return Err(missing());
        }
        Ok(exec)
    }

    /// Errors: 409 when the exec's container does not run.
    pub(super) fn check_active(&self, exec: &Exec) -> Result<()> {
        match self.containers.get(exec.container()) {
            Some(entry) => active(&entry, entry.id()).map(|_| ()),
            None => Err(Error::new(ErrorKind::NotFound, format!("No such container: {}", exec.container()))),
        }
    }

    async fn run_exec(self: Arc<Self>, exec: Arc<Exec>, request: ExecStart) -> Result<Option<Attachment>> {
        self.announce_exec(&exec, &format!("exec_start: {}", exec.command()), &[]);
        let mut wanted = exec.plan.request.clone();
        if let Some(size) = request.size.filter(|_| wanted.tty) {
            wanted.size = Some(size.into());
        }
        if !wanted.working_dir.is_empty() && !wanted.working_dir.starts_with('/') {
            let (code, message) = (words::NOT_EXECUTABLE, words::RELATIVE_DIRECTORY.to_owned());
            return self.exec_unstarted(&exec, code, message, request);
        }
        let asked = self.ask(&exec.plan.run, Request::Exec(Box::new(wanted)));
        let (kept, answer) = tokio::join!(self.keep_exec(&exec), asked);
        if let Err(error) = kept {
            tracing::error!(exec = exec.id(), %error, "an exec could not be written down: the next daemon will not know it");
        }
        let (reply, channel) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // Nothing has happened: it may be started again.
                exec.step(|_| Some(Stage::Created));
                self.drop_exec_record(&exec).await;
                return Err(error);
            }
        };
        let error = match reply {
            Reply::Started { pid } => return Ok(self.exec_started(exec, pid, Arc::from(channel), request)),
            Reply::Unstarted { code, message } => {
                let (code, message) = (words::code(code, &message), words::message(&message));
                return self.exec_unstarted(&exec, code, message, request);
            }
            Reply::Failed(fault) => Error::from(fault),
            other => unexpected(&other),
        };
        self.exec_has_failed(&exec, words::NOT_EXECUTABLE);
        Err(error)
    }

    fn exec_started(
        self: &Arc<Self>,
        exec: Arc<Exec>,
        pid: u32,
        channel: Arc<dyn Channel>,
        request: ExecStart,
    ) -> Option<Attachment> {
        exec.set_channel(Some(Arc::clone(&channel)));
        exec.step(|_| Some(Stage::Running { pid }));
        self.look_after_exec(&exec);
        if request.detach {
            let engine = Arc::clone(self);
            self.spawn(async move { engine.drain_exec(&exec, channel.as_ref()).await });
            return None;
        }
        Some(self.attach_exec(exec, channel, request.tty))
    }

    /// The reason why there is no process is all that it writes.
    fn exec_unstarted(
        self: &Arc<Self>,
        exec: &Arc<Exec>,
        code: i32,
        message: String,
        request: ExecStart,
    ) -> Result<Option<Attachment>> {
        self.exec_has_failed(exec, code);
        if request.detach {
            return Err(Error::new(words::kind(&message), message));
        }
        let chunk = OutputChunk { output: Output::Stdout, bytes: Bytes::from(format!("{message}\r\n")) };
        let output = OutputStream { tty: request.tty, chunks: stream::iter([Ok(chunk)]).boxed() };
        Ok(Some(Attachment { output, input: None }))
    }

    /// It has ended without having begun, which is no event.
    fn exec_has_failed(self: &Arc<Self>, exec: &Arc<Exec>, code: i32) {
        exec.step(|_| Some(Stage::Ended { pid: 0, code, at: jiff::Timestamp::now() }));
        self.execs.end(exec);
        self.look_after_exec(exec);
    }
}
