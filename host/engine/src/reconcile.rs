//! What the daemon was doing when it ended is in the store; here it is finished or undone.

use std::{collections::HashMap, sync::Arc};

use sockerless_ports::{
    Store,
    backend::{self, JobHandle},
    store::{Change, Kind, Record},
};

use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{ContainerRecord, Entry},
    life::{Event, Phase, State},
    supervisor::{Cloud, Command, From, Intent, LOG_NOTE, Rejection, run_id},
    times, tuning,
};

const OWNER: &str = "owner";

/// This daemon's mark: made at the first start, kept for ever.
pub(crate) async fn owner(store: &dyn Store) -> Result<String> {
    let known = store.load(Kind::Daemon).await?.into_iter().find(|record| record.key == OWNER);
    if let Some(record) = known {
        return serde_json::from_str(&record.content).map_err(|error| damaged("daemon", OWNER, &error));
    }
    let owner = hex::encode(rand::random::<[u8; 8]>());
    let record = Record { key: OWNER.into(), content: serde_json::Value::from(owner.clone()).to_string() };
    store.commit(vec![Change::Put(Kind::Daemon, record)]).await?;
    Ok(owner)
}

impl Engine {
    pub(crate) async fn reopen(self: &Arc<Self>) -> Result<()> {
        self.reopen_volumes().await?;
        for record in self.store().load(Kind::Container).await? {
            let ContainerRecord { spec, name, state } = serde_json::from_str(&record.content)
                .map_err(|error| damaged("container", &record.key, &error))?;
            if let Err(holder) = self.containers.reserve(&name, &spec.id) {
                let message = format!("containers {} and {holder} have the same name {name}", spec.id);
                return Err(Error::new(ErrorKind::Internal, message));
            }
            self.containers.insert(Arc::new(Entry::new(spec, name, state)));
        }
        self.reopen_networks().await?;
        self.sweep_files()?;
        let mut intents = HashMap::new();
        for record in self.store().load(Kind::Intent).await? {
            let intent: Intent = serde_json::from_str(&record.content)
                .map_err(|error| damaged("intent", &record.key, &error))?;
            // Known before the clouds are asked for orphans.
            self.runs.know_job(&intent.job);
            if intent.seats.is_empty() {
                intents.insert(intent.run.clone(), intent);
            } else if intent.closed {
                self.clean_up(intent);
            } else {
                self.resume_pod(intent).await;
            }
        }
        for entry in self.containers.all() {
            self.resume(&entry, &mut intents).await?;
        }
        for intent in intents.into_values() {
            self.clean_up(intent);
        }
        self.adopt_execs().await?;
        for record in self.store().load(Kind::Daemon).await? {
            if let Some(container) = record.key.strip_prefix(LOG_NOTE) {
                self.erase_log(container).await;
            }
        }
        for cloud in self.clouds.values() {
            let (engine, cloud) = (Arc::clone(self), Arc::clone(cloud));
            self.spawn(async move {
                if let Err(error) = cloud.sources().await {
                    tracing::warn!(backend = cloud.name, %error, "the backend does not tell where images may come from");
                }
                loop {
                    engine.remove_orphans(&cloud).await;
                    engine.sweep_zones(&cloud).await;
                    tokio::time::sleep(tuning::RECONCILE).await;
                }
            });
        }
        Ok(())
    }

    async fn resume(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        intents: &mut HashMap<sockerless_ports::link::RunId, Intent>,
    ) -> Result<()> {
        let state = &entry.view().state;
        let generation = state.generation;
        match state.phase {
            Phase::Starting | Phase::Running => self.resume_run(entry, state, intents).await,
            Phase::Removing => {
                let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
                self.spawn(engine.erase(entry));
            }
            // It ended while a restart was under way; as in dockerd nothing keeps it.
            Phase::Exited if entry.spec.auto_remove() => {
                let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
                self.spawn(async move { engine.report(&entry, Event::Remove).await });
            }
            Phase::Restarting | Phase::Exited => {
                if state.linger.is_some() {
                    let host = run_id(entry, state.host);
                    match self.where_it_stands(&host, intents) {
                        Some(from) => {
                            self.supervise(Arc::clone(entry), host, state.serves, from, false);
                        }
                        None => self.report(entry, Event::Interrupted { generation }).await,
                    }
                }
                let agent = self.link.callback_url().is_some();
                if let Some(due) = state.restarts.due.filter(|_| state.phase == Phase::Restarting) {
                    self.later(entry, times::left(due), Event::RestartDue { generation, agent });
                } else if state.launched > 0
                    && entry.spec.restart_policy().at_boot(state.exit_code, state.restarts.stopped)
                {
                    let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
                    self.spawn(async move {
                        // Refused when somebody was faster.
                        if let Err(Rejection::Failed(error)) = engine.apply(&entry, Event::Start { agent }).await {
                            tracing::error!(container = entry.id(), %error, "a container could not be started by its restart policy");
                        }
                    });
                }
            }
            Phase::Created | Phase::Dead | Phase::Removed => {}
        }
        Ok(())
    }

    /// The job of a run that was under way, if there is or may be one.
    fn where_it_stands(
        &self,
        host: &sockerless_ports::link::RunId,
        intents: &mut HashMap<sockerless_ports::link::RunId, Intent>,
    ) -> Option<From> {
        let own = intents.remove(host).map(|intent| From::Intent(Box::new(intent)));
        own.or_else(|| self.seat_again(host).map(From::Seat))
    }

    /// A run that was under way.
    async fn resume_run(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        state: &State,
        intents: &mut HashMap<sockerless_ports::link::RunId, Intent>,
    ) {
        let generation = state.generation;
        let host = run_id(entry, state.host);
        let Some(from) = self.where_it_stands(&host, intents) else {
            self.report(entry, Event::Interrupted { generation }).await;
            return;
        };
        if let Err(error) = self.begin_log(entry, generation).await {
            tracing::error!(container = entry.id(), %error, "the log of a running container cannot be opened");
        }
        let run = self.supervise(Arc::clone(entry), host, state.serves, from, true);
        // Before a client can start another container that wants the same port.
        self.publish_again(entry, generation).await;
        self.join_again(entry, generation).await;
        if state.phase == Phase::Starting && state.in_place() {
            // The agent may have heard of it or not: it is told (again).
            run.command(Command::Succeed { from: state.serves, generation, published: true });
        }
        if let Some(stop) = &state.stop {
            if stop.killed {
                self.overdue(entry, generation);
            } else if let Some(deadline) = stop.deadline {
                self.later(entry, times::left(deadline), Event::GraceOver { generation, deadline });
            }
        }
    }

    /// Deletes what carries this daemon's mark and no intent speaks of.
    async fn remove_orphans(&self, cloud: &Cloud) {
        match self.orphans(cloud).await {
            Ok(orphans) => {
                for handle in orphans {
                    // An intent may have come up since the cloud was asked.
                    if self.runs.knows_job(&handle.name) {
                        continue;
                    }
                    tracing::warn!(
                        backend = cloud.name,
                        job = handle.name,
                        "a job that nobody knows of is deleted"
                    );
                    if let Err(error) =
                        cloud.insist("delete", tuning::DELETE_BACKOFF, || cloud.backend.delete(&handle)).await
                    {
                        tracing::error!(backend = cloud.name, job = handle.name, %error, "an orphaned job cannot be deleted");
                    }
                }
            }
            Err(error) => {
                tracing::warn!(backend = cloud.name, %error, "the cloud's jobs cannot be compared with the state")
            }
        }
    }

    async fn orphans(&self, cloud: &Cloud) -> backend::Result<Vec<JobHandle>> {
        let mut orphans = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let list = || cloud.backend.list(&self.owner, cursor.as_deref());
            let page = cloud.insist("list", tuning::DELETE_BACKOFF, list).await?;
            let unknown = page.items.into_iter().map(|(status, _)| status.handle);
            orphans.extend(unknown.filter(|handle| !self.runs.knows_job(&handle.name)));
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(orphans),
            }
        }
    }
}

fn damaged(what: &str, key: &str, error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("the record of {what} {key} cannot be read: {error}"))
}
