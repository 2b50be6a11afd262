//! Start, stop, kill, restart, rename, remove, wait: what changes a container.

use std::{future::Future, sync::Arc};

use bollard_stubs::models::{ContainerWaitExitError, ContainerWaitResponse};
use tokio::sync::watch;

use super::{
    create::name_in_use,
    names, signals,
    spec::ContainerRecord,
    table::{Entry, View},
};
use crate::{
    Engine, Error, ErrorKind, Outcome, RemoveRequest, Result, WaitCondition,
    error::needs_agent,
    life::{Event, FailureKind, Phase, Refused, State},
    supervisor::Rejection,
    tuning,
};

/// What dockerd puts before each error about a new name.
const NEW_NAME: &str = "Error when allocating new name";

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

    /// `POST /containers/{id}/rename`.
    ///
    /// Errors: 400 for a malformed name or the one that it has, 409 for one in use.
    pub async fn rename(&self, reference: &str, name: &str) -> Result<()> {
        let entry = self.containers.find(reference)?;
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "Neither old nor new names may be empty"));
        }
        let name = names::parse(name).map_err(|error| error.prefixed(NEW_NAME))?;
        let engine = self.shared()?;
        self.complete(async move { engine.rename_now(&entry, name).await }).await
    }

    async fn rename_now(&self, entry: &Arc<Entry>, name: String) -> Result<()> {
        let _gate = entry.gate.lock().await;
        let before = entry.view();
        if before.state.phase == Phase::Removed {
            return Err(Error::new(ErrorKind::NotFound, format!("No such container: {}", entry.id())));
        }
        if before.name == name {
            let message = "Renaming a container with the same name as its current name";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.containers
            .reserve(&name, entry.id())
            .map_err(|holder| name_in_use(&name, &holder).prefixed(NEW_NAME))?;
        let kept = match ContainerRecord::put(&before.spec, &name, &before.state) {
            Ok(change) => self.commit(vec![change]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            self.containers.release(&name, entry.id());
            return Err(error);
        }
        entry.publish(View { name: name.clone(), ..(*before).clone() });
        self.networks_changed(before.state.active().iter().map(|endpoint| endpoint.network.clone()));
        self.containers.release(&before.name, entry.id());
        self.events.container(entry, &name, "rename", &[("oldName", format!("/{}", before.name))]);
        Ok(())
    }

    /// `DELETE /containers/{id}`. Returns when it is gone; its job is deleted in the background. With `link` it is a link that
    /// goes, by its name `CONTAINER/ALIAS`.
    ///
    /// Errors: 404; 409 while it runs (without `force`) or is being removed already.
    pub async fn remove(&self, reference: &str, request: RemoveRequest) -> Result<()> {
        let engine = self.shared()?;
        if request.link {
            let reference = reference.to_owned();
            return self.complete(async move { engine.remove_link(&reference).await }).await;
        }
        let entry = self.containers.find(reference)?;
        self.complete(async move { engine.remove_entry(&entry, request.force).await }).await
    }

    pub(super) async fn remove_entry(&self, entry: &Arc<Entry>, force: bool) -> Result<()> {
        let mut changes = entry.subscribe();
        loop {
            match self.apply(entry, Event::Remove).await {
                Ok(_) => break,
                Err(Rejection::Refused(Refused::Removed)) => return Ok(()),
                Err(Rejection::Refused(Refused::Running | Refused::Paused | Refused::Restarting))
                    if force =>
                {
                    self.end_by_force(entry).await?;
                }
                Err(rejection) => return Err(self.explain(entry, "remove", rejection)),
            }
            // With --rm the end was the removal.
            if entry.spec.auto_remove() {
                break;
            }
        }
        let gone = |view: &Arc<View>| matches!(view.state.phase, Phase::Removed | Phase::Dead);
        let view = self.until(&mut changes, gone).await?;
        match view.state.phase {
            Phase::Dead => {
                let message = format!("cannot remove container \"/{}\": {}", view.name, view.state.error);
                Err(Error::new(ErrorKind::Internal, message))
            }
            _ => Ok(()),
        }
    }

    async fn end_by_force(&self, entry: &Arc<Entry>) -> Result<()> {
        let mut changes = entry.subscribe();
        let view = match self.apply(entry, Event::Kill { signal: 9 }).await {
            Ok(view) => view,
            Err(Rejection::Refused(_)) => return Ok(()),
            Err(rejection) => return Err(self.explain(entry, "kill", rejection)),
        };
        let generation = view.state.generation;
        let mut ended = std::pin::pin!(self.until(&mut changes, |view| view.state.ended >= generation));
        let mut waited = tokio::time::timeout(tuning::REMOVE_PATIENCE, &mut ended).await.map_err(drop);
        if waited.is_err() {
            // The user's own files and the volumes outlive the container: they come back first, and that ends: see
            // [`tuning::BIND_PATIENCE`] and [`tuning::SYNC_STALL`].
            let returned = async {
                if entry.returning.over().await {
                    tokio::time::sleep(tuning::REMOVE_PATIENCE).await
                }
            };
            waited = tokio::select! {
                biased;
                ended = &mut ended => Ok(ended),
                () = returned => Err(()),
            };
        }
        if let Ok(ended) = waited {
            return ended.map(|_| ());
        }
        self.report(entry, Event::Abandon { generation }).await;
        Ok(())
    }

    /// `POST /containers/{id}/wait`. Subscribed once this returns; the future inside gives the exit code.
    ///
    /// Errors: 404.
    pub fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = ContainerWaitResponse> + Send + 'static + use<>> {
        let entry = self.containers.find(reference)?;
        let mut changes = entry.subscribe();
        let before = Arc::clone(&changes.borrow_and_update());
        let closing = self.closing().clone();
        Ok(async move {
            let (exited, ended) = (before.state.exited, before.state.ended);
            let restarting = before.state.phase == Phase::Restarting;
            // As in dockerd, a container between two tries of its restart policy counts as running, and the end of each
            // try is an end.
            let up = before.state.is_live() || before.state.is_up();
            let given_up = |state: &State| restarting && state.phase == Phase::Exited;
            let met = |view: &Arc<View>| {
                let state = &view.state;
                match condition {
                    WaitCondition::NotRunning => {
                        !up || state.ended > ended || given_up(state) || state.phase == Phase::Removed
                    }
                    // One that goes without another end will have no next exit.
                    WaitCondition::NextExit => {
                        state.exited > exited || given_up(state) || state.phase == Phase::Removed
                    }
                    WaitCondition::Removed => matches!(state.phase, Phase::Removed | Phase::Dead),
                }
            };
            let view = closing.run_until_cancelled(async {
                changes.wait_for(met).await.ok().map(|view| Arc::clone(&view))
            });
            match view.await.flatten() {
                Some(view) => response(&view.state, condition, if restarting { 0 } else { ended }),
                None => failed(125, "the daemon is shutting down".into()),
            }
        })
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

fn response(state: &State, condition: WaitCondition, ended_before: u32) -> ContainerWaitResponse {
    // Gone without having ended while somebody waited for that: never a made-up 0.
    if condition == WaitCondition::NextExit && state.ended <= ended_before {
        return failed(125, "the container was removed before it ran again".into());
    }
    if state.phase == Phase::Dead {
        return failed(state.exit_code, state.error.clone());
    }
    let error =
        (!state.error.is_empty()).then(|| ContainerWaitExitError { message: Some(state.error.clone()) });
    // To those who waited for it, a failed start is told by start itself.
    let error = error.filter(|_| state.failure.is_none() || condition == WaitCondition::NotRunning);
    // It may run again already.
    ContainerWaitResponse { status_code: state.last_exit_code.into(), error }
}

fn failed(code: i32, message: String) -> ContainerWaitResponse {
    ContainerWaitResponse {
        status_code: code.into(),
        error: Some(ContainerWaitExitError { message: Some(message) }),
    }
}
