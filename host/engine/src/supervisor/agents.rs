//! What agents tell.

use std::sync::{Arc, Weak, atomic::Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use sockerless_ports::{
    link::{AgentEvents, Digest, Exit, Launch, LaunchFailure, Output, Refusal, RunId, request::Health},
    logs::LogError,
};

use super::Run;
use crate::{
    Engine,
    containers::{self, Entry},
    life::{Event, Phase},
    tuning,
};

/// The engine as the agent of one job sees it. It does not keep the engine alive.
pub(crate) struct Agents {
    engine: Weak<Engine>,
    run: Arc<Run>,
}

impl Agents {
    pub fn events(engine: Weak<Engine>, run: &Arc<Run>) -> Arc<dyn AgentEvents> {
        Arc::new(Self { engine, run: Arc::clone(run) })
    }

    fn engine(&self) -> Result<Arc<Engine>, Refusal> {
        self.engine.upgrade().ok_or_else(|| Refusal("the daemon is shutting down".into()))
    }

    /// The container, as long as it is this job that hosts its run: what an agent says that was given up is not heard.
    fn container(&self, engine: &Engine) -> Option<Arc<Entry>> {
        let entry = engine.containers.get(&self.run.host.container)?;
        (entry.view().state.host == self.run.host.generation).then_some(entry)
    }

    async fn tell(&self, event: Event) {
        let Ok(engine) = self.engine() else { return };
        if let Some(entry) = self.container(&engine) {
            engine.report(&entry, event).await;
        }
    }

    /// The process has ended, or never was.
    async fn tell_end(&self, event: Event) {
        self.tell(event).await;
        self.run.busy.send_replace(false);
    }

    /// Puts the container's files back into a new job, and sends what the user has changed into any.
    async fn furnish(&self, engine: &Engine, entry: &Arc<Entry>, run: &RunId) -> Result<(), Refusal> {
        let is_first = self.run.host == *run;
        let furnished = async {
            if is_first {
                engine.fill_volumes(entry, run).await?;
            }
            engine.bring_volumes_in(entry, run).await?;
            engine.send_binds(entry, run).await?;
            if is_first {
                engine.restore(entry, run).await?;
            }
            Ok::<_, crate::Error>(())
        };
        let Err(error) = furnished.await else { return Ok(()) };
        let message = format!("the container's files could not be put back: {}", error.message);
        let event = Event::StartFailed { generation: run.generation, message: message.clone() };
        engine.report(entry, event).await;
        Err(Refusal(message))
    }
}

#[async_trait]
impl AgentEvents for Agents {
    async fn bound(&self, _: &RunId, secret: Digest) -> Result<(), Refusal> {
        let engine = self.engine()?;
        self.run.keep_secret(&engine, secret).await.map_err(|error| Refusal(error.message))
    }

    async fn launch(&self, run: &RunId) -> Result<Option<Launch>, Refusal> {
        let engine = self.engine()?;
        let entry = self.container(&engine).ok_or_else(|| Refusal("the container's run is over".into()))?;
        // In this order: whoever takes the run away from this job looks at `busy` after that, and sees that there may be a
        // process, or the state below shows that it is too late.
        self.run.busy.send_replace(true);
        let wanted = || {
            let state = &entry.view().state;
            state.generation == run.generation
                && state.phase == Phase::Starting
                && state.host == self.run.host.generation
        };
        if !wanted() {
            self.run.busy.send_replace(false);
            return Err(Refusal("the container is not being started".into()));
        }
        self.run.furnishing.store(true, Ordering::SeqCst);
        let furnished = self.furnish(&engine, &entry, run).await;
        self.run.furnishing.store(false, Ordering::SeqCst);
        furnished?;
        if !wanted() {
            return Err(Refusal("the container is not being started".into()));
        }
        engine.keep_binds(&entry, run);
        let features =
            engine.cloud(&entry.spec.backend).map_err(|error| Refusal(error.message))?.manifest().features;
        let mut launch = containers::launch(&entry.spec, features);
        engine.add_linked(&entry.view(), &mut launch.env);
        Ok(Some(launch))
    }

    async fn started(&self, run: &RunId, pid: u32) {
        self.tell(Event::Launched { generation: run.generation, pid }).await;
    }

    async fn failed(&self, run: &RunId, failure: LaunchFailure) {
        let message = containers::launch_message(&failure.message);
        self.tell_end(Event::LaunchFailed { generation: run.generation, code: failure.code, message }).await;
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
        if self.container(&engine).is_none() {
            return Err(Refusal("the container's run is over".into()));
        }
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
        if let Ok(engine) = self.engine()
            && let Some(entry) = self.container(&engine)
        {
            // One for both: whoever waits must not give up between them.
            let _returns = entry.returning.begin();
            engine.bring_volumes_back(&entry, run).await;
            engine.bring_binds_back(&entry, run).await;
        }
        self.tell_end(Event::Exited { generation: run.generation, exit }).await;
    }

    async fn health(&self, run: &RunId, health: Health) {
        self.tell(Event::Health { generation: run.generation, health: Arc::new(health) }).await;
    }

    async fn leaving(&self, run: &RunId) {
        self.tell(Event::Leaving { generation: run.generation }).await;
    }

    async fn line(&self, run: &RunId, up: bool) {
        let Ok(engine) = self.engine() else { return };
        if run.generation == self.run.generation() {
            self.run.line.send_replace(up);
        }
        if !up
            && let Some(intent) = self.run.ledger().get().await
            && let Ok(cloud) = engine.cloud(&intent.backend)
        {
            cloud.poller.hurry(&intent.job);
        }
        if let Some(entry) = self.container(&engine).filter(|entry| up && entry.view().state.pid > 0) {
            engine.keep_binds(&entry, run);
        }
        self.tell(Event::Line { generation: run.generation, up }).await;
    }
}

/// None when the engine is being closed.
async fn pause(engine: &Engine) -> Option<()> {
    engine.closing().run_until_cancelled(tokio::time::sleep(tuning::BACKOFF.1 / 30)).await
}
