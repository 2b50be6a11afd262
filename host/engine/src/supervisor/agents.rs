//! What agents tell.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use sockerless_ports::{
    link::{AgentEvents, Digest, Exit, Launch, LaunchFailure, Output, Refusal, RunId, request::Health},
    logs::LogError,
};

use crate::{
    Engine, containers,
    life::{Event, Phase},
    tuning,
};

/// The engine as agents see it. It does not keep the engine alive.
pub(crate) struct Agents(Weak<Engine>);

impl Agents {
    pub fn new(engine: Weak<Engine>) -> Self {
        Self(engine)
    }

    fn engine(&self) -> Result<Arc<Engine>, Refusal> {
        self.0.upgrade().ok_or_else(|| Refusal("the daemon is shutting down".into()))
    }

    async fn tell(&self, run: &RunId, event: Event) {
        let Ok(engine) = self.engine() else { return };
        if let Some(entry) = engine.containers.get(&run.container) {
            engine.report(&entry, event).await;
        }
    }
}

#[async_trait]
impl AgentEvents for Agents {
    async fn bound(&self, run: &RunId, secret: Digest) -> Result<(), Refusal> {
        let engine = self.engine()?;
        let known = engine.runs.get(run).ok_or_else(|| Refusal("the container's run is over".into()))?;
        known.keep_secret(&engine, secret).await.map_err(|error| Refusal(error.message))
    }

    async fn launch(&self, run: &RunId) -> Result<Launch, Refusal> {
        let engine = self.engine()?;
        let entry =
            engine.containers.get(&run.container).ok_or_else(|| Refusal("the container is gone".into()))?;
        let state = entry.view();
        if state.state.generation != run.generation || state.state.phase != Phase::Starting {
            return Err(Refusal("the container is not being started".into()));
        }
        let features =
            engine.cloud(&entry.spec.backend).map_err(|error| Refusal(error.message))?.manifest().features;
        Ok(containers::launch(&entry.spec, features))
    }

    async fn started(&self, run: &RunId, pid: u32) {
        self.tell(run, Event::Launched { generation: run.generation, pid }).await;
    }

    async fn failed(&self, run: &RunId, failure: LaunchFailure) {
        let message = containers::launch_message(&failure.message);
        self.tell(run, Event::LaunchFailed { generation: run.generation, code: failure.code, message }).await;
    }

    async fn kept(&self, run: &RunId, output: Output) -> u64 {
        loop {
            let Ok(engine) = self.engine() else { return 0 };
            match engine.logs.length(run, output).await {
                Ok(length) => return length,
                // `output` turns the agent away.
                Err(LogError::Damaged { .. }) => return 0,
                // A wrong answer would lose or double output: the agent waits for the right one.
                Err(error @ LogError::Io { .. }) => tracing::error!(%run, %error, "a log cannot be read"),
            }
            if pause(&engine).await.is_none() {
                return 0;
            }
        }
    }

    async fn output(&self, run: &RunId, output: Output, _offset: u64, bytes: Bytes) -> Result<(), Refusal> {
        let engine = self.engine()?;
        loop {
            match engine.logs.append(run, output, bytes.clone()).await {
                Ok(()) => return Ok(()),
                // A full disk blocks the writer until there is room, and loses nothing.
                Err(error @ LogError::Io { .. }) => {
                    tracing::error!(%run, %error, "output cannot be kept and is tried again")
                }
                Err(error @ LogError::Damaged { .. }) => return Err(Refusal(error.to_string())),
            }
            if pause(&engine).await.is_none() {
                return Err(Refusal("the daemon is shutting down".into()));
            }
        }
    }

    async fn exited(&self, run: &RunId, exit: Exit) {
        self.tell(run, Event::Exited { generation: run.generation, exit }).await;
    }

    async fn health(&self, _: &RunId, _: Health) {}

    async fn leaving(&self, _: &RunId) {}

    async fn line(&self, run: &RunId, up: bool) {
        let Ok(engine) = self.engine() else { return };
        if let Some(known) = engine.runs.get(run) {
            known.line.send_replace(up);
            let job =
                known.intent.lock().await.as_ref().map(|intent| (intent.backend.clone(), intent.job.clone()));
            if let (false, Some((backend, job))) = (up, job)
                && let Ok(cloud) = engine.cloud(&backend)
            {
                cloud.poller.hurry(&job);
            }
        }
        self.tell(run, Event::Line { generation: run.generation, up }).await;
    }
}

/// None when the engine is being closed.
async fn pause(engine: &Engine) -> Option<()> {
    engine.closing().run_until_cancelled(tokio::time::sleep(tuning::BACKOFF.1 / 30)).await
}
