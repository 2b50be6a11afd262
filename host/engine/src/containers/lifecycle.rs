//! Start, stop, restart, kill: what a container's process is told.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    signals,
    table::{Entry, View},
};
use crate::{
    Engine, Error, ErrorKind, Outcome, Result,
    error::needs_agent,
    life::{Event, FailureKind, Refused},
    supervisor::Rejection,
    tuning,
};

impl Engine {
    /// `POST /containers/{id}/start`. Returns when the process runs, as in dockerd; the start goes on
    /// when the caller goes away.
    ///
    /// Errors: 400 in dockerd's words when the command cannot be executed, 500 with the provider's message when
    /// the cloud fails, 409 while it is being removed.
    pub async fn start(&self, reference: &str) -> Result<Outcome> {
        let entry = self.containers.find(reference)?;
        self.start_entry(&entry).await
    }

    async fn start_entry(&self, entry: &Arc<Entry>) -> Result<Outcome> {
        let mut changes = entry.subscribe();
        let agent = self.link.callback_url().is_some();
        let view = loop {
            match self.apply(entry, Event::Start { agent }).await {
                Ok(view) => break view,
                Err(Rejection::Refused(Refused::Running)) => return Ok(Outcome::NotModified),
                Err(Rejection::Refused(Refused::Saving)) => {
                    self.until(&mut changes, |view| view.state.linger.is_none()).await?;
                }
                Err(rejection) => return Err(self.explain(entry, "start", rejection)),
            }
        };
        let generation = view.state.generation;
        let over = |view: &Arc<View>| view.state.launched >= generation || view.state.ended >= generation;
        let view = self.until(&mut changes, over).await?;
        if view.state.launched >= generation {
            return Ok(Outcome::Done);
        }
        let failure = view.state.failure.as_ref();
        let message = failure
            .map_or_else(|| "the container did not start".to_owned(), |failure| failure.message.clone());
        let kind = match failure.map(|failure| failure.kind) {
            Some(FailureKind::Launch) => ErrorKind::Invalid,
            Some(FailureKind::Stopped) => ErrorKind::Conflict,
            Some(FailureKind::Cloud) | None => {
                self.networks.refused(entry.id(), generation).unwrap_or(ErrorKind::Internal)
            }
        };
        Err(Error::new(kind, message))
    }

    /// `POST /containers/{id}/stop`. Returns when it has ended. `timeout_seconds` of -1 waits for ever.
    ///
    /// Errors: 400 for an unknown signal.
    pub async fn stop(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout_seconds: Option<i64>,
    ) -> Result<Outcome> {
        let entry = self.containers.find(reference)?;
        let event = stop_event(&entry, signal, timeout_seconds, false)?;
        self.stop_entry(&entry, event).await
    }

    async fn stop_entry(&self, entry: &Arc<Entry>, event: Event) -> Result<Outcome> {
        let mut changes = entry.subscribe();
        match self.apply(entry, event).await {
            Ok(view) => {
                let generation = view.state.generation;
                self.until(&mut changes, |view| view.state.ended >= generation).await?;
                Ok(Outcome::Done)
            }
            Err(Rejection::Refused(
                Refused::NotRunning | Refused::Removing | Refused::Removed | Refused::Dead,
            )) => Ok(Outcome::NotModified),
            Err(rejection) => Err(self.explain(entry, "stop", rejection)),
        }
    }

    /// `POST /containers/{id}/restart`. Returns when the process runs again.
    ///
    /// Errors: those of stop and start.
    pub async fn restart(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout_seconds: Option<i64>,
    ) -> Result<()> {
        let entry = self.containers.find(reference)?;
        let event = stop_event(&entry, signal, timeout_seconds, true)?;
        let engine = self.shared()?;
        let tried = format!("Cannot restart container {reference}");
        // In one piece: a client that goes away must not leave it stopped.
        self.complete(async move {
            engine.stop_entry(&entry, event).await.map_err(|error| error.prefixed(&tried))?;
            engine.start_entry(&entry).await.map_err(|error| error.prefixed(&tried))?;
            // The start is told while its change is under way: this comes after.
            let _gate = entry.gate.lock().await;
            engine.events.container(&entry, &entry.view().name, "restart", &[]);
            Ok(())
        })
        .await
    }

    /// `POST /containers/{id}/kill`. Returns when the signal is on its way, after SIGKILL when the container has ended, as
    /// dockerd does, or after [`tuning::KILLED`]; SIGKILL also ends the job when the agent is out of reach.
    ///
    /// Errors: 400 for an unknown signal, 409 when it does not run, 501 for a signal that only an agent could send.
    pub async fn kill(&self, reference: &str, signal: Option<&str>) -> Result<()> {
        // The signal first, as dockerd does; and only its router's errors say what was tried.
        let signal = match signal {
            None | Some("") => signals::KILL,
            Some(signal) => signals::parse(signal)?,
        };
        let entry = self
            .containers
            .find(reference)
            .map_err(|error| error.prefixed(&format!("cannot kill container: {reference}")))?;
        let mut changes = entry.subscribe();
        match self.apply(&entry, Event::Kill { signal }).await {
            Ok(view) if signal == signals::KILL => {
                let generation = view.state.generation;
                let ended = self.until(&mut changes, |view| view.state.ended >= generation);
                // What comes back from the container may take longer: the signal was sent all the same.
                tokio::time::timeout(tuning::KILLED, ended).await.map_or(Ok(()), |ended| ended.map(drop))
            }
            Ok(_) => Ok(()),
            Err(Rejection::Refused(Refused::NeedsAgent)) => {
                Err(needs_agent("signals other than those that end a process"))
            }
            Err(Rejection::Refused(_)) => Err(Error::new(
                ErrorKind::Conflict,
                format!("cannot kill container: {reference}: container {} is not running", entry.id()),
            )),
            Err(rejection) => Err(self.explain(&entry, "kill", rejection)),
        }
    }

    /// Waits for a change. Errors: the engine is being closed.
    pub(super) async fn until(
        &self,
        changes: &mut watch::Receiver<Arc<View>>,
        met: impl FnMut(&Arc<View>) -> bool + Send,
    ) -> Result<Arc<View>> {
        let shutting_down = || Error::new(ErrorKind::Unavailable, "the daemon is shutting down");
        let view =
            self.closing().run_until_cancelled(changes.wait_for(met)).await.ok_or_else(shutting_down)?;
        view.map(|view| Arc::clone(&view)).map_err(|_| shutting_down())
    }

    /// A rejection in dockerd's words.
    pub(super) fn explain(&self, entry: &Entry, verb: &str, rejection: Rejection) -> Error {
        let refused = match rejection {
            Rejection::Failed(error) => return error,
            Rejection::Refused(refused) => refused,
        };
        let (id, name) = (entry.id(), &entry.view().name);
        let conflict = |message| Error::new(ErrorKind::Conflict, message);
        match (refused, verb) {
            (Refused::Removed, _) => Error::new(ErrorKind::NotFound, format!("No such container: {id}")),
            (Refused::NeedsAgent, _) => needs_agent(verb),
            (Refused::Running, "remove") => conflict(format!(
                "cannot remove container \"/{name}\": container is running: stop the container before removing or force remove"
            )),
            (Refused::Restarting, "remove") => conflict(format!(
                "cannot remove container \"/{name}\": container is restarting: stop the container before removing or force remove"
            )),
            (Refused::Paused, "remove") => conflict(format!(
                "cannot remove container \"/{name}\": container is paused and must be unpaused first"
            )),
            (Refused::Paused, "start") => {
                conflict("cannot start a paused container, try unpause instead".into())
            }
            (Refused::Paused, _) => conflict(format!("cannot {verb} container: {id}: container is paused")),
            (Refused::Saving, _) => {
                conflict(format!("cannot {verb} container: {id}: what it has changed is being saved"))
            }
            (Refused::Restarting, _) => {
                conflict(format!("Container {id} is restarting, wait until the container is running"))
            }
            (Refused::Removing, "start") => {
                conflict("container is marked for removal and cannot be started".into())
            }
            (Refused::Removing, _) => conflict(format!("removal of container {id} is already in progress")),
            (Refused::Dead, "start") => {
                conflict("container is marked for removal and cannot be started".into())
            }
            (Refused::Dead, _) => conflict(format!("cannot {verb} container: {id}: container is dead")),
            (Refused::Running, _) => conflict(format!("cannot {verb} container: {id}: container is running")),
            (Refused::NotRunning, _) => conflict(format!("container {id} is not running")),
        }
    }
}

fn stop_event(entry: &Entry, signal: Option<&str>, timeout: Option<i64>, restart: bool) -> Result<Event> {
    let config = &entry.spec.config;
    let configured = config.stop_signal.as_deref().filter(|signal| !signal.is_empty());
    let signal = match signal.filter(|signal| !signal.is_empty()) {
        Some(signal) => signals::parse(signal)?,
        None => configured.map(signals::parse).transpose()?.unwrap_or(15),
    };
    let seconds = timeout.or(config.stop_timeout);
    let grace = match seconds {
        None => Some(tuning::STOP_GRACE),
        // dockerd: a negative time means to wait as long as it takes.
        Some(seconds) => u64::try_from(seconds).ok(),
    };
    Ok(Event::Stop { signal, grace, restart })
}
